//! Finds holders for the places that have none.
#![expect(
    clippy::indexing_slicing,
    reason = "partition indexes come from 0..4096 and member indexes from the member list alone"
)]

use super::places::Places;
use super::share::PLACE;
use crate::partition::mix;

/// Fills every place that has no holder, as far as there are members.
///
/// Whoever is furthest below its share, in proportion, comes first: a zone, then a member of it.
/// A little noise, the same each time, mixes the company that members keep: so the copies of what
/// one member holds lie with all others, and all others help when it is lost. Time goes by places
/// times members.
pub(super) fn fill(places: &mut Places) {
    let open: Vec<usize> = places
        .partitions()
        .filter(|&partition| places.movable[partition] && places.holes(partition) > 0)
        .collect();
    let mut zone_shares = vec![0; places.rules.len()];
    let mut zone_needs = vec![0; places.rules.len()];
    for member in 0..places.member_count() {
        zone_shares[places.zone_of[member]] += places.shares[member];
        zone_needs[places.zone_of[member]] += places.need(member);
    }
    for (done, &partition) in open.iter().enumerate() {
        let later = i64::try_from(open.len() - done - 1).unwrap_or(i64::MAX);
        let fresh = places.now[partition].is_empty();
        while places.holes(partition) > 0 {
            let zones = places
                .open_zones(partition)
                .into_iter()
                .map(|zone| Candidate {
                    number: zone,
                    need: zone_needs[zone],
                    share: zone_shares[zone],
                    most_later: later
                        .saturating_mul(most_of(places, zone))
                        .saturating_mul(PLACE),
                    noise: noise(partition, zone),
                });
            let Some(zone) = neediest(zones) else { break };
            let list = &places.now[partition];
            let members = (0..places.member_count())
                .filter(|&member| places.zone_of[member] == zone && !list.contains(&member))
                .map(|member| Candidate {
                    number: member,
                    need: places.need(member),
                    share: places.shares[member],
                    most_later: later.saturating_mul(PLACE),
                    noise: noise(partition, member + (1 << 32)),
                });
            let Some(member) = neediest(members) else {
                break;
            };
            places.add(partition, member);
            zone_needs[zone] -= PLACE;
        }
        if fresh {
            turn(places, partition);
        }
    }
}

/// Puts a new list into a random order, so that each member comes first about as often as any.
fn turn(places: &mut Places, partition: usize) {
    places.now[partition].sort_by_key(|&member| noise(partition, member + (2 << 32)));
}

fn most_of(places: &Places, zone: usize) -> i64 {
    i64::try_from(places.rules[zone].most).unwrap_or(i64::MAX)
}

struct Candidate {
    number: usize,
    need: i64,
    share: i64,
    /// What it can still get from the partitions that come after this one.
    most_later: i64,
    noise: i64,
}

/// The candidate that must be taken now to get its share at all, or else the one furthest below
/// its share in proportion.
fn neediest(candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
    candidates
        .map(|candidate| {
            let urgency = (candidate.need - candidate.most_later).max(0);
            let wanted = (candidate.need + candidate.noise) * PLACE;
            (urgency, wanted / candidate.share.max(1), candidate.number)
        })
        .max()
        .map(|(_, _, number)| number)
}

/// From nothing to two places.
fn noise(partition: usize, salt: usize) -> i64 {
    let bits = mix(mix(partition as u64) ^ salt as u64) >> 43;
    i64::try_from(bits).unwrap_or_default()
}
