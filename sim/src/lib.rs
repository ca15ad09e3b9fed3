//! Whole MDFS clusters in one thread: real masters and workers on simulated machines, disks, clocks
//! and a simulated network, with faults. Everything is drawn from a seed, so a run can be repeated.
//!
//! [`run`] is one run: a cluster is founded, clients use it while things happen to it, everything
//! heals, and then it must be whole. Bytes, the order of all operations on names
//! ([`mdfs_tests::linear`]) and what the cluster says of itself are checked.

mod client;
mod content;
mod faults;
mod history;
mod host;
mod net;
mod request;
mod trace;
mod world;

pub use trace::Outcome;
pub use world::Plan;

use anyhow::Result;
use client::Client;
use faults::Faults;
use history::{History, Score};
use host::SCRUB_EVERY;
use mdfs_service::Tasks;
use mdfs_tests::chance::Chance;
use mdfs_tests::linear::{Verdict, check};
use net::HostId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trace::Trace;
use world::{CLIENTS, World};

/// What the runs of a proof must have reached, each at least once.
pub const MARKS: &[&str] = &[
    "all masters killed",
    "all workers killed",
    "answer broke off",
    "asked again",
    "bad network",
    "bit flipped",
    "block in another's place",
    "client told that there is no room",
    "client told to come back",
    "conditional put refused",
    "connection broke under a request",
    "connection broke under an answer",
    "disk full",
    "master killed",
    "message came twice",
    "no answer to a client",
    "packet lost",
    "parted one way",
    "parted",
    "power cut",
    "process stood still",
    "process stopped",
    "read failed",
    "renamed",
    "slow disk",
    "sync failed",
    "sync lied",
    "undeleted",
    "wall clock jumped",
    "worker killed",
    "write failed",
];

/// The most states that the check of the order looks at, for names that renames join.
const MOST_STATES: usize = 300_000;
/// How long a healed cluster may take to be whole, in seconds.
const WHOLE_WITHIN: u64 = 600;
/// How long clients use a healed cluster, in milliseconds.
const CALM: u64 = 20_000;
/// In which each operation must have ended once nothing fails any more, in milliseconds.
const PROMPT: u64 = 30_000;

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
    let mut world = World::new(seed, plan, trace.clone(), rate_of);
    world.found().await?;
    trace.note(format_args!("founded"));

    let history = History::default();
    let tasks = Tasks::new(CancellationToken::new());
    let end = trace.now() + plan.millis;
    let all = world.masters();
    let clients = start_clients(seed, plan, &world, &all, &history, &tasks, end);
    if plan.faults {
        Faults::new(seed).run(&mut world, end).await?;
    }
    for client in clients {
        client.await?;
    }
    trace.note(format_args!("healed"));
    judge_score(trace, "faults", history.score(), None);

    // Nobody may be left behind: after a while everybody is answered.
    // What a disk spoiled is found by reading all of it, and mended.
    settle(&world).await?;
    tokio::time::sleep(3 * SCRUB_EVERY).await;
    let leader = [settle(&world).await?];
    let calm = trace.now() + CALM;
    for client in start_clients(seed ^ 1, plan, &world, &leader, &history, &tasks, calm) {
        client.await?;
    }
    judge_score(trace, "calm", history.score(), Some(PROMPT));
    settle(&world).await?;

    match check(&history.ops(), MOST_STATES) {
        Verdict::Linear => {}
        Verdict::Undecided => trace.reach("order not decided"),
        Verdict::Broken(stuck) => trace.broken(format!("no order of what was seen: {stuck:?}")),
    }
    for id in world.hosts.keys().copied().collect::<Vec<_>>() {
        world.kill(id);
    }
    Ok(())
}

fn start_clients(
    seed: u64,
    plan: &Plan,
    world: &World,
    masters: &[HostId],
    history: &History,
    tasks: &Tasks,
    until: u64,
) -> Vec<tokio::task::JoinHandle<()>> {
    let names: Vec<String> = (0..8).map(|number| format!("film {number}")).collect();
    let client = |number: u32| Client {
        id: CLIENTS + number,
        masters: masters.to_vec(),
        names: names.iter().map(|name| name.replace(' ', "-")).collect(),
        longest: 3 << 20,
        chance: Chance::new(seed ^ (u64::from(number) << 16) ^ 0xc11e),
        net: world.net.clone(),
        trace: world.trace.clone(),
        history: history.clone(),
        log_time: None,
    };
    (0..plan.clients)
        .map(|number| tasks.spawn_request("client", client(number).run(until)))
        .collect()
}

fn judge_score(trace: &Trace, when: &str, score: Score, most: Option<u64>) {
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

/// Waits until the cluster says that it is whole. Who says so.
async fn settle(world: &World) -> Result<HostId> {
    let mut said = None;
    for _ in 0..WHOLE_WITHIN {
        tokio::time::sleep(Duration::from_secs(1)).await;
        said = world.status().await;
        let whole = said.as_ref().filter(|(_, status)| {
            let none = |field: &str| status.get(field).and_then(|v| v.as_u64()) == Some(0);
            status.get("health").and_then(|health| health.as_str()) == Some("ok")
                && none("under_replicated_files")
                && none("missing_files")
                && none("damaged_chunks")
                && none("excess_copies")
                && none("open_uploads")
        });
        if let Some((leader, _)) = whole {
            return Ok(*leader);
        }
    }
    anyhow::bail!("not whole {WHOLE_WITHIN} s after everything healed: {said:?}")
}
