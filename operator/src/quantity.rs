//! Kubernetes' quantities of bytes.

/// The units of quantities, in bytes.
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// The bytes that a quantity is, such as `1Gi`; none if it is no whole number of bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn quantities_are_read_in_all_units_and_nothing_else_is() {
        for (text, want) in [
            ("0", 0),
            ("1Ki", 1024),
            ("5Gi", 5 << 30),
            ("2G", 2_000_000_000),
            ("1Ei", 1 << 60),
        ] {
            assert_eq!(bytes(text), Some(want), "{text}");
        }
        for bad in [
            "",
            "Gi",
            "-1Gi",
            "1.5Gi",
            "1GiB",
            "99999999999999999999",
            "32Ei",
            "1 Gi",
        ] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
