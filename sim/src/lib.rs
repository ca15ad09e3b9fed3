//! Whole MDFS clusters in one thread: real masters and workers on simulated machines, disks, clocks
//! and a simulated network, with faults. Everything is drawn from a seed, so a run can be repeated.
//!
//! [`run`] is one run: a cluster is founded, clients use it while things happen to it, everything
//! heals, and then it must be whole. Bytes, the order of all operations on names
//! ([`mdfs_tests::linear`]) and what the cluster says of itself are checked.

mod admin;
mod client;
mod content;
mod faults;
mod finale;
mod history;
mod host;
mod net;
mod request;
mod rows;
mod trace;
mod walk;
mod world;

pub use rows::{ROWS, Row};
pub use trace::Outcome;
pub use world::Plan;

use admin::Admin;
use anyhow::Result;
use client::{Asked, Client};
use faults::Faults;
use history::{History, Score};
use mdfs_service::Tasks;
use mdfs_simdisk::SimDisk;
use mdfs_tests::chance::Chance;
use mdfs_tests::linear::{Verdict, check};
use net::HostId;
use tokio_util::sync::CancellationToken;
use trace::Trace;
use world::{CLIENTS, World};

/// The most states that the check of the order looks at, for names that renames join.
const MOST_STATES: usize = 300_000;

impl Plan {
    /// What this seed draws: a cluster of some size, for so many simulated minutes.
    pub fn drawn(seed: u64, minutes: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x91a2);
        let slow = chance.within(0, 2) == 0;
        Self {
            masters: u32::try_from(chance.within(1, 4)).unwrap_or(1),
            workers: u32::try_from(chance.within(3, 6)).unwrap_or(3),
            clients: u32::try_from(chance.within(2, 6)).unwrap_or(2),
            millis: minutes * 60_000,
            faults: true,
            heartbeat: if slow { 5000 } else { 1000 },
            told: chance.within(0, 4) > 0,
            readable: false,
        }
    }
}

/// Runs what `seed` draws. The same seed and plan give the same outcome.
///
/// # Errors
/// If the run cannot be set up; broken promises are part of the outcome.
pub fn run(seed: u64, plan: &Plan) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let trace = Trace::new(plan.readable);
        if let Err(error) = simulate(seed, plan, &trace).await {
            trace.broken(format!("{error:#}"));
        }
        Ok(trace.outcome())
    })
}

async fn simulate(seed: u64, plan: &Plan, trace: &Trace) -> Result<()> {
    // One clock is twice as fast as the others, or half as fast: the least that leases must bear.
    let mut chance = Chance::new(seed ^ 0xc10c);
    let (odd, rate) = match chance.within(0, 3) {
        0 if plan.faults => (chance.within(101, 104), 1900),
        1 if plan.faults => (chance.within(1, 3), 1900),
        _ => (0, 1000),
    };
    let rate_of = |id| if u64::from(id) == odd { rate } else { 1000 };
    let foreign = match chance.within(0, 4) {
        0 if plan.faults => foreign_disk(seed, trace).await?,
        _ => None,
    };
    let mut world = World::new(seed, plan, trace.clone(), rate_of);
    world.found(3).await?;
    trace.note(format_args!("founded"));

    trace.reach("no API server");
    if rate != 1000 {
        trace.reach("clock of another rate");
    }
    let history = History::default();
    let tasks = Tasks::new(CancellationToken::new());
    let end = trace.now() + plan.millis;
    let all = world.masters();
    let clients = start_clients(seed, plan, &world, &all, &history, &tasks, end);
    let mut admin = Admin::new(seed, foreign);
    if plan.faults {
        let faults = Faults::new(seed);
        faults.run(&mut world, &mut admin, end).await?;
    }
    for client in clients {
        client.await?;
    }
    trace.note(format_args!("healed"));
    judge_score(trace, "faults", history.score(), None);
    finale::run(seed, plan, &mut world, &mut admin, &history, &tasks).await?;
    history.reach(trace);
    match check(&history.ops(), MOST_STATES) {
        Verdict::Linear => {}
        Verdict::Undecided => trace.reach("order not decided"),
        Verdict::Broken(stuck) => trace.broken(format!("no order of what was seen: {stuck:?}")),
    }
    world.end();
    Ok(())
}

/// A disk of another cluster, with a file on it.
async fn foreign_disk(seed: u64, trace: &Trace) -> Result<Option<SimDisk>> {
    let plan = Plan {
        masters: 1,
        workers: 2,
        clients: 1,
        millis: 0,
        faults: false,
        heartbeat: 1000,
        told: false,
        readable: false,
    };
    let mut world = World::new(seed ^ 0xf0e1, &plan, trace.clone(), |_| 1000);
    world.found(1).await?;
    let (history, tasks) = (History::default(), Tasks::new(CancellationToken::new()));
    let all = world.masters();
    let end = trace.now() + 5000;
    for client in start_clients(seed, &plan, &world, &all, &history, &tasks, end) {
        client.await?;
    }
    let bad = world.bad;
    world.stop(bad).await;
    let disk = world.hosts.get(&bad).and_then(|host| host.disk()).cloned();
    world.end();
    Ok(disk)
}

/// Clients that go on until then, in milliseconds of the run, each asking any of `masters`.
pub(crate) fn start_clients(
    seed: u64,
    plan: &Plan,
    world: &World,
    masters: &[HostId],
    history: &History,
    tasks: &Tasks,
    until: u64,
) -> Vec<tokio::task::JoinHandle<()>> {
    let client = |number: u32| client(seed, number, world, masters, history);
    (0..plan.clients)
        .map(|number| tasks.spawn_request("client", client(number).run(until)))
        .collect()
}

/// A client of this number.
pub(crate) fn client(
    seed: u64,
    number: u32,
    world: &World,
    masters: &[HostId],
    history: &History,
) -> Client {
    Client {
        id: CLIENTS + number,
        masters: masters.to_vec(),
        names: (0..8).map(|number| format!("film-{number}")).collect(),
        longest: 3 << 20,
        chance: Chance::new(seed ^ (u64::from(number) << 16) ^ 0xc11e),
        net: world.net.clone(),
        trace: world.trace.clone(),
        history: history.clone(),
        log_time: None,
        asked: Asked::default(),
        deleted: None,
    }
}

/// Notes how it went. If nobody may be left behind, each operation was done, within `most` milliseconds.
pub(crate) fn judge_score(trace: &Trace, when: &str, score: Score, most: Option<u64>) {
    let Score {
        acknowledged,
        refused,
        longest,
    } = score;
    trace.note(format_args!(
        "{when}: {acknowledged} done, {refused} not, the longest took {longest} ms"
    ));
    if let Some(most) = most {
        if longest > most {
            trace.broken(format!("{when}: an operation took {longest} ms"));
        }
        if refused > 0 {
            trace.broken(format!("{when}: {refused} operations failed"));
        }
    }
}
