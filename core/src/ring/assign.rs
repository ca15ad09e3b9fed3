//! The one function that decides the ring.

use super::bytes::{Bytes, even_out};
use super::fill::fill;
use super::firsts::order;
use super::level::level;
use super::places::Places;
use super::share::{shares, zone_rules};
use super::{Assignment, BytesPerPartition, Member, ReplicationFactor, ZoneId};
use crate::id::DiskId;
use crate::partition::Partition;
use std::collections::BTreeMap;

/// Decides the holders of every partition, from what they were, the members and their weights.
///
/// Pure: the same arguments give the same ring, in whatever order the members come.
///
/// # Guarantees
/// When every partition is movable:
/// - Each has as many holders as `replicas`, or as there are members that accept.
/// - No disk holds a partition twice. Holders lie in as many zones as there are, up to the number
///   of replicas, and so do the first two, the first three, and so on.
/// - Each member holds its share of partitions, rounded up or down. The share is by weight; what a
///   member cannot take (more than all partitions) or a zone (more than one copy of each, where
///   zones suffice) goes to the others by weight.
/// - Each member comes first in a list in proportion to what it holds, within 3 %, rounded up.
/// - No more copies are made than 1.1 times the least with which such a ring can be had: the share
///   of what joined, the places of what left, and what zones force besides.
///
/// With `load`, bytes are evened out as well: when some member is more than 10 % from its share of
/// the bytes, partitions are swapped until all are within 5 % or no swap helps; that makes more
/// copies than the least. Without it a join or a leave costs the least.
///
/// A partition that is not `movable` keeps its holders, even those that left. It counts for its
/// holders, so the others even it out as far as they can. If no member accepts, nothing changes:
/// there is nowhere to go.
///
/// Takes milliseconds for ten members, tens of them for a hundred: time goes by partitions times
/// replicas times the places that move, or times members when the ring is first filled.
pub fn assign(
    previous: &Assignment,
    load: Option<&BytesPerPartition>,
    members: &[Member],
    replicas: ReplicationFactor,
    movable: impl Fn(Partition) -> bool,
) -> Assignment {
    let accepting: BTreeMap<DiskId, &Member> = members
        .iter()
        .rev() // of a disk named twice, the first counts
        .filter(|member| member.accepts && member.weight > 0)
        .map(|member| (member.disk, member))
        .collect();
    if accepting.is_empty() {
        return previous.clone();
    }
    let mut places = lay_out(previous, &accepting, replicas, movable);
    for partition in places.partitions() {
        if places.movable.get(partition) == Some(&true) {
            places.strip(partition);
        }
    }
    fill(&mut places);
    match load {
        None => level(&mut places, |_, _, _| 0),
        Some(load) => {
            let load: Vec<i128> = Partition::all().map(|p| i128::from(load.get(p))).collect();
            let bytes = Bytes::new(&places, &load);
            level(&mut places, |places, partition, old| {
                bytes.misfit(places, partition, old)
            });
            even_out(&mut places, &load);
        }
    }
    order(&mut places);
    read_off(previous, &accepting, &places)
}

/// The working table of the members that accept, numbered in the order of their ids.
fn lay_out(
    previous: &Assignment,
    accepting: &BTreeMap<DiskId, &Member>,
    replicas: ReplicationFactor,
    movable: impl Fn(Partition) -> bool,
) -> Places {
    let replicas = usize::from(replicas.get()).min(accepting.len());
    let zone_of = number_zones(accepting);
    let zones = zone_of.iter().max().map_or(0, |last| last + 1);
    let sizes: Vec<usize> = (0..zones)
        .map(|zone| zone_of.iter().filter(|of| **of == zone).count())
        .collect();
    let rules = zone_rules(&sizes, replicas);
    let weights: Vec<u32> = accepting.values().map(|member| member.weight).collect();
    let numbers: BTreeMap<DiskId, usize> = accepting.keys().copied().zip(0..).collect();
    let before: Vec<Vec<usize>> = previous
        .iter()
        .map(|(_, disks)| {
            disks
                .iter()
                .filter_map(|disk| numbers.get(disk).copied())
                .collect()
        })
        .collect();
    let mut counts = vec![0; accepting.len()];
    for &member in before.iter().flatten() {
        if let Some(count) = counts.get_mut(member) {
            *count += 1;
        }
    }
    Places {
        replicas,
        shares: shares(&weights, &zone_of, &rules, replicas),
        zone_of,
        rules,
        now: before.clone(),
        before,
        movable: Partition::all().map(movable).collect(),
        counts,
    }
}

/// Numbers the zones in the order of the members; a member without a zone gets one of its own.
fn number_zones(accepting: &BTreeMap<DiskId, &Member>) -> Vec<usize> {
    let mut numbers: BTreeMap<&ZoneId, usize> = BTreeMap::new();
    let mut next = 0;
    let mut fresh = || {
        next += 1;
        next - 1
    };
    accepting
        .values()
        .map(|member| match &member.zone {
            None => fresh(),
            Some(zone) => *numbers.entry(zone).or_insert_with(&mut fresh),
        })
        .collect()
}

fn read_off(
    previous: &Assignment,
    accepting: &BTreeMap<DiskId, &Member>,
    places: &Places,
) -> Assignment {
    let disks: Vec<DiskId> = accepting.keys().copied().collect();
    let mut assignment = previous.clone();
    for ((partition, list), movable) in Partition::all().zip(&places.now).zip(&places.movable) {
        if *movable {
            let holders: Vec<DiskId> = list
                .iter()
                .filter_map(|&member| disks.get(member).copied())
                .collect();
            assignment.set_holders(partition, &holders);
        }
    }
    assignment
}
