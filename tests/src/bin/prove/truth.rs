//! What the status says is so, or is marked as older than that: it is compared with walks of the
//! records and disks while workers die and come back, bits rot, files go, and disks come and go.

mod judge;

use crate::figures::{Series, bytes_as_f64, figure};
use crate::healing::{
    Stored, all_disks, ask, change, order, read_back, settle, status, wait_status,
};
use crate::{MIB, invariants};
use anyhow::{Context, Result, bail, ensure};
use judge::{Said, Walked, judge};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::disks;
use mdfs_tests::transfer::path;
use mdfs_tests::wait::{now, pause, wait_for};
use mdfs_tests::walker::{Count, Depth, Records, read_disks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const SEED: u64 = 20_260_402;
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);
/// The oldest that figures may be while nothing is wrong with a cluster.
const AGE_MOST: Duration = Duration::from_secs(15);

pub(crate) fn prove(short: bool) -> Result<()> {
    let files = if short { 24 } else { 300 };
    let every = Duration::from_millis(if short { 200 } else { 1000 });
    let options = Options {
        workers: 4,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let files = put_all(cluster, files)?;
        settle(cluster, &all_disks(cluster)?, 4, files.iter(), PATIENCE)?;
        let seen = watch(cluster, every, |cluster, eyes| live(cluster, eyes, files))?;
        let disks = seen.disks.clone();
        invariants::hold(cluster, &disks, PATIENCE)?;
        show(&seen, short)
    })
}

fn put_all(cluster: &DevCluster, files: u64) -> Result<Vec<Stored>> {
    let mut chance = Chance::new(SEED);
    let mut connection = cluster.connect()?;
    let put = |number| {
        let length = chance.within(1, 3 * MIB);
        let name = format!("truth/{number:03}");
        Stored::put(&mut connection, &name, number, length, MIB)
    };
    (0..files).map(put).collect()
}

/// What the walker looks at, and when it cannot be compared.
#[derive(Clone, Debug)]
struct Eyes {
    /// The disks of the workers that run.
    disks: BTreeMap<String, PathBuf>,
    /// The walker sees what no worker can know yet: a worker that is only starting, or what changed
    /// on a disk behind its worker's back and was not read since.
    blind: bool,
}

/// All that was seen.
struct Seen {
    said: Vec<Said>,
    walked: Vec<Walked>,
    disks: BTreeMap<String, PathBuf>,
}

/// What [`live`] tells the walker through.
struct Scene(Mutex<Eyes>);

impl Scene {
    fn eyes(&self) -> MutexGuard<'_, Eyes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that no worker can know before it is over.
    fn blindly<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.eyes().blind = true;
        let done = work();
        self.eyes().blind = false;
        done
    }
}

/// Takes samples of the status every so often, and walks all the time, while `work` is done.
fn watch(
    cluster: &mut DevCluster,
    every: Duration,
    work: impl FnOnce(&mut DevCluster, &Scene) -> Result<()>,
) -> Result<Seen> {
    let scene = Scene(Mutex::new(Eyes {
        disks: all_disks(cluster)?,
        blind: false,
    }));
    let done = AtomicBool::new(false);
    let asked = Asked {
        url: cluster.url().to_owned(),
        token: cluster.token().to_owned(),
        cluster_id: cluster.state().cluster_id.clone(),
    };
    let (said, walked) = thread::scope(|scope| {
        let sampler = scope.spawn(|| asked.sample(every, &done));
        let walker = scope.spawn(|| asked.walk(&scene, &done));
        let worked = work(cluster, &scene);
        done.store(true, Ordering::Relaxed);
        let (Ok(said), Ok(walked)) = (sampler.join(), walker.join()) else {
            bail!("a watcher ended badly")
        };
        worked?;
        Ok((said, walked?))
    })?;
    let disks = scene.eyes().disks.clone();
    Ok(Seen {
        said,
        walked,
        disks,
    })
}

/// Where to ask.
struct Asked {
    url: String,
    token: String,
    cluster_id: String,
}

impl Asked {
    fn connect(&self) -> Result<mdfs_tests::http::Connection> {
        mdfs_tests::http::Connection::open(&self.url, Some(&self.token))
    }

    fn sample(&self, every: Duration, done: &AtomicBool) -> Vec<Said> {
        let mut said = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let from = now();
            let status = || -> Result<_> {
                let answer = self.connect()?.request("GET", "/v1/status", &[], &[])?;
                Ok(serde_json::from_value(answer.json()?)?)
            };
            // Without a master nothing is said, which is never wrong.
            if let Ok(status) = status() {
                let to = now();
                said.push(Said { from, to, status });
            }
            pause(every.saturating_sub(from.elapsed()));
        }
        said
    }

    fn walk(&self, scene: &Scene, done: &AtomicBool) -> Result<Vec<Walked>> {
        let mut walked = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let before = scene.eyes().clone();
            let from = now();
            // Without a master there are no records to walk by.
            let Ok(records) = self.connect().and_then(|mut to| Records::list(&mut to)) else {
                pause(Duration::from_millis(20));
                continue;
            };
            let found = read_disks(&before.disks, &self.cluster_id, Depth::Blocks)?;
            let count = Count::of(&records, &found);
            let to = now();
            let after = scene.eyes().clone();
            let same = before.disks == after.disks && !before.blind && !after.blind;
            walked.push(Walked {
                from,
                to,
                count: same.then_some(count),
            });
        }
        Ok(walked)
    }
}

/// Everything that happens to the cluster.
fn live(cluster: &mut DevCluster, scene: &Scene, mut files: Vec<Stored>) -> Result<()> {
    let workers = cluster.role("worker");
    let worker = |number: usize| workers.get(number).context("there are four workers");

    // Dies and comes back: with a damaged copy that nobody needs any more.
    let first = worker(1)?;
    let role = Role::of(first)?;
    kill(cluster, scene, first)?;
    wait_status(cluster, "count of the loss", PATIENCE, |status| {
        status.under_replicated_files > 0
    })?;
    let gone = cut_one(&role.disk()?, &mut files)?;
    change(
        cluster,
        "DELETE",
        &format!("{}?purge", path(&gone.name)),
        None,
    )?;
    start(cluster, scene, &role)?;
    whole(cluster, 4)?;

    // Rots.
    scene.blindly(|| {
        rot(scene, &files)?;
        change(cluster, "POST", "/v1/admin/scrub", None)?;
        wait_for("end of the scrub", PATIENCE, || scrubbed(cluster))
    })?;
    whole(cluster, 4)?;

    // Files go, some for good.
    let gone = files.split_off(files.len() * 3 / 4);
    for (number, file) in gone.iter().enumerate() {
        let purge = if number % 2 == 0 { "?purge" } else { "" };
        let target = format!("{}{purge}", path(&file.name));
        change(cluster, "DELETE", &target, None)?;
    }
    whole(cluster, 4)?;

    // A worker is emptied and takes part again.
    let name = &worker(2)?.name;
    order(cluster, "drain", name)?;
    let disk = scene.eyes().disks.get(name).cloned();
    let disk = disk.context("it has a disk")?;
    wait_for("empty disk", PATIENCE, || {
        let left = disks::all_chunks(&disk)?.len();
        ensure!(left == 0, "{left} chunks are left");
        Ok(Some(()))
    })?;
    whole(cluster, 4)?;
    order(cluster, "undrain", name)?;
    whole(cluster, 4)?;

    // A disk joins.
    let another = Role::of(&cluster.first("worker")?)?.another("worker-4")?;
    start(cluster, scene, &another)?;
    whole(cluster, 5)?;

    // The master dies, and the next knows nothing at first.
    let master = cluster.first("master")?;
    let role = Role::of(&master)?;
    cluster.kill(&master)?;
    cluster.start_by_hand(&role)?;
    wait_for("next leader", PATIENCE, || status(cluster).map(Some))?;
    whole(cluster, 5)?;

    // A worker dies for good.
    kill(cluster, scene, worker(3)?)?;
    change(cluster, "POST", "/v1/admin/repair", None)?;
    whole(cluster, 4)?;
    read_back(cluster, &files)
}

/// Waits until the cluster is whole, counted after this was called.
fn whole(cluster: &DevCluster, live: u64) -> Result<()> {
    let called = now();
    wait_status(cluster, "whole cluster", PATIENCE, |status| {
        let settled = status.is_whole() && status.excess_copies == 0;
        let fresh = status.is_of_the_last(called.elapsed());
        settled && fresh && status.live_workers == live
    })?;
    Ok(())
}

fn kill(cluster: &DevCluster, scene: &Scene, process: &Process) -> Result<()> {
    // Its connections break before it has ended.
    scene.blindly(|| {
        cluster.kill(process)?;
        scene.eyes().disks.remove(&process.name);
        Ok(())
    })
}

/// Starts a worker; the walker counts its disk from when the leader has heard of it.
fn start(cluster: &mut DevCluster, scene: &Scene, role: &Role) -> Result<()> {
    let live = status(cluster)?.live_workers;
    let disk = role.disk()?;
    scene.blindly(|| {
        cluster.start_by_hand(role)?;
        wait_status(cluster, "live worker", PATIENCE, |status| {
            status.live_workers > live
        })?;
        scene.eyes().disks.insert(role.name().to_owned(), disk);
        Ok(())
    })
}

/// Turns a bit over in one copy of every third file.
fn rot(scene: &Scene, files: &[Stored]) -> Result<()> {
    let mut chance = Chance::new(SEED + 1);
    let disks = scene.eyes().disks.clone();
    for file in files.iter().step_by(3) {
        let mut copies = Vec::new();
        for disk in disks.values() {
            copies.extend(disks::chunks(disk, &file.file_id)?.remove(&0));
        }
        let path = chance.one_of(&copies).context("a chunk without a copy")?;
        flip(path, chance.within(0, file.length.min(file.chunk_size)))?;
    }
    Ok(())
}

/// Cuts a chunk on a disk short, and gives the file that it is of.
fn cut_one(disk: &Path, files: &mut Vec<Stored>) -> Result<Stored> {
    for at in 0..files.len() {
        let file_id = files.get(at).map(|file| file.file_id.clone());
        let chunks = disks::chunks(disk, &file_id.unwrap_or_default())?;
        if let Some(chunk) = chunks.values().next() {
            OpenOptions::new().write(true).open(chunk)?.set_len(10)?;
            return Ok(files.swap_remove(at));
        }
    }
    bail!("the disk has no chunk")
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 4], at)?;
    file.sync_all()?;
    Ok(())
}

fn scrubbed(cluster: &DevCluster) -> Result<Option<()>> {
    let answer = ask(cluster, "GET", "/v1/admin/scrub", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    for worker in workers.context("no workers")? {
        let finished = worker.pointer("/progress/finished");
        let finished = finished.and_then(Value::as_bool);
        ensure!(finished == Some(true), "{worker}");
    }
    Ok(Some(()))
}

fn show(seen: &Seen, short: bool) -> Result<()> {
    let judged = judge(&seen.said, &seen.walked)?;
    let compared = seen.walked.iter().filter(|walk| walk.count.is_some());
    figure(
        "statuses, walks, of them comparable",
        &format!(
            "{}, {}, {}",
            seen.said.len(),
            seen.walked.len(),
            compared.count()
        ),
    );
    figure(
        "statuses equal to the walks around them",
        &format!(
            "{}, {} of a cluster with faults",
            judged.equal, judged.faulty
        ),
    );
    let ages = seen.said.iter().filter_map(|said| said.age());
    let ages = Series::of(ages.map(seconds).collect());
    figure("age of the counts", &ages.shown("s"));
    let took = |walk: &Walked| seconds(walk.to.duration_since(walk.from));
    let took = Series::of(seen.walked.iter().map(took).collect());
    figure("a walk of records and disks took", &took.shown("s"));
    ensure!(
        judged.equal > 0 && judged.faulty > 0,
        "nothing was compared"
    );
    ensure!(
        short || ages.most() <= AGE_MOST.as_secs_f64(),
        "figures were {:.1} s old",
        ages.most()
    );
    Ok(())
}

fn seconds(time: Duration) -> f64 {
    bytes_as_f64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)) / 1e6
}

/// Seconds from the first sample, for people.
fn since(start: Instant, at: Instant) -> f64 {
    seconds(at.saturating_duration_since(start))
}
