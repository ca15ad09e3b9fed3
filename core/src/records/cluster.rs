//! The cluster, its members, and who holds what.

use crate::chunk::ChunkSize;
use crate::id::{ClusterId, DiskId, Generation};
use crate::ring::ReplicationFactor;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What holds for the whole cluster: its identity, and its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its identity.
    pub cluster: ClusterId,
    /// Copies of each chunk unless an upload says otherwise.
    pub replicas: ReplicationFactor,
    /// A lower number of copies that was asked for and does not hold yet.
    pub lowering: Option<Lowering>,
    /// Bytes of a chunk unless an upload says otherwise.
    pub chunk_size: ChunkSize,
    /// How long a dead worker is waited for before its chunks are copied elsewhere, in seconds.
    pub repair_delay_seconds: u64,
    /// How long deleted and replaced files stay in the trash, in seconds of log time.
    pub trash_keep_seconds: u64,
    /// How long after it was asked for a lower number of copies holds, in seconds of log time.
    pub lower_after_seconds: u64,
    /// The disks that the cluster was started with: only the same order to start it is repeated in vain.
    pub founders: BTreeSet<DiskId>,
    /// The version of what the log and its records may hold: what every server of the cluster knows.
    pub format: u32,
    /// What was given up when the log was rebuilt from what was left of it; none if it never was.
    pub recovery: Option<Recovery>,
    /// How many disks should vote.
    pub voters_wanted: u8,
    /// So many copies of a chunk suffice to acknowledge it while no more can be made; none if all are
    /// needed.
    pub min_write_copies: Option<u8>,
}

impl ClusterRecord {
    /// How long it usually takes until a lower number of copies holds: long enough to take it back.
    pub const LOWER_AFTER_SECONDS: u64 = 600;

    /// So many copies must be durable before a chunk of which this many are wanted is acknowledged.
    pub fn least_copies(&self, wanted: ReplicationFactor) -> usize {
        let wanted = usize::from(wanted.get());
        let least = self.min_write_copies.map_or(wanted, usize::from);
        least.clamp(1, wanted)
    }
}

/// A loss that somebody vouched for: what the lost disks alone had is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When the log was rebuilt.
    pub since: LogTime,
    /// The voters that were given up.
    pub lost: BTreeSet<DiskId>,
    /// Whether no voter was left, so that the records come from what is written behind the chunks.
    pub all_voters_lost: bool,
}

/// A lower number of copies that is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lowering {
    /// Copies of each chunk from then on.
    pub replicas: ReplicationFactor,
    /// When.
    pub at: LogTime,
}

/// A disk that belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The highest generation it has shown; one that shows less is an old copy of the disk.
    pub generation: Generation,
    /// Its share relative to the others: the size of its file system in GiB, at least 1; 0 for a witness,
    /// which votes and gets no chunks.
    pub weight: u32,
    /// Its failure domain.
    pub zone: Option<String>,
    /// A name for people.
    pub name: String,
    /// Whether it takes part.
    pub state: MemberState,
    /// Until then its silence was announced, as for a planned restart: nothing is copied for it.
    /// Ends sooner when the disk is mounted anew.
    pub announced_until: Option<LogTime>,
}

/// Whether a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberState {
    /// It holds partitions.
    Active,
    /// Gives its partitions to others and takes no new chunks; its copies count meanwhile.
    Draining,
    /// Refused for ever: what it holds was copied elsewhere, or is given up.
    Retired,
    /// As draining; retired by itself once nothing is needed of it any more.
    Decommissioning,
}

impl MemberState {
    /// Whether its partitions go to others while it is there.
    pub const fn leaves(self) -> bool {
        matches!(self, MemberState::Draining | MemberState::Decommissioning)
    }
}

/// The disks that hold a partition, in order: the copies of a chunk are the first N.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRecord {
    /// The disks.
    pub holders: Vec<DiskId>,
}

/// Where a partition is moving to, while it does: its holders' list as it will be.
///
/// New chunks go to these disks, reads ask both, and the old holders keep what they have until the
/// new ones have everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRecord {
    /// The disks, the first first.
    pub to: Vec<DiskId>,
}
