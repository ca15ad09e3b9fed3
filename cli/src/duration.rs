//! Spans as people write them.

use mdfs_service::settings::Span;
use std::time::Duration;

/// Reads a span such as `90s`, `30m`, `24h` or `7d`.
///
/// # Errors
/// Says what is expected.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok().map(|span| span.0);
    span.filter(|span| span.subsec_nanos() == 0)
        .ok_or_else(|| "expected a number and one of s, m, h, d, such as 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        for bad in [
            "",
            "7",
            "h",
            "-1h",
            "1.5h",
            "1 h",
            "99999999999999999999s",
            "9223372036854775807d",
            "1500ms",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
