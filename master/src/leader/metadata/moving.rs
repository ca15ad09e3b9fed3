//! Gives partitions other holders: when a disk is lost, drained or new.

use super::membership::ring_members;
use super::{Metadata, Now};
use mdfs_core::id::DiskId;
use mdfs_core::log::message::Put;
use mdfs_core::partition::Partition;
use mdfs_core::records::plan::{plan_begin_move, plan_end_move, plan_holders};
use mdfs_core::records::{MemberRecord, MemberState};
use mdfs_core::ring::{Assignment, ReplicationFactor, assign};
use mdfs_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the ring is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Partitions with chunks that move at a time: enough to keep all disks busy.
const MOST_MOVES: usize = 256;
/// Records written by one entry.
const MOST_PUTS: usize = 512;

/// What the ring was planned for.
#[derive(Debug, Default)]
pub(super) struct Plan {
    looked: Timestamp,
    /// The disks that may hold partitions, and how many hold each, when the ring was last even.
    settled_for: Option<(BTreeSet<DiskId>, ReplicationFactor)>,
    /// Until then lost disks are not waited for.
    pub(super) forced_until: Timestamp,
    /// Bytes are to be evened out as well.
    pub(super) rebalance: bool,
    /// Disks that are not waited for any more: not before they are heard again, and stay if they come
    /// and go.
    pub(super) lost: BTreeSet<DiskId>,
    /// The disks that may hold partitions; none before it was looked in this term.
    pub(super) eligible: BTreeSet<DiskId>,
    /// Since when disks that answer have accepted no writes.
    read_only: BTreeMap<DiskId, Timestamp>,
    /// Many disks fell silent at once: nothing is copied for those.
    pub(super) braked: bool,
}

impl Metadata {
    /// Begins and ends moves of partitions.
    pub(super) fn move_partitions(&mut self, now: Now) {
        if self.established.is_none()
            || !self.log.can_write(now.mono)
            || now.mono.since(self.moving.looked) < EVERY
            || self.upkeep.membership
        {
            return;
        }
        self.moving.looked = now.mono;
        // What is not committed yet may change what is to be done.
        if self.log.last().map(|last| last.index) != self.log.commit() {
            return;
        }
        let ended = self.ended_moves();
        if !ended.is_empty() {
            return self.append_upkeep(now, ended);
        }
        let begun = self.new_moves(now);
        if !begun.is_empty() {
            self.append_upkeep(now, begun);
        }
    }

    /// Moves whose goal has everything.
    fn ended_moves(&self) -> Vec<Put> {
        let basis = &self.search.basis;
        // While a survey runs the basis is its own: what was counted before was found on another.
        let found = self.report.counted().filter(|_| !self.report.is_running());
        // What disks listed and a survey found complete, if nothing has changed there since.
        let listed = |disk: DiskId, partition: Partition| {
            let then = basis.goals.get(&(disk, partition)).copied();
            let now = self.truth.state(disk, partition, &self.catalog);
            then.is_some()
                && then == now
                && basis.moves.get(&partition) == self.catalog.moves.get(&partition)
                && found.is_some_and(|found| found.moved.contains(&partition))
        };
        let has_all = |partition: Partition, to: &[DiskId]| {
            to.iter().all(|&disk| {
                let has =
                    self.truth.is_right(disk, partition, &self.catalog) || listed(disk, partition);
                has && !self.mover.is_dropping(disk, partition)
            })
        };
        let ended = self
            .catalog
            .moves
            .iter()
            .filter(|(partition, to)| has_all(**partition, to));
        let puts = ended.filter_map(|(&partition, to)| plan_end_move(partition, to).ok());
        puts.take(MOST_PUTS / 2).flatten().collect()
    }

    /// Moves that bring the ring to what it should be for the disks that there are.
    fn new_moves(&mut self, now: Now) -> Vec<Put> {
        if self.catalog.cluster.is_none() {
            return Vec::new();
        }
        let replicas = self.catalog.width();
        let settled = (self.eligible(now), replicas);
        let eligible = &settled.0;
        if !self.moving.rebalance && self.moving.settled_for.as_ref() == Some(&settled) {
            return Vec::new();
        }
        // A disk that joined took over partitions without chunks; now it gets its part of the bytes.
        let joined = |(before, _): &(BTreeSet<DiskId>, _)| !eligible.is_subset(before);
        if self.moving.settled_for.as_ref().is_some_and(joined) {
            self.moving.rebalance = true;
        }
        let catalog = &self.catalog;
        let mut ring = ring_members(catalog.members.iter().map(|(&disk, record)| (disk, record)));
        for member in &mut ring {
            member.accepts &= eligible.contains(&member.disk);
        }
        let mut before = catalog.assignment.clone();
        for (&partition, to) in &catalog.moves {
            before.set_holders(partition, to);
        }
        let load = self.moving.rebalance.then_some(&catalog.load);
        let after = assign(&before, load, &ring, replicas, |_| true);
        let puts = self.puts_between(now, &before, &after);
        if puts.is_empty() && catalog.moves.is_empty() {
            self.moving.settled_for = Some(settled);
            self.moving.rebalance = false;
        }
        puts
    }

    fn puts_between(&self, now: Now, before: &Assignment, after: &Assignment) -> Vec<Put> {
        let catalog = &self.catalog;
        let mut room = MOST_MOVES.saturating_sub(catalog.moves.len());
        let mut puts = Vec::new();
        let differ = after
            .iter()
            .filter(|(partition, holders)| before.holders(*partition) != *holders);
        let is_vacant = |(partition, _): &(Partition, _)| self.planned.is_vacant(*partition);
        let (vacant, occupied): (Vec<_>, Vec<_>) = differ.partition(is_vacant);
        // Those with chunks first: they may lack copies.
        for (partition, holders) in occupied.into_iter().chain(vacant) {
            if puts.len() >= MOST_PUTS {
                break;
            }
            let moves = catalog.moves.contains_key(&partition);
            let put = if moves {
                // What came since the move began is at its goal alone: another one is chosen only
                // when a disk of it is lost, which one that takes no writes is too: what it has is
                // copied from it.
                let lost = |disk: &DiskId| {
                    self.fleet.is_dead(*disk, now.mono) || self.moving.lost.contains(disk)
                };
                if !before.holders(partition).iter().any(lost) {
                    continue;
                }
                plan_begin_move(partition, holders)
            } else if self.planned.is_vacant(partition) {
                plan_holders(partition, holders)
            } else if room > 0 {
                room -= 1;
                plan_begin_move(partition, holders)
            } else {
                continue;
            };
            puts.extend(put.ok());
        }
        puts
    }

    /// The disks that may hold partitions: those that were told to leave, and those that have been
    /// silent, or have accepted no writes, for longer than a repair waits, may not. When many fall
    /// silent at once it is rather the network, and nothing is copied for them.
    fn eligible(&mut self, now: Now) -> BTreeSet<DiskId> {
        let members: BTreeMap<DiskId, &MemberRecord> = self.catalog.present().collect();
        // One whose silence was announced is back before anything is copied for it.
        let announced = |disk: DiskId| self.announced(now, disk).is_some();
        let takes_no_writes = |disk: &DiskId| self.fleet.is_read_only(*disk, now.mono);
        let mut read_only = BTreeMap::new();
        for &disk in members.keys().filter(|disk| takes_no_writes(disk)) {
            let since = self.moving.read_only.get(&disk).copied();
            read_only.insert(disk, since.unwrap_or(now.mono));
        }
        let silent: BTreeSet<DiskId> = members
            .keys()
            .filter(|&&disk| self.fleet.is_dead(disk, now.mono) && !announced(disk))
            .chain(read_only.keys())
            .copied()
            .collect();
        let braked = silent.len() > 1 && silent.len() * 10 > members.len() * 3;
        let (delay, forced) = (self.repair_delay(), now.mono < self.moving.forced_until);
        let dead_after = self.settings.detect.dead_after();
        let gone_after = |disk: DiskId| match forced {
            true => dead_after,
            false => dead_after + self.fleet.patience(disk, delay),
        };
        // What was begun for a disk is not given up because an order to repair has run out.
        let given_up = |disk: &DiskId| {
            let silence = self.silence(now, *disk);
            let before = self.moving.lost.contains(disk);
            let gone = silence >= gone_after(*disk) || (before && silence >= dead_after);
            // What comes and goes has to stay before anything is copied back to it.
            let unsteady = before && self.fleet.is_unsteady(*disk, delay);
            // A start anew may make it take writes again; what it has is read from it meanwhile.
            let spoilt = read_only
                .get(disk)
                .is_some_and(|&since| forced || now.mono.since(since) >= delay);
            (gone || unsteady || spoilt) && !announced(*disk)
        };
        let lost: BTreeSet<DiskId> = members.keys().filter(|d| given_up(d)).copied().collect();
        let eligible: BTreeSet<DiskId> = members
            .iter()
            .filter(|(disk, record)| {
                record.state == MemberState::Active && (braked || !lost.contains(*disk))
            })
            .map(|(&disk, _)| disk)
            .collect();
        if braked != self.moving.braked {
            let silent = silent.len();
            tracing::warn!(silent, braked, "many workers silent at once stop repairs");
        }
        self.moving.braked = braked;
        self.moving.lost = lost;
        self.moving.read_only = read_only;
        self.moving.eligible.clone_from(&eligible);
        eligible
    }
}
