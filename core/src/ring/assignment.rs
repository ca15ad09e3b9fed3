//! Which disks hold each partition, and what differs between two such tables.

use crate::id::DiskId;
use crate::partition::Partition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The holders of every partition: ordered, each disk at most once.
///
/// The N copies of a chunk are on the first N holders of its partition. A clone shares all lists until
/// either of the two changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<DiskId>>", into = "Vec<Vec<DiskId>>")]
pub struct Assignment {
    // Always `Partition::COUNT` lists.
    holders: Arc<Vec<Vec<DiskId>>>,
}

/// Lists that are no assignment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssignment {
    /// There is not one list for each partition.
    #[error("{0} lists of holders are not one for each partition")]
    WrongCount(usize),
    /// A disk is named twice for one partition.
    #[error("partition {partition} names disk {disk} twice")]
    DiskTwice {
        /// The partition.
        partition: u16,
        /// The disk.
        disk: DiskId,
    },
}

/// The bytes in each partition, one copy counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesPerPartition(Box<[u64]>);

/// A partition whose holders change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionMove {
    /// The partition.
    pub partition: Partition,
    /// Its holders now, in order.
    pub from: Vec<DiskId>,
    /// Its holders afterwards, in order.
    pub to: Vec<DiskId>,
}

impl PartitionMove {
    /// The disks that must first get what is in the partition.
    pub fn added(&self) -> impl Iterator<Item = DiskId> + '_ {
        self.to
            .iter()
            .filter(|disk| !self.from.contains(disk))
            .copied()
    }

    /// The disks that drop the partition at the end.
    pub fn removed(&self) -> impl Iterator<Item = DiskId> + '_ {
        self.from
            .iter()
            .filter(|disk| !self.to.contains(disk))
            .copied()
    }
}

impl Assignment {
    /// No partition has a holder: before the first disk joined.
    pub fn empty() -> Self {
        Self {
            holders: Arc::new(vec![Vec::new(); Partition::COUNT]),
        }
    }

    /// The holders of a partition, in order.
    pub fn holders(&self, partition: Partition) -> &[DiskId] {
        self.holders
            .get(partition.index())
            .map_or(&[], Vec::as_slice)
    }

    /// Sets the holders of a partition, in order. Of a disk named twice the first place counts.
    pub fn set_holders(&mut self, partition: Partition, holders: &[DiskId]) {
        if self.holders(partition) == holders {
            return;
        }
        if let Some(list) = Arc::make_mut(&mut self.holders).get_mut(partition.index()) {
            list.clear();
            for disk in holders {
                if !list.contains(disk) {
                    list.push(*disk);
                }
            }
        }
    }

    /// All partitions with their holders, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Partition, &[DiskId])> {
        Partition::all().zip(self.holders.iter().map(Vec::as_slice))
    }

    /// How many partitions each disk holds, for those that hold any.
    pub fn counts(&self) -> BTreeMap<DiskId, usize> {
        let mut counts = BTreeMap::new();
        for disk in self.holders.iter().flatten() {
            *counts.entry(*disk).or_default() += 1;
        }
        counts
    }

    /// The partitions whose holders, or their order, differ in `next`.
    pub fn moves_to<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = PartitionMove> + 'a {
        self.iter()
            .zip(next.iter())
            .filter(|((_, from), (_, to))| from != to)
            .map(|((partition, from), (_, to))| PartitionMove {
                partition,
                from: from.to_vec(),
                to: to.to_vec(),
            })
    }

    /// How many copies of partitions have to be made to go from here to `next`.
    pub fn copies_to(&self, next: &Self) -> usize {
        self.moves_to(next).map(|step| step.added().count()).sum()
    }
}

impl Default for Assignment {
    fn default() -> Self {
        Self::empty()
    }
}

impl TryFrom<Vec<Vec<DiskId>>> for Assignment {
    type Error = InvalidAssignment;

    fn try_from(holders: Vec<Vec<DiskId>>) -> Result<Self, InvalidAssignment> {
        if holders.len() != Partition::COUNT {
            return Err(InvalidAssignment::WrongCount(holders.len()));
        }
        for (partition, list) in Partition::all().zip(&holders) {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            if let Some([disk, _]) = sorted.array_windows().find(|[a, b]| a == b) {
                let (partition, disk) = (partition.number(), *disk);
                return Err(InvalidAssignment::DiskTwice { partition, disk });
            }
        }
        Ok(Self {
            holders: Arc::new(holders),
        })
    }
}

impl From<Assignment> for Vec<Vec<DiskId>> {
    fn from(assignment: Assignment) -> Self {
        Arc::unwrap_or_clone(assignment.holders)
    }
}

impl BytesPerPartition {
    /// Nothing is stored.
    pub fn empty() -> Self {
        Self(vec![0; Partition::COUNT].into_boxed_slice())
    }

    /// The bytes in a partition.
    pub fn get(&self, partition: Partition) -> u64 {
        self.0.get(partition.index()).copied().unwrap_or_default()
    }

    /// Adds bytes to a partition.
    pub fn add(&mut self, partition: Partition, bytes: u64) {
        if let Some(total) = self.0.get_mut(partition.index()) {
            *total = total.saturating_add(bytes);
        }
    }

    /// Takes bytes from a partition.
    pub fn remove(&mut self, partition: Partition, bytes: u64) {
        if let Some(total) = self.0.get_mut(partition.index()) {
            *total = total.saturating_sub(bytes);
        }
    }
}

impl Default for BytesPerPartition {
    fn default() -> Self {
        Self::empty()
    }
}
