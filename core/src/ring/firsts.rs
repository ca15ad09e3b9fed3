//! The order of holders: each member comes first about as often as is its share.
#![expect(
    clippy::indexing_slicing,
    reason = "partition indexes come from 0..4096 and member indexes from the member list alone"
)]

use super::places::Places;
use std::collections::VecDeque;

/// A member may come first so much more or less often than its share, in hundredths.
///
/// Some slack, because a change of the order moves the chunks that have fewer copies.
const SLACK: i64 = 3;

/// Changes the order of holders, and nothing else, until each member comes first about as often as
/// it should.
pub(super) fn order(places: &mut Places) {
    let mut firsts = vec![0_i64; places.member_count()];
    for list in &places.now {
        if let Some(&first) = list.first() {
            firsts[first] += 1;
        }
    }
    let copies = i64::try_from(places.replicas).unwrap_or(i64::MAX).max(1);
    let part = |n: &i64, hundredths: i64| n * hundredths / (copies * 100);
    let low: Vec<i64> = places
        .counts
        .iter()
        .map(|n| (part(n, 100 - SLACK) + 1).min(n / copies))
        .collect();
    let high: Vec<i64> = places
        .counts
        .iter()
        .map(|n| part(n, 100 + SLACK).max((n + copies - 1) / copies))
        .collect();
    let members = 0..places.member_count();
    // Each round takes one first place from a member with too many, or gives one to another with
    // too few; one that nothing can be done for is skipped.
    let mut stuck = vec![false; places.member_count()];
    loop {
        let over = members
            .clone()
            .filter(|&m| !stuck[m])
            .find(|&m| firsts[m] > high[m]);
        let under = members
            .clone()
            .filter(|&m| !stuck[m])
            .find(|&m| firsts[m] < low[m]);
        let (member, path) = if let Some(m) = over {
            (m, path(places, |g| g == m, |t| firsts[t] < high[t]))
        } else if let Some(m) = under {
            (m, path(places, |g| firsts[g] > low[g], |t| t == m))
        } else {
            break;
        };
        if path.is_empty() {
            stuck[member] = true;
        }
        for (partition, second) in path {
            let list = &mut places.now[partition];
            if let Some(at) = list.iter().position(|&holder| holder == second) {
                firsts[list[0]] -= 1;
                firsts[second] += 1;
                list.swap(0, at);
            }
        }
    }
    spread(places);
}

/// The shortest chain of partitions in which to swap the first holder for another one, from a
/// giver to a taker; empty if there is none.
fn path(
    places: &Places,
    gives: impl Fn(usize) -> bool,
    takes: impl Fn(usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut by_first: Vec<Vec<usize>> = vec![Vec::new(); places.member_count()];
    for partition in places.partitions().filter(|&p| places.movable[p]) {
        if let Some(&first) = places.now[partition].first() {
            by_first[first].push(partition);
        }
    }
    let mut via: Vec<Option<(usize, usize)>> = vec![None; places.member_count()];
    let mut seen: Vec<bool> = (0..places.member_count()).map(&gives).collect();
    let mut queue: VecDeque<usize> = (0..places.member_count()).filter(|&m| gives(m)).collect();
    while let Some(member) = queue.pop_front() {
        for &partition in &by_first[member] {
            for &second in &places.now[partition][1..] {
                if seen[second] {
                    continue;
                }
                seen[second] = true;
                via[second] = Some((member, partition));
                if takes(second) {
                    return trace(&via, second);
                }
                queue.push_back(second);
            }
        }
    }
    Vec::new()
}

fn trace(via: &[Option<(usize, usize)>], end: usize) -> Vec<(usize, usize)> {
    let mut steps = Vec::new();
    let mut at = end;
    while let Some((before, partition)) = via[at] {
        steps.push((partition, at));
        at = before;
    }
    steps
}

/// Puts holders of zones that came before behind those of other zones, so that chunks with fewer
/// copies have them in as many zones as possible too. The first holder stays.
fn spread(places: &mut Places) {
    if places.replicas <= places.rules.len() {
        return;
    }
    for partition in places
        .partitions()
        .filter(|&p| places.movable[p])
        .collect::<Vec<_>>()
    {
        let mut seen = vec![false; places.rules.len()];
        let (mut new, mut repeated) = (Vec::new(), Vec::new());
        for &member in &places.now[partition] {
            let known = std::mem::replace(&mut seen[places.zone_of[member]], true);
            if known {
                repeated.push(member)
            } else {
                new.push(member)
            }
        }
        new.append(&mut repeated);
        places.now[partition] = new;
    }
}
