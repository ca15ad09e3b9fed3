//! Identifiers. Each is a type of its own, so that one cannot stand where another belongs.

use crate::time::LogTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id of 32 lower-case hexadecimal digits")]
pub struct InvalidId(String);

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id with these bits. Ids are drawn at random by whoever makes the thing.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits of the id.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The id as 16 bytes, most significant first: sorts as the id does.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The id with these bytes, most significant first.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.to_bytes().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
                }
            }
        }
    };
}

fn parse_hex(text: &str) -> Result<u128, InvalidId> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 32 || !text.bytes().all(lower_hex) {
        // At most a line of the text: it may come from anywhere.
        return Err(InvalidId(text.chars().take(64).collect()));
    }
    u128::from_str_radix(text, 16).map_err(|_| InvalidId(text.to_owned()))
}

id128! {
    /// A cluster's identity, drawn at bootstrap. A disk of another cluster is never touched.
    ClusterId
}
id128! {
    /// A disk's identity: random, drawn once when the disk is formatted.
    ///
    /// Never the pod name: a blank disk under a known pod name is a new disk. Voters are named by
    /// it too.
    DiskId
}
id128! {
    /// The identity of one version of a file: random, drawn at BeginUpload, never used again.
    FileId
}
id128! {
    /// One mount of a disk: random, drawn when it is mounted. What is counted during a mount compares
    /// with nothing of another.
    MountId
}

impl Default for MountId {
    /// No mount.
    fn default() -> Self {
        Self::from_u128(0)
    }
}

id128! {
    /// Names one change, so that a repeated request gets the first answer.
    ///
    /// The upper 48 bits are the log time at which it was issued, the rest is random: ids sort by
    /// age, and those older than the window are refused.
    RequestId
}

id128! {
    /// Names an access token. Not secret: it stands in lists, links and logs.
    TokenId
}

impl RequestId {
    /// The id issued at `time` with the lower 80 bits of `random`.
    pub fn issue(time: LogTime, random: u128) -> Self {
        Self((u128::from(time.as_millis()) << 80) | (random & ((1 << 80) - 1)))
    }

    /// The log time at which the id was issued.
    pub fn issued_at(self) -> LogTime {
        LogTime::from_millis(u64::try_from(self.0 >> 80).unwrap_or(u64::MAX))
    }
}

/// 64 random bits drawn when a master process starts: a term belongs to one process for ever.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

/// The period in which one master may lead. Ordered by round first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term {
    /// Rises with every attempt to lead; zero before the first.
    pub round: u64,
    /// The master that leads in this term.
    pub incarnation: Incarnation,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:016x}", self.round, self.incarnation.0)
    }
}

impl FromStr for Term {
    type Err = InvalidTerm;

    fn from_str(text: &str) -> Result<Self, InvalidTerm> {
        let refuse = || InvalidTerm(text.chars().take(64).collect());
        let (round, incarnation) = text.split_once('.').ok_or_else(refuse)?;
        let round = round.parse().map_err(|_| refuse())?;
        let incarnation = u64::from_str_radix(incarnation, 16).map_err(|_| refuse())?;
        Ok(Self {
            round,
            incarnation: Incarnation(incarnation),
        })
    }
}

/// A text that is not a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a term of the form ROUND.INCARNATION")]
pub struct InvalidTerm(String);

/// Rises while a disk is in use, durably before anybody is told; one lower than the log remembers
/// means an old copy of the disk.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_nothing_else_does() {
        let id = DiskId::from_u128(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "abc",
            "0000000000000000000000000000ABCD",
            "+000000000000000000000000000000a",
        ] {
            assert!(bad.parse::<DiskId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn terms_order_by_round_then_incarnation_and_read_back() {
        let term = |round, incarnation| Term {
            round,
            incarnation: Incarnation(incarnation),
        };
        assert!(term(2, 0) > term(1, 9));
        assert!(term(2, 1) > term(2, 0));
        assert_eq!(term(7, 0xfeed).to_string().parse(), Ok(term(7, 0xfeed)));
        assert!("7".parse::<Term>().is_err());
    }

    #[test]
    fn a_request_id_tells_when_it_was_issued() {
        let id = RequestId::issue(LogTime::from_millis(1_700_000_000_123), u128::MAX);
        assert_eq!(id.issued_at(), LogTime::from_millis(1_700_000_000_123));
    }
}
