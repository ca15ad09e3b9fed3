//! Files: what is stored, what is in the trash, and lists of both.

use crate::problem::Problem;
use crate::schema;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::id::FileId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stored file, as `PUT`, rename and listings answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// The log index that made this version.
    pub version: u64,
    /// The identity of this version's bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of all bytes.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    #[schemars(with = "schema::Blake3Text")]
    pub blake3: Blake3,
    /// Entity tag, with quotes.
    pub etag: String,
    /// Media type.
    pub content_type: String,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// Of what was just stored with fewer: copies of the chunk that has the fewest. The others are made as
    /// soon as they can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<u8>,
    /// In a listing with `?copies`: what is known of the copies of the chunk that has the fewest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<CopiesInfo>,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// When the version was committed, RFC 3339.
    pub modified: String,
    /// When its source was changed, in milliseconds since the Unix epoch, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_modified: Option<u64>,
    /// Attributes of the user's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// What is known of a file's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopiesInfo {
    /// Copies wanted of each chunk.
    pub wanted: u8,
    /// Good copies that can be reached, of the chunk that has the fewest; null while that is not known.
    pub good: Option<u8>,
}

/// What a file's bytes hash to, `GET …?checksum`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checksums {
    /// The file's name.
    pub name: String,
    /// The log index that made this version.
    pub version: u64,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of all bytes.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    #[schemars(with = "schema::Blake3Text")]
    pub blake3: Blake3,
}

/// Changes what is said of a file, `POST …?attributes`; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAttributes {
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// All attributes of the user's own, at most 2 KiB: those that are not among them go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// What became of a form with several files, or of one that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FormFiles {
    /// Each file that came, in order.
    pub files: Vec<FormResult>,
    /// What ended the form early; none if it came whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Problem>,
}

/// What became of one file of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FormResult {
    /// It is stored.
    Stored(FileInfo),
    /// It is not.
    Refused {
        /// The name it would have.
        name: String,
        /// Why.
        problem: Problem,
    },
}

/// The problem of a form of which nothing is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormRefused {
    /// What ended the form; if it came whole, why its first file is refused.
    #[serde(flatten)]
    pub problem: Problem,
    /// Each file that came, in order; empty if there was at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FormResult>,
}

/// One page of a listing, sorted by name bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// Files under the prefix.
    pub files: Vec<FileInfo>,
    /// What stands once for all names that go on after the delimiter.
    pub folders: Vec<String>,
    /// Where the next page starts (`after`); none on the last page.
    pub next: Option<String>,
}

/// One page of the trash, those files first that came there first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trash {
    /// Deleted and replaced files. A name may come more than once.
    pub files: Vec<TrashedFile>,
    /// Where the next page starts (`after`); none on the last page.
    pub next: Option<String>,
}

/// A deleted or replaced file that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrashedFile {
    /// The name it had.
    pub name: String,
    /// The identity of its bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
    /// Entity tag, with quotes.
    pub etag: String,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// When it was deleted or replaced, RFC 3339.
    pub deleted: String,
}

/// Moves one file to a new name, atomically.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The present name.
    #[schemars(with = "schema::FileNameText")]
    pub from: String,
    /// The new name.
    #[schemars(with = "schema::FileNameText")]
    pub to: String,
    /// Whether a file of the new name may be replaced (it goes to the trash).
    #[serde(default)]
    pub overwrite: bool,
}
