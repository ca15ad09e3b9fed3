//! What whoever stores a file says of it beside its bytes: kept, shown, and never acted on.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most bytes of all names and values of a file's attributes together.
pub const ATTRIBUTES_MAX_BYTES: usize = 2048;
/// The most bytes of an attribute's name.
pub const ATTRIBUTE_NAME_MAX_BYTES: usize = 64;

/// What whoever stored a file said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// When the file was changed where it came from.
    pub modified: Option<SourceTime>,
    /// Names and values of the user's own.
    pub attributes: Attributes,
}

/// A time that a client told, in milliseconds since the Unix epoch. Nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceTime(pub u64);

/// Names and values of a user's own, at most [`ATTRIBUTES_MAX_BYTES`] together. A name has lower-case
/// letters, digits, `.`, `_` and `-`, so that it fits into a header; a value has no control character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct Attributes(BTreeMap<String, String>);

/// Why attributes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttributes {
    /// A name that breaks the rules.
    #[error(
        "an attribute's name has 1 to {ATTRIBUTE_NAME_MAX_BYTES} of a-z, 0-9, '.', '_' and '-', \
         which {0:?} has not"
    )]
    Name(String),
    /// A value with a control character.
    #[error("the value of attribute {0:?} has a control character")]
    Value(String),
    /// More bytes than allowed.
    #[error("attributes have {0} bytes; at most {ATTRIBUTES_MAX_BYTES} are kept")]
    TooLong(usize),
}

impl Attributes {
    /// Checks names, values and their length.
    ///
    /// # Errors
    /// Names the attribute and the rule that it breaks.
    pub fn new(map: BTreeMap<String, String>) -> Result<Self, InvalidAttributes> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        for (name, value) in &map {
            let sound = (1..=ATTRIBUTE_NAME_MAX_BYTES).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| allowed(byte) || b"._-".contains(&byte));
            if !sound {
                // At most a line of it: it may come from anywhere.
                return Err(InvalidAttributes::Name(name.chars().take(80).collect()));
            }
            if value.chars().any(char::is_control) {
                return Err(InvalidAttributes::Value(name.clone()));
            }
        }
        let bytes = map
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > ATTRIBUTES_MAX_BYTES {
            return Err(InvalidAttributes::TooLong(bytes));
        }
        Ok(Self(map))
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Attributes {
    type Error = InvalidAttributes;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, InvalidAttributes> {
        Self::new(map)
    }
}

impl From<Attributes> for BTreeMap<String, String> {
    fn from(attributes: Attributes) -> Self {
        attributes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, want: bool) {
        let map = [(name.to_owned(), value.to_owned())].into();
        assert_eq!(Attributes::new(map).is_ok(), want, "{name:?}: {value:?}");
    }

    #[test]
    fn attributes_fit_into_headers_and_two_kibibytes() {
        check("title", "Der Blaue Engel", true);
        check("a.b_c-9", "größer", true);
        check("", "x", false);
        check("Title", "x", false);
        check("a b", "x", false);
        check(&"n".repeat(ATTRIBUTE_NAME_MAX_BYTES), "x", true);
        check(&"n".repeat(ATTRIBUTE_NAME_MAX_BYTES + 1), "x", false);
        check("title", "two\nlines", false);
        check("a", &"v".repeat(ATTRIBUTES_MAX_BYTES - 1), true);
        check("a", &"v".repeat(ATTRIBUTES_MAX_BYTES), false);
    }
}
