//! An explicit-state model of the log protocol. It drives the very machines that servers run,
//! through a driver that loses, duplicates and reorders messages, and crashes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::indexing_slicing,
    reason = "shared by a test and an example; numbers of disks and masters come from the bounds"
)]

pub mod bounds;
pub mod changes;
pub mod disk;
pub mod history;
pub mod members;
pub mod planted;
pub mod print;
pub mod runs;
pub mod world;

use bounds::{Bounds, TICK};
use mdfs_core::id::DiskId;
use mdfs_core::log::leader::Event;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::{Envelope, World};

/// The invariants that are checked, as metadata's design numbers them; `table` stands for tables
/// that hold what the log says, `I13` for changes of voters one at a time, `assertion` for the checks
/// inside the machines.
pub const INVARIANTS: [&str; 9] = [
    "M1",
    "M2",
    "M3",
    "M4",
    "M5",
    "M6",
    "I13",
    "table",
    "assertion",
];

const COMMITTED: &str = "all requests are committed";
const LED: &str = "each campaign brings a leader";
const READ: &str = "a read is answered by a later leader";
const CHANGED: &str = "the last voters are committed";

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Campaign(usize),
    /// A master loads from another voter with an equal log: which one is chosen must not matter.
    LoadFrom(usize, usize),
    Deliver(Arc<Envelope>),
    /// And the answer is lost.
    DeliverInVain(Arc<Envelope>),
    /// The clock of all moves on.
    Clock,
    /// A master looks at the clock.
    Tick(usize),
    Request(usize, u8),
    Repeat(usize),
    Read(usize),
    Teach(usize),
    Change(usize),
    Force(usize),
    RestartDisk(usize),
    RestartMaster(usize),
    /// A master's feed is read by another.
    Feed(usize, usize),
}

impl Model for Bounds {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.first_world()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.history.broken.is_some() {
            return;
        }
        actions.extend(world.messages.iter().cloned().map(Action::Deliver));
        if !self.late_answers && self.lost_answers {
            actions.extend(world.messages.iter().cloned().map(Action::DeliverInVain));
        }
        let left = world.left;
        for master in 0..world.masters.len() {
            let leader = &world.masters[master].leader;
            let idle = leader.campaign_term().is_none();
            let fresh = world.masters[master].process <= self.masters as u64;
            if idle && left.campaigns > 0 {
                actions.push(Action::Campaign(master));
            }
            if !idle && leader.term().is_none() {
                let disks = 0..world.disks.len();
                actions.extend(disks.map(|disk| Action::LoadFrom(master, disk)));
            }
            if !idle {
                if left.looks > 0 {
                    actions.push(Action::Tick(master));
                }
                if left.master_restarts > 0 && fresh {
                    actions.push(Action::RestartMaster(master));
                }
            }
            if leader.can_write(world.now) {
                if left.requests > 0 {
                    actions.push(Action::Request(master, self.requests - left.requests));
                }
                if left.repeats > 0 && left.requests < self.requests {
                    actions.push(Action::Repeat(master));
                }
            }
            if leader.is_established()
                && left.changes > 0
                && let Some(voters) = leader.membership().map(|it| it.config.voters)
                && let Some(next) = self.next_voters(&voters)
            {
                let gets = leader.replicated().unwrap_or_default();
                let taught = |disk: &DiskId| gets.iter().any(|(known, _)| known == disk);
                actions.push(if next.iter().all(taught) {
                    Action::Change(master)
                } else {
                    Action::Teach(master)
                });
            }
            if leader.term().is_some() && left.forces > 0 {
                actions.push(Action::Force(master));
            }
            if leader.term().is_some() && left.reads > 0 {
                actions.push(Action::Read(master));
            }
        }
        if self.warm {
            let masters = 0..world.masters.len();
            let pairs = masters
                .clone()
                .flat_map(|from| masters.clone().map(move |to| (from, to)));
            let fed = pairs.filter(|(from, to)| world.feed_page(*from, *to).is_some());
            actions.extend(fed.map(|(from, to)| Action::Feed(from, to)));
        }
        if left.voter_restarts > 0 {
            actions.extend((0..world.disks.len()).map(Action::RestartDisk));
        }
        // While no lease runs, a moment more only makes leaders count less on answers under way.
        let leased = world
            .disks
            .iter()
            .any(|disk| disk.voter.leader(world.now).is_some());
        if left.ticks > 0 && (leased || self.looks > 0) {
            actions.push(Action::Clock);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Campaign(master) => world.campaign(self, master),
            Action::LoadFrom(master, disk) => {
                if !world.load_from(master, disk) {
                    return None;
                }
            }
            Action::Deliver(message) => world.deliver(self, &message, true),
            Action::DeliverInVain(message) => {
                world.deliver(self, &message, false);
                world.sweep(self, before);
                // As good as not delivered at all.
                let unchanged = world.disks == before.disks && world.history == before.history;
                return (!unchanged).then_some(world);
            }
            Action::Clock => {
                world.left.ticks -= 1;
                world.now = world.now.plus(TICK);
            }
            Action::Tick(master) => {
                let asleep = Arc::clone(&world.masters[master]);
                world.step_master(self, master, Event::Tick);
                if world.masters[master] == asleep {
                    return None;
                }
                world.left.looks -= 1;
            }
            Action::Request(master, id) => {
                world.left.requests -= 1;
                if !world.request(self, master, id) {
                    return None;
                }
            }
            Action::Repeat(master) => {
                world.left.repeats -= 1;
                if !world.request(self, master, 0) {
                    return None;
                }
            }
            Action::Read(master) => world.read(self, master),
            Action::Teach(master) => {
                if !world.teach(self, master) {
                    return None;
                }
            }
            Action::Change(master) => {
                if !world.change(self, master) {
                    return None;
                }
            }
            Action::Force(master) => {
                if !world.force(self, master) {
                    return None;
                }
            }
            Action::RestartDisk(disk) => world.restart_disk(self, disk),
            Action::RestartMaster(master) => world.restart_master(self, master),
            Action::Feed(from, to) => {
                if !world.feed(self, from, to) {
                    return None;
                }
            }
        }
        world.sweep(self, before);
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("M1", |_, world: &World| world.history.broken != Some("M1")),
            Property::always("M2", |_, world: &World| world.history.broken != Some("M2")),
            Property::always("M3", |_, world: &World| world.history.broken != Some("M3")),
            Property::always("M4", |_, world: &World| world.history.broken != Some("M4")),
            Property::always("M5", |_, world: &World| world.history.broken != Some("M5")),
            Property::always("M6", |_, world: &World| world.history.broken != Some("M6")),
            Property::always("I13", |_, world: &World| {
                world.history.broken != Some("I13")
            }),
            Property::always("table", |_, world: &World| {
                world.history.broken != Some("table")
            }),
            Property::always("assertion", |_, world: &World| {
                world.history.broken != Some("assertion")
            }),
            // That the bounds are wide enough to mean anything.
            Property::sometimes(COMMITTED, |bounds: &Self, world: &World| {
                let requests = world.history.committed.iter();
                let requests = requests.filter(|known| known.entry.request.is_some());
                requests.count() == usize::from(bounds.requests)
            }),
            Property::sometimes(LED, |bounds: &Self, world: &World| {
                world.history.leaders.len() == usize::from(bounds.campaigns)
            }),
            Property::sometimes(READ, |bounds: &Self, world: &World| {
                bounds.reads == 0 || world.history.late_read
            }),
            Property::sometimes(CHANGED, |bounds: &Self, world: &World| {
                let Some(last) = bounds.path.last() else {
                    return true;
                };
                world.masters.iter().any(|master| {
                    let leader = &master.leader;
                    leader.membership().is_some_and(|it| {
                        let voters = it.config.voters.iter().map(|disk| disk.as_u128());
                        leader.commit() >= Some(it.index) && voters.eq(last.iter().copied())
                    })
                })
            }),
        ]
    }
}

/// What a run found.
pub struct Found {
    pub name: &'static str,
    pub states: usize,
    pub unique: usize,
    pub depth: usize,
    pub took: Duration,
    /// The invariants that a state breaks, each with the steps that lead to it.
    pub broken: Vec<(&'static str, String)>,
    /// Whether in some state all requests were committed, in some state each campaign had brought a
    /// leader, and in some state a later leader had answered a read: the bounds mean what they say.
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
    let checker = checker.timeout(bounds.at_most);
    let checker = checker.spawn_bfs().join();
    let discoveries = checker.discoveries();
    let broken = INVARIANTS.into_iter().filter_map(|invariant| {
        let path = discoveries.get(invariant)?;
        let steps = path.clone().into_actions();
        let steps: Vec<_> = steps.iter().map(describe).collect();
        Some((invariant, steps.join("\n")))
    });
    let took = began.elapsed();
    Found {
        whole: took < bounds.at_most,
        name: bounds.name,
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        broken: broken.collect(),
        alive: [COMMITTED, LED, READ, CHANGED]
            .into_iter()
            .all(|goal| discoveries.contains_key(goal)),
    }
}

fn describe(action: &Action) -> String {
    match action {
        Action::Deliver(message) => format!("  {:?}", message.message),
        Action::DeliverInVain(message) => format!("  in vain {:?}", message.message),
        other => format!("  {other:?}"),
    }
}
