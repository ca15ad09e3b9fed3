//! What one worker says of a file by itself, from the chunks on its disk.

use crate::problem::Code;
use crate::schema;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkLayout;
use mdfs_core::id::{DiskId, FileId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `POST` [`LookUp`] to a master: what a name stands for, [`LookedUp`], if the caller may know.
pub const LOOK_UP: &str = "/internal/v1/look-up";
/// `GET ?name=` of a worker: checksums as written, [`LocalFile`].
pub const CHECKSUM: &str = "/checksum";
/// `GET ?name=&checksum=` of a worker: the same after every block was read, [`LocalFile`].
pub const VERIFY: &str = "/verify";

/// Most chunks listed in a [`LocalFile`].
pub const MOST_LISTED: usize = 10_000;

/// What a worker was asked. It knows no names and no users: a master decides.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookUp {
    /// The file's name.
    pub name: String,
    /// The query of the request as it came: secrets in it are refused.
    pub query: String,
    /// The `Authorization` of the request, if it had one.
    pub authorization: Option<String>,
}

impl fmt::Debug for LookUp {
    /// The name alone: the rest may have secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LookUp");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookedUp {
    /// The file's name.
    pub name: String,
    /// The version that has it.
    pub version: u64,
    /// Its bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Its chunks.
    #[schemars(with = "serde_json::Value")]
    pub layout: ChunkLayout,
    /// CRC-32 of all bytes.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
}

/// What one disk has of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalFile {
    /// The file's name.
    pub name: String,
    /// The version that was looked at.
    pub version: u64,
    /// Its bytes.
    pub file_id: FileId,
    /// The disk that answers.
    pub disk_id: DiskId,
    /// Chunks of the file.
    pub chunks: u32,
    /// How many of them are on the disk and good, as far as they were looked at.
    pub good: u32,
    /// Whether all of them are.
    pub complete: bool,
    /// Whether every block was read.
    pub verified: bool,
    /// CRC-32 of all bytes as this disk has them; none unless `complete`.
    pub crc32: Option<Crc32>,
    /// CRC-32 of all bytes as the file's record says.
    pub recorded_crc32: Crc32,
    /// Whether the checksum in the request is that of the file; none if none was given, or if it is
    /// the recorded one and this disk cannot vouch for all bytes.
    pub matches: Option<bool>,
    /// The chunks on the disk, the first [`MOST_LISTED`] of them.
    pub held: Vec<LocalChunk>,
}

/// What one disk has of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalChunk {
    /// Which chunk of the file.
    pub index: u32,
    /// Bytes it should have.
    pub length: u64,
    /// CRC-32 of its bytes; none unless it is good.
    pub crc32: Option<Crc32>,
    /// What is wrong with it.
    pub trouble: Option<Code>,
}
