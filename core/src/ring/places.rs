//! The table that an assignment is worked out on: who is where, and who may replace whom.
#![expect(
    clippy::indexing_slicing,
    reason = "partition indexes come from 0..4096 and member indexes from the member list alone"
)]

use super::share::{PLACE, ZoneRule};

/// Members and partitions by their numbers; counts and shares beside them.
pub(super) struct Places {
    pub(super) replicas: usize,
    /// The share of each member, in units of which a place has [`PLACE`].
    pub(super) shares: Vec<i64>,
    pub(super) zone_of: Vec<usize>,
    pub(super) rules: Vec<ZoneRule>,
    /// The holders before and now, members only.
    pub(super) before: Vec<Vec<usize>>,
    pub(super) now: Vec<Vec<usize>>,
    pub(super) movable: Vec<bool>,
    /// How many partitions each member holds now.
    pub(super) counts: Vec<i64>,
}

impl Places {
    pub(super) fn member_count(&self) -> usize {
        self.shares.len()
    }

    pub(super) fn partitions(&self) -> std::ops::Range<usize> {
        0..self.now.len()
    }

    /// How far a member's share is above what it holds; negative if it holds too much.
    pub(super) fn need(&self, member: usize) -> i64 {
        self.shares[member] - self.counts[member] * PLACE
    }

    /// The fewest places that are a member's share, rounded.
    pub(super) fn low(&self, member: usize) -> i64 {
        (self.shares[member] + ROUNDING).div_euclid(PLACE)
    }

    /// The most places that are a member's share, rounded.
    pub(super) fn high(&self, member: usize) -> i64 {
        (self.shares[member] - ROUNDING + PLACE - 1).div_euclid(PLACE)
    }

    pub(super) fn in_zone(&self, partition: usize, zone: usize) -> usize {
        self.now[partition]
            .iter()
            .filter(|&&member| self.zone_of[member] == zone)
            .count()
    }

    /// How many zones that must take part have no holder of the partition.
    fn missing_zones(&self, partition: usize) -> usize {
        // All rules ask for the same least.
        if self.rules.first().is_none_or(|rule| rule.least == 0) {
            return 0;
        }
        (0..self.rules.len())
            .filter(|&zone| self.in_zone(partition, zone) == 0)
            .count()
    }

    pub(super) fn holes(&self, partition: usize) -> usize {
        self.replicas.saturating_sub(self.now[partition].len())
    }

    /// The zones that a further holder of the partition may come from.
    pub(super) fn open_zones(&self, partition: usize) -> Vec<usize> {
        let holes = self.holes(partition);
        let only_missing = self.missing_zones(partition) >= holes;
        let open = |&zone: &usize| {
            let (rule, held) = (self.rules[zone], self.in_zone(partition, zone));
            holes > 0 && held < rule.most && (!only_missing || rule.least == 0 || held == 0)
        };
        (0..self.rules.len()).filter(open).collect()
    }

    /// Takes holders off until the rest can be part of a lawful list: no more than replicas, no
    /// zone above its rule, and room for the zones that are missing.
    ///
    /// Surplus copies go from the end, since chunks with fewer copies lie on the first holders. Of
    /// a zone that has too many, the member that is most above its share goes.
    pub(super) fn strip(&mut self, partition: usize) {
        while let Some(member) = self.surplus(partition) {
            self.now[partition].retain(|&holder| holder != member);
            self.counts[member] -= 1;
        }
    }

    fn surplus(&self, partition: usize) -> Option<usize> {
        let list = &self.now[partition];
        let held = |member: &usize| self.in_zone(partition, self.zone_of[*member]);
        let above = |member: &usize| held(member) > self.rules[self.zone_of[*member]].most;
        let by_need = |member: &usize| (self.need(*member), *member);
        if let Some(member) = list
            .iter()
            .copied()
            .filter(|m| above(m))
            .min_by_key(by_need)
        {
            return Some(member);
        }
        let room = self.replicas.saturating_sub(list.len());
        if list.len() <= self.replicas && self.missing_zones(partition) <= room {
            return None;
        }
        let spare =
            |member: &usize| self.rules[self.zone_of[*member]].least == 0 || held(member) > 1;
        if list.len() > self.replicas {
            return list.iter().copied().rfind(spare).or(list.last().copied());
        }
        list.iter()
            .copied()
            .filter(|m| spare(m))
            .min_by_key(by_need)
    }

    pub(super) fn add(&mut self, partition: usize, member: usize) {
        self.now[partition].push(member);
        self.counts[member] += 1;
    }

    /// Whether one member may take the place of another in a partition.
    pub(super) fn may_replace(&self, partition: usize, old: usize, new: usize) -> bool {
        let list = &self.now[partition];
        if !self.movable[partition] || !list.contains(&old) || list.contains(&new) {
            return false;
        }
        let (from, to) = (self.zone_of[old], self.zone_of[new]);
        from == to
            || (self.in_zone(partition, to) < self.rules[to].most
                && self.in_zone(partition, from) > self.rules[from].least)
    }

    /// Gives the place of one holder to another member: the same place in the order.
    pub(super) fn replace(&mut self, partition: usize, old: usize, new: usize) {
        for holder in &mut self.now[partition] {
            if *holder == old {
                *holder = new;
                self.counts[old] -= 1;
                self.counts[new] += 1;
            }
        }
    }

    /// How many more copies must be made because of a replacement, plus one: 0 to 2.
    pub(super) fn cost(&self, partition: usize, old: usize, new: usize) -> usize {
        let had = |member| self.before[partition].contains(&member);
        1 + usize::from(had(old)) - usize::from(had(new))
    }
}

/// So much of a place, a few units, is an error of rounding in a share.
const ROUNDING: i64 = 64;
