//! What workers say of the chunks they hold, and what leaders ask about them.

use mdfs_core::chunk::ChunkId;
use mdfs_core::digest::Digest;
use mdfs_core::holdings::Change;
use mdfs_core::id::{MountId, Term};
use mdfs_core::partition::Partition;
use serde::{Deserialize, Serialize};

/// `POST` [`DigestsRequest`]: the digests of everything a worker holds, [`Digests`]; postcard both
/// ways.
pub const DIGESTS: &str = "/internal/v1/holdings";
/// `POST` [`ListRequest`]: the chunks of some partitions, [`Listing`]; postcard both ways.
pub const LIST: &str = "/internal/v1/holdings/list";

/// Most changes in one heartbeat.
pub const MOST_CHANGES: usize = 1000;
/// Most partitions in one [`ListRequest`].
pub const MOST_PARTITIONS: usize = Partition::COUNT;

/// What a heartbeat says of the chunks on the disk, good and damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The mount in which this was counted.
    pub mount: MountId,
    /// How many changes there were since the disk was mounted.
    pub sequence: u64,
    /// One digest over everything, as of `sequence`.
    pub root: Digest,
    /// The changes that follow are those after the first so many: as many as the master knows by its
    /// last [`Known`]; zero, without changes, if it said none; `sequence`, without changes, if those
    /// in between are not remembered.
    pub after: u64,
    /// At most [`MOST_CHANGES`], only for a master that asked for them by a [`Known`].
    pub changes: Vec<Change>,
}

/// How far a leader knows what a worker holds. The next heartbeat tells what came after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Of which mount.
    pub mount: MountId,
    /// So many changes.
    pub sequence: u64,
}

/// Asks for the digests of everything a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestsRequest {
    /// As in [`ListRequest`].
    pub term: Term,
}

/// The digests of everything a worker holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of which mount.
    pub mount: MountId,
    /// As of so many changes.
    pub sequence: u64,
    /// One for each partition, in order.
    pub digests: Vec<Digest>,
}

/// Asks for the chunks of these partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    /// The leader's term: raises the disk's fence first, so that no drop of an earlier leader is
    /// carried out behind the answer; refused if lower.
    pub term: Term,
    /// Each once, at most [`MOST_PARTITIONS`].
    pub partitions: Vec<Partition>,
}

/// The chunks of the partitions that were asked for, all as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// As of so many changes.
    pub sequence: u64,
    /// Good chunks and their lengths, in no order.
    pub chunks: Vec<(ChunkId, u64)>,
    /// Damaged chunks of these partitions: some of their blocks may be good.
    pub damaged: Vec<ChunkId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::holdings::Holdings;
    use mdfs_core::id::FileId;

    #[test]
    fn a_thousand_changes_fit_in_100_kib() {
        let mut held = Holdings::new(MOST_CHANGES);
        for index in 0..1000 {
            let file = FileId::from_u128(u128::MAX);
            held.add(ChunkId { file, index }, 64 << 20);
        }
        let report = Report {
            mount: MountId::from_u128(u128::MAX),
            sequence: held.sequence(),
            root: held.root(),
            after: 0,
            changes: held.since(0, MOST_CHANGES).unwrap(),
        };
        let json = serde_json::to_vec(&report).unwrap();
        assert!(json.len() < 100 * 1024, "{}", json.len());
        assert_eq!(serde_json::from_slice::<Report>(&json).unwrap(), report);
    }
}
