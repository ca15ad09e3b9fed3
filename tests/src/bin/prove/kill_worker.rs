//! A worker may die or hang during a download or upload, and nobody notices.

use crate::MIB;
use crate::figures::{Series, figure};
use crate::healing::{all_disks, change};
use crate::invariants;
use crate::ranges::{self, File};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::{Content, ContentReader};
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::process::{Fault, inflict};
use mdfs_tests::transfer::{self, Received};
use mdfs_tests::{disks, wait};
use serde_json::Value;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_301;
/// The longest that a read may stand still while a worker hangs.
const GAP_LIMIT: Duration = Duration::from_secs(1);
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    rounds: u64,
    length: u64,
    chunk_size: u64,
    judge_time: bool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = if short {
        Sizes {
            rounds: 1,
            length: 48 * MIB + 11,
            chunk_size: 8 * MIB,
            judge_time: false,
        }
    } else {
        Sizes {
            rounds: 5,
            length: 1024 * MIB + 11,
            chunk_size: 64 * MIB,
            judge_time: true,
        }
    };
    let mut chance = Chance::new(SEED);
    DevCluster::with(&Options::default(), |cluster| {
        downloads(cluster, sizes, &mut chance)
    })?;
    for round in 0..sizes.rounds * 2 {
        let options = Options {
            restart: false,
            ..Options::default()
        };
        let upload = |cluster: &mut DevCluster| upload(cluster, sizes, round, &mut chance);
        DevCluster::with(&options, upload).with_context(|| format!("upload {round}"))?;
    }
    let uploads = sizes.rounds * 2;
    figure(
        "uploads from a pipe while a worker was killed",
        &format!("{uploads}, two copies each"),
    );
    Ok(())
}

fn downloads(cluster: &mut DevCluster, sizes: Sizes, chance: &mut Chance) -> Result<()> {
    let content = Content::new(1);
    let name = "films/one.mkv";
    let target = format!("{}?chunk_size={}", transfer::path(name), sizes.chunk_size);
    let body = content.reader(sizes.length);
    let answer = cluster
        .connect()?
        .upload("PUT", &target, &[], body, Some(sizes.length))?;
    transfer::stored(name, sizes.length, &answer)?;
    let file_id = text(&answer.json()?, "file_id")?;
    let file = File {
        url: cluster.url().to_owned(),
        token: cluster.token().to_owned(),
        name: name.to_owned(),
        content,
        length: sizes.length,
    };
    let holders = holders(cluster, &file_id)?;
    ensure!(
        holders.len() == 2,
        "{} workers hold the file instead of 2",
        holders.len()
    );

    for fault in [Fault::Kill, Fault::Stop] {
        let (mut gaps, mut slowest, mut read) = (Series::default(), Series::default(), 0);
        for round in 0..sizes.rounds {
            for holder in &holders {
                let seen = during(cluster, &file, &holder.name, fault, chance)
                    .with_context(|| format!("{fault:?} {} in round {round}", holder.name))?;
                gaps.add(seen.whole.longest_gap.as_secs_f64());
                slowest.add(seen.ranges.slowest.as_secs_f64());
                read += seen.ranges.ranges;
            }
        }
        invariants::hold(cluster, &all_disks(cluster)?, PATIENCE)?;
        let downloads = sizes.rounds * 2;
        figure(
            &format!("{fault:?}: downloads intact, of {} bytes", sizes.length),
            &format!("{downloads}"),
        );
        figure(
            &format!("{fault:?}: longest wait for a byte"),
            &gaps.shown("s"),
        );
        figure(
            &format!("{fault:?}: slowest of {read} ranges, all right"),
            &slowest.shown("s"),
        );
        let slowest = gaps.most().max(slowest.most());
        if sizes.judge_time && fault == Fault::Stop && slowest > GAP_LIMIT.as_secs_f64() {
            bail!("a read stood still for {slowest:.3} s while a worker hung");
        }
    }
    Ok(())
}

/// What readers saw of one fault.
struct Seen {
    whole: Received,
    ranges: ranges::Seen,
}

/// Downloads the file whole, and ranges of it, while one of its holders is hit at a random moment.
fn during(
    cluster: &mut DevCluster,
    file: &File,
    holder: &str,
    fault: Fault,
    chance: &mut Chance,
) -> Result<Seen> {
    let target = worker(cluster, holder)?;
    let moment = chance.within(file.length / 10, file.length / 2);
    let seed = chance.number();
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let ranges = scope.spawn(|| ranges::read_until(file, seed, &done));
        let whole = cluster.connect().and_then(|mut connection| {
            let mut hit = false;
            let (name, content, length) = (&file.name, file.content, file.length);
            transfer::get(&mut connection, name, content, length, |bytes| {
                if !hit && bytes >= moment {
                    hit = true;
                    inflict(fault, target.pid)?;
                }
                Ok(())
            })
        });
        done.store(true, Ordering::Relaxed);
        let ranges = ranges
            .join()
            .unwrap_or_else(|_| bail!("the reader of ranges ended badly"));
        Ok::<_, anyhow::Error>(Seen {
            whole: whole?,
            ranges: ranges.context("ranges")?,
        })
    });
    if fault == Fault::Stop {
        inflict(Fault::Continue, target.pid)?;
    } else {
        cluster.wait_restart(&target)?;
    }
    let seen = seen?;
    cluster.wait_healthy()?;
    Ok(seen)
}

/// Uploads from a body that exists only once, while a worker that receives it is killed for good.
fn upload(cluster: &mut DevCluster, sizes: Sizes, round: u64, chance: &mut Chance) -> Result<()> {
    cluster.wait_healthy()?;
    let content = Content::new(1000 + round);
    let name = format!("uploads/{round}");
    let moment = chance.within(sizes.length / 10, sizes.length * 9 / 10);
    let which = usize::try_from(round % 2)?;
    let mut killed = None;
    let body = Pipe {
        content: content.reader(sizes.length),
        read: 0,
        moment,
        hit: || {
            let receiving = receiving(cluster)?;
            let target = receiving.get(which).or(receiving.first()).cloned();
            let target = target.context("no worker receives anything")?;
            cluster.kill(&target)?;
            killed = Some(target.name);
            Ok(())
        },
    };
    let path = format!("{}?chunk_size={}", transfer::path(&name), sizes.chunk_size);
    let answer = cluster.connect()?.upload("PUT", &path, &[], body, None)?;
    transfer::stored(&name, sizes.length, &answer)?;
    let killed = killed.context("nothing was killed")?;

    let file_id = text(&answer.json()?, "file_id")?;
    let disks_of = |with_killed: bool| -> Vec<PathBuf> {
        let workers = cluster.role("worker").into_iter();
        let wanted = workers.filter(|worker| with_killed || worker.name != killed);
        wanted.filter_map(|worker| worker.data_dir).collect()
    };
    let (live, all) = (disks_of(false), disks_of(true));
    let count = sizes.length.div_ceil(sizes.chunk_size);
    let copies = disks::least_copies(&all, &file_id, 0..count)?;
    ensure!(
        copies == 2,
        "a chunk has {copies} durable copies instead of 2"
    );
    // A dead worker's disk keeps what was durable; what came after is on live ones alone.
    let after = moment / sizes.chunk_size..count;
    let copies = disks::least_copies(&live, &file_id, after)?;
    ensure!(
        copies == 2,
        "a later chunk has {copies} copies on live workers instead of 2"
    );
    for data_dir in &live {
        for (index, path) in disks::chunks(data_dir, &file_id)? {
            let offset = index * sizes.chunk_size;
            let length = sizes.chunk_size.min(sizes.length - offset);
            let stored = std::fs::read(&path)?;
            let stored = stored
                .get(..usize::try_from(length)?)
                .context("a chunk is too short")?;
            content
                .check(offset, stored)
                .with_context(|| path.display().to_string())?;
        }
    }
    transfer::get(
        &mut cluster.connect()?,
        &name,
        content,
        sizes.length,
        |_| Ok(()),
    )?;
    // What the dead worker had is made again on the others.
    change(cluster, "POST", "/v1/admin/repair", None)?;
    let mut left = all_disks(cluster)?;
    left.remove(&killed);
    invariants::hold(cluster, &left, PATIENCE)
}

/// A body that can be read once, and does something when `moment` bytes of it were read.
struct Pipe<F> {
    content: ContentReader,
    read: u64,
    moment: u64,
    hit: F,
}

impl<F: FnMut() -> Result<()>> Read for Pipe<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.read;
        let count = self.content.read(buffer)?;
        self.read += u64::try_from(count).map_err(io::Error::other)?;
        if before < self.moment && self.moment <= self.read {
            (self.hit)().map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("no {field} in {value}"))?
        .to_owned())
}

fn worker(cluster: &DevCluster, name: &str) -> Result<Process> {
    let found = cluster
        .role("worker")
        .into_iter()
        .find(|worker| worker.name == name);
    found.with_context(|| format!("no worker is called {name}"))
}

fn holders(cluster: &DevCluster, file_id: &str) -> Result<Vec<Process>> {
    let mut holders = Vec::new();
    for worker in cluster.role("worker") {
        let data_dir = worker
            .data_dir
            .as_ref()
            .context("a worker without a data_dir")?;
        if !disks::chunks(data_dir, file_id)?.is_empty() {
            holders.push(worker);
        }
    }
    Ok(holders)
}

/// The workers that are receiving a chunk.
fn receiving(cluster: &DevCluster) -> Result<Vec<Process>> {
    wait::wait_for("worker that receives", Duration::from_secs(10), || {
        let mut receiving = Vec::new();
        for worker in cluster.role("worker") {
            let data_dir = worker
                .data_dir
                .as_ref()
                .context("a worker without a data_dir")?;
            if std::fs::read_dir(data_dir.join("staging"))?
                .next()
                .is_some()
            {
                receiving.push(worker);
            }
        }
        Ok((!receiving.is_empty()).then_some(receiving))
    })
}
