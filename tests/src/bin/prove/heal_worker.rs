//! A worker that is lost for good is made up for, without a human.

use crate::figures::{Series, bytes_as_f64, figure};
use crate::healing::{Stored, all_disks, bytes_in, change, read_back, settle, wait_status};
use crate::{GIB, MIB};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::Connection;
use mdfs_tests::transfer::get_range;
use mdfs_tests::wait::{now, pause};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_303;
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// In which the loss has to show.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// MB/s at which copies are to be made when nothing slows them down.
const RATE_LEAST: f64 = 200.0;
/// How much longer reads may take while copies are made.
const SLOWER_MOST: f64 = 2.0;
const RANGE_BYTES: u64 = 64 * 1024;
const READERS: u64 = 2;

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    files: u64,
    bytes: u64,
    chunk_size: u64,
    /// For how long the healthy cluster is read.
    healthy: Duration,
    judge: bool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            files: 30,
            bytes: 60 * MIB,
            chunk_size: MIB,
            healthy: Duration::from_millis(200),
            judge: false,
        }
    } else {
        Sizes {
            files: 200,
            // A fourth of its copies, more than 2 GiB, is on the worker that is lost.
            bytes: 9 * GIB / 2,
            chunk_size: 8 * MIB,
            healthy: Duration::from_secs(10),
            judge: true,
        }
    };
    let options = Options {
        workers: 4,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| lose_one(cluster, sizes))
}

fn lose_one(cluster: &mut DevCluster, sizes: Sizes) -> Result<()> {
    let files = put_all(cluster, sizes)?;
    let mut disks = all_disks(cluster)?;
    // A new ring may still have copies of the first files to drop.
    settle(cluster, &disks, 4, files.iter(), PATIENCE)?;

    let workers = cluster.role("worker");
    let lost = workers.get(1).context("there are four workers")?;
    let disk = disks.remove(&lost.name).context("it has a disk")?;
    let on_it = mdfs_tests::disks::all_chunks(&disk)?;
    let held = |file: &&Stored| file.chunks().any(|(chunk, _)| on_it.contains_key(&chunk));
    let held = u64::try_from(files.iter().filter(held).count())?;

    let healthy = read_while(cluster, &files, || {
        pause(sizes.healthy);
        Ok(())
    })?;
    let mut times = Times::default();
    let meanwhile = read_while(cluster, &files, || {
        times = heal(cluster, &lost.name, held, sizes)?;
        Ok(())
    })?;
    // Where both holders are others now, what the one that is left had is still to be dropped.
    settle(cluster, &disks, 3, files.iter(), PATIENCE)?;
    read_back(cluster, &files)?;
    crate::invariants::hold(cluster, &disks, PATIENCE)?;

    figure(
        "files with a copy on the lost worker",
        &format!("{held} of {}", files.len()),
    );
    figure(
        "until the status says so",
        &format!("{:.3} s", times.shown.as_secs_f64()),
    );
    let copied = times.copied.as_secs_f64();
    figure(
        "until copies are made",
        &format!(
            "{:.3} s",
            Duration::from_micros(times.begun_micros).as_secs_f64()
        ),
    );
    figure(
        "from the end of the delay to whole",
        &format!("{copied:.3} s"),
    );
    let rate = bytes_as_f64(bytes_in(&on_it)) / copied / 1e6;
    figure(
        "copied at",
        &format!("{rate:.1} MB/s, {} bytes", bytes_in(&on_it)),
    );
    let (before, during) = (
        percentile(&healthy, 0),
        percentile(&meanwhile, times.begun_micros),
    );
    figure(
        "ranges of 64 KiB, p99: healthy, meanwhile",
        &format!("{before:.0} us, {during:.0} us"),
    );
    if sizes.judge {
        ensure!(
            times.shown <= SHOWN_WITHIN,
            "the loss showed only after {:?}",
            times.shown
        );
        ensure!(rate >= RATE_LEAST, "copies were made at {rate:.1} MB/s");
        let slower = during / before;
        ensure!(
            slower <= SLOWER_MOST,
            "reads took {slower:.1} times as long meanwhile"
        );
    }
    Ok(())
}

fn put_all(cluster: &DevCluster, sizes: Sizes) -> Result<Vec<Stored>> {
    let mut chance = Chance::new(SEED);
    let mut connection = cluster.connect()?;
    let mean = sizes.bytes / sizes.files;
    let put = |number| {
        let length = chance.within(1, 2 * mean);
        let name = format!("heal/{number:03}");
        Stored::put(&mut connection, &name, number, length, sizes.chunk_size)
    };
    (0..sizes.files).map(put).collect()
}

/// How long what took.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// From the loss until the status counts it.
    shown: Duration,
    /// From the first partition that moves until all copies are there.
    copied: Duration,
    /// From the loss until the first partition moves, in microseconds.
    begun_micros: u64,
}

/// Kills a worker for good and waits until the cluster is whole again.
fn heal(cluster: &DevCluster, lost: &str, held: u64, sizes: Sizes) -> Result<Times> {
    let workers = cluster.role("worker");
    let process = workers.iter().find(|worker| worker.name == lost);
    let killed = now();
    cluster.kill(process.context("it ran a moment ago")?)?;
    wait_status(cluster, "count of the files at risk", PATIENCE, |status| {
        status.under_replicated_files == held && status.missing_files == 0
    })?;
    let shown = killed.elapsed();
    if !sizes.judge {
        change(cluster, "POST", "/v1/admin/repair", None)?;
    }
    wait_status(cluster, "beginning of the repair", PATIENCE, |status| {
        status.moving_partitions > 0
    })?;
    let begun = killed.elapsed();
    wait_status(cluster, "whole cluster", PATIENCE, |status| {
        status.is_whole() && status.live_workers == 3
    })?;
    let copied = killed.elapsed().saturating_sub(begun);
    let begun_micros = u64::try_from(begun.as_micros())?;
    Ok(Times {
        shown,
        copied,
        begun_micros,
    })
}

/// One range: when it was asked for and how long it took, in microseconds.
type Read = (u64, u64);

/// The time below which 99 of 100 reads after `since` stayed, in microseconds.
fn percentile(reads: &[Read], since: u64) -> f64 {
    let late = reads.iter().filter(|(at, _)| *at >= since);
    Series::of(late.map(|(_, took)| bytes_as_f64(*took)).collect()).at(0.99)
}

/// Reads ranges of these files while `work` is done. Each must be right.
fn read_while(
    cluster: &DevCluster,
    files: &[Stored],
    work: impl FnOnce() -> Result<()>,
) -> Result<Vec<Read>> {
    let done = AtomicBool::new(false);
    let started = now();
    let read = |seed: u64| -> Result<Vec<Read>> {
        let mut connection = Connection::open(cluster.url(), Some(cluster.token()))?;
        let mut chance = Chance::new(SEED ^ seed);
        let mut reads = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let file = chance.one_of(files).context("there are files")?;
            let length = RANGE_BYTES.min(file.length);
            let offset = chance.within(0, file.length - length + 1);
            let at = started.elapsed();
            get_range(&mut connection, &file.name, file.content, offset, length)?;
            let took = started.elapsed().saturating_sub(at);
            reads.push((
                u64::try_from(at.as_micros())?,
                u64::try_from(took.as_micros())?,
            ));
        }
        Ok(reads)
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|seed| {
                let read = &read;
                scope.spawn(move || read(seed + 1))
            })
            .collect();
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for reader in readers {
            match reader.join() {
                Ok(reads) => all.extend(reads.context("a read while a worker was lost")?),
                Err(_) => bail!("a reader ended badly"),
            }
        }
        worked.map(|()| all)
    })
}
