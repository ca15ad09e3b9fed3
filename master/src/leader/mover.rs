//! Orders to workers: which are under way, and which come next.

use super::progress::Cause;
use super::survey::{ExcessCopy, Need, Survey};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::partition::Partition;
use mdfs_core::time::Timestamp;
use mdfs_protocol::order::{Done, MOST_DROPS, Order, Task};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Copies that one worker makes or is about to make: enough that it never waits for its next
/// heartbeat.
const MOST_AT_ONCE: usize = 16;
/// Drops that one worker is told of at a time.
const MOST_DROPS_AT_ONCE: usize = 2;
/// After this time an order of which nothing was heard is given again, in case the answer to a
/// heartbeat was lost.
const TOLD_AGAIN: Duration = Duration::from_secs(5);
/// After this time an order of which nothing was heard is given up; a survey finds what is left.
const GIVEN_UP: Duration = Duration::from_secs(120);
/// How long a copy that failed is not tried again; twice as long after each further failure.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest pause between two tries of a copy.
const AGAIN_AT_LAST: Duration = Duration::from_secs(300);
/// Copies that failed and are remembered: those of a large disk, so that what cannot be copied keeps
/// nothing else waiting. Beyond that they are tried each time.
const MOST_FAILED: usize = 1 << 16;

/// What there is to do, and what is being done.
#[derive(Debug, Default)]
pub(super) struct Mover {
    copies: BTreeMap<DiskId, VecDeque<Task>>,
    /// Chunks that no file has.
    garbage: BTreeMap<DiskId, Vec<ChunkId>>,
    /// Copies that are looked at once more before they are dropped.
    excess: BTreeMap<DiskId, Vec<ExcessCopy>>,
    under_way: BTreeMap<DiskId, BTreeMap<u64, UnderWay>>,
    /// Copies that failed.
    failed: BTreeMap<(DiskId, ChunkId), Failed>,
    next_id: u64,
}

/// A copy that failed.
#[derive(Clone, Copy, Debug)]
struct Failed {
    /// When it failed last.
    at: Timestamp,
    /// How long it is not tried again.
    pause: Duration,
}

/// An order of which nothing was heard yet.
#[derive(Debug)]
struct UnderWay {
    since: Timestamp,
    told: Timestamp,
    task: Task,
    /// Why it is copied; none if it is dropped.
    cause: Option<Cause>,
}

/// A copy that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) chunk: ChunkId,
    /// Bytes in it.
    pub(super) length: u64,
    /// Why it was ordered.
    pub(super) cause: Cause,
}

impl Mover {
    /// Takes what a survey found in place of what was waiting.
    pub(super) fn plan(&mut self, now: Timestamp, found: &Survey, may_drop: bool) {
        self.forget_failures(now);
        self.copies.clear();
        self.garbage.clear();
        self.excess.clear();
        for need in &found.needs {
            let Need {
                chunk,
                length,
                target,
                ..
            } = *need;
            if self.is_put_off(now, target, chunk) || self.is_copying(target, chunk) {
                continue;
            }
            let task = Task::Copy {
                chunk,
                length,
                sources: need.sources.clone(),
            };
            self.copies.entry(target).or_default().push_back(task);
        }
        if may_drop {
            self.garbage.clone_from(&found.garbage);
            self.excess.clone_from(&found.excess);
        }
    }

    /// The next orders for a disk. `is_excess` says whether a copy that was not needed there when it
    /// was looked at is not needed still, `cause` why copies are made in a partition.
    pub(super) fn orders(
        &mut self,
        now: Timestamp,
        disk: DiskId,
        term: Term,
        is_excess: impl Fn(&ExcessCopy) -> bool,
        cause: impl Fn(Partition) -> Cause,
    ) -> Vec<Order> {
        let mut new: Vec<Task> = Vec::new();
        let under_way = self.under_way.entry(disk).or_default();
        // A drop may be carried out as long as it was not answered.
        under_way.retain(|_, it| it.is_drop() || now.since(it.since) < GIVEN_UP);
        let drops = under_way.values().filter(|it| it.is_drop()).count();
        let room = MOST_AT_ONCE.saturating_sub(under_way.len() - drops);
        if let Some(copies) = self.copies.get_mut(&disk) {
            new.extend(copies.drain(..room.min(copies.len())));
        }
        if drops < MOST_DROPS_AT_ONCE {
            let mut chunks = take(&mut self.garbage, disk);
            if chunks.is_empty() {
                let excess = take(&mut self.excess, disk).into_iter();
                chunks = excess.filter(is_excess).map(|copy| copy.chunk).collect();
            }
            let under_way = self.under_way.get(&disk).into_iter().flatten();
            let dropping: BTreeSet<ChunkId> = under_way
                .flat_map(|(_, it)| it.dropping().iter().copied())
                .collect();
            chunks.retain(|chunk| !dropping.contains(chunk));
            new.extend((!chunks.is_empty()).then_some(Task::Drop { chunks }));
        }
        let under_way = self.under_way.entry(disk).or_default();
        let mut orders = Vec::new();
        for (&id, it) in under_way.iter_mut() {
            if now.since(it.told) >= TOLD_AGAIN {
                it.told = now;
                let task = it.task.clone();
                orders.push(Order { term, id, task });
            }
        }
        for task in new {
            self.next_id += 1;
            let id = self.next_id;
            let it = UnderWay {
                since: now,
                told: now,
                cause: match &task {
                    Task::Copy { chunk, .. } => Some(cause(chunk.partition())),
                    Task::Drop { .. } => None,
                },
                task: task.clone(),
            };
            under_way.insert(id, it);
            orders.push(Order { term, id, task });
        }
        orders
    }

    /// Takes what came of orders. The copies that were made.
    pub(super) fn done(
        &mut self,
        now: Timestamp,
        disk: DiskId,
        term: Term,
        done: &[Done],
    ) -> Vec<Copied> {
        let mut copied = Vec::new();
        for done in done.iter().filter(|done| done.term == term) {
            let under_way = self.under_way.get_mut(&disk);
            let Some(UnderWay { task, cause, .. }) = under_way.and_then(|it| it.remove(&done.id))
            else {
                continue;
            };
            match (&done.failure, task) {
                (None, Task::Copy { chunk, length, .. }) => {
                    self.failed.remove(&(disk, chunk));
                    copied.extend(cause.map(|cause| Copied {
                        chunk,
                        length,
                        cause,
                    }));
                }
                (None, Task::Drop { .. }) => {}
                (Some(failure), Task::Copy { chunk, .. }) => {
                    let code = failure.code.as_str();
                    tracing::warn!(%disk, %chunk, code, why = failure.detail, "a copy was not made");
                    self.note_failure(now, disk, chunk);
                }
                (Some(failure), Task::Drop { .. }) => {
                    let code = failure.code.as_str();
                    tracing::warn!(%disk, code, why = failure.detail, "chunks were not dropped");
                }
            }
        }
        copied
    }

    fn note_failure(&mut self, now: Timestamp, disk: DiskId, chunk: ChunkId) {
        let before = self.failed.get(&(disk, chunk)).map(|failed| failed.pause);
        let pause = before.map_or(AGAIN, |pause| pause.saturating_mul(2).min(AGAIN_AT_LAST));
        if self.failed.len() < MOST_FAILED || before.is_some() {
            let failed = Failed { at: now, pause };
            self.failed.insert((disk, chunk), failed);
        }
    }

    fn is_put_off(&self, now: Timestamp, disk: DiskId, chunk: ChunkId) -> bool {
        let failed = self.failed.get(&(disk, chunk));
        failed.is_some_and(|failed| now.since(failed.at) < failed.pause)
    }

    /// The copies that failed and are not tried again yet.
    pub(super) fn put_off(&self, now: Timestamp) -> BTreeSet<(DiskId, ChunkId)> {
        let failed = self.failed.iter();
        let waits = |failed: &Failed| now.since(failed.at) < failed.pause;
        let put_off = failed.filter(|(_, failed)| waits(failed));
        put_off.map(|(&place, _)| place).collect()
    }

    /// Other disks can be read than before: what failed may succeed now.
    pub(super) fn try_again(&mut self) {
        self.failed.clear();
    }

    /// Forgets failures that are long over: what they were about was mended or is wanted no more.
    fn forget_failures(&mut self, now: Timestamp) {
        self.failed
            .retain(|_, failed| now.since(failed.at) < failed.pause.saturating_mul(2));
    }

    /// A disk accepts no writes: it is not told to drop anything.
    pub(super) fn drops_nothing(&mut self, disk: DiskId) {
        self.garbage.remove(&disk);
        self.excess.remove(&disk);
    }

    /// Nothing that was found until now is dropped; what disks were told of they may.
    pub(super) fn drops_nothing_more(&mut self) {
        self.garbage.clear();
        self.excess.clear();
    }

    /// Chunks of a file that were found on these disks without being needed are needed there now. What the
    /// disks were told of they may drop.
    pub(super) fn keeps(&mut self, file: FileId, disks: &[DiskId]) {
        for disk in disks {
            if let Some(excess) = self.excess.get_mut(disk) {
                excess.retain(|copy| copy.chunk.file != file);
            }
        }
    }

    /// A disk was mounted anew: it knows of no order.
    pub(super) fn gone(&mut self, disk: DiskId) {
        self.under_way.remove(&disk);
    }

    /// Whether a disk may drop chunks of a partition.
    pub(super) fn is_dropping(&self, disk: DiskId, partition: Partition) -> bool {
        self.dropping(disk)
            .any(|chunk| chunk.partition() == partition)
    }

    /// The chunks that a disk was ordered to drop, and may do so at any time.
    pub(super) fn dropping(&self, disk: DiskId) -> impl Iterator<Item = ChunkId> + '_ {
        let under_way = self.under_way.get(&disk).into_iter().flatten();
        under_way.flat_map(|(_, it)| it.dropping().iter().copied())
    }

    /// Whether any disk was ordered to drop something, or will be.
    pub(super) fn drops_anything(&self) -> bool {
        let garbage = self.garbage.values().any(|chunks| !chunks.is_empty());
        let excess = self.excess.values().any(|chunks| !chunks.is_empty());
        let mut under_way = self.under_way.values().flat_map(BTreeMap::values);
        garbage || excess || under_way.any(UnderWay::is_drop)
    }

    fn is_copying(&self, disk: DiskId, wanted: ChunkId) -> bool {
        let mut under_way = self.under_way.get(&disk).into_iter().flatten();
        under_way.any(|(_, it)| matches!(&it.task, Task::Copy { chunk, .. } if *chunk == wanted))
    }
}

impl UnderWay {
    fn is_drop(&self) -> bool {
        matches!(self.task, Task::Drop { .. })
    }

    fn dropping(&self) -> &[ChunkId] {
        match &self.task {
            Task::Drop { chunks } => chunks,
            Task::Copy { .. } => &[],
        }
    }
}

/// Takes out as many chunks as go into one order.
fn take<T>(waiting: &mut BTreeMap<DiskId, Vec<T>>, disk: DiskId) -> Vec<T> {
    let Some(chunks) = waiting.get_mut(&disk) else {
        return Vec::new();
    };
    let rest = chunks.split_off(chunks.len().min(MOST_DROPS));
    std::mem::replace(chunks, rest)
}
