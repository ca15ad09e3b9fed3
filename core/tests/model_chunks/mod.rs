//! A second explicit-state model: chunks on disks, and the orders of leaders to drop them. The log below
//! is taken as what the first model shows it to be: what is committed is in the log of every later leader.
//!
//! It plans entries, judges lists and keeps fences with the functions that servers use. Orders and answers
//! are lost, delayed, reordered and doubled; disks restart and lose chunks; a leader that was deposed goes
//! on giving orders by what it knows.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "shared by a test and an example; numbers of disks, files and leaders come from the bounds"
)]

pub mod leader;
pub mod records;
pub mod runs;
pub mod settle;
pub mod world;

use runs::Bounds;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::time::{Duration, Instant};
use world::{Message, World};

/// What is checked: M6, M7 and M10 of the metadata's design; I6, that a disk obeys no order of a term
/// below one that it has obeyed; `settles`, that from every state the newest leader brings all disks
/// to hold exactly what the records want (M9, nothing is left behind).
pub const INVARIANTS: [&str; 5] = ["M6", "M7", "M10", "I6", "settles"];

const STORED: &str = "all files were stored";
const DROPPED: &str = "a chunk was dropped as garbage";
const DEPOSED: &str = "a later leader stored a file that was begun before it";

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Deliver(Message),
    /// And it comes again.
    Double(Message),
    /// A client begins to store this file, asking the leader of this number.
    Begin(usize, u8),
    /// Whoever stores this file asks for its commit.
    Finish(usize, u8),
    Abort(usize, u8),
    Delete(usize),
    /// All that is in the trash goes.
    Empty(usize),
    /// What the leader appended first is committed.
    Commit(usize),
    /// The next leader is elected, and inherits this many entries that were not committed.
    Elect(usize),
    /// The first entry of the newest leader is committed, and so all before it.
    Establish,
    Ask(usize, u8),
    /// A leader orders a disk to drop what it found to be garbage there.
    Drop(usize, u8),
    Copy(usize, u8, u8),
    Restart(u8),
    /// A disk loses its chunks.
    Lose(u8),
}

impl Model for Bounds {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::first(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        let left = world.left;
        actions.extend(world.messages.iter().cloned().map(Action::Deliver));
        if left.doubles > 0 {
            actions.extend(world.messages.iter().cloned().map(Action::Double));
        }
        let newest = world.leaders.len() - 1;
        for (number, leader) in world.leaders.iter().enumerate() {
            for disk in 0..2 {
                if leader.established && left.lists > 0 && !leader.asked.contains_key(&disk) {
                    actions.push(Action::Ask(number, disk));
                }
                if leader.unneeded.iter().any(|(on, _)| *on == disk) {
                    actions.push(Action::Drop(number, disk));
                }
            }
        }
        let leader = &world.leaders[newest];
        if world.leaders.len() < usize::from(self.terms) {
            actions.extend((0..=leader.tail.len()).map(Action::Elect));
        }
        if !leader.established {
            actions.push(Action::Establish);
        } else if !leader.tail.is_empty() {
            actions.push(Action::Commit(newest));
        }
        if leader.established && leader.tail.len() < 2 {
            for file in 0..self.files {
                actions.push(Action::Begin(newest, file));
                actions.push(Action::Finish(newest, file));
                if left.aborts > 0 {
                    actions.push(Action::Abort(newest, file));
                }
                for disk in (0..2).filter(|_| left.copies > 0) {
                    actions.push(Action::Copy(newest, file, disk));
                }
            }
            if left.deletes > 0 {
                actions.push(Action::Delete(newest));
            }
            if left.empties > 0 {
                actions.push(Action::Empty(newest));
            }
        }
        if left.restarts > 0 {
            actions.extend((0..2).map(Action::Restart));
        }
        if left.losses > 0 {
            actions.extend((0..2).map(Action::Lose));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        world.act(self, action);
        if world == *before {
            return None;
        }
        if world.broken.is_none() && !world.settles(self) {
            world.broken = Some("settles");
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("M6", |_, world: &World| world.broken != Some("M6")),
            Property::always("M7", |_, world: &World| world.broken != Some("M7")),
            Property::always("M10", |_, world: &World| world.broken != Some("M10")),
            Property::always("I6", |_, world: &World| world.broken != Some("I6")),
            Property::always("settles", |_, world: &World| {
                world.broken != Some("settles")
            }),
            // That the bounds are wide enough to mean anything.
            Property::sometimes(STORED, |bounds: &Self, world: &World| {
                world.seen.stored == bounds.files
            }),
            Property::sometimes(DROPPED, |bounds: &Self, world: &World| {
                bounds.lists == 0 || world.seen.dropped
            }),
            Property::sometimes(DEPOSED, |bounds: &Self, world: &World| {
                bounds.terms < 2 || world.seen.taken_over
            }),
        ]
    }
}

/// What a run found.
pub struct Found {
    pub states: usize,
    pub unique: usize,
    pub depth: usize,
    pub took: Duration,
    /// The invariant that breaks, and the steps that lead to it.
    pub broken: Option<(&'static str, Vec<Action>)>,
    /// Whether all that the bounds promise is seen in some state.
    pub alive: bool,
    /// Whether all states within the bounds were seen.
    pub whole: bool,
}

/// Explores all states within the bounds, or until an invariant breaks.
pub fn explore(bounds: &Bounds, threads: usize) -> Found {
    #[expect(clippy::disallowed_methods, reason = "measures how long a run took")]
    let began = Instant::now();
    let stop = HasDiscoveries::AnyOf(INVARIANTS.into_iter().collect());
    let checker = bounds.clone().checker().threads(threads).finish_when(stop);
    let checker = checker.timeout(bounds.at_most).spawn_bfs().join();
    let took = began.elapsed();
    let discoveries = checker.discoveries();
    let broken = INVARIANTS.into_iter().find_map(|invariant| {
        let path = discoveries.get(invariant)?.clone();
        Some((invariant, path.into_actions()))
    });
    Found {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        broken,
        alive: [STORED, DROPPED, DEPOSED]
            .iter()
            .all(|goal| discoveries.contains_key(goal)),
        whole: took < bounds.at_most,
    }
}
