//! Workers come and go while files are written and read: no request fails, and bytes are spread
//! evenly over those that are there.

use crate::MIB;
use crate::figures::{bytes_as_f64, figure};
use crate::healing::{
    Status, Stored, all_disks, order, read_back, so_many_copies, status, two_copies, wait_status,
    walk,
};
use crate::invariants;
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::disks::Chunk;
use mdfs_tests::http::Connection;
use mdfs_tests::transfer::{get_range, path};
use mdfs_tests::wait::{now, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_306;
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);
/// Bytes on the fullest worker, as a multiple of the mean.
const UNEVEN_MOST: f64 = 1.10;
const JOINING: [&str; 2] = ["worker-3", "worker-4"];
/// Files that asked for three copies, where the policy says two: enough that one lies on those that join.
const THRICE: u64 = 8;
/// The writer keeps so many files, and purges older ones.
const KEPT: u64 = 32;

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    films: u64,
    least: u64,
    most: u64,
    judge: bool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = Sizes {
        films: if short { 20 } else { 300 },
        least: MIB,
        most: if short { 2 * MIB } else { 8 * MIB },
        judge: !short,
    };
    DevCluster::with(&Options::default(), |cluster| {
        let films = put_films(cluster, sizes)?;
        let load = Load::default();
        let (url, token) = (cluster.url().to_owned(), cluster.token().to_owned());
        let open = || Connection::open(&url, Some(&token));
        thread::scope(|scope| {
            let writer = scope.spawn(|| load.ends(open().and_then(|to| load.write(to))));
            let reader = scope.spawn(|| load.ends(open().and_then(|to| load.read(to, &films))));
            let moved = grow_and_shrink(cluster, sizes, &films, &load);
            let moved = moved.and_then(|thrice| read_back(cluster, &thrice));
            load.done.store(true, Ordering::Relaxed);
            for (what, thread) in [("write", writer), ("read", reader)] {
                match thread.join() {
                    Ok(ended) => ended.with_context(|| format!("a {what} failed"))?,
                    Err(_) => bail!("what {what}s ended badly"),
                }
            }
            moved
        })?;
        read_back(cluster, &films)?;
        wait_status(cluster, "whole cluster", PATIENCE, Status::is_whole)?;
        let disks = all_disks(cluster)?;
        two_copies(&walk(disks.values())?, &films, false)?;
        invariants::hold(cluster, &disks, PATIENCE)?;
        let (writes, reads) = (&load.writes, &load.reads);
        let (writes, reads) = (
            writes.load(Ordering::Relaxed),
            reads.load(Ordering::Relaxed),
        );
        figure(
            "files written, ranges read meanwhile",
            &format!("{writes}, {reads}, none failed"),
        );
        Ok(())
    })
}

fn put_films(cluster: &DevCluster, sizes: Sizes) -> Result<Vec<Stored>> {
    let mut chance = Chance::new(SEED);
    let mut connection = cluster.connect()?;
    let put = |number| {
        let length = chance.within(sizes.least, sizes.most + 1);
        let name = format!("films/{number:03}");
        Stored::put(&mut connection, &name, number, length, MIB)
    };
    (0..sizes.films).map(put).collect()
}

/// What goes on in the background, until it is done or something failed.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    failed: AtomicBool,
    writes: AtomicU64,
    reads: AtomicU64,
}

impl Load {
    fn ends(&self, result: Result<()>) -> Result<()> {
        self.failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }

    /// Puts files, reads each back, and purges those of before.
    fn write(&self, mut to: Connection) -> Result<()> {
        let name = |number: u64| format!("load/{number:06}");
        let mut chance = Chance::new(SEED + 1);
        while !self.done.load(Ordering::Relaxed) {
            let number = self.writes.fetch_add(1, Ordering::Relaxed);
            let length = chance.within(1, 512 * 1024);
            let file = Stored::put(&mut to, &name(number), 100_000 + number, length, MIB)?;
            file.get(&mut to)?;
            if let Some(old) = number.checked_sub(KEPT) {
                let target = format!("{}?purge", path(&name(old)));
                let answer = to.request("DELETE", &target, &[], &[])?;
                let problem = || answer.problem();
                ensure!(
                    answer.status() == 204,
                    "{target} was answered {}",
                    problem()
                );
            }
        }
        Ok(())
    }

    /// Reads ranges of these films.
    fn read(&self, mut from: Connection, films: &[Stored]) -> Result<()> {
        let mut chance = Chance::new(SEED + 2);
        while !self.done.load(Ordering::Relaxed) {
            let film = chance.one_of(films).context("there are films")?;
            let offset = chance.within(0, film.length);
            let length = chance.within(1, (64 * 1024).min(film.length - offset) + 1);
            get_range(&mut from, &film.name, film.content, offset, length)?;
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits for `wanted`, and no longer once a read or write failed.
    fn wait(
        &self,
        cluster: &DevCluster,
        what: &str,
        wanted: impl Fn(&Status) -> Result<bool>,
    ) -> Result<()> {
        wait_for(what, PATIENCE, || {
            if self.failed.load(Ordering::Relaxed) {
                return Ok(Some(()));
            }
            let found = status(cluster)?;
            ensure!(wanted(&found)?, "{found:?}");
            Ok(Some(()))
        })?;
        ensure!(
            !self.failed.load(Ordering::Relaxed),
            "given up: a read or write failed"
        );
        Ok(())
    }
}

fn grow_and_shrink(
    cluster: &mut DevCluster,
    sizes: Sizes,
    films: &[Stored],
    load: &Load,
) -> Result<Vec<Stored>> {
    let three = Places::of(cluster, films)?;
    let first = Role::of(&cluster.first("worker")?)?;
    let started = now();
    for name in JOINING {
        cluster.start_by_hand(&first.another(name)?)?;
    }
    load.wait(cluster, "share of the bytes on new workers", |status| {
        let places = Places::of(cluster, films)?;
        let uneven = places.uneven();
        let even = !sizes.judge || uneven <= UNEVEN_MOST;
        let took_part = status.live_workers == 5 && status.workers == 5;
        ensure!(even, "the fullest worker has {uneven:.3} times the mean");
        places.are_two_each(films)?;
        let have_some = JOINING.iter().all(|name| places.bytes_on(name) > 0);
        Ok(took_part && status.moving_partitions == 0 && have_some)
    })?;
    let five = Places::of(cluster, films)?;
    let took = started.elapsed().as_secs_f64();
    figure("3 to 5 workers", &format!("{took:.1} s"));
    figure(
        "bytes on the fullest worker, over the mean",
        &format!("{:.3}", five.uneven()),
    );
    let least = bytes_as_f64(five.bytes()) * 2.0 / 5.0;
    figure(
        "bytes moved, the least possible",
        &format!("{}, {least:.0}", five.came_since(&three)),
    );

    let thrice = put_thrice(cluster)?;
    let started = now();
    let least: u64 = JOINING.iter().map(|name| five.bytes_on(name)).sum();
    for name in JOINING {
        order(cluster, "drain", name)?;
    }
    load.wait(cluster, "empty workers", |status| {
        let disks = all_disks(cluster)?;
        for name in JOINING {
            let disk = disks.get(name).context("it has a disk")?;
            let left = mdfs_tests::disks::all_chunks(disk)?.len();
            ensure!(left == 0, "{name} still has {left} chunks");
        }
        Places::of(cluster, films)?.are_two_each(films)?;
        so_many_copies(3, &walk(disks.values())?, &thrice, false)?;
        Ok(status.moving_partitions == 0 && status.under_replicated_files == 0)
    })?;
    let again = Places::of(cluster, films)?;
    let took = started.elapsed().as_secs_f64();
    figure("5 to 3 workers, two of them empty", &format!("{took:.1} s"));
    figure(
        "bytes moved, the least possible",
        &format!("{}, {least}", again.came_since(&five)),
    );
    figure(
        "files of three copies under a policy of two",
        &format!("{THRICE}, three copies of each after that"),
    );
    Ok(thrice)
}

/// Puts files of three copies, of which some lie on workers that joined.
fn put_thrice(cluster: &DevCluster) -> Result<Vec<Stored>> {
    let mut connection = cluster.connect()?;
    let put = |number| {
        let (name, content) = (format!("thrice/{number}"), 200_000 + number);
        let query = "&replicas=3";
        Stored::put_with(&mut connection, &name, content, MIB / 4, MIB, query)
    };
    let files: Vec<Stored> = (0..THRICE).map(put).collect::<Result<_>>()?;
    let places = Places::of(cluster, &files)?;
    let on_joined = JOINING.iter().any(|name| places.bytes_on(name) > 0);
    ensure!(on_joined, "no file of three copies lies on {JOINING:?}");
    Ok(files)
}

/// Which worker has which chunks of the films.
struct Places(BTreeMap<String, BTreeMap<Chunk, u64>>);

impl Places {
    fn of(cluster: &DevCluster, films: &[Stored]) -> Result<Self> {
        let ids: BTreeSet<&str> = films.iter().map(|film| film.file_id.as_str()).collect();
        let mut places = BTreeMap::new();
        for (name, disk) in all_disks(cluster)? {
            let mut chunks = mdfs_tests::disks::all_chunks(&disk)?;
            chunks.retain(|(file_id, _), _| ids.contains(file_id.as_str()));
            places.insert(name, chunks);
        }
        Ok(Self(places))
    }

    /// Checks that no copy is missing, nor one still there that was moved.
    fn are_two_each(&self, films: &[Stored]) -> Result<()> {
        let bytes = films.iter().map(|film| film.length).sum::<u64>();
        let stored = self.bytes();
        ensure!(stored == 2 * bytes, "{stored} bytes are stored for {bytes}");
        Ok(())
    }

    fn bytes_on(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, crate::healing::bytes_in)
    }

    fn bytes(&self) -> u64 {
        self.0.values().map(crate::healing::bytes_in).sum()
    }

    /// Bytes on the fullest worker, over the mean of all.
    fn uneven(&self) -> f64 {
        let most = self.0.values().map(crate::healing::bytes_in).max();
        let workers = u64::try_from(self.0.len()).unwrap_or(1);
        bytes_as_f64(most.unwrap_or_default() * workers) / bytes_as_f64(self.bytes())
    }

    /// Bytes of chunks that are where they were not before.
    fn came_since(&self, before: &Self) -> u64 {
        let nothing = BTreeMap::new();
        let came = |(name, chunks): (&String, &BTreeMap<Chunk, u64>)| -> u64 {
            let had = before.0.get(name).unwrap_or(&nothing);
            let new = chunks.iter().filter(|(chunk, _)| !had.contains_key(*chunk));
            new.map(|(_, length)| length).sum()
        };
        self.0.iter().map(came).sum()
    }
}
