//! File names: the one place that says which texts name a file.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest file name and the longest listing prefix, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;

/// The name of a file: `/` separates folders, everything else is the user's.
///
/// Holds 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without control characters or backslashes, and
/// no empty, `.` or `..` segment, so it neither begins nor ends with a slash. Names are compared
/// and sorted byte by byte: no Unicode normalization, no case folding. A name never becomes a path
/// on a disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Box<str>);

/// Why a text does not name a file. One variant for each rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text is empty.
    #[error("the name is empty")]
    Empty,
    /// The text has more than [`MAX_NAME_BYTES`] bytes.
    #[error("the name has {bytes} bytes, more than {MAX_NAME_BYTES}")]
    TooLong {
        /// The length of the text.
        bytes: usize,
    },
    /// The text has a C0 or C1 control character, or DEL.
    #[error("the name has the control character U+{code:04X} at byte {at}")]
    ControlCharacter {
        /// The character's code point.
        code: u32,
        /// Where it is, in bytes from the start.
        at: usize,
    },
    /// The text has a backslash.
    #[error("the name has a backslash at byte {at}")]
    Backslash {
        /// Where it is, in bytes from the start.
        at: usize,
    },
    /// The text begins with a slash.
    #[error("the name begins with a slash")]
    LeadingSlash,
    /// The text ends with a slash.
    #[error("the name ends with a slash")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("the name has an empty segment at byte {at}")]
    EmptySegment {
        /// Where the second slash is, in bytes from the start.
        at: usize,
    },
    /// A segment is `.` or `..`.
    #[error("the name has the segment {segment:?} at byte {at}")]
    DotSegment {
        /// `.` or `..`.
        segment: &'static str,
        /// Where the segment begins, in bytes from the start.
        at: usize,
    },
}

impl FileName {
    /// Reads a name, already free of percent-encoding.
    ///
    /// # Errors
    /// The first rule that the text breaks: length, then characters, then segments.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        check_prefix(text)?;
        if text.starts_with('/') {
            return Err(InvalidName::LeadingSlash);
        }
        if text.ends_with('/') {
            return Err(InvalidName::TrailingSlash);
        }
        let mut at = 0;
        for segment in text.split('/') {
            match segment {
                "" => return Err(InvalidName::EmptySegment { at }),
                "." => return Err(InvalidName::DotSegment { segment: ".", at }),
                ".." => return Err(InvalidName::DotSegment { segment: "..", at }),
                _ => at += segment.len() + 1,
            }
        }
        Ok(Self(text.into()))
    }

    /// The name as it was given, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last slash: what a download is called. Never empty.
    pub fn base_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, base)| base)
    }
}

/// Checks a text that file names may begin with, as a listing's `prefix` or `after`.
///
/// It may be empty, end with a slash, or end inside a segment: it is compared, never parsed.
///
/// # Errors
/// The text is longer than a name can be, or has a character that no name has.
pub fn check_prefix(text: &str) -> Result<(), InvalidName> {
    if text.len() > MAX_NAME_BYTES {
        return Err(InvalidName::TooLong { bytes: text.len() });
    }
    for (at, character) in text.char_indices() {
        if character.is_control() {
            return Err(InvalidName::ControlCharacter {
                code: u32::from(character),
                at,
            });
        }
        if character == '\\' {
            return Err(InvalidName::Backslash { at });
        }
    }
    Ok(())
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for FileName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by names be searched, and ranged over, by plain texts.
impl std::borrow::Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl TryFrom<String> for FileName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl Serialize for FileName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
