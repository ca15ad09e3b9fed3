//! What takes part in the ring.

use crate::id::DiskId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

/// A failure domain: what fails together, such as a node, a rack or a room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ZoneId(String);

impl ZoneId {
    /// The zone of that name; any text is one.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The zone's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A disk that takes part in the ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The disk.
    pub disk: DiskId,
    /// Its capacity against the others', in any unit. A disk of weight zero is given nothing.
    pub weight: u32,
    /// Its failure domain; a disk without one is a domain of its own.
    pub zone: Option<ZoneId>,
    /// Whether it may hold partitions; false for one that is drained or on its way out.
    pub accepts: bool,
}

/// How many copies of each chunk are kept: 1 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ReplicationFactor(NonZeroU8);

/// A number of copies that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number of replicas from 1 to 7")]
pub struct InvalidReplicationFactor(String);

impl ReplicationFactor {
    /// One copy: nothing survives its loss.
    pub const MIN: Self = Self(NonZeroU8::MIN);
    /// Two copies, when nothing else is said.
    pub const DEFAULT: Self = Self(NonZeroU8::MIN.saturating_add(1));
    /// Seven copies.
    pub const MAX: Self = Self(NonZeroU8::MIN.saturating_add(6));

    /// That many copies.
    ///
    /// # Errors
    /// It is not 1 to 7.
    pub fn new(copies: u8) -> Result<Self, InvalidReplicationFactor> {
        match NonZeroU8::new(copies) {
            Some(copies) if copies <= Self::MAX.0 => Ok(Self(copies)),
            _ => Err(InvalidReplicationFactor(copies.to_string())),
        }
    }

    /// How many copies.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl Default for ReplicationFactor {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for ReplicationFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for ReplicationFactor {
    type Err = InvalidReplicationFactor;

    fn from_str(text: &str) -> Result<Self, InvalidReplicationFactor> {
        let refuse = || InvalidReplicationFactor(text.chars().take(64).collect());
        text.parse()
            .map_err(|_| refuse())
            .and_then(|copies| Self::new(copies).map_err(|_| refuse()))
    }
}

impl TryFrom<u8> for ReplicationFactor {
    type Error = InvalidReplicationFactor;

    fn try_from(copies: u8) -> Result<Self, InvalidReplicationFactor> {
        Self::new(copies)
    }
}

impl From<ReplicationFactor> for u8 {
    fn from(factor: ReplicationFactor) -> Self {
        factor.get()
    }
}
