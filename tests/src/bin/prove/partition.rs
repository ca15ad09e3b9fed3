//! Networks part in every way between servers, and between servers and clients, while servers die, hang
//! and run full: what clients were told has an order that explains it, and nothing acknowledged is lost.

mod faults;

use crate::figures::{Series, figure};
use crate::healing::wait_status;
use crate::load::Load;
use crate::skipped;
use crate::{MIB, invariants};
use anyhow::{Context, Result, bail, ensure};
use faults::{Also, CUTS, Cut, Round};
use mdfs_tests::bare::{Bare, Options};
use mdfs_tests::chance::Chance;
use mdfs_tests::isolation;
use mdfs_tests::network::Network;
use mdfs_tests::wait::{now, wait_for};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_707;
/// In which a write must be acknowledged where the rest of the cluster can go on, and once all is well
/// again: the 30 s in which every request ends, and what a busy machine takes.
const GO_ON_LIMIT: Duration = Duration::from_secs(45);
/// How long anything else may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);
const MASTERS: usize = 3;
const WORKERS: usize = 5;
const DISK: u64 = 192 * MIB;
/// Where clients are; and where this proof is, which nothing is ever cut from.
const CLIENTS: [&str; 2] = ["clients-0", "clients-1"];
const ONLOOKER: &str = "onlooker";
/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(25);

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    /// How long faults go on.
    time: Duration,
    /// Milliseconds that a fault lasts: at least, and less than.
    lasts: (u64, u64),
    /// Writers, and as many readers.
    clients: u64,
}

/// How long writes were away.
#[derive(Default)]
struct Times {
    parted: Series,
    healed: Series,
    rounds: BTreeMap<String, usize>,
    /// Rounds in which the cluster could not go on before it was healed.
    stood: usize,
}

pub(crate) fn prove(short: bool, inside: bool) -> Result<()> {
    if inside {
        return with_networks(short);
    }
    if let Some(why) = isolation::why_not()? {
        skipped::note(format!(
            "networks of its own need root and namespaces: {why}"
        ));
        return Ok(());
    }
    let mut arguments = vec!["partition", "--inside"];
    arguments.extend(short.then_some("--short"));
    let status = isolation::again_inside(&arguments)?;
    ensure!(status.success(), "with networks of its own, it {status}");
    Ok(())
}

fn with_networks(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            time: Duration::from_secs(20),
            lasts: (2_000, 3_000),
            clients: 4,
        }
    } else {
        Sizes {
            time: Duration::from_secs(20 * 60),
            lasts: (5_000, 25_000),
            clients: 8,
        }
    };
    let folder = isolation::furnish()?;
    let mut network = Network::new()?;
    for name in CLIENTS.iter().chain([&ONLOOKER]) {
        network.join(name)?;
    }
    network.door(ONLOOKER)?.enter()?;
    let options = Options {
        masters: MASTERS,
        workers: WORKERS,
        network: Some(network),
        disk_bytes: Some(DISK),
        folder: Some(folder),
        flags: vec![("--heartbeat", "500ms"), ("--log", "warn")],
        // So that silent workers are copied for, trash goes and votes move while networks are parted.
        master_flags: vec![
            ("--dead-after", "4s"),
            ("--repair-delay", "3s"),
            ("--trash-keep", "20s"),
            ("--voter-patience", "10s"),
        ],
    };
    let mut cluster = Bare::start(options)?;
    let result = part_again_and_again(&mut cluster, sizes);
    result.map_err(|error| {
        error.context(format!(
            "the servers' log ends with:\n{}",
            cluster.log_tail()
        ))
    })
}

fn part_again_and_again(cluster: &mut Bare, sizes: Sizes) -> Result<()> {
    let load = Arc::new(Load::new(cluster.urls(), cluster.token(), SEED).with_pauses(PAUSE));
    let mut clients = Vec::new();
    for number in 0..sizes.clients {
        for writes in [true, false] {
            let load = Arc::clone(&load);
            let place = CLIENTS.iter().cycle().nth(usize::try_from(number)?);
            let door = cluster
                .network()?
                .door(place.context("clients are somewhere")?)?;
            clients.push(thread::spawn(move || -> Result<()> {
                door.enter()?;
                match writes {
                    true => load.write(number),
                    false => load.read(number),
                }
                Ok(())
            }));
        }
    }
    let times = rounds(cluster, &load, sizes);
    load.end();
    for client in clients {
        let ended = client.join();
        ended.unwrap_or_else(|_| bail!("a client ended badly"))?;
    }
    settled(cluster, &load, &times?)
}

fn rounds(cluster: &mut Bare, load: &Load, sizes: Sizes) -> Result<Times> {
    let mut chance = Chance::new(SEED);
    let mut times = Times::default();
    let mut left: Vec<Cut> = Vec::new();
    let started = now();
    let mut number = 0;
    while started.elapsed() < sizes.time {
        if left.is_empty() {
            left = CUTS.to_vec();
        }
        let count = u64::try_from(left.len())?;
        let cut = left.swap_remove(usize::try_from(chance.within(0, count))?);
        let also = Also::by(&mut chance);
        load.begin_round(number);
        let round = once(cluster, load, sizes, cut, also, &mut chance, &mut times);
        round.with_context(|| format!("round {number}, {cut:?} and {also:?}"))?;
        *times.rounds.entry(format!("{cut:?}")).or_default() += 1;
        load.nothing_was_wrong()?;
        cluster.none_ended()?;
        number += 1;
    }
    Ok(times)
}

/// Parts the network in one way, and mends it.
fn once(
    cluster: &mut Bare,
    load: &Load,
    sizes: Sizes,
    cut: Cut,
    also: Also,
    chance: &mut Chance,
    times: &mut Times,
) -> Result<()> {
    let leader = wait_for("leader", GO_ON_LIMIT, || Ok(cluster.leader()))?;
    let (least, most) = sizes.lasts;
    let lasts = Duration::from_millis(chance.within(least, most));
    let mut round = Round::new(cluster, leader, chance)?;
    let parted = load.history.time();
    round.cut(cluster, cut)?;
    round.also(cluster, also)?;
    let must = round.can_go_on(cluster)?;
    let ack = || load.first_ack_from(parted);
    round.hold(cluster, |held| {
        let went_on = !must || ack().is_some() || held >= GO_ON_LIMIT;
        held >= lasts && went_on
    })?;
    match ack() {
        Some(again) => times.parted.add(seconds(again - parted)),
        None => {
            ensure!(!must, "the rest of the cluster did not go on");
            times.stood += 1;
        }
    }
    round.mend(cluster)?;
    let healed = load.history.time();
    let again = wait_for("acknowledged write once all is well", GO_ON_LIMIT, || {
        Ok(load.first_ack_from(healed))
    })?;
    times.healed.add(seconds(again - healed));
    Ok(())
}

/// Everything that was ever told has an order, and the disks hold just what is wanted.
fn settled(cluster: &mut Bare, load: &Load, times: &Times) -> Result<()> {
    let all = u64::try_from(WORKERS)?;
    wait_status(cluster, "whole cluster", PATIENCE, |status| {
        status.is_whole() && status.live_workers == all
    })?;
    for url in cluster.urls() {
        load.read_all(&url)?;
    }
    load.nothing_was_wrong()?;
    let checked = load.history.check()?;
    for (cut, rounds) in &times.rounds {
        figure(&format!("parted: {cut}"), &format!("{rounds} times"));
    }
    figure(
        "operations in order: answered, open, names",
        &format!("{}, {}, {}", checked.answered, checked.open, checked.names),
    );
    figure("acknowledged writes", &load.acknowledged().to_string());
    figure("first write while parted", &times.parted.shown("s"));
    figure("rounds without one until mended", &times.stood.to_string());
    figure("first write once mended", &times.healed.shown("s"));
    invariants::hold(cluster, &cluster.disks()?, PATIENCE)?;
    cluster.none_ended()
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}
