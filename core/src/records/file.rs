//! Files and the trash.

use crate::checksum::{Blake3, Crc32};
use crate::chunk::{ChunkLayout, ChunkSize};
use crate::id::{DiskId, FileId};
use crate::labels::Labels;
use crate::name::FileName;
use crate::ring::ReplicationFactor;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};

/// One version of a file. The name is the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The log index that made this version.
    pub version: u64,
    /// Names the bytes: another version has another id.
    pub file: FileId,
    /// Bytes.
    pub size: u64,
    /// The chunks.
    pub layout: ChunkLayout,
    /// Bytes of each chunk but the last.
    pub chunk_size: ChunkSize,
    /// Copies of each chunk.
    pub replicas: ReplicationFactor,
    /// CRC-32 of all bytes.
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    pub blake3: Blake3,
    /// Media type.
    pub content_type: String,
    /// What whoever stored it said of it.
    pub labels: Labels,
    /// When the bytes were committed. A rename leaves it as it is.
    pub modified: LogTime,
    /// Chunks that are not on their partition's holders, in order, without overlap.
    pub exceptions: Vec<Copies>,
}

impl FileRecord {
    /// The strong entity tag, with its quotes: equal bytes have equal tags.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.blake3)
    }
}

/// Which disks have a run of chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// The first chunk of the run.
    pub first_chunk: u32,
    /// Chunks in the run; never zero.
    pub chunks: u32,
    /// The disks.
    pub disks: Vec<DiskId>,
}

impl Copies {
    /// The chunk after the run.
    pub fn end(&self) -> u32 {
        self.first_chunk.saturating_add(self.chunks)
    }
}

/// A deleted or replaced file, restorable for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashRecord {
    /// The name it had.
    pub name: FileName,
    /// What it was.
    pub file: FileRecord,
}
