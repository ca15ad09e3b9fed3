//! Whom a link goes to, and how it is read from.

use mdfs_core::id::DiskId;

/// How many bytes are read from a connection at a time, at most: so long are the frames of bulk reads,
/// and for so long nothing else runs on the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// 1 MiB: the fastest way to move what a client waits for.
    Large,
    /// 128 KiB: who reads for nobody in particular lets others have their turn.
    Small,
}

impl Reads {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Reads::Large => 1024 * 1024,
            Reads::Small => 128 * 1024,
        }
    }
}

/// A worker: which disk is meant, and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The disk. A worker with another disk refuses with `wrong_disk`.
    pub disk: DiskId,
    /// Such as `http://10.0.0.7:8081`.
    pub url: String,
}
