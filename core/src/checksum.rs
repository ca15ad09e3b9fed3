//! Checksums: CRC-32 of blocks and files, BLAKE3 of files. Both join from parts hashed apart.

mod crc;
mod tree;

pub use crc::{Crc32, block_checksum};
pub use tree::{ChunkHash, ChunkHasher, FileHash, FileHasher, Subtree, TreeJoin, join, subtree_of};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A text that is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a checksum of {digits} hexadecimal digits")]
pub struct InvalidChecksum {
    text: String,
    digits: usize,
}

impl InvalidChecksum {
    fn new(text: &str, digits: usize) -> Self {
        // At most a line of the text: it may come from anywhere.
        Self {
            text: text.chars().take(128).collect(),
            digits,
        }
    }
}

macro_rules! hash256 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        /// Reads 64 hexadecimal digits of either case.
        impl FromStr for $name {
            type Err = InvalidChecksum;

            fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
                parse_hex(text).map(Self).ok_or_else(|| InvalidChecksum::new(text, 64))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}
pub(crate) use hash256;

hash256! {
    /// The BLAKE3 of a whole file.
    Blake3
}

impl Blake3 {
    /// The BLAKE3 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(*high)? * 16 + nibble(*low)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
