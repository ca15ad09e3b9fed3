//! Orders to workers: which are under way, and which come next.

use super::survey::{Need, Survey};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, Term};
use mdfs_core::partition::Partition;
use mdfs_core::time::Timestamp;
use mdfs_protocol::order::{Done, MOST_DROPS, Order, Task};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Copies that one worker makes or is about to make: enough that it never waits for its next
/// heartbeat.
const MOST_AT_ONCE: usize = 16;
/// After this time an order of which nothing was heard is given up; a survey finds what is left.
const GIVEN_UP: Duration = Duration::from_secs(120);
/// How long a copy that failed is not tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What there is to do, and what is being done.
#[derive(Debug, Default)]
pub(super) struct Mover {
    waiting: BTreeMap<DiskId, VecDeque<Task>>,
    under_way: BTreeMap<DiskId, BTreeMap<u64, (Timestamp, Task)>>,
    /// Copies that failed, and when.
    failed: BTreeMap<(DiskId, ChunkId), Timestamp>,
    next_id: u64,
}

impl Mover {
    /// Takes what a survey found in place of what was waiting.
    pub(super) fn plan(&mut self, now: Timestamp, found: &Survey, may_drop: bool) {
        self.waiting.clear();
        self.failed.retain(|_, at| now.since(*at) < AGAIN);
        for need in &found.needs {
            let Need {
                chunk,
                length,
                target,
                ..
            } = *need;
            if self.failed.contains_key(&(target, chunk)) || self.copies(target, chunk) {
                continue;
            }
            let task = Task::Copy {
                chunk,
                length,
                sources: need.sources.clone(),
            };
            self.waiting.entry(target).or_default().push_back(task);
        }
        if !may_drop {
            return;
        }
        for (&disk, chunks) in &found.drops {
            let dropping: BTreeSet<ChunkId> = self.dropping(disk).collect();
            let new: Vec<ChunkId> = chunks
                .iter()
                .filter(|chunk| !dropping.contains(chunk))
                .copied()
                .collect();
            let tasks = new.chunks(MOST_DROPS).map(|chunks| Task::Drop {
                chunks: chunks.to_vec(),
            });
            self.waiting.entry(disk).or_default().extend(tasks);
        }
    }

    /// The next orders for a disk.
    pub(super) fn orders(&mut self, now: Timestamp, disk: DiskId, term: Term) -> Vec<Order> {
        let under_way = self.under_way.entry(disk).or_default();
        // A drop may be carried out as long as it was not answered.
        under_way.retain(|_, (since, task)| {
            matches!(task, Task::Drop { .. }) || now.since(*since) < GIVEN_UP
        });
        let room = MOST_AT_ONCE.saturating_sub(under_way.len());
        let waiting = self.waiting.entry(disk).or_default();
        let mut orders = Vec::new();
        for task in waiting.drain(..room.min(waiting.len())) {
            self.next_id += 1;
            let id = self.next_id;
            under_way.insert(id, (now, task.clone()));
            orders.push(Order { term, id, task });
        }
        orders
    }

    /// Takes what came of orders.
    pub(super) fn done(&mut self, now: Timestamp, disk: DiskId, term: Term, done: &[Done]) {
        let Some(under_way) = self.under_way.get_mut(&disk) else {
            return;
        };
        for done in done.iter().filter(|done| done.term == term) {
            let Some((_, task)) = under_way.remove(&done.id) else {
                continue;
            };
            match (&done.failure, task) {
                (None, _) => {}
                (Some(failure), Task::Copy { chunk, .. }) => {
                    let code = failure.code.as_str();
                    tracing::warn!(%disk, %chunk, code, why = failure.detail, "a copy was not made");
                    self.failed.insert((disk, chunk), now);
                }
                (Some(failure), Task::Drop { .. }) => {
                    let code = failure.code.as_str();
                    tracing::warn!(%disk, code, why = failure.detail, "chunks were not dropped");
                }
            }
        }
    }

    /// A disk was mounted anew: it knows of no order.
    pub(super) fn gone(&mut self, disk: DiskId) {
        self.waiting.remove(&disk);
        self.under_way.remove(&disk);
    }

    fn copies(&self, disk: DiskId, wanted: ChunkId) -> bool {
        let tasks = self
            .under_way
            .get(&disk)
            .into_iter()
            .flat_map(BTreeMap::values);
        tasks
            .map(|(_, task)| task)
            .any(|task| matches!(task, Task::Copy { chunk, .. } if *chunk == wanted))
    }

    /// Whether a disk may drop chunks of a partition.
    pub(super) fn is_dropping(&self, disk: DiskId, partition: Partition) -> bool {
        self.dropping(disk)
            .any(|chunk| chunk.partition() == partition)
    }

    /// The chunks that a disk was ordered to drop, and may do so at any time.
    pub(super) fn dropping(&self, disk: DiskId) -> impl Iterator<Item = ChunkId> + '_ {
        let tasks = self
            .under_way
            .get(&disk)
            .into_iter()
            .flat_map(BTreeMap::values);
        tasks
            .flat_map(|(_, task)| match task {
                Task::Drop { chunks } => chunks.as_slice(),
                Task::Copy { .. } => &[],
            })
            .copied()
    }
}
