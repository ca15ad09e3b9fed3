//! The leader may be killed, stopped or asked to go at any moment: another master goes on, nothing
//! acknowledged is lost, and nobody is told what is not so any more.

use crate::MIB;
use crate::figures::{Series, figure};
use crate::healing::all_disks;
use crate::invariants;
use crate::load::Load;
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::process::{Fault, inflict, is_running};
use mdfs_tests::transfer;
use mdfs_tests::wait::{pause, wait_for};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_306;
/// In which writes must work again after a leader died.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// The same after one that was asked to go.
const TERM_LIMIT: Duration = Duration::from_secs(1);
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(90);
/// The file that is downloaded slowly.
const FILM: &str = "film";
/// How long a slow reader waits after each piece.
const SLOW: Duration = Duration::from_millis(5);

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    kills: usize,
    stops: usize,
    terms: usize,
    /// Writers, and as many readers.
    clients: u64,
    film: u64,
    /// Seconds that a leader is stopped: at least, and less than.
    stopped: (u64, u64),
    judge_time: bool,
}

/// How long writes were away, by what was done to the leader.
#[derive(Default)]
struct Times {
    kills: Series,
    stops: Series,
    terms: Series,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            kills: 2,
            stops: 1,
            terms: 1,
            clients: 4,
            film: 24 * MIB + 5,
            stopped: (5, 6),
            judge_time: false,
        }
    } else {
        Sizes {
            kills: 100,
            stops: 20,
            terms: 20,
            clients: 16,
            film: 1024 * MIB + 5,
            stopped: (5, 61),
            judge_time: true,
        }
    };
    let options = Options {
        masters: 2,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| prove_with(cluster, sizes))
}

fn prove_with(cluster: &mut DevCluster, sizes: Sizes) -> Result<()> {
    let mut connection = cluster.connect_to(&cluster.leader()?)?;
    transfer::put(&mut connection, FILM, Content::new(0), sizes.film)?;
    drop(connection);
    let load = Load::new(cluster.state().urls.clone(), cluster.token(), SEED);
    let times = thread::scope(|scope| {
        for number in 0..sizes.clients {
            let load = &load;
            scope.spawn(move || load.write(number));
            scope.spawn(move || load.read(number));
        }
        let times = again_and_again(cluster, &load, sizes);
        load.end();
        times
    })?;
    for master in cluster.role("master") {
        load.read_all(&master.url.context("a master without an address")?)?;
    }
    load.nothing_was_wrong()?;
    let checked = load.history.check()?;
    figure(
        "operations in order: answered, open, names",
        &format!("{}, {}, {}", checked.answered, checked.open, checked.names),
    );
    figure("acknowledged writes", &load.acknowledged().to_string());
    figure("writes again after SIGKILL", &times.kills.shown("s"));
    figure("writes again after SIGSTOP", &times.stops.shown("s"));
    figure("longest pause around SIGTERM", &times.terms.shown("s"));
    invariants::hold(cluster, &all_disks(cluster)?, PATIENCE)?;
    let late = |times: &Series, limit: Duration| times.at(0.99) > limit.as_secs_f64();
    if sizes.judge_time && late(&times.kills, KILL_LIMIT) {
        bail!("writes were away for more than {KILL_LIMIT:?} after SIGKILL");
    }
    if sizes.judge_time && late(&times.terms, TERM_LIMIT) {
        bail!("writes were away for more than {TERM_LIMIT:?} around SIGTERM");
    }
    Ok(())
}

fn again_and_again(cluster: &mut DevCluster, load: &Load, sizes: Sizes) -> Result<Times> {
    let mut chance = Chance::new(SEED);
    let mut times = Times::default();
    for (round, fault) in faults(sizes, &mut chance).into_iter().enumerate() {
        load.begin_round(u64::try_from(round)?);
        once(cluster, load, sizes, fault, &mut chance, &mut times)
            .with_context(|| format!("round {round}, {fault:?}"))?;
        load.nothing_was_wrong()?;
    }
    Ok(times)
}

/// All faults, in the order that chance gives them.
fn faults(sizes: Sizes, chance: &mut Chance) -> Vec<Fault> {
    let mut left = vec![Fault::Kill; sizes.kills];
    left.extend(vec![Fault::Stop; sizes.stops]);
    left.extend(vec![Fault::Terminate; sizes.terms]);
    let mut faults = Vec::new();
    while !left.is_empty() {
        let count = u64::try_from(left.len()).unwrap_or(u64::MAX);
        let place = usize::try_from(chance.within(0, count)).unwrap_or_default();
        faults.push(left.swap_remove(place));
    }
    faults
}

/// Does one thing to the leader, while the other master serves a slow reader.
fn once(
    cluster: &mut DevCluster,
    load: &Load,
    sizes: Sizes,
    fault: Fault,
    chance: &mut Chance,
    times: &mut Times,
) -> Result<()> {
    let leader = cluster.leader()?;
    let other = cluster.followers()?.into_iter().next();
    let other = other.context("there is no other master")?;
    serves(cluster, &other)?;
    let quiet = load.history.time();
    wait_for("acknowledged write", PATIENCE, || {
        Ok(load.first_ack_from(quiet))
    })?;
    pause(Duration::from_millis(chance.within(0, 500)));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| slow_download(cluster, &other, sizes.film, &over));
        let done = match fault {
            Fault::Stop => stop(
                load,
                &leader,
                sizes.stopped,
                chance,
                &over,
                &mut times.stops,
            ),
            Fault::Terminate => end(load, &leader, &mut times.terms),
            _ => kill(cluster, load, &leader, &mut times.kills),
        };
        over.store(true, Ordering::Relaxed);
        let read = reader.join();
        let read = read.unwrap_or_else(|_| bail!("the slow reader ended badly"));
        done?;
        read.with_context(|| format!("a slow download from {}", other.name))
    })?;
    if fault != Fault::Stop {
        let again = cluster.wait_restart(&leader)?;
        ensure!(again.url == leader.url, "{} moved", leader.name);
    }
    for master in cluster.role("master") {
        serves(cluster, &master)?;
    }
    Ok(())
}

fn kill(cluster: &DevCluster, load: &Load, leader: &Process, times: &mut Series) -> Result<()> {
    let killed = load.history.time();
    cluster.kill(leader)?;
    let gone = load.history.time();
    times.add(seconds(wait_for_writes(load, gone)? - killed));
    Ok(())
}

fn stop(
    load: &Load,
    leader: &Process,
    seconds_stopped: (u64, u64),
    chance: &mut Chance,
    over: &AtomicBool,
    times: &mut Series,
) -> Result<()> {
    let (least, most) = seconds_stopped;
    let stop_for = Duration::from_secs(chance.within(least, most));
    load.wait_out(leader.url.as_deref());
    inflict(Fault::Stop, leader.pid)?;
    let stopped = load.history.time();
    let waited = wait_for_writes(load, stopped);
    if let Ok(again) = waited {
        times.add(seconds(again - stopped));
        over.store(true, Ordering::Relaxed);
        let passed = Duration::from_micros(load.history.time() - stopped);
        pause(stop_for.saturating_sub(passed));
    }
    load.wait_out(None);
    inflict(Fault::Continue, leader.pid)?;
    waited.map(drop)
}

fn end(load: &Load, leader: &Process, times: &mut Series) -> Result<()> {
    let told = load.history.time();
    inflict(Fault::Terminate, leader.pid)?;
    wait_for("end of the leader", PATIENCE, || {
        Ok((!is_running(leader.pid)).then_some(()))
    })?;
    let again = wait_for_writes(load, load.history.time())?;
    times.add(seconds(load.longest_gap(told, again)));
    Ok(())
}

/// When the first write was acknowledged that was begun at `moment` or later.
fn wait_for_writes(load: &Load, moment: u64) -> Result<u64> {
    wait_for("acknowledged write", PATIENCE, || {
        Ok(load.first_ack_from(moment))
    })
}

/// Waits until a master serves, whether it leads or not.
fn serves(cluster: &DevCluster, master: &Process) -> Result<()> {
    wait_for("master that serves", PATIENCE, || {
        let mut connection = cluster.connect_to(master)?;
        transfer::get_range(&mut connection, FILM, Content::new(0), 0, 1000)?;
        Ok(Some(()))
    })
    .with_context(|| master.name.clone())
}

/// Downloads the film and compares it, most of it slowly until `over`, the end in any case after that.
fn slow_download(
    cluster: &DevCluster,
    master: &Process,
    film: u64,
    over: &AtomicBool,
) -> Result<()> {
    let mut connection = cluster.connect_to(master)?;
    transfer::get(&mut connection, FILM, Content::new(0), film, |bytes| {
        let is_over = || over.load(Ordering::Relaxed);
        if !is_over() {
            pause(SLOW);
        }
        if bytes > film / 4 * 3 {
            wait_for("end of the fault", PATIENCE, || Ok(is_over().then_some(())))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}
