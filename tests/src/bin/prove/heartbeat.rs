//! What heartbeats cost follows what changes, not how many files there are; and no difference stays
//! hidden from them.

use crate::figures::{Series, figure};
use crate::healing::{ask, change, status, text, whole};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::disks;
use mdfs_tests::http::Connection;
use mdfs_tests::process::processor_seconds;
use mdfs_tests::transfer::path;
use mdfs_tests::wait::{now, pause, wait_for};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: u64 = 3;
/// Bytes of a heartbeat, with its head, when nothing changes.
const BEAT_BYTES_MOST: f64 = 1024.0;
/// Processor time that a heartbeat takes, at both ends.
const BEAT_SECONDS_MOST: f64 = 0.2e-3;
/// Chunks that come in the part that measures changes: files of one chunk, two copies each.
const CHANGES: u64 = 1000;
/// Bytes of heartbeats that tell of them.
const CHANGE_BYTES_MOST: f64 = 100.0 * 1024.0;
/// In which a difference has to be found: three beats.
const FOUND_WITHIN: Duration = Duration::from_secs(3);
/// How often workers beat, and how often while it is measured what beats cost: they ask their disks
/// for room as often, so that is in it.
const USUAL_MILLIS: u64 = 1000;
const FAST_MILLIS: u64 = 20;
/// How much more a beat may take with all files than without: what the measurement leaves open, while
/// there are a hundred thousand times as many.
const GROWTH_MOST: f64 = 1.25;

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    files: u64,
    connections: u64,
    idle: Duration,
    /// Differences of each kind.
    hidden: u64,
    judge: bool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            files: 1000,
            connections: 16,
            idle: Duration::from_secs(3),
            hidden: 1,
            judge: false,
        }
    } else {
        Sizes {
            files: 100_000,
            connections: 64,
            idle: Duration::from_secs(30),
            hidden: 10,
            judge: true,
        }
    };
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        whole(cluster, WORKERS, PATIENCE)?;
        let empty = Idle::of(cluster, sizes.idle)?;
        beat_every(cluster, FAST_MILLIS)?;
        let before = Idle::of(cluster, sizes.idle)?.cost_of_a_beat(&empty);
        beat_every(cluster, USUAL_MILLIS)?;
        put_all(cluster, sizes, 0..sizes.files)?;
        whole(cluster, WORKERS, PATIENCE)?;
        let full = Idle::of(cluster, sizes.idle)?;
        figure(
            "bytes of an idle beat: no files, all files",
            &format!("{:.0}, {:.0}", empty.bytes_a_beat(), full.bytes_a_beat()),
        );
        figure(
            "bytes of the answer to it",
            &format!("{:.0}", full.answered / full.beats),
        );
        figure(
            "processor time of all processes, idle",
            &format!(
                "{:.2}, {:.2} ms a second",
                empty.processor * 1e3,
                full.processor * 1e3
            ),
        );
        let bytes = changes(cluster, sizes, &full)?;
        let mut found = Series::default();
        for number in 0..sizes.hidden {
            hidden(cluster, sizes, number, &mut found)?;
        }
        figure("hidden differences found after", &found.shown("s"));
        beat_every(cluster, FAST_MILLIS)?;
        let fast = Idle::of(cluster, sizes.idle)?;
        let each = fast.cost_of_a_beat(&full);
        figure(
            "processor time of a beat, both ends: no files, all files",
            &format!(
                "{:.1}, {:.1} us, by {:.0} more beats a second",
                before * 1e6,
                each * 1e6,
                fast.beats - full.beats
            ),
        );
        if sizes.judge {
            let most = full.bytes_a_beat();
            ensure!(most <= BEAT_BYTES_MOST, "an idle beat has {most:.0} bytes");
            ensure!(
                each <= BEAT_SECONDS_MOST,
                "a beat takes {:.1} us of processor time",
                each * 1e6
            );
            ensure!(
                each <= before * GROWTH_MOST,
                "a beat takes {:.1} us without files and {:.1} us with all",
                before * 1e6,
                each * 1e6
            );
            ensure!(
                bytes <= CHANGE_BYTES_MOST,
                "{CHANGES} changes took {bytes:.0} bytes"
            );
        }
        Ok(())
    })
}

/// What an idle cluster does in a second.
#[derive(Clone, Copy, Debug)]
struct Idle {
    beats: f64,
    /// Bytes of beats, and of the answers to them.
    taken: f64,
    answered: f64,
    /// Processor seconds of all processes.
    processor: f64,
}

impl Idle {
    fn of(cluster: &DevCluster, time: Duration) -> Result<Self> {
        let processor = || -> Result<f64> {
            let pids = cluster.state().processes.iter().map(|process| process.pid);
            pids.map(processor_seconds).sum()
        };
        let (before, used_before, started) = (Beats::so_far(cluster)?, processor()?, now());
        pause(time);
        let (after, used, took) = (Beats::so_far(cluster)?, processor()?, started.elapsed());
        let seconds = took.as_secs_f64();
        Ok(Self {
            beats: (after.count - before.count) / seconds,
            taken: (after.taken - before.taken) / seconds,
            answered: (after.answered - before.answered) / seconds,
            processor: (used - used_before) / seconds,
        })
    }

    fn bytes_a_beat(&self) -> f64 {
        self.taken / self.beats
    }

    /// Processor seconds of a beat, from a cluster that does the same with fewer beats.
    fn cost_of_a_beat(&self, slow: &Self) -> f64 {
        (self.processor - slow.processor) / (self.beats - slow.beats)
    }
}

/// The heartbeats that the master has taken.
#[derive(Clone, Copy, Debug, Default)]
struct Beats {
    count: f64,
    /// Bytes of them, and of the answers to them.
    taken: f64,
    answered: f64,
}

impl Beats {
    fn so_far(cluster: &DevCluster) -> Result<Self> {
        let answer = ask(cluster, "GET", "/metrics", None)?;
        let mut beats = Self::default();
        for line in answer.text().lines() {
            let Some((name, value)) = line.rsplit_once(' ') else {
                continue;
            };
            if name.starts_with("mdfs_heartbeat_bytes_total") {
                let way = match name.contains("out") {
                    true => &mut beats.answered,
                    false => &mut beats.taken,
                };
                *way += value.parse::<f64>()?;
            }
            if name == "mdfs_heartbeats_total" {
                beats.count = value.parse()?;
            }
        }
        ensure!(
            beats.count > 0.0 && beats.taken > 0.0,
            "no beats: {beats:?}"
        );
        Ok(beats)
    }
}

fn name(number: u64) -> String {
    format!("beat/{:03}/{number:06}", number % 1000)
}

/// Stores small files on many connections at once.
fn put_all(cluster: &DevCluster, sizes: Sizes, numbers: std::ops::Range<u64>) -> Result<()> {
    let (next, end) = (AtomicU64::new(numbers.start), numbers.end);
    let put = || -> Result<()> {
        let mut connection = Connection::open(cluster.url(), Some(cluster.token()))?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return Ok(());
            }
            let length = 100 + number % 900;
            let content = Content::new(number);
            mdfs_tests::transfer::put(&mut connection, &name(number), content, length)?;
        }
    };
    let started = now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..sizes.connections).map(|_| scope.spawn(put)).collect();
        for thread in threads {
            match thread.join() {
                Ok(stored) => stored?,
                Err(_) => bail!("a writer ended badly"),
            }
        }
        Ok(())
    })?;
    let took = started.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(end - numbers.start)?);
    figure(
        "small files stored",
        &format!("{count} in {took:.1} s, {:.0} a second", count / took),
    );
    Ok(())
}

/// Bytes of heartbeats that tell of changes, beyond those of an idle cluster.
fn changes(cluster: &DevCluster, sizes: Sizes, idle: &Idle) -> Result<f64> {
    let (before, started) = (Beats::so_far(cluster)?, now());
    put_all(cluster, sizes, sizes.files..sizes.files + CHANGES / 2)?;
    whole(cluster, WORKERS, PATIENCE)?;
    let (after, took) = (Beats::so_far(cluster)?, started.elapsed());
    let all = |beats: &Beats| beats.taken + beats.answered;
    let idle = (idle.taken + idle.answered) * took.as_secs_f64();
    let bytes = all(&after) - all(&before) - idle;
    figure(
        &format!("bytes of heartbeats for {CHANGES} changes"),
        &format!("{bytes:.0}, in {:.0} beats", after.count - before.count),
    );
    Ok(bytes)
}

/// A chunk goes from a disk behind its worker's back, once while it runs and once while it does not.
fn hidden(cluster: &mut DevCluster, sizes: Sizes, number: u64, found: &mut Series) -> Result<()> {
    let (file, _, chunk) = copy(cluster, number)?;
    fs::remove_file(&chunk)?;
    let answer = ask(cluster, "POST", &format!("{}?verify", path(&file)), None)?;
    ensure!(answer.status() == 200, "verify: {}", answer.problem());
    // The worker was asked for it just now, so it knows.
    found.add(until_found(cluster, &chunk)?.as_secs_f64());
    whole(cluster, WORKERS, PATIENCE)?;

    let (_, worker, chunk) = copy(cluster, number + sizes.hidden)?;
    let process = cluster
        .role("worker")
        .into_iter()
        .find(|one| one.name == worker);
    let process = process.context("it runs")?;
    let role = Role::of(&process)?;
    cluster.kill(&process)?;
    fs::remove_file(&chunk)?;
    cluster.start_by_hand(&role)?;
    wait_for("worker that beats again", PATIENCE, || {
        let found = status(cluster)?;
        ensure!(found.live_workers == WORKERS, "{found:?}");
        Ok(Some(()))
    })?;
    found.add(until_found(cluster, &chunk)?.as_secs_f64());
    whole(cluster, WORKERS, PATIENCE)?;
    ensure!(
        !sizes.judge || found.most() <= FOUND_WITHIN.as_secs_f64(),
        "a difference was found only after {:.1} s",
        found.most()
    );
    Ok(())
}

/// Waits until the leader counts the one copy that is missing, or has it made again already.
fn until_found(cluster: &DevCluster, chunk: &std::path::Path) -> Result<Duration> {
    let started = now();
    wait_for("difference in the counts", PATIENCE, || {
        if chunk.exists() {
            return Ok(Some(()));
        }
        let found = status(cluster)?;
        let all_there = found.live_workers == WORKERS;
        ensure!(all_there && found.under_replicated_files == 1, "{found:?}");
        Ok(Some(()))
    })?;
    Ok(started.elapsed())
}

/// A file, a worker that has a copy of it, and that copy.
fn copy(cluster: &DevCluster, number: u64) -> Result<(String, String, PathBuf)> {
    let name = name(number);
    let target = format!("/v1/files?prefix={name}");
    let listed = ask(cluster, "GET", &target, None)?.json()?;
    let file = listed.pointer("/files/0").context("it is listed")?;
    let file_id = text(file, "file_id")?;
    for worker in cluster.role("worker") {
        let disk = worker.data_dir.context("a worker without a data_dir")?;
        if let Some(chunk) = disks::chunks(&disk, &file_id)?.remove(&0) {
            return Ok((name, worker.name, chunk));
        }
    }
    bail!("no disk has {name}")
}

/// Has the workers beat so often from now on: they are started again, one after the other.
fn beat_every(cluster: &mut DevCluster, millis: u64) -> Result<()> {
    for process in cluster.role("worker") {
        let mut role = Role::of(&process)?;
        role.set("--heartbeat", &format!("{millis}ms"));
        cluster.kill(&process)?;
        cluster.start_by_hand(&role)?;
        whole(cluster, WORKERS, PATIENCE)?;
    }
    change(cluster, "POST", "/v1/admin/repair", None)?;
    whole(cluster, WORKERS, PATIENCE)
}
