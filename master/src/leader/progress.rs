//! How far it is with what the mover does: what was copied, what is left, and how fast it goes.

use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::time::Timestamp;
use mdfs_protocol::public::{Task, TaskKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Over this time a rate is taken: long enough for a few chunks, short enough to be of now.
const WINDOW: Duration = Duration::from_secs(20);
/// Copies within this time are counted as one, so that few are remembered.
const GRAIN: Duration = Duration::from_millis(500);

/// Chunks, and bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Chunks.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, other: Self) {
        self.chunks = self.chunks.saturating_add(other.chunks);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn take(&mut self, other: Self) {
        self.chunks = self.chunks.saturating_sub(other.chunks);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// Why copies are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    pub(super) kind: TaskKind,
    /// The disk it is about; none if about the whole cluster.
    pub(super) disk: Option<DiskId>,
}

/// All that goes on. At most a few causes for each member.
#[derive(Debug, Default)]
pub(super) struct Progress {
    works: BTreeMap<Cause, Work>,
    /// Copies to make in each partition, as the last survey found and less those made since.
    to_copy: BTreeMap<Partition, Amount>,
    /// Partitions that were moving then.
    moving: BTreeSet<Partition>,
}

#[derive(Debug)]
struct Work {
    since: Timestamp,
    done: Amount,
    left: Amount,
    /// Bytes copied lately, and when: at most a window of grains.
    lately: VecDeque<(Timestamp, u64)>,
}

impl Progress {
    /// Takes what a survey found.
    pub(super) fn surveyed(
        &mut self,
        to_copy: &BTreeMap<Partition, Amount>,
        moving: impl Iterator<Item = Partition>,
    ) {
        self.to_copy.clone_from(to_copy);
        self.moving = moving.collect();
    }

    /// Whether a partition was moving when that was found.
    pub(super) fn was_moving(&self, partition: Partition) -> bool {
        self.moving.contains(&partition)
    }

    /// The copies to make in each partition.
    pub(super) fn to_copy(&self) -> impl Iterator<Item = (Partition, Amount)> + '_ {
        self.to_copy
            .iter()
            .map(|(&partition, &left)| (partition, left))
    }

    /// A copy was made.
    pub(super) fn copied(
        &mut self,
        now: Timestamp,
        cause: Cause,
        partition: Partition,
        bytes: u64,
    ) {
        let copied = Amount { chunks: 1, bytes };
        if let Some(left) = self.to_copy.get_mut(&partition) {
            left.take(copied);
        }
        let work = self.works.entry(cause).or_insert_with(|| Work::new(now));
        work.done.add(copied);
        work.left.take(copied);
        match work.lately.back_mut() {
            Some((at, lately)) if now.since(*at) < GRAIN => *lately = lately.saturating_add(bytes),
            _ => work.lately.push_back((now, bytes)),
        }
        work.forget(now);
    }

    /// Takes what is left of everything; what is not in it has come to its end.
    pub(super) fn look(&mut self, now: Timestamp, left: BTreeMap<Cause, Amount>) {
        self.works.retain(|cause, _| left.contains_key(cause));
        for (cause, left) in left {
            let work = self.works.entry(cause).or_insert_with(|| Work::new(now));
            work.left = left;
        }
    }

    /// What goes on, that with the most bytes left first. `name` is a disk's worker.
    pub(super) fn tasks(
        &self,
        now: Timestamp,
        name: impl Fn(DiskId) -> Option<String>,
    ) -> Vec<Task> {
        let task = |(cause, work): (&Cause, &Work)| work.task(now, *cause, &name);
        let mut tasks: Vec<Task> = self.works.iter().map(task).collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.total_bytes - task.done_bytes));
        tasks
    }
}

impl Work {
    fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            done: Amount::default(),
            left: Amount::default(),
            lately: VecDeque::new(),
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self
            .lately
            .front()
            .is_some_and(|(at, _)| now.since(*at) > WINDOW)
        {
            self.lately.pop_front();
        }
    }

    /// Bytes in a second, over the window or since it began.
    fn rate(&self, now: Timestamp) -> u64 {
        let lately = self
            .lately
            .iter()
            .filter(|(at, _)| now.since(*at) <= WINDOW);
        let bytes: u128 = lately.map(|(_, bytes)| u128::from(*bytes)).sum();
        let span = WINDOW
            .min(now.since(self.since))
            .max(Duration::from_secs(1));
        let rate = (bytes * 1000).checked_div(span.as_millis()).unwrap_or(0);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    fn task(&self, now: Timestamp, cause: Cause, name: impl Fn(DiskId) -> Option<String>) -> Task {
        let mut total = self.done;
        total.add(self.left);
        let rate = self.rate(now);
        Task {
            kind: cause.kind,
            worker: cause.disk.and_then(name),
            disk_id: cause.disk,
            millis: u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX),
            done_chunks: self.done.chunks,
            total_chunks: total.chunks,
            done_bytes: self.done.bytes,
            total_bytes: total.bytes,
            bytes_per_second: rate,
            eta_seconds: match self.left.bytes {
                0 => Some(0),
                left => left
                    .checked_div(rate)
                    .map(|seconds| seconds.saturating_add(1)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPAIR: Cause = Cause {
        kind: TaskKind::Repair,
        disk: None,
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn partition() -> Partition {
        Partition::new(7).unwrap()
    }

    fn left(chunks: u64) -> BTreeMap<Cause, Amount> {
        let bytes = chunks * 100;
        [(REPAIR, Amount { chunks, bytes })].into()
    }

    #[track_caller]
    fn check(progress: &Progress, now: u64, done: u64, total: u64, rate: u64, eta: Option<u64>) {
        let tasks = progress.tasks(at(now), |_| None);
        let [task] = &tasks[..] else {
            panic!("{tasks:?}")
        };
        assert_eq!((task.done_chunks, task.total_chunks), (done, total));
        assert_eq!(
            (task.done_bytes, task.total_bytes),
            (done * 100, total * 100)
        );
        assert_eq!((task.bytes_per_second, task.eta_seconds), (rate, eta));
    }

    #[test]
    fn what_is_copied_is_taken_from_what_is_left_before_it_is_counted_anew() {
        let mut progress = Progress::default();
        progress.look(at(0), left(10));
        check(&progress, 0, 0, 10, 0, None);
        for n in 1..=4 {
            progress.copied(at(n * 1000), REPAIR, partition(), 100);
        }
        // 400 bytes in four seconds, and six chunks to go.
        check(&progress, 4000, 4, 10, 100, Some(7));
        // More is found: the end goes further away, and nothing exceeds all.
        progress.look(at(4000), left(16));
        check(&progress, 4000, 4, 20, 100, Some(17));
        progress.look(at(4000), left(0));
        check(&progress, 4000, 4, 4, 100, Some(0));
        progress.look(at(4000), BTreeMap::new());
        assert!(progress.tasks(at(4000), |_| None).is_empty());
    }

    #[test]
    fn copies_that_nobody_counted_never_exceed_all() {
        let mut progress = Progress::default();
        progress.look(at(0), left(1));
        for _ in 0..5 {
            progress.copied(at(10), REPAIR, partition(), 100);
        }
        check(&progress, 1000, 5, 5, 500, Some(0));
    }

    #[test]
    fn a_rate_is_of_the_last_seconds_and_a_stall_has_no_end_in_sight() {
        let mut progress = Progress::default();
        progress.look(at(0), left(1000));
        for n in 0..100 {
            progress.copied(at(n * 1000), REPAIR, partition(), 100);
        }
        let tasks = progress.tasks(at(99_000), |_| None);
        assert!((95..=105).contains(&tasks[0].bytes_per_second), "{tasks:?}");
        assert!(progress.works[&REPAIR].lately.len() <= 42);
        check(&progress, 200_000, 100, 1000, 0, None);
    }
}
