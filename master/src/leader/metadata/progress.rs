//! Why copies are made, and how many are left.

use super::super::catalog::Catalog;
use super::super::handle::Answer;
use super::super::mover::Copied;
use super::super::progress::{Amount, Cause};
use super::moving::Plan;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::records::MemberState;
use mdfs_core::time::Timestamp;
use mdfs_protocol::public::{Task, TaskKind, Tasks};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often what is left is counted.
const EVERY: Duration = Duration::from_millis(500);

impl Metadata {
    pub(super) fn tasks(&mut self, now: Now, deadline: Timestamp, answer: Answer<Tasks>) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            let tasks = metadata.map(|metadata| metadata.list_tasks(now, Tasks::MOST));
            respond(answer, tasks);
        };
        self.read(now, deadline, Box::new(read));
    }

    /// At most so many of the things that go on.
    pub(super) fn list_tasks(&self, now: Now, most: usize) -> Tasks {
        let mut tasks: Vec<Task> = self.progress.tasks(now.mono, |disk| self.name_of(disk));
        let more = tasks.len().saturating_sub(most);
        tasks.truncate(most);
        Tasks {
            tasks,
            more: u64::try_from(more).unwrap_or(u64::MAX),
        }
    }

    fn name_of(&self, disk: DiskId) -> Option<String> {
        let told = self.fleet.get(disk).map(|observed| &observed.beat.name);
        let recorded = self.catalog.members.get(&disk).map(|member| &member.name);
        told.or(recorded).cloned()
    }

    /// Counts copies that were made.
    pub(super) fn note_copies(&mut self, now: Now, copies: Vec<Copied>) {
        for Copied {
            chunk,
            length,
            cause,
        } in copies
        {
            let partition = chunk.partition();
            self.progress.copied(now.mono, cause, partition, length);
        }
    }

    /// Counts from time to time what is left of everything.
    pub(super) fn look_at_progress(&mut self, now: Now) {
        if self.established.is_some() && now.mono.since(self.upkeep.progress) >= EVERY {
            self.upkeep.progress = now.mono;
            let left = self.left();
            self.progress.look(now.mono, left);
        }
    }

    fn left(&self) -> BTreeMap<Cause, Amount> {
        let catalog = &self.catalog;
        let mut left: BTreeMap<Cause, Amount> = BTreeMap::new();
        for (partition, amount) in self.progress.to_copy() {
            if amount != Amount::default() && !self.has_moved(partition) {
                left.entry(cause(catalog, &self.moving, partition))
                    .or_default()
                    .add(amount);
            }
        }
        // Of these it may not have been found yet what is to be copied.
        for &partition in catalog.moves.keys() {
            left.entry(cause(catalog, &self.moving, partition))
                .or_default();
        }
        // What has to leave a disk and is not on its way yet.
        for (&disk, member) in &catalog.members {
            let Some(kind) = leaves(&self.moving, disk, member.state) else {
                continue;
            };
            let goes = Cause {
                kind,
                disk: Some(disk),
            };
            for (partition, holders) in catalog.assignment.iter() {
                let waits = holders.contains(&disk) && !catalog.moves.contains_key(&partition);
                if waits && !catalog.is_vacant(partition) {
                    let amount = catalog.amount(partition);
                    left.entry(goes).or_default().add(amount);
                }
            }
        }
        left
    }

    /// Whether a partition's move has ended since it was found what is to be copied: nothing is.
    fn has_moved(&self, partition: Partition) -> bool {
        self.progress.was_moving(partition) && !self.catalog.moves.contains_key(&partition)
    }
}

/// Why copies are made in a partition.
pub(super) fn cause(catalog: &Catalog, plan: &Plan, partition: Partition) -> Cause {
    let of_cluster = |kind| Cause { kind, disk: None };
    let Some(to) = catalog.moves.get(&partition) else {
        return of_cluster(TaskKind::Repair);
    };
    let holders = catalog.assignment.holders(partition);
    let gone = holders.iter().filter(|disk| !to.contains(disk));
    let mut causes = gone.filter_map(|&disk| {
        let member = catalog.members.get(&disk)?;
        let kind = leaves(plan, disk, member.state)?;
        let disk = Some(disk);
        Some(Cause { kind, disk })
    });
    let others = match to.len() > holders.len() {
        true => TaskKind::Repair,
        false => TaskKind::Rebalance,
    };
    causes.next().unwrap_or(of_cluster(others))
}

/// Why what a disk should hold goes elsewhere; none if it does not.
fn leaves(plan: &Plan, disk: DiskId, state: MemberState) -> Option<TaskKind> {
    match state {
        MemberState::Draining => Some(TaskKind::Drain),
        MemberState::Decommissioning => Some(TaskKind::Decommission),
        MemberState::Retired => Some(TaskKind::Repair),
        MemberState::Active => {
            let given_up = plan.lost.contains(&disk) && !plan.braked;
            given_up.then_some(TaskKind::Repair)
        }
    }
}
