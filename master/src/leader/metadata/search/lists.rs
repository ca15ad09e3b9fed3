//! Which disks list which partitions.

use super::{Differs, SETTLES};
use crate::leader::metadata::{Metadata, Now};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be listed.
#[derive(Debug)]
pub(super) struct Lists {
    /// The partitions that each disk has to list.
    pub(super) wanted: BTreeMap<DiskId, BTreeSet<Partition>>,
    /// Those that have to wait, because there are too many chunks to list at once.
    pub(super) unlisted: BTreeSet<Partition>,
    /// When nothing differed yet of what is not to be listed so soon: what is counted now is of then.
    pub(super) differed_after: Option<Timestamp>,
}

impl Metadata {
    /// The partitions that each disk has to list: where it has differed for a while, or at all when a
    /// disk is to retire, and where it holds what is on its way elsewhere.
    pub(super) fn wanted_lists(&mut self, now: Now, reachable: &BTreeSet<DiskId>) -> Lists {
        let catalog = &self.catalog;
        let mut differ = BTreeMap::new();
        let mut looked_at: BTreeSet<Partition> = BTreeSet::new();
        for &disk in reachable {
            for partition in self.truth.differing(disk, catalog) {
                let place = (disk, partition);
                let known = self.search.differ.get(&place).copied();
                let known = known.unwrap_or(Differs {
                    since: now.mono,
                    not_at: self.search.heard,
                });
                differ.insert(place, known);
                if self.retiring.is_some() || now.mono.since(known.since) >= SETTLES {
                    looked_at.insert(partition);
                }
            }
            looked_at.extend(self.mover.dropping(disk).map(ChunkId::partition));
        }
        looked_at.extend(catalog.moves.keys());
        looked_at.extend(catalog.desired.excepted());
        // Of a partition that is looked at, all who have or should have a part of it tell.
        let mut wanted: BTreeMap<DiskId, BTreeSet<Partition>> = BTreeMap::new();
        let mut tells = |disk: DiskId, partition: Partition| {
            if looked_at.contains(&partition) && reachable.contains(&disk) {
                wanted.entry(disk).or_default().insert(partition);
            }
        };
        for &(disk, partition) in differ.keys() {
            tells(disk, partition);
        }
        for (disk, partition) in catalog.desired.exception_places() {
            tells(disk, partition);
        }
        for &partition in &looked_at {
            let holders = catalog.assignment.holders(partition);
            for &disk in holders.iter().chain(catalog.targets(partition)) {
                tells(disk, partition);
            }
        }
        let settling = differ
            .iter()
            .filter(|((_, partition), _)| !looked_at.contains(partition));
        let differed_after = settling.map(|(_, differs)| differs.not_at).min();
        self.search.differ = differ;
        let unlisted = self.put_off_lists(&mut wanted);
        Lists {
            wanted,
            unlisted,
            differed_after,
        }
    }

    /// Takes out of what is to be listed what is too much for one time. All disks list the same
    /// partitions, and the next time it goes on behind them.
    fn put_off_lists(
        &mut self,
        wanted: &mut BTreeMap<DiskId, BTreeSet<Partition>>,
    ) -> BTreeSet<Partition> {
        let all: BTreeSet<Partition> = wanted.values().flatten().copied().collect();
        let from = self.search.listed_up_to;
        let behind = all.iter().filter(|&&partition| Some(partition) > from);
        let before = all.iter().filter(|&&partition| Some(partition) <= from);
        let mut chunks: BTreeMap<DiskId, u64> = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for &partition in behind.chain(before) {
            let has = |(disk, partitions): (&DiskId, &BTreeSet<Partition>)| {
                let count = self.chunks_on(*disk, partition);
                partitions.contains(&partition).then_some((*disk, count))
            };
            let more: Vec<(DiskId, u64)> = wanted.iter().filter_map(has).collect();
            let so_far = |disk: &DiskId| chunks.get(disk).copied().unwrap_or(0);
            let fits =
                |(disk, more): &(DiskId, u64)| so_far(disk) + more <= self.settings.most_listed;
            if !listed.is_empty() && !more.iter().all(fits) {
                break;
            }
            for (disk, more) in more {
                *chunks.entry(disk).or_default() += more;
            }
            listed.insert(partition);
            self.search.listed_up_to = Some(partition);
        }
        let unlisted: BTreeSet<Partition> = all.difference(&listed).copied().collect();
        if unlisted.is_empty() {
            self.search.listed_up_to = None;
        } else {
            for partitions in wanted.values_mut() {
                partitions.retain(|partition| listed.contains(partition));
            }
            wanted.retain(|_, partitions| !partitions.is_empty());
        }
        unlisted
    }

    /// How many chunks of a partition a disk may have: those that it should, and a part of what it
    /// says that it has.
    fn chunks_on(&self, disk: DiskId, partition: Partition) -> u64 {
        let told = self.fleet.get(disk).map_or(0, |it| it.beat.chunks);
        let partitions = u64::try_from(Partition::COUNT).unwrap_or(u64::MAX);
        let part = told.checked_div(partitions).unwrap_or(0);
        self.catalog.amount(partition).chunks.saturating_add(part)
    }
}
