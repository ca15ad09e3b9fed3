//! Values in the database, each with a checksum of its own: the database verifies its pages only
//! when it recovers.

use crate::store::Error;
use mdfs_core::checksum::Crc32;
use redb::ReadableTable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// What the storage does with the database, before its errors are wrapped.
pub(super) type Tried<T> = std::result::Result<T, Failure>;

/// The value as it is stored: followed by the CRC-32 of key and value.
pub(super) fn protect(key: &[u8], value: &[u8]) -> Vec<u8> {
    let checksum = Crc32::of(key).then(value).0.to_le_bytes();
    [value, &checksum].concat()
}

/// The value that was stored under the key.
pub(super) fn reveal<'a>(key: &[u8], stored: &'a [u8]) -> Tried<&'a [u8]> {
    match stored.split_last_chunk() {
        Some((value, checksum))
            if u32::from_le_bytes(*checksum) == Crc32::of(key).then(value).0 =>
        {
            Ok(value)
        }
        _ => Err(Failure::Damaged(
            "the checksum of a value does not match".to_owned(),
        )),
    }
}

/// Runs what uses the database, which panics on pages that make no sense.
pub(super) fn guarded<T>(work: impl FnOnce() -> Tried<T>) -> Tried<T> {
    // What the closure touches is not used again after a panic, but to be dropped.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::Damaged(
            "a page of the database makes no sense".to_owned(),
        ))
    })
}

/// A value as bytes, protected.
pub(super) fn encode<T: Serialize>(key: &[u8], value: &T) -> Tried<Vec<u8>> {
    let bytes = postcard::to_stdvec(value).map_err(|error| Failure::Damaged(error.to_string()))?;
    Ok(protect(key, &bytes))
}

/// The value that `encode` made.
pub(super) fn decode<T: DeserializeOwned>(key: &[u8], stored: &[u8]) -> Tried<T> {
    postcard::from_bytes(reveal(key, stored)?).map_err(|error| Failure::Damaged(error.to_string()))
}

pub(super) fn read_value<T: DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Tried<Option<T>> {
    meta.get(key)?
        .map(|bytes| decode(key.as_bytes(), bytes.value()))
        .transpose()
}

pub(super) fn read_or_default<T: DeserializeOwned + Default>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Tried<T> {
    Ok(read_value(meta, key)?.unwrap_or_default())
}

pub(super) fn write_value<T: Serialize>(
    meta: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    value: &T,
) -> Tried<()> {
    meta.insert(key, encode(key.as_bytes(), value)?.as_slice())?;
    Ok(())
}

/// Why the database could not be used.
pub(super) enum Failure {
    Database(Box<redb::Error>),
    Damaged(String),
}

impl Failure {
    pub(super) fn at(self, operation: &'static str) -> Error {
        match self {
            Self::Database(source) => Error::Log { operation, source },
            Self::Damaged(reason) => Error::LogDamaged { reason },
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        use redb::Error::{
            Corrupted, Io, TableDoesNotExist, TableIsMultimap, TableTypeMismatch,
            TypeDefinitionChanged, UpgradeRequired,
        };
        let error = error.into();
        let bad_bytes = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
        match &error {
            // The tables were made with the database, and all of one kind.
            Corrupted(_)
            | UpgradeRequired(_)
            | TableDoesNotExist(_)
            | TableIsMultimap(_)
            | TableTypeMismatch { .. }
            | TypeDefinitionChanged { .. } => Self::Damaged(error.to_string()),
            Io(cause) if bad_bytes.contains(&cause.kind()) => Self::Damaged(cause.to_string()),
            _ => Self::Database(Box::new(error)),
        }
    }
}
