//! The form of what a search for the remains of files finds: one JSON object a line.
//!
//! The last line is a [`Line::End`]: without it the search broke off. The same search again finds the
//! same.

use mdfs_core::id::FileId;
use serde::{Deserialize, Serialize};

/// `GET`: the same search, for another master that passes the answer on.
pub const PASSED: &str = "/internal/v1/recover/scan";
/// The media type.
pub const CONTENT_TYPE: &str = "application/x-ndjson";
/// The most bytes of a line.
pub const LINE_MAX_BYTES: usize = 64 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A file of which only chunks were left: it is here again, under this name.
    Recovered(Found),
    /// Chunks of a file that is not whole, or not for certain. They are kept until the recovery ends.
    Incomplete(Incomplete),
    /// A file that has a name, and not all of its chunks on disks that answer.
    Missing(Missing),
    /// The end.
    End(End),
}

/// A file that is here again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its name now.
    pub name: String,
    /// Names its bytes.
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
}

/// What is left of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incomplete {
    /// The name that it had when it was uploaded; empty if that cannot be read.
    pub uploaded_as: String,
    /// Names its bytes.
    pub file_id: FileId,
    /// Chunks that are left.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Why it is no file.
    pub why: String,
}

/// A file that is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Names its bytes.
    pub file_id: FileId,
    /// Its chunks.
    pub chunks: u64,
    /// Those of them that no disk has that answers.
    pub missing_chunks: u64,
}

/// What was found in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Chunks that disks have, each counted once.
    pub chunks: u64,
    /// Of those, chunks behind which nothing can be read on any disk.
    pub unreadable: u64,
    /// Lines of each kind.
    pub recovered: u64,
    /// As `recovered`.
    pub incomplete: u64,
    /// As `recovered`.
    pub missing: u64,
    /// Workers that do not answer, or failed before they had told of everything: what only they have is
    /// not found.
    pub silent: Vec<String>,
}
