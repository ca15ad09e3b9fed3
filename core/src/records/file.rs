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
    pub replicas: Wanted,
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

/// How many copies of each chunk of a file are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// So many, or so many when it was stored.
    copies: ReplicationFactor,
    /// Whether the cluster's policy says how many, and not `copies`.
    by_policy: bool,
}

impl Wanted {
    /// So many, whatever the policy says.
    pub const fn exactly(copies: ReplicationFactor) -> Self {
        Self {
            copies,
            by_policy: false,
        }
    }

    /// As many as the policy says, which is so many now.
    pub const fn by_policy(copies: ReplicationFactor) -> Self {
        Self {
            copies,
            by_policy: true,
        }
    }

    /// How many, when the policy says `policy`.
    pub const fn under(self, policy: ReplicationFactor) -> ReplicationFactor {
        match self.by_policy {
            true => policy,
            false => self.copies,
        }
    }

    /// The same, told anew when the policy says `policy`.
    pub const fn told_under(self, policy: ReplicationFactor) -> Self {
        Self {
            copies: self.under(policy),
            by_policy: self.by_policy,
        }
    }

    /// The number that does not follow the policy; none if it does.
    pub const fn explicit(self) -> Option<ReplicationFactor> {
        match self.by_policy {
            true => None,
            false => Some(self.copies),
        }
    }

    /// How many it was when this was told.
    pub const fn told(self) -> ReplicationFactor {
        self.copies
    }

    /// The same as a number.
    pub const fn get(self) -> u8 {
        self.copies.get()
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
