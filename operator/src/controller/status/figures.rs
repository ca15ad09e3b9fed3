//! Figures about files and room.

use super::{Facts, count, whole};
use crate::controller::observed::Report;
use crate::crd::{Capacity, Data, DataHealth, MdfsClusterStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use mdfs_client::api::WorkerState;
use std::time::Duration;

/// A copy more than this one: the least that is safe.
const SAFE_COPIES: u64 = 2;

/// The files. When nobody knows them, the figures are those of before, of the time they are of, and the
/// health is unknown.
pub(super) fn data(previous: &Data, facts: &Facts<'_>) -> Data {
    let report = facts.observed.leader.report();
    let Some((report, age)) = report.and_then(|report| Some((report, report.figures_age()?)))
    else {
        return Data {
            health: DataHealth::Unknown,
            ..previous.clone()
        };
    };
    let status = &report.status;
    let single = single_copies(report);
    let health = if status.missing_files > 0 {
        DataHealth::Unavailable
    } else if single > 0 {
        DataHealth::AtRisk
    } else if status.under_replicated_files > 0 || status.damaged_chunks > 0 {
        DataHealth::Degraded
    } else {
        DataHealth::Healthy
    };
    let data = Data {
        health,
        observed_time: previous.observed_time.clone(),
        files: whole(status.files),
        bytes: whole(status.bytes),
        under_replicated: whole(status.under_replicated_files),
        single_copy: whole(single),
        missing: whole(status.missing_files),
        damaged_chunks: whole(status.damaged_chunks),
        copies_to_make: whole(status.copies_to_make),
        bytes_to_copy: whole(status.bytes_to_copy),
        moving_partitions: whole(status.moving_partitions),
        trashed: whole(status.trashed_files),
    };
    if data == *previous && data.observed_time.is_some() {
        return data;
    }
    Data {
        observed_time: Some(earlier(facts.now, age)),
        ..data
    }
}

/// Of the files with the fewest copies, those with fewer than is safe, though more are wanted.
fn single_copies(report: &Report) -> u64 {
    let few = report.status.at_risk.iter();
    whole_count(
        few.filter(|it| it.copies < it.wanted.min(SAFE_COPIES))
            .count(),
    )
}

fn whole_count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// To the second, rounded down: never later than what it is of.
fn earlier(now: &Time, by: Duration) -> Time {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::ZERO);
    let then = now.0.checked_sub(by).unwrap_or(now.0);
    Time(Timestamp::from_second(then.as_second()).unwrap_or(then))
}

/// The room on the workers that are live.
pub(super) fn capacity(previous: &Capacity, facts: &Facts<'_>) -> Capacity {
    let Some(report) = facts.observed.leader.report() else {
        return previous.clone();
    };
    let live = || {
        let workers = report.workers.iter();
        workers.filter(|it| it.state == WorkerState::Live && !it.witness)
    };
    let used: u64 = live().map(|it| it.chunk_bytes).sum();
    let free: u64 = live().map(|it| it.free_bytes).sum();
    let total: u64 = live().map(|it| it.capacity_bytes).sum();
    let percent = |used: u64, total: u64| {
        let percent = (u128::from(used) * 100).div_ceil(u128::from(total.max(1)));
        i32::try_from(percent.min(100)).unwrap_or(100)
    };
    let share = |used: u64, free: u64| percent(used, used.saturating_add(free));
    let fullest = live().max_by_key(|it| (share(it.chunk_bytes, it.free_bytes), &it.name));
    let largest = live().max_by_key(|it| it.chunk_bytes);
    let fits = largest.is_some_and(|largest| {
        let others: u64 = live()
            .filter(|it| it.disk_id != largest.disk_id)
            .map(|it| it.free_bytes)
            .sum();
        largest.chunk_bytes <= others
    });
    let enough = live().filter(|it| !it.draining).count() > usize::from(report.policy.replicas);
    Capacity {
        total_bytes: whole(total),
        used_bytes: whole(used),
        available_bytes: whole(free),
        used_percent: share(used, free),
        can_lose_one_worker: fits && enough,
        fullest_worker: fullest.map(|it| it.name.clone()),
    }
}

/// Whether two statuses differ in figures alone, which may wait a little before they are written.
pub fn is_figures_only(one: &MdfsClusterStatus, other: &MdfsClusterStatus) -> bool {
    let without = |status: &MdfsClusterStatus| {
        let mut status = status.clone();
        status.data = Data {
            health: status.data.health,
            ..Data::default()
        };
        status.capacity = Capacity {
            can_lose_one_worker: status.capacity.can_lose_one_worker,
            ..Capacity::default()
        };
        // Sentences have figures in them; what is the case is told by truths and reasons.
        for condition in &mut status.conditions {
            condition.message.clear();
        }
        status.diagnosis.clear();
        status.rollout.blocked_message.clear();
        for drain in &mut status.drains {
            (drain.chunks_remaining, drain.bytes_remaining) = (0, 0);
        }
        status
    };
    without(one) == without(other)
}

/// How many are not live, for a message.
pub(super) fn not_live(report: &Report) -> (i32, Vec<String>) {
    let lost = report
        .workers
        .iter()
        .filter(|it| it.state != WorkerState::Live);
    let names: Vec<String> = lost.map(|it| it.name.clone()).collect();
    (count(names.len()), names)
}
