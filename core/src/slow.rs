//! Disks that are much slower than the others.

use crate::id::DiskId;
use std::collections::BTreeSet;
use std::time::Duration;

/// So many times what most disks take is slow.
const TIMES: u32 = 10;
/// What takes less is not slow, whatever the others do.
const NEVER_BELOW: Duration = Duration::from_millis(500);

/// Says which disks are slow, by how long each took lately to make a chunk durable.
///
/// Measured against the others, because what is slow for one kind of disk is usual for another, and
/// so that load which all have makes none slow. With two disks, against the faster one.
pub fn slow_disks(took: impl IntoIterator<Item = (DiskId, Duration)>) -> BTreeSet<DiskId> {
    let mut took: Vec<_> = took.into_iter().collect();
    took.sort_unstable_by_key(|&(disk, span)| (span, disk));
    let middle = took.len().saturating_sub(1) / 2;
    let Some(&(_, usual)) = took.get(middle) else {
        return BTreeSet::new();
    };
    let limit = usual.saturating_mul(TIMES).max(NEVER_BELOW);
    let slow = took.into_iter().filter(|&(_, span)| span >= limit);
    slow.map(|(disk, _)| disk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Disks numbered from 1, by milliseconds.
    #[track_caller]
    fn check(took: &[u64], want: &[u128]) {
        let disk = |number| DiskId::from_u128(number);
        let took = (1..).map(disk).zip(took.iter().copied());
        let found = slow_disks(took.map(|(disk, millis)| (disk, Duration::from_millis(millis))));
        assert_eq!(found, want.iter().copied().map(disk).collect());
    }

    #[test]
    fn ten_times_the_usual_is_slow() {
        check(&[60, 70, 600, 80], &[]);
        check(&[60, 70, 700, 80], &[3]);
        check(&[60, 5000, 800, 80, 70], &[2, 3]);
    }

    #[test]
    fn what_all_take_is_usual_and_what_is_short_is_never_slow() {
        check(&[9000, 9000, 9000], &[]);
        check(&[1, 1, 499], &[]);
        check(&[1, 1, 500], &[3]);
    }

    #[test]
    fn few_disks_are_compared_with_the_faster_and_one_with_nobody() {
        check(&[10, 900], &[2]);
        check(&[900], &[]);
        check(&[], &[]);
    }
}
