//! Whether what was said is what was so.

use super::since;
use crate::healing::Status;
use anyhow::{Result, bail};
use mdfs_tests::walker::Count;
use std::time::{Duration, Instant};

/// A status, and when it was asked for and answered.
pub(super) struct Said {
    pub(super) from: Instant,
    pub(super) to: Instant,
    pub(super) status: Status,
}

impl Said {
    /// How old its figures are, as it says; none if it says that it knows none.
    pub(super) fn age(&self) -> Option<Duration> {
        self.status.counted_millis_ago.map(Duration::from_millis)
    }

    /// The moment that its figures are of, or an earlier one.
    fn is_of(&self) -> Option<Instant> {
        // The age is rounded down to milliseconds.
        let age = self.age()? + Duration::from_millis(1);
        self.from.checked_sub(age)
    }
}

/// A walk of records and disks, when it began and ended, and what it counted; none if that cannot be
/// compared.
pub(super) struct Walked {
    pub(super) from: Instant,
    pub(super) to: Instant,
    pub(super) count: Option<Count>,
}

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Statuses that say what all walks around the moment they are of counted.
    pub(super) equal: u64,
    /// Those of them that count a fault.
    pub(super) faulty: u64,
}

/// Compares each status with the walks that reach from before the moment it is of until after it was
/// answered. If all of them counted the same, it has to say that; if all of them found too few
/// copies, it must not say that there are enough.
///
/// # Errors
/// If a status is not true.
pub(super) fn judge(said: &[Said], walked: &[Walked]) -> Result<Judged> {
    let mut judged = Judged::default();
    let start = said.first().map(|said| said.from);
    for said in said {
        let status = &said.status;
        let Some(is_of) = said.is_of() else {
            if status.health == "ok" {
                bail!("a cluster that was not counted is said to be ok: {status:?}");
            }
            continue;
        };
        let Some(around) = around(walked, is_of, said.to) else {
            continue;
        };
        let at = start.map_or(0.0, |start| since(start, said.from));
        let fewest = around
            .iter()
            .map(|count| count.under_replicated_files)
            .min();
        let fewest = fewest.unwrap_or(0);
        let lost = around.iter().map(|count| count.missing_files).min();
        let flatters = status.under_replicated_files < fewest.min(1)
            || status.missing_files < lost.unwrap_or(0).min(1)
            || fewest > 0 && status.health == "ok";
        if flatters {
            bail!("after {at:.1} s the status flatters: {status:?}, but all of {around:?}");
        }
        let Some((first, rest)) = around.split_first() else {
            continue;
        };
        if rest.iter().any(|count| faults(count) != faults(first)) {
            continue;
        }
        let says = (
            status.under_replicated_files,
            status.missing_files,
            status.damaged_chunks,
        );
        if says != faults(first) {
            bail!(
                "after {at:.1} s the status is not true: {status:?}, but the disks say {first:?}"
            );
        }
        judged.equal += 1;
        judged.faulty += u64::from(says != (0, 0, 0));
    }
    Ok(judged)
}

/// What is compared of a count.
fn faults(count: &Count) -> (u64, u64, u64) {
    (
        count.under_replicated_files,
        count.missing_files,
        count.damaged_chunks,
    )
}

/// The counts of the walks from one that ended before `from` to one that began after `to`; none if
/// one of them cannot be compared, or there is none.
fn around(walked: &[Walked], from: Instant, to: Instant) -> Option<Vec<&Count>> {
    let first = walked.iter().rposition(|walk| walk.to <= from)?;
    let last = walked.iter().position(|walk| walk.from >= to)?;
    let walks = walked.get(first..=last)?;
    walks.iter().map(|walk| walk.count.as_ref()).collect()
}
