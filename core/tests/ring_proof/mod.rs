//! What the ring promises, checked from outside: balance, spread, and how little moves.
//!
//! Used by the short test and by the full run, `cargo run --release -p mdfs-core --example ring`.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the test and the example use different parts"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "floors of small floats, and bits to mix"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "nodes are numbered by the code that indexes"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a proof stops at what it did not expect"
)]

mod least;

pub use least::least_copies;

use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::ring::{Assignment, BytesPerPartition, Member, ReplicationFactor, ZoneId, assign};
use std::collections::{BTreeMap, BTreeSet};

/// So much above its share a member may be: the promised max/mean.
pub const MOST_ABOVE_SHARE: f64 = 1.05;
/// So many times the least possible number of copies a change may make.
pub const MOST_ABOVE_LEAST: f64 = 1.10;

const PARTITIONS: f64 = 4096.0;

/// A source of chance that a seed determines.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub fn disk(&mut self) -> DiskId {
        DiskId::from_u128(u128::from(self.next()) << 64 | u128::from(self.next()))
    }
}

/// How capacities differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    Equal,
    /// 4, 8 or 16.
    Mixed,
}

/// How members lie in zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zones {
    None,
    /// Three of about the same number of members.
    Three,
    /// Three; the first has most members, the last few.
    Uneven,
}

/// One shape of cluster.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub workers: usize,
    pub weights: Weights,
    pub zones: Zones,
    pub replicas: u8,
}

impl Shape {
    /// A member of this shape, the `n`th.
    pub fn member(&self, n: usize, chance: &mut Chance) -> Member {
        let weight = match self.weights {
            Weights::Equal => 8,
            Weights::Mixed => [4, 8, 16][chance.below(3)],
        };
        let zone = match self.zones {
            Zones::None => None,
            Zones::Three => Some(n % 3),
            Zones::Uneven => Some(match n % 8 {
                1 | 4 => 1,
                2 => 2,
                _ => 0,
            }),
        };
        let zone = zone.map(|zone| ZoneId::new(format!("zone-{zone}")));
        Member {
            disk: chance.disk(),
            weight,
            zone,
            accepts: true,
        }
    }

    pub fn members(&self, chance: &mut Chance) -> Vec<Member> {
        (0..self.workers).map(|n| self.member(n, chance)).collect()
    }

    pub fn factor(&self) -> ReplicationFactor {
        ReplicationFactor::new(self.replicas).unwrap()
    }
}

/// The figures of one assignment or of one change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// The most that a member holds over its share.
    pub above_share: f64,
    /// The most that a member comes first over its part of the first places.
    pub firsts_above_share: f64,
    /// Copies made, and the least that had to be.
    pub moved: usize,
    pub least: usize,
}

impl Figures {
    pub fn worse(self, other: Self) -> Self {
        let moves = if self.excess() >= other.excess() {
            self
        } else {
            other
        };
        Self {
            above_share: self.above_share.max(other.above_share),
            firsts_above_share: self.firsts_above_share.max(other.firsts_above_share),
            ..moves
        }
    }

    /// Copies made over the least.
    pub fn excess(&self) -> f64 {
        if self.least == 0 {
            self.moved as f64
        } else {
            self.moved as f64 / self.least as f64
        }
    }
}

/// The share of each accepting member in places: by weight, as far as partitions and zones allow.
///
/// A member takes at most all partitions; a zone at most one copy of each where zones suffice, and
/// at least one where they do not. Found by halving, in floating point, apart from the library.
pub fn fair_shares(members: &[Member], replicas: u8) -> BTreeMap<DiskId, f64> {
    let zones = by_zone(members);
    let copies = usize::from(replicas).min(zones.iter().map(Vec::len).sum());
    let spare = copies.saturating_sub(zones.len());
    let least = if copies >= zones.len() {
        PARTITIONS
    } else {
        0.0
    };
    let filled = |zone: &[&Member], level: f64| -> f64 {
        zone.iter()
            .map(|m| (f64::from(m.weight) * level).min(PARTITIONS))
            .sum()
    };
    let bounded = |zone: &[&Member], level: f64| {
        let most = zone.len().min(1 + spare) as f64 * PARTITIONS;
        filled(zone, level).clamp(least, most)
    };
    let level = halve(copies as f64 * PARTITIONS, |l| {
        zones.iter().map(|z| bounded(z, l)).sum()
    });
    let mut shares = BTreeMap::new();
    for zone in &zones {
        let own = halve(bounded(zone, level), |l| filled(zone, l));
        for member in zone {
            shares.insert(
                member.disk,
                (f64::from(member.weight) * own).min(PARTITIONS),
            );
        }
    }
    shares
}

fn halve(wanted: f64, total: impl Fn(f64) -> f64) -> f64 {
    let (mut below, mut above) = (0.0, PARTITIONS);
    for _ in 0..80 {
        let middle = (below + above) / 2.0;
        if total(middle) < wanted {
            below = middle
        } else {
            above = middle
        }
    }
    above
}

fn accepting(members: &[Member]) -> impl Iterator<Item = &Member> {
    members
        .iter()
        .filter(|member| member.accepts && member.weight > 0)
}

fn by_zone(members: &[Member]) -> Vec<Vec<&Member>> {
    let mut zones: BTreeMap<Result<&str, DiskId>, Vec<&Member>> = BTreeMap::new();
    for member in accepting(members) {
        let zone = member.zone.as_ref().map(ZoneId::as_str).ok_or(member.disk);
        zones.entry(zone).or_default().push(member);
    }
    zones.into_values().collect()
}

/// Checks that each list has as many holders as it can, all different, in as many zones as
/// possible.
pub fn check_spread(ring: &Assignment, members: &[Member], replicas: u8) -> Result<(), String> {
    let zones = by_zone(members);
    let zone_of: BTreeMap<DiskId, usize> = zones
        .iter()
        .enumerate()
        .flat_map(|(zone, members)| members.iter().map(move |member| (member.disk, zone)))
        .collect();
    let copies = usize::from(replicas).min(zone_of.len());
    for (partition, holders) in ring.iter() {
        let disks: BTreeSet<_> = holders.iter().collect();
        if disks.len() != copies || holders.len() != copies {
            return Err(format!(
                "partition {partition} is on {holders:?}, not {copies} disks"
            ));
        }
        let mut seen = BTreeSet::new();
        for (n, disk) in holders.iter().enumerate() {
            let Some(zone) = zone_of.get(disk) else {
                return Err(format!(
                    "partition {partition} is on {disk}, which does not accept"
                ));
            };
            seen.insert(zone);
            if seen.len() < zones.len().min(n + 1) {
                return Err(format!(
                    "partition {partition}: zones meet in the first {}",
                    n + 1
                ));
            }
        }
    }
    Ok(())
}

/// Checks that nobody holds, or comes first, more than promised; says the worst.
pub fn check_balance(
    ring: &Assignment,
    members: &[Member],
    replicas: u8,
) -> Result<Figures, String> {
    let shares = fair_shares(members, replicas);
    let copies = f64::from(replicas).min(shares.len() as f64);
    let mut firsts: BTreeMap<DiskId, usize> = BTreeMap::new();
    for (_, holders) in ring.iter() {
        *firsts.entry(holders[0]).or_default() += 1;
    }
    let counts = ring.counts();
    let mut figures = Figures::default();
    for (disk, share) in &shares {
        let held = counts.get(disk).copied().unwrap_or_default() as f64;
        let first = firsts.get(disk).copied().unwrap_or_default() as f64;
        // Below 20 places one more is more than 5 %, and there are only whole ones.
        if held > (share * MOST_ABOVE_SHARE).max((share - 1e-3).ceil()) {
            return Err(format!(
                "{disk} holds {held} places of a share of {share:.2}"
            ));
        }
        if held < (share / MOST_ABOVE_SHARE).min((share + 1e-3).floor()) {
            return Err(format!(
                "{disk} holds only {held} places of a share of {share:.2}"
            ));
        }
        let part = share / copies;
        if first > (part * MOST_ABOVE_SHARE).max(part + 2.0) {
            return Err(format!(
                "{disk} comes first {first} times, of a part of {part:.2}"
            ));
        }
        figures.above_share = figures.above_share.max(held / share);
        figures.firsts_above_share = figures.firsts_above_share.max(first / part);
    }
    Ok(figures)
}

/// Assigns anew and checks everything that is promised of the result and of the way there.
pub fn step(
    previous: &Assignment,
    members: &[Member],
    replicas: ReplicationFactor,
) -> Result<(Assignment, Figures), String> {
    let next = assign(previous, None, members, replicas, |_| true);
    check_spread(&next, members, replicas.get())?;
    let mut figures = check_balance(&next, members, replicas.get())?;
    figures.moved = previous.copies_to(&next);
    figures.least = least_copies(previous, &next, members, replicas.get());
    if figures.moved as f64 > (figures.least as f64 * MOST_ABOVE_LEAST).ceil() {
        return Err(format!(
            "{} copies made, {} would do",
            figures.moved, figures.least
        ));
    }
    Ok((next, figures))
}

/// What a seed shows of a shape: the first ring, one join, one leave, and a chain of ten.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub first: Figures,
    pub join: Figures,
    pub leave: Figures,
    pub chain: Figures,
}

impl Report {
    pub fn worse(self, other: Self) -> Self {
        Self {
            first: self.first.worse(other.first),
            join: self.join.worse(other.join),
            leave: self.leave.worse(other.leave),
            chain: self.chain.worse(other.chain),
        }
    }
}

/// Runs a shape with a seed; the error says what broke, and where.
pub fn run(shape: Shape, seed: u64) -> Result<Report, String> {
    let told = |what: &str, error| format!("{shape:?}, seed {seed}, {what}: {error}");
    let mut chance = Chance::new(seed);
    let mut members = shape.members(&mut chance);
    let factor = shape.factor();
    let (base, first) =
        step(&Assignment::empty(), &members, factor).map_err(|e| told("first", e))?;

    let mut joined = members.clone();
    joined.push(shape.member(chance.below(64), &mut chance));
    let (_, join) = step(&base, &joined, factor).map_err(|e| told("join", e))?;

    let mut left = members.clone();
    left.remove(chance.below(left.len()));
    let (_, leave) = step(&base, &left, factor).map_err(|e| told("leave", e))?;

    let (mut ring, mut chain) = (base, Figures::default());
    for n in 0..10 {
        if members.len() > 2 && chance.below(2) == 0 {
            members.remove(chance.below(members.len()));
        } else {
            members.push(shape.member(chance.below(64), &mut chance));
        }
        let (next, figures) =
            step(&ring, &members, factor).map_err(|e| told(&format!("change {n}"), e))?;
        (ring, chain) = (next, chain.worse(figures));
    }
    Ok(Report {
        first,
        join,
        leave,
        chain,
    })
}

/// Weighted rendezvous hashing: the placement that needs no state. Naive in that it knows neither
/// zones nor limits.
pub fn rendezvous(members: &[Member], replicas: u8) -> Assignment {
    let mut ring = Assignment::empty();
    for partition in Partition::all() {
        let mut ranked: Vec<(f64, DiskId)> = members
            .iter()
            .map(|member| {
                let disk = member.disk.as_u128();
                let seed = (disk >> 64) as u64 ^ disk as u64 ^ u64::from(partition.number()) << 40;
                let uniform = (Chance::new(seed).next() >> 11) as f64 / (1_u64 << 53) as f64;
                (-f64::from(member.weight) / uniform.ln(), member.disk)
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let top: Vec<DiskId> = ranked
            .iter()
            .take(usize::from(replicas))
            .map(|(_, disk)| *disk)
            .collect();
        ring.set_holders(partition, &top);
    }
    ring
}

/// The most that a member holds over its share, whatever the placement.
pub fn above_share(ring: &Assignment, members: &[Member], replicas: u8) -> f64 {
    let counts = ring.counts();
    let over = |(disk, share): (&DiskId, &f64)| {
        counts.get(disk).copied().unwrap_or_default() as f64 / share
    };
    fair_shares(members, replicas)
        .iter()
        .map(over)
        .fold(0.0, f64::max)
}

/// The most that a member's bytes differ from its share of them, as a part of it.
pub fn bytes_off_share(
    ring: &Assignment,
    load: &BytesPerPartition,
    members: &[Member],
    replicas: u8,
) -> f64 {
    let mut held: BTreeMap<DiskId, f64> = BTreeMap::new();
    for (partition, holders) in ring.iter() {
        for disk in holders {
            *held.entry(*disk).or_default() += load.get(partition) as f64;
        }
    }
    let all: f64 = held.values().sum();
    let shares = fair_shares(members, replicas);
    let places: f64 = shares.values().sum();
    let off = |(disk, share): (&DiskId, &f64)| {
        (held.get(disk).copied().unwrap_or_default() / (all * share / places) - 1.0).abs()
    };
    shares.iter().map(off).fold(0.0, f64::max)
}

/// How many other members each member shares a partition with, at the least: so many can help when
/// it is lost.
pub fn least_partners(ring: &Assignment) -> usize {
    let mut partners: BTreeMap<DiskId, BTreeSet<DiskId>> = BTreeMap::new();
    for (_, holders) in ring.iter() {
        for disk in holders {
            partners
                .entry(*disk)
                .or_default()
                .extend(holders.iter().filter(|other| *other != disk));
        }
    }
    partners
        .values()
        .map(BTreeSet::len)
        .min()
        .unwrap_or_default()
}
