//! How many partitions each member should hold.

/// One place in a partition's list of holders, in the fixed-point unit of shares.
pub(super) const PLACE: i64 = 1 << 20;

/// The most places one member can have, one in each partition; in the unit of shares.
const FULL: i64 = 4096 * PLACE;

/// How many holders of one partition a zone may have, so that as many zones as possible take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ZoneRule {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// The rules for zones with these numbers of members, none of them empty.
///
/// With at least as many zones as copies, each copy has a zone of its own. With fewer, each zone
/// has a copy, and the copies that are left over may lie anywhere.
pub(super) fn zone_rules(zone_sizes: &[usize], replicas: usize) -> Vec<ZoneRule> {
    let zones = zone_sizes.len();
    let least = usize::from(replicas >= zones);
    let spare = replicas.saturating_sub(zones);
    zone_sizes
        .iter()
        .map(|&size| ZoneRule {
            least,
            most: size.min(1 + spare),
        })
        .collect()
}

/// The share of each member: in proportion to its weight, as far as the rules allow.
///
/// Proportional shares are not always possible: a member cannot hold a partition twice, nor a zone
/// more copies of it than its rule says. What such a member or zone cannot take goes to the others
/// by weight (water filling), so the largest load per weight is the least possible. The shares add
/// up to all places, give or take a millionth of a place for each member.
pub(super) fn shares(
    weights: &[u32],
    zone_of: &[usize],
    rules: &[ZoneRule],
    replicas: usize,
) -> Vec<i64> {
    let zones: Vec<Zone> = rules
        .iter()
        .enumerate()
        .map(|(zone, rule)| Zone {
            weights: weights
                .iter()
                .zip(zone_of)
                .filter(|(_, of)| **of == zone)
                .map(|(weight, _)| *weight)
                .collect(),
            least: times_full(rule.least),
            most: times_full(rule.most),
        })
        .collect();
    let wanted = times_full(replicas);
    let level = lowest_level(wanted, |level| {
        zones.iter().map(|zone| zone.total(level)).sum()
    });
    let levels: Vec<u128> = zones
        .iter()
        .map(|zone| {
            let total = zone.total(level);
            lowest_level(total, |level| zone.unruled(level))
        })
        .collect();
    let level_of = |zone: &usize| levels.get(*zone).copied().unwrap_or_default();
    weights
        .iter()
        .zip(zone_of)
        .map(|(&weight, zone)| at_level(weight, level_of(zone)))
        .collect()
}

struct Zone {
    weights: Vec<u32>,
    least: i64,
    most: i64,
}

impl Zone {
    fn unruled(&self, level: u128) -> i64 {
        self.weights
            .iter()
            .map(|&weight| at_level(weight, level))
            .sum()
    }

    fn total(&self, level: u128) -> i64 {
        self.unruled(level).clamp(self.least, self.most)
    }
}

fn times_full(count: usize) -> i64 {
    i64::try_from(count)
        .unwrap_or(i64::MAX)
        .saturating_mul(FULL)
}

/// Fraction bits of a level: enough that one step moves no share by more than one unit.
const LEVEL_BITS: u32 = 40;

/// The level at which even a member of weight 1 is full.
const TOP_LEVEL: u128 = 1 << (32 + LEVEL_BITS);

/// A member's share when each unit of weight gets `level`.
fn at_level(weight: u32, level: u128) -> i64 {
    i64::try_from((u128::from(weight) * level) >> LEVEL_BITS).map_or(FULL, |share| share.min(FULL))
}

/// The lowest level that gives at least `wanted`, by halving.
fn lowest_level(wanted: i64, total: impl Fn(u128) -> i64) -> u128 {
    let (mut below, mut enough) = (0, TOP_LEVEL);
    while below < enough {
        let middle = below + (enough - below) / 2;
        if total(middle) >= wanted {
            enough = middle;
        } else {
            below = middle + 1;
        }
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members as `weight@zone`; the wanted shares in places, rounded.
    #[track_caller]
    fn check(members: &[(u32, usize)], replicas: usize, want: &[i64]) {
        let zones = members.iter().map(|m| m.1).max().unwrap() + 1;
        let sizes: Vec<_> = (0..zones)
            .map(|z| members.iter().filter(|m| m.1 == z).count())
            .collect();
        let weights: Vec<_> = members.iter().map(|m| m.0).collect();
        let zone_of: Vec<_> = members.iter().map(|m| m.1).collect();
        let rules = zone_rules(&sizes, replicas);
        let found = shares(&weights, &zone_of, &rules, replicas);
        let places: Vec<_> = found
            .iter()
            .map(|share| (share + PLACE / 2) / PLACE)
            .collect();
        assert_eq!(places, want);
    }

    #[test]
    fn shares_follow_weights() {
        check(&[(1, 0), (1, 1), (2, 2)], 1, &[1024, 1024, 2048]);
        check(&[(5, 0), (5, 1), (5, 2), (5, 3)], 2, &[2048; 4]);
    }

    #[test]
    fn a_member_holds_no_partition_twice() {
        check(&[(1, 0), (1, 1), (100, 2)], 2, &[2048, 2048, 4096]);
        check(&[(1, 0), (u32::MAX, 1)], 2, &[4096, 4096]);
    }

    #[test]
    fn a_zone_holds_one_copy_where_there_are_enough_zones() {
        let mut members = vec![(1, 0), (1, 1)];
        members.extend([(1, 2); 8]);
        let mut want = vec![2048, 2048];
        want.extend([512; 8]);
        check(&members, 2, &want);
    }

    #[test]
    fn each_zone_holds_a_copy_where_there_are_fewer_zones_than_copies() {
        check(
            &[(1, 0), (1, 1), (1, 1), (1, 1)],
            3,
            &[4096, 2731, 2731, 2731],
        );
        check(
            &[(1, 0), (1, 0), (9, 1), (9, 1)],
            3,
            &[2048, 2048, 4096, 4096],
        );
    }
}
