//! Settings of servers: spans and sizes as people write them, and what each setting may be.
//!
//! A role has one table of [`Setting`]s for its configuration. Its check and its documentation both
//! come from it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time as people write it: a whole number and its unit, such as `500ms`, `15s`, `5m`,
/// `24h` or `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// The units of spans, the largest first, in milliseconds.
const SPANS: &[(&str, u64)] = &[
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A number of bytes as people write it: a whole number and its unit, such as `4096`, `64KiB`,
/// `64MiB`, `1GiB` or `4TiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units of sizes, the largest first, in bytes. One without a unit has bytes.
const SIZES: &[(&str, u64)] = &[
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];

/// A text that is no span or size. Says what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidQuantity(&'static str);

impl FromStr for Span {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let millis = parse(text, SPANS);
        let span = millis.map(|millis| Self(Duration::from_millis(millis)));
        span.ok_or(InvalidQuantity(
            "a whole number and one of ms, s, m, h, d, such as 15s",
        ))
    }
}

impl FromStr for Size {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text, SIZES).map(Self).ok_or(InvalidQuantity(
            "a whole number of bytes, or one and KiB, MiB, GiB, TiB, PiB or EiB, such as 64MiB",
        ))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        show(millis, SPANS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        show(self.0, SIZES, f)
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit in which the number is whole.
fn show(number: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let whole = |(_, factor): &&(&str, u64)| number.is_multiple_of(*factor);
    match units.iter().find(whole) {
        Some((unit, factor)) => write!(f, "{}{unit}", number / factor),
        None => write!(f, "{number}"),
    }
}

/// The value of a setting that has bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Quantity {
    /// A span of time.
    Span(Duration),
    /// Bytes, or bytes a second.
    Size(u64),
    /// A number of things.
    Count(u64),
}

impl From<Duration> for Quantity {
    fn from(span: Duration) -> Self {
        Self::Span(span)
    }
}

impl From<usize> for Quantity {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => Span(*span).fmt(f),
            Self::Size(bytes) => Size(*bytes).fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// A setting of the configuration `C` that has bounds.
pub struct Setting<C> {
    /// Its name, as in a configuration file.
    pub name: &'static str,
    /// Its value, if it is set.
    value: fn(&C) -> Option<Quantity>,
    /// The least that it may be.
    pub least: Quantity,
    /// The most that it may be.
    pub most: Quantity,
}

impl<C> Setting<C> {
    /// A span of time from `least` to `most`.
    pub const fn span(
        name: &'static str,
        value: fn(&C) -> Option<Quantity>,
        least: Duration,
        most: Duration,
    ) -> Self {
        Self {
            name,
            value,
            least: Quantity::Span(least),
            most: Quantity::Span(most),
        }
    }

    /// Bytes, or bytes a second, from `least` to `most`.
    pub const fn size(
        name: &'static str,
        value: fn(&C) -> Option<Quantity>,
        least: u64,
        most: u64,
    ) -> Self {
        Self {
            name,
            value,
            least: Quantity::Size(least),
            most: Quantity::Size(most),
        }
    }

    /// A number from `least` to `most`.
    pub const fn count(
        name: &'static str,
        value: fn(&C) -> Option<Quantity>,
        least: u64,
        most: u64,
    ) -> Self {
        Self {
            name,
            value,
            least: Quantity::Count(least),
            most: Quantity::Count(most),
        }
    }

    /// Notes each setting of `config` that is out of its bounds.
    pub fn check(settings: &[Self], config: &C, faults: &mut Faults) {
        for setting in settings {
            let Some(value) = (setting.value)(config) else {
                continue;
            };
            if !(setting.least..=setting.most).contains(&value) {
                let must = format!("must be {} to {}", setting.least, setting.most);
                faults.note(setting.name, value, must);
            }
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name, as in a configuration file.
    pub setting: &'static str,
    /// What it was given.
    pub value: String,
    /// What it must be.
    pub must: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one more.
    pub fn note(
        &mut self,
        setting: &'static str,
        value: impl fmt::Display,
        must: impl Into<String>,
    ) {
        self.0.push(Fault {
            setting,
            value: value.to_string(),
            must: must.into(),
        });
    }

    /// All of them, in the order in which they were found.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    /// Nothing, if there are none.
    ///
    /// # Errors
    /// These faults.
    pub fn none(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let Fault {
                setting,
                value,
                must,
            } = fault;
            let comma = if number == 0 { "" } else { "; " };
            write!(f, "{comma}{setting} is {value}: {must}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Notes a URL at which no server can be reached, or that would carry a secret.
pub fn check_url(setting: &'static str, url: &str, faults: &mut Faults) {
    if let Err(must) = base_url(url) {
        // What stands before the @ may be a password.
        let shown = url.rsplit_once('@').map_or(url, |(_, host)| host);
        faults.note(setting, format_args!("{shown:?}"), must);
    }
}

/// Whether this is where a server can be: a scheme and a host, and perhaps a port.
pub fn is_base_url(url: &str) -> bool {
    base_url(url).is_ok()
}

fn base_url(url: &str) -> Result<(), &'static str> {
    let uri: http::Uri = url.parse().map_err(|_| "must be a URL")?;
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let Some(authority) = authority.filter(|_| uri.scheme_str() == Some("http")) else {
        return Err("must begin with http:// and a host");
    };
    if authority.contains('@') {
        return Err("must have no user and no password");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("must end after the port");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_read_and_written_with_their_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("1ms", 1),
            ("1500ms", 1500),
            ("15s", 15_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("23h", 82_800_000),
            ("7d", 604_800_000),
        ] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(text.parse(), Ok(span));
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("60s".parse::<Span>().unwrap().to_string(), "1m");
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("1KiB", 1024),
            ("64MiB", 64 << 20),
            ("1536MiB", 1536 << 20),
            ("4TiB", 4 << 40),
            ("1EiB", 1 << 60),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn a_quantity_without_number_or_with_another_unit_is_refused() {
        for bad in [
            "",
            "7",
            "h",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "1H",
            "99999999999999999999s",
            "9223372036854775807d",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "MiB", "1MB", "1.5GiB", "-1", "1 KiB", "16EiB", "1kib"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_setting_out_of_bounds_is_named_with_value_and_bounds() {
        struct Two {
            wait: Duration,
            most: Option<u64>,
        }
        const SETTINGS: &[Setting<Two>] = &[
            Setting::span(
                "wait",
                |two| Some(two.wait.into()),
                Duration::from_millis(100),
                Duration::from_secs(60),
            ),
            Setting::size("most", |two| two.most.map(Quantity::Size), 1 << 20, 1 << 30),
        ];
        let check = |wait, most| {
            let mut faults = Faults::new();
            let wait = Duration::from_millis(wait);
            Setting::check(SETTINGS, &Two { wait, most }, &mut faults);
            faults.none().err().map(|faults| faults.to_string())
        };
        assert_eq!(check(100, None), None);
        assert_eq!(check(60_000, Some(1 << 30)), None);
        let both = "wait is 99ms: must be 100ms to 1m; most is 1: must be 1MiB to 1GiB";
        assert_eq!(check(99, Some(1)).as_deref(), Some(both));
    }

    #[test]
    fn a_url_of_a_server_is_a_host_and_carries_no_secret() {
        #[track_caller]
        fn check(url: &str, want: Option<&str>) {
            let mut faults = Faults::new();
            check_url("master", url, &mut faults);
            let found = faults.all().first().map(|fault| fault.must.as_str());
            assert_eq!(found, want, "{url}");
            assert!(!faults.to_string().contains("hush"), "{faults}");
        }
        check("http://10.0.0.7:8081", None);
        check("http://worker-0.workers:8081/", None);
        check("10.0.0.7:8080", Some("must begin with http:// and a host"));
        check("https://h:1", Some("must begin with http:// and a host"));
        check("http://h:1/path", Some("must end after the port"));
        check("http://h:1/?a", Some("must end after the port"));
        check(
            "http://me:hush@h:1",
            Some("must have no user and no password"),
        );
        check("not a url", Some("must be a URL"));
    }
}
