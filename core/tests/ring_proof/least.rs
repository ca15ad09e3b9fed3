//! The least number of copies with which a change of members can be done: a certificate.

use super::{by_zone, fair_shares};
use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::ring::{Assignment, Member};
use std::collections::BTreeMap;

/// The fewest copies that lead from `previous` to a ring as balanced and spread as `next`.
///
/// Starts from `next` and makes exchanges as long as some chain of them saves a copy. No such
/// chain is left exactly when nothing is to be saved (a flow without negative cycles in its
/// residual graph is the cheapest), so this is the least of any algorithm.
pub fn least_copies(
    previous: &Assignment,
    next: &Assignment,
    members: &[Member],
    replicas: u8,
) -> usize {
    let made = previous.copies_to(next);
    if made == plain_bound(previous, members, replicas) {
        return made;
    }
    let mut ring = next.clone();
    while let Some(cycle) = saving_cycle(previous, &ring, members, replicas) {
        for (partition, old, new) in cycle {
            let holders: Vec<DiskId> = ring
                .holders(partition)
                .iter()
                .map(|&disk| if disk == old { new } else { disk })
                .collect();
            ring.set_holders(partition, &holders);
        }
    }
    previous.copies_to(&ring)
}

/// What members lack of their shares, rounded down, or the places that have no holder any more, if
/// those are more: nothing can do with fewer copies, though zones may ask for more.
fn plain_bound(previous: &Assignment, members: &[Member], replicas: u8) -> usize {
    let shares = fair_shares(members, replicas);
    let counts = previous.counts();
    let lacks = |(disk, share): (&DiskId, &f64)| {
        let floor = (share + 1e-3).floor() as usize;
        floor.saturating_sub(counts.get(disk).copied().unwrap_or_default())
    };
    let copies = usize::from(replicas).min(shares.len());
    let holes = |(_, holders): (Partition, &[DiskId])| {
        copies.saturating_sub(
            holders
                .iter()
                .filter(|disk| shares.contains_key(disk))
                .count(),
        )
    };
    let lacking: usize = shares.iter().map(lacks).sum();
    lacking.max(previous.iter().map(holes).sum())
}

type Exchange = (Partition, DiskId, DiskId);

/// A circle of exchanges that keeps everybody within rounding of its share and saves a copy.
fn saving_cycle(
    previous: &Assignment,
    ring: &Assignment,
    members: &[Member],
    replicas: u8,
) -> Option<Vec<Exchange>> {
    let shares = fair_shares(members, replicas);
    let disks: Vec<DiskId> = shares.keys().copied().collect();
    let number: BTreeMap<DiskId, usize> = disks.iter().copied().zip(0..).collect();
    let zones = by_zone(members);
    let mut zone_of = vec![0; disks.len()];
    for (zone, members) in zones.iter().enumerate() {
        members
            .iter()
            .for_each(|member| zone_of[number[&member.disk]] = zone);
    }
    let copies = usize::from(replicas).min(disks.len());
    let least = usize::from(copies >= zones.len());
    let spare = copies.saturating_sub(zones.len());
    // One node more than members: whoever has a place to spare, or room for one, deals with it.
    let hub = disks.len();
    let nodes = hub + 1;
    let mut edges: Vec<Option<(i32, Option<Exchange>)>> = vec![None; nodes * nodes];
    let counts = ring.counts();
    for (disk, share) in &shares {
        let (held, at) = (
            counts.get(disk).copied().unwrap_or_default() as f64,
            number[disk],
        );
        if held > (share + 1e-3).floor() {
            edges[hub * nodes + at] = Some((0, None));
        }
        if held < (share - 1e-3).ceil() {
            edges[at * nodes + hub] = Some((0, None));
        }
    }
    for (partition, holders) in ring.iter() {
        let had = previous.holders(partition);
        let in_zone = |zone: usize| {
            holders
                .iter()
                .filter(|disk| zone_of[number[disk]] == zone)
                .count()
        };
        for old in holders {
            let from = zone_of[number[old]];
            for (to, members) in zones.iter().enumerate() {
                let most = members.len().min(1 + spare);
                if from != to && (in_zone(to) >= most || in_zone(from) <= least) {
                    continue;
                }
                for new in members.iter().map(|member| member.disk) {
                    if holders.contains(&new) {
                        continue;
                    }
                    let cost = i32::from(had.contains(old)) - i32::from(had.contains(&new));
                    let edge = &mut edges[number[old] * nodes + number[&new]];
                    if edge.is_none_or(|(known, _)| cost < known) {
                        *edge = Some((cost, Some((partition, *old, new))));
                    }
                }
            }
        }
    }
    negative_cycle(&edges, nodes)
}

/// Bellman and Ford: a circle of negative cost, as the exchanges along it.
fn negative_cycle(
    edges: &[Option<(i32, Option<Exchange>)>],
    nodes: usize,
) -> Option<Vec<Exchange>> {
    let mut far = vec![0; nodes];
    let mut via = vec![0; nodes];
    let mut last = None;
    for _ in 0..nodes {
        last = None;
        for from in 0..nodes {
            for to in 0..nodes {
                if let Some((cost, _)) = edges[from * nodes + to]
                    && far[from] + cost < far[to]
                {
                    far[to] = far[from] + cost;
                    via[to] = from;
                    last = Some(to);
                }
            }
        }
        last?;
    }
    // After as many rounds as nodes, walking back as often ends inside the circle.
    let start = (0..nodes).fold(last?, |at, _| via[at]);
    let mut cycle = Vec::new();
    let mut at = start;
    loop {
        cycle.extend(edges[via[at] * nodes + at].and_then(|(_, exchange)| exchange));
        at = via[at];
        if at == start {
            return Some(cycle);
        }
    }
}
