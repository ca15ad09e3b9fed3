//! All processes may die at once and come back in any order: nothing is copied or dropped for it.

use crate::MIB;
use crate::figures::figure;
use crate::healing::{Stored, all_disks, read_back, settle, status, wait_status, walk};
use crate::invariants;
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::disks::Chunk;
use mdfs_tests::wait::now;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const SEED: u64 = 20_260_305;
const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: u32 = 4;

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    rounds: u64,
    files: u64,
    most: u64,
    /// How much later one worker comes.
    late: Duration,
    /// How long it is watched afterwards.
    watched: Duration,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            rounds: 1,
            files: 12,
            most: 2 * MIB,
            late: Duration::from_secs(3),
            watched: Duration::from_secs(2),
        }
    } else {
        Sizes {
            rounds: 4,
            files: 100,
            most: 16 * MIB,
            late: Duration::from_secs(20),
            watched: Duration::from_secs(20),
        }
    };
    let options = Options {
        workers: WORKERS,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| start_again(cluster, sizes))
}

fn start_again(cluster: &mut DevCluster, sizes: Sizes) -> Result<()> {
    let mut chance = Chance::new(SEED);
    let mut connection = cluster.connect()?;
    let files = (0..sizes.files).map(|number| {
        let length = chance.within(1, sizes.most);
        let name = format!("cold/{number:03}");
        Stored::put(&mut connection, &name, number, length, MIB)
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let disks = all_disks(cluster)?;
    settle(cluster, &disks, u64::from(WORKERS), files.iter(), PATIENCE)?;
    let all = disks;
    let disks: Vec<PathBuf> = all.values().cloned().collect();
    let before = walk(&disks)?;
    let roles: Vec<Role> = cluster
        .state()
        .processes
        .iter()
        .map(Role::of)
        .collect::<Result<_>>()?;

    let mut looks = 0;
    for round in 0..sizes.rounds {
        let mut order = roles.clone();
        for place in (1..order.len()).rev() {
            let other = chance.within(0, u64::try_from(place + 1)?);
            order.swap(place, usize::try_from(other)?);
        }
        let late = order.iter().rposition(|role| role.disk().is_ok());
        let late = order.remove(late.context("there are workers")?);
        looks += one_round(cluster, sizes, &order, &late, &disks, &before)
            .with_context(|| format!("round {round}, {} late", late.name()))?;
        read_back(cluster, &files)?;
    }
    figure(
        "starts in any order, one worker late",
        &sizes.rounds.to_string(),
    );
    invariants::hold(cluster, &all, PATIENCE)?;
    let chunks: usize = before.iter().map(BTreeMap::len).sum();
    figure(
        "chunk files that stayed as they were",
        &format!("{chunks}, looked at {looks} times"),
    );
    Ok(())
}

/// Kills everything and starts it again. Returns how often it was looked at the disks.
fn one_round(
    cluster: &mut DevCluster,
    sizes: Sizes,
    order: &[Role],
    late: &Role,
    disks: &[PathBuf],
    before: &[BTreeMap<Chunk, u64>],
) -> Result<u64> {
    cluster.kill_all()?;
    for role in order {
        cluster.start_by_hand(role)?;
    }
    let mut looks = 0;
    let mut unchanged_for = |time: Duration| -> Result<()> {
        let started = now();
        while started.elapsed() < time {
            ensure!(walk(disks)? == before, "a chunk file was made or removed");
            looks += 1;
        }
        Ok(())
    };
    unchanged_for(sizes.late)?;
    cluster.start_by_hand(late)?;
    wait_status(cluster, "whole cluster", PATIENCE, |status| {
        status.is_whole() && status.live_workers == u64::from(WORKERS)
    })?;
    unchanged_for(sizes.watched)?;
    let after = status(cluster)?;
    ensure!(after.is_whole() && after.health == "ok", "{after:?}");
    ensure!(after.excess_copies == 0, "{after:?}");
    Ok(looks)
}
