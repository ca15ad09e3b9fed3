//! Points in time as texts: RFC 3339 in JSON, HTTP dates in headers.

use mdfs_core::time::LogTime;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_SECONDS: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: u64 = 719_468;
/// Days in 400 years.
const ERA_DAYS: u64 = 146_097;

/// A day of the calendar and a time of that day, in UTC.
struct Moment {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
    second_of_day: u64,
    weekday: &'static str,
}

impl Moment {
    fn of(seconds: u64) -> Self {
        let days = seconds / DAY_SECONDS;
        let shifted = days + EPOCH_DAYS;
        let era = shifted / ERA_DAYS;
        let day_of_era = shifted % ERA_DAYS;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Years begin in March here, so that the leap day is the last one.
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        // 1970-01-01 was a Thursday.
        let weekday = usize::try_from((days + 3) % 7)
            .ok()
            .and_then(|day| DAYS.get(day));
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            second_of_day: seconds % DAY_SECONDS,
            weekday: weekday.copied().unwrap_or_default(),
        }
    }

    fn clock(&self) -> String {
        let rest = self.second_of_day;
        format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
    }

    fn month_name(&self) -> &'static str {
        let index = usize::try_from(self.month.saturating_sub(1)).unwrap_or(0);
        MONTHS.get(index).copied().unwrap_or_default()
    }
}

fn seconds_of(year: u64, month: u64, day: u64, second_of_day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = if month <= 2 { month + 9 } else { month - 3 };
    let (era, year_of_era) = (march_year / 400, march_year % 400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * ERA_DAYS + day_of_era).checked_sub(EPOCH_DAYS)?;
    days.checked_mul(DAY_SECONDS)?.checked_add(second_of_day)
}

/// The time as RFC 3339 has it, in UTC with milliseconds: `2026-03-01T12:00:00.250Z`.
pub fn rfc3339(time: LogTime) -> String {
    let millis = time.as_millis();
    let moment = Moment::of(millis / 1000);
    let (year, month, day, clock) = (moment.year, moment.month, moment.day, moment.clock());
    format!(
        "{year:04}-{month:02}-{day:02}T{clock}.{:03}Z",
        millis % 1000
    )
}

/// The time as HTTP headers have it, cut to a whole second: `Sun, 01 Mar 2026 12:00:00 GMT`.
pub fn http_date(time: LogTime) -> String {
    let moment = Moment::of(time.as_millis() / 1000);
    let (weekday, day, month) = (moment.weekday, moment.day, moment.month_name());
    format!(
        "{weekday}, {day:02} {month} {:04} {} GMT",
        moment.year,
        moment.clock()
    )
}

/// Reads an HTTP date in any of the three forms of RFC 9110 §5.6.7; none if it is no date from
/// 1970 on.
pub fn parse_http_date(text: &str) -> Option<LogTime> {
    let words: Vec<&str> = text
        .split([' ', ',', '-'])
        .filter(|word| !word.is_empty())
        .collect();
    let (day, month, year, clock) = match words.as_slice() {
        [_, day, month, year, clock, "GMT"] => (day, month, year, clock),
        [_, month, day, clock, year] => (day, month, year, clock),
        _ => return None,
    };
    let number = |digits: &str| {
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())?
    };
    let month = MONTHS.iter().position(|name| name == month)?;
    let year = match (year.len(), number(year)?) {
        // RFC 850 has two digits; what would be far ahead is in the past.
        (2, short @ 70..) => 1900 + short,
        (2, short) => 2000 + short,
        (_, full) => full,
    };
    let parts: Vec<u64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let [hours @ 0..24, minutes @ 0..60, seconds @ 0..=60] = parts.as_slice() else {
        return None;
    };
    let second_of_day = hours * 3600 + minutes * 60 + seconds;
    let month = u64::try_from(month).ok()? + 1;
    let seconds = seconds_of(year, month, number(day)?, second_of_day)?;
    Some(LogTime::from_millis(seconds.checked_mul(1000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_known_texts() {
        for (millis, rfc, http) in [
            (
                0,
                "1970-01-01T00:00:00.000Z",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            (
                784_111_777_250,
                "1994-11-06T08:49:37.250Z",
                "Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            (
                951_782_400_000,
                "2000-02-29T00:00:00.000Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (
                4_107_542_399_999,
                "2100-02-28T23:59:59.999Z",
                "Sun, 28 Feb 2100 23:59:59 GMT",
            ),
            (
                4_107_542_400_000,
                "2100-03-01T00:00:00.000Z",
                "Mon, 01 Mar 2100 00:00:00 GMT",
            ),
        ] {
            let time = LogTime::from_millis(millis);
            assert_eq!(rfc3339(time), rfc);
            assert_eq!(http_date(time), http);
            assert_eq!(
                parse_http_date(http),
                Some(LogTime::from_millis(millis / 1000 * 1000))
            );
        }
    }

    #[test]
    fn every_day_of_two_centuries_reads_back() {
        for day in 0..73_000 {
            let time = LogTime::from_millis((day * DAY_SECONDS + day % DAY_SECONDS) * 1000);
            assert_eq!(
                parse_http_date(&http_date(time)),
                Some(time),
                "{}",
                rfc3339(time)
            );
        }
    }

    #[test]
    fn the_obsolete_forms_are_read_and_nonsense_is_not() {
        let time = Some(LogTime::from_millis(784_111_777_000));
        assert_eq!(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), time);
        assert_eq!(parse_http_date("Sun Nov  6 08:49:37 1994"), time);
        for bad in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }
}
