//! Swaps partitions between members until they hold bytes, not only partitions, by their shares.
#![expect(
    clippy::indexing_slicing,
    reason = "partition indexes come from 0..4096 and member indexes from the member list alone"
)]

use super::places::Places;

/// Swaps begin when a member's bytes are further from its share than this, in hundredths ...
const TOLERANCE: i128 = 10;
/// ... and end when all are within this.
const AIM: i128 = 5;
/// The most swaps of one rebalance; the next one goes on.
const MOST_SWAPS: usize = 4096;

/// What members hold in bytes, and what they should.
pub(super) struct Bytes<'a> {
    load: &'a [i128],
    held: Vec<i128>,
    aims: Vec<i128>,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(places: &Places, load: &'a [i128]) -> Self {
        let mut held = vec![0; places.member_count()];
        for (list, bytes) in places.now.iter().zip(load) {
            list.iter().for_each(|&member| held[member] += bytes);
        }
        let all: i128 = held.iter().sum();
        let shares: i128 = places.shares.iter().map(|&share| i128::from(share)).sum();
        let aim = |&share: &i64| all.saturating_mul(i128::from(share)) / shares.max(1);
        Self {
            load,
            held,
            aims: places.shares.iter().map(aim).collect(),
        }
    }

    fn excess(&self, member: usize) -> i128 {
        self.held[member] - self.aims[member]
    }

    /// How far from its aim a member is, in thousandths of it, with the sign.
    fn deviation(&self, member: usize) -> i128 {
        self.excess(member).saturating_mul(1000) / self.aims[member].max(1)
    }

    /// How little a partition suits being given away: its distance from the mean that its holder
    /// would have to give with each place.
    pub(super) fn misfit(&self, places: &Places, partition: usize, holder: usize) -> u64 {
        let surplus = i128::from(places.counts[holder] - places.low(holder)).max(1);
        let wanted = (self.excess(holder) / surplus).max(0);
        u64::try_from((self.load[partition] - wanted).abs()).unwrap_or(u64::MAX)
    }
}

/// Swaps partitions of one member for those of another, counts unchanged, as long as some member
/// is too far from its share of the bytes and a swap helps.
///
/// Every swap lowers the sum of squared excesses, so it ends.
pub(super) fn even_out(places: &mut Places, load: &[i128]) {
    let mut bytes = Bytes::new(places, load);
    let members = 0..places.member_count();
    let mut bound = TOLERANCE * 10;
    for _ in 0..MOST_SWAPS {
        let far = |&m: &usize| (bytes.deviation(m).abs(), m);
        let Some(worst) = members.clone().max_by_key(far) else {
            return;
        };
        if bytes.deviation(worst).abs() <= bound {
            return;
        }
        bound = AIM * 10;
        let mut others: Vec<usize> = members.clone().filter(|&m| m != worst).collect();
        let gives = bytes.excess(worst) > 0;
        others.sort_by_key(|&m| {
            if gives {
                bytes.deviation(m)
            } else {
                -bytes.deviation(m)
            }
        });
        let swap = others.iter().find_map(|&other| {
            let (giver, taker) = if gives {
                (worst, other)
            } else {
                (other, worst)
            };
            let (heavy, light) = best_swap(places, &bytes, giver, taker)?;
            Some((giver, taker, heavy, light))
        });
        let Some((giver, taker, heavy, light)) = swap else {
            return;
        };
        places.replace(heavy, giver, taker);
        places.replace(light, taker, giver);
        let moved = load[heavy] - load[light];
        bytes.held[giver] -= moved;
        bytes.held[taker] += moved;
    }
}

/// The partitions to swap so that both members come nearest to their aims; none if no swap brings
/// them nearer.
fn best_swap(
    places: &Places,
    bytes: &Bytes<'_>,
    giver: usize,
    taker: usize,
) -> Option<(usize, usize)> {
    let gap = bytes.excess(giver) - bytes.excess(taker);
    let movable = |from, to| {
        let may = move |&p: &usize| places.may_replace(p, from, to);
        let mut list: Vec<(i128, usize)> = places
            .partitions()
            .filter(may)
            .map(|p| (bytes.load[p], p))
            .collect();
        list.sort_unstable();
        list
    };
    let (heavy, light) = (movable(giver, taker), movable(taker, giver));
    let mut best = None;
    for &(weight, partition) in &heavy {
        // The ideal counterpart leaves half of the gap; its two neighbours are the candidates.
        let at = light.partition_point(|&(other, _)| other < weight - gap / 2);
        for &(other, counterpart) in light.iter().skip(at.saturating_sub(1)).take(2) {
            let moved = weight - other;
            if moved > 0 && moved < gap {
                let key = ((gap - 2 * moved).abs(), partition, counterpart);
                if best.is_none_or(|known| key < known) {
                    best = Some(key);
                }
            }
        }
    }
    best.map(|(_, heavy, light)| (heavy, light))
}
