//! What a leader has workers do: orders in the answers to heartbeats, and what came of them.

use crate::problem::Code;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, Term};
use serde::{Deserialize, Serialize};

/// Most orders in one answer, and most that a worker keeps waiting; it refuses what is beyond.
pub const MOST_ORDERS: usize = 64;

/// One thing to do. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The term of the leader that gives it: raises the disk's fence first; refused if lower.
    pub term: Term,
    /// Unique in the term.
    pub id: u64,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Have a good copy of a chunk: copy it block by block from those that have good ones, verify
    /// it, make it durable, and read it back.
    Copy {
        /// The chunk.
        chunk: ChunkId,
        /// Bytes in it.
        length: u64,
        /// Disks that may have good blocks of it, the best first; the worker's own disk is used by
        /// itself if it has a damaged copy.
        sources: Vec<DiskId>,
    },
    /// Remove these chunks, durably: nobody needs them here.
    Drop {
        /// At most [`MOST_DROPS`].
        chunks: Vec<ChunkId>,
    },
}

/// Most chunks in one [`Task::Drop`].
pub const MOST_DROPS: usize = 256;

/// What came of an order. Told once, in the next heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The order's term.
    pub term: Term,
    /// The order's id.
    pub id: u64,
    /// None if it was done.
    pub failure: Option<Failure>,
}

/// Why an order was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub code: Code,
    /// For the log.
    pub detail: String,
}
