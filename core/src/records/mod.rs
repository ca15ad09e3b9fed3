//! The records that the log's effects write: what they are, and how changes to them are planned.
//!
//! A record is a key and a value, both bytes ([`Key`], [`encode`], [`decode`]); voters store them
//! without understanding them. The functions in [`plan`] decide: they look at the records as the
//! whole log would leave them, uncommitted entries included, and give the effects or a refusal.

mod cluster;
mod file;
mod key;
pub mod plan;
mod precondition;
pub mod remains;
mod request;
mod token;
mod upload;

pub use cluster::{
    ClusterRecord, Lowering, MemberRecord, MemberState, MoveRecord, PartitionRecord, Recovery,
};
pub use file::{Copies, FileRecord, TrashRecord, Wanted};
pub use key::{Key, Kind};
pub use precondition::{EtagMatch, Precondition};
pub use request::{Outcome, REQUEST_WINDOW, Refused};
pub use token::{MOST_TOKENS, TokenHash, TokenRecord};
pub use upload::{ChunkRecord, EndedRecord, Holder, Session, UploadEnd, UploadRecord};

use crate::log::message::Put;
use crate::log::table::{Table, View};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What stands under a key. The first byte of its value is the version of its encoding. A value of a
/// later version is refused, so an old program never reads half of what a new one wrote.
pub trait Record: Serialize + DeserializeOwned {
    /// The version in which it is written.
    const VERSION: u8 = 1;

    /// Reads a value of an earlier version, without its first byte.
    ///
    /// # Errors
    /// If there is no such version, or the value does not decode.
    fn of_earlier(version: u8, _value: &[u8]) -> Result<Self, Corrupt> {
        Err(Corrupt::Version(version))
    }

    /// The value in a cluster of version `format`: that of an earlier one is what programs can read that
    /// know no later one.
    ///
    /// # Errors
    /// As [`encode`].
    fn encode_in(&self, _format: u32) -> Result<Vec<u8>, Corrupt> {
        encode(self)
    }
}

impl Record for ClusterRecord {}
impl Record for MemberRecord {}
impl Record for PartitionRecord {}
impl Record for MoveRecord {}
impl Record for FileRecord {}
impl Record for TrashRecord {}
impl Record for ChunkRecord {}
impl Record for EndedRecord {}
impl Record for Outcome {}
impl Record for TokenRecord {}

/// A stored value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The key has no known form.
    #[error("a record's key is malformed: {0:02x?}")]
    Key(Vec<u8>),
    /// The value was written by a later version.
    #[error("a record of version {0} cannot be read")]
    Version(u8),
    /// The value does not decode.
    #[error("a record's value is malformed")]
    Value(#[source] postcard::Error),
    /// The value is empty.
    #[error("a record's value is empty")]
    Empty,
}

/// Where records are looked up: the table alone, or the table with what is not committed yet.
pub trait Lookup {
    /// The value of `key`, if there is one.
    fn value(&self, key: &[u8]) -> Option<&[u8]>;
}

impl Lookup for Table {
    fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(key)
    }
}

impl Lookup for View<'_> {
    fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.get(key)
    }
}

/// A value as bytes: its version and its postcard encoding.
///
/// # Errors
/// Never for the records of this module; `postcard` could refuse a type without a known length.
pub fn encode<T: Record>(value: &T) -> Result<Vec<u8>, Corrupt> {
    postcard::to_extend(value, vec![T::VERSION]).map_err(Corrupt::Value)
}

/// Reads a value back.
///
/// # Errors
/// If the bytes are not a value of this type and of a version that this program knows.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, Corrupt> {
    match bytes.split_first() {
        Some((&version, rest)) if version == T::VERSION => {
            postcard::from_bytes(rest).map_err(Corrupt::Value)
        }
        Some((&version, rest)) => T::of_earlier(version, rest),
        None => Err(Corrupt::Empty),
    }
}

/// The record under `key`, if there is one.
///
/// # Errors
/// If its value does not decode.
pub fn get<T: Record>(records: &impl Lookup, key: &Key) -> Result<Option<T>, Corrupt> {
    records.value(&key.to_bytes()).map(decode).transpose()
}

/// The effect that writes `value` under `key`.
///
/// # Errors
/// As [`encode`].
pub fn put<T: Record>(key: &Key, value: &T) -> Result<Put, Corrupt> {
    Ok(Put {
        key: key.to_bytes(),
        value: Some(encode(value)?),
    })
}

/// The effect that writes `value` under `key` in a cluster of version `format`.
///
/// # Errors
/// As [`encode`].
pub fn put_in<T: Record>(format: u32, key: &Key, value: &T) -> Result<Put, Corrupt> {
    Ok(Put {
        key: key.to_bytes(),
        value: Some(value.encode_in(format)?),
    })
}

/// The effect that removes the record under `key`.
pub fn remove(key: &Key) -> Put {
    Put {
        key: key.to_bytes(),
        value: None,
    }
}

#[cfg(test)]
mod tests;
