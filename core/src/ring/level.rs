//! Moves places from members that hold too many partitions to those that hold too few.
#![expect(
    clippy::indexing_slicing,
    reason = "partition indexes come from 0..4096 and member indexes from the member list alone"
)]

use super::places::Places;
use crate::partition::mix;

/// Brings every member to its share, rounded, with the fewest new copies.
///
/// Whoever is within rounding of its share is left alone, so a join moves what the new member gets
/// and no more. Each place goes from a member above its share to one below it along the cheapest
/// chain of replacements, which is a single one unless zones or full members stand in the way.
/// (Successive shortest paths: starting from lists in which everybody kept what it could, every
/// step is the cheapest for the counts that it reaches.) Among the partitions that would do, the
/// one with the least `misfit` goes.
pub(super) fn level(places: &mut Places, misfit: impl Fn(&Places, usize, usize) -> u64) {
    if (0..places.member_count())
        .all(|m| (places.low(m)..=places.high(m)).contains(&places.counts[m]))
    {
        return;
    }
    let mut edges = Edges::new(places);
    let mut stuck = vec![false; places.member_count()];
    // Each round brings one place to where it belongs; the bound is for lists that cannot be made
    // lawful because partitions must not move.
    for _ in 0..places.now.len() * places.replicas * 2 {
        let sides = Sides::new(places, &stuck);
        if sides.over.is_empty() && sides.under.is_empty() {
            return;
        }
        let path = sides
            .exchanges()
            .map(|(givers, takers)| edges.cheapest_path(places, givers, takers))
            .find(|path| !path.is_empty());
        let Some(path) = path else {
            sides
                .over
                .iter()
                .chain(&sides.under)
                .for_each(|&member| stuck[member] = true);
            continue;
        };
        let step = |pair: &[usize]| {
            let [old, new] = *pair else { return None };
            edges
                .best_partition(places, old, new, &misfit)
                .map(|p| (p, old, new))
        };
        let steps: Vec<_> = path.windows(2).filter_map(step).collect();
        // From the end: each step makes room for the one before it.
        for &(partition, old, new) in steps.iter().rev() {
            if !places.may_replace(partition, old, new) {
                break;
            }
            edges.count(places, partition, false);
            places.replace(partition, old, new);
            edges.count(places, partition, true);
        }
    }
}

/// Who may give and take places, those in greatest need first.
struct Sides {
    /// Above their share, rounded up.
    over: Vec<usize>,
    /// Below their share, rounded down.
    under: Vec<usize>,
    /// Could give one and still have their share, rounded down.
    spare: Vec<usize>,
    /// Could take one and still have no more than their share, rounded up.
    room: Vec<usize>,
}

impl Sides {
    fn new(places: &Places, stuck: &[bool]) -> Self {
        let those = |test: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..places.member_count()).filter(|&m| test(m)).collect()
        };
        let mut sides = Self {
            over: those(&|m| !stuck[m] && places.counts[m] > places.high(m)),
            under: those(&|m| !stuck[m] && places.counts[m] < places.low(m)),
            spare: those(&|m| places.counts[m] > places.low(m)),
            room: those(&|m| places.counts[m] < places.high(m)),
        };
        sides.over.sort_by_key(|&m| (places.need(m), m));
        sides.spare.sort_by_key(|&m| (places.need(m), m));
        sides
    }

    /// The exchanges that help, the best first: it serves both sides.
    fn exchanges(&self) -> impl Iterator<Item = (&[usize], &[usize])> {
        let all: [(&[usize], &[usize]); 3] = [
            (&self.over, &self.under),
            (&self.over, &self.room),
            (&self.spare, &self.under),
        ];
        all.into_iter()
            .filter(|(givers, takers)| !givers.is_empty() && !takers.is_empty())
    }
}

/// For each pair of members, in how many partitions the second may replace the first, by cost.
struct Edges {
    members: usize,
    counts: Vec<[u32; 3]>,
    /// Partitions for a pair, the best last, from when they were last looked for. Some may not do
    /// any more, but all that would do then are there.
    known: Vec<Vec<usize>>,
}

/// The length of a path is its cost first, then its number of steps.
const COST_UNIT: i64 = 1 << 20;

impl Edges {
    fn new(places: &Places) -> Self {
        let members = places.member_count();
        let mut edges = Self {
            members,
            counts: vec![[0; 3]; members * members],
            known: vec![Vec::new(); members * members],
        };
        for partition in places.partitions() {
            edges.count(places, partition, true);
        }
        edges
    }

    /// Counts in, or out, what may be replaced in a partition.
    fn count(&mut self, places: &Places, partition: usize, there: bool) {
        if !places.movable[partition] {
            return;
        }
        for &old in &places.now[partition] {
            for new in 0..self.members {
                if places.may_replace(partition, old, new) {
                    let cost = places.cost(partition, old, new);
                    let count = &mut self.counts[old * self.members + new][cost];
                    *count = if there {
                        *count + 1
                    } else {
                        count.saturating_sub(1)
                    };
                }
            }
        }
    }

    fn length(&self, old: usize, new: usize) -> Option<i64> {
        let by_cost = &self.counts[old * self.members + new];
        let cost = by_cost.iter().position(|&count| count > 0)?;
        Some((i64::try_from(cost).ok()? - 1) * COST_UNIT + 1)
    }

    /// The members on the cheapest path from a giver to a taker, both included; empty if there is
    /// none. Of equal ones, that of the giver and the taker that come first.
    fn cheapest_path(&self, places: &Places, givers: &[usize], takers: &[usize]) -> Vec<usize> {
        let mut length: Vec<Option<i64>> = vec![None; self.members];
        let mut before: Vec<Option<usize>> = vec![None; self.members];
        givers.iter().for_each(|&member| length[member] = Some(0));
        let mut front = givers.to_vec();
        // Bellman and Ford: a replacement that undoes an earlier one has a negative cost.
        for _ in 0..self.members {
            let mut next = Vec::new();
            for &old in &front {
                let Some(so_far) = length[old] else { continue };
                for new in 0..self.members {
                    let Some(step) = self.length(old, new) else {
                        continue;
                    };
                    if length[new].is_none_or(|known| so_far + step < known) {
                        length[new] = Some(so_far + step);
                        before[new] = Some(old);
                        if !next.contains(&new) {
                            next.push(new);
                        }
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            front = next;
        }
        let reached = takers
            .iter()
            .filter_map(|&m| length[m].map(|far| (far, -places.need(m), m)));
        let Some((_, _, end)) = reached.min() else {
            return Vec::new();
        };
        let mut path = vec![end];
        let mut at = end;
        while let Some(previous) = before[at] {
            if path.contains(&previous) {
                return Vec::new();
            }
            path.push(previous);
            at = previous;
        }
        path.reverse();
        path
    }

    /// The partition in which to replace: the cheapest, then the best fit, then by a hash, so that
    /// a new member shares partitions with all others.
    fn best_partition(
        &mut self,
        places: &Places,
        old: usize,
        new: usize,
        misfit: &impl Fn(&Places, usize, usize) -> u64,
    ) -> Option<usize> {
        let pair = old * self.members + new;
        let least_cost = self.counts[pair].iter().position(|&count| count > 0)?;
        while let Some(partition) = self.known[pair].pop() {
            if places.may_replace(partition, old, new) {
                if places.cost(partition, old, new) == least_cost {
                    return Some(partition);
                }
                break;
            }
        }
        let mut found: Vec<_> = places
            .partitions()
            .filter(|&p| places.may_replace(p, old, new))
            .map(|p| {
                let hash = mix(mix(p as u64) ^ (new as u64));
                (places.cost(p, old, new), misfit(places, p, old), hash, p)
            })
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        self.known[pair] = found.into_iter().map(|(.., p)| p).collect();
        self.known[pair].pop()
    }
}
