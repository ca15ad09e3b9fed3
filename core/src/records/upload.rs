//! Open uploads, the chunks of those that can be resumed, and how they ended.

use super::{FileRecord, Precondition, Wanted};
use crate::checksum::{Blake3, ChunkHash, Crc32};
use crate::chunk::ChunkSize;
use crate::id::{DiskId, RequestId, Term};
use crate::labels::Labels;
use crate::name::FileName;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An upload that was begun and neither committed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// The log index of its BeginUpload.
    pub begun_at: u64,
    /// When it was begun.
    pub begun: LogTime,
    /// The name it will have.
    pub name: FileName,
    /// Bytes of a chunk.
    pub chunk_size: ChunkSize,
    /// Copies of each chunk.
    pub replicas: Wanted,
    /// Media type.
    pub content_type: String,
    /// What whoever stores it says of it.
    pub labels: Labels,
    /// Must hold at the commit.
    pub precondition: Precondition,
    /// The request that began it, if it may be repeated.
    pub request: Option<RequestId>,
    /// Whether it outlives the gateway that serves it, and for how long.
    pub session: Option<Session>,
}

/// An upload that clients come back to: its chunks are recorded, and it lives for as long as it is
/// gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Bytes in the file, if they were told.
    pub size: Option<u64>,
    /// How long it lives without a new chunk, in log time.
    pub expires_after: Duration,
}

/// What a chunk of a session is. Recorded before any disk seals it, without disks, and again once it is
/// durable as often as wanted, with them. What it says of the bytes never changes: whoever has them, under
/// whatever try, has these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Bytes in it.
    pub length: u64,
    /// CRC-32 of them.
    pub crc32: Crc32,
    /// What the chunk adds to the BLAKE3 of its file.
    pub hash: ChunkHash,
    /// Of the first chunk: the BLAKE3 of the file if it has no other.
    pub alone: Option<Blake3>,
    /// The disks that answered for it; none as long as only its bytes are settled.
    pub disks: Vec<DiskId>,
    /// The term in which they did.
    pub term: Term,
    /// When it was recorded.
    pub stored: LogTime,
}

impl ChunkRecord {
    /// Whether disks have answered for it.
    pub fn is_durable(&self) -> bool {
        !self.disks.is_empty()
    }
}

/// How a session ended: kept for a while, for clients that did not hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRecord {
    /// When.
    pub ended: LogTime,
    /// How.
    pub end: UploadEnd,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadEnd {
    /// It became this file.
    Committed(FileName, Box<FileRecord>),
    /// Somebody ended it.
    Aborted,
    /// Nobody went on with it.
    Expired,
}
