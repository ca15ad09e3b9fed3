//! Full disks refuse what has no room, keep what they have, and go on once there is room again.

use crate::figures::figure;
use crate::healing::{Stored, all_disks, ask, list, read_back, text, wait_status};
use crate::{MIB, invariants};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options, can_mount};
use mdfs_tests::http::Connection;
use mdfs_tests::transfer::path;
use mdfs_tests::wait::{now, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_401;
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);
const WRITERS: u64 = 8;
/// A writer believes that the disks are full when it is refused so often in a row, and the trash is
/// empty.
const REFUSALS: u64 = 4;

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    disk: u64,
    /// Files that are there before, and as many that are in the trash.
    before: u64,
    most: u64,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    if !can_mount() {
        crate::skipped::note("mounting a file system needs root");
        return Ok(());
    }
    let sizes = if short {
        Sizes {
            disk: 128 * MIB,
            before: 20,
            most: MIB,
        }
    } else {
        Sizes {
            disk: 768 * MIB,
            before: 60,
            most: 4 * MIB,
        }
    };
    let options = Options {
        disk_bytes: Some(sizes.disk),
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| fill(cluster, sizes))
}

fn fill(cluster: &DevCluster, sizes: Sizes) -> Result<()> {
    let inside = |(name, disk): (String, PathBuf)| (name, cluster.as_seen_inside(&disk));
    let disks: BTreeMap<_, _> = all_disks(cluster)?.into_iter().map(inside).collect();
    let before = put_before(cluster, sizes)?;
    let trash = trash(cluster)?;
    let mut files = write_until_full(cluster, sizes, &trash)?;
    figure(
        "files stored until the disks were full",
        &files.len().to_string(),
    );
    let count = files.len();
    files.extend(before);
    read_back(cluster, &files)?;
    log_is_whole(cluster)?;

    // Names go although there is no room for anything, and bytes follow.
    let deleted = files.split_off(count / 2);
    let started = now();
    for file in &deleted {
        let answer = ask(cluster, "DELETE", &path(&file.name), None)?;
        let problem = || answer.problem();
        ensure!(
            matches!(answer.status(), 200 | 204),
            "DELETE {} on full disks was answered {}",
            file.name,
            problem()
        );
        let answer = ask(cluster, "GET", &path(&file.name), None)?.problem();
        ensure!(answer == "404 file_not_found", "{} is {answer}", file.name);
    }
    let each = started.elapsed().as_secs_f64() / f64::from(u32::try_from(deleted.len())?);
    figure(
        "deletes on full disks, all done",
        &format!("{}, {:.1} ms each", deleted.len(), each * 1e3),
    );
    let started = now();
    let mut chance = Chance::new(SEED);
    for number in 0..u64::try_from(deleted.len())? / 2 {
        let length = chance.within(1, sizes.most + 1);
        let name = format!("after/{number:04}");
        let file = wait_for("room after deletes", PATIENCE, || {
            let mut connection = cluster.connect()?;
            put(&mut connection, &name, 1_000_000 + number, length)
        })?;
        files.push(file);
    }
    let took = started.elapsed().as_secs_f64();
    figure(
        "files stored where the trash made room",
        &format!("{} in {took:.1} s", deleted.len() / 2),
    );
    read_back(cluster, &files)?;
    log_is_whole(cluster)?;
    invariants::hold(cluster, &disks, PATIENCE)
}

/// Files that stay, and as many in the trash.
fn put_before(cluster: &DevCluster, sizes: Sizes) -> Result<Vec<Stored>> {
    let mut chance = Chance::new(SEED + 1);
    let mut connection = cluster.connect()?;
    let mut kept = Vec::new();
    for number in 0..2 * sizes.before {
        let length = chance.within(1, sizes.most + 1);
        let name = format!("before/{number:04}");
        let file = Stored::put(&mut connection, &name, 2_000_000 + number, length, MIB)?;
        if number % 2 == 0 {
            kept.push(file);
        } else {
            let answer = connection.request("DELETE", &path(&name), &[], &[])?;
            ensure!(answer.status() == 204, "{}", answer.problem());
        }
    }
    Ok(kept)
}

/// The ids of the files in the trash, the oldest first.
fn trash(cluster: &DevCluster) -> Result<Vec<String>> {
    let files = list(cluster, "/v1/trash")?;
    files.iter().map(|file| text(file, "file_id")).collect()
}

/// Stores one file; none if that is refused for want of room, as it should be.
fn put(
    connection: &mut Connection,
    name: &str,
    number: u64,
    length: u64,
) -> Result<Option<Stored>> {
    let content = mdfs_tests::content::Content::new(number);
    let target = format!("{}?chunk_size={MIB}", path(name));
    let answer = connection.upload("PUT", &target, &[], content.reader(length), Some(length))?;
    match answer.status() {
        201 => Ok(Some(Stored {
            name: name.to_owned(),
            file_id: text(&answer.json()?, "file_id")?,
            content,
            length,
            chunk_size: MIB,
        })),
        507 => {
            let problem = answer.json()?;
            let said = problem.get("detail").and_then(Value::as_str);
            let clear = said.is_some_and(|said| said.contains("room") || said.contains("space"));
            ensure!(answer.problem() == "507 no_space" && clear, "{problem}");
            Ok(None)
        }
        _ => bail!("PUT {name} was answered {}", answer.text()),
    }
}

/// Writes until nothing has room although the trash is empty. Meanwhile the trash ends from its
/// oldest file on.
fn write_until_full(
    cluster: &DevCluster,
    sizes: Sizes,
    trash_before: &[String],
) -> Result<Vec<Stored>> {
    let started = now();
    let (full, failed, refused) = (
        AtomicBool::new(false),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let write = |writer: u64| -> Result<Vec<Stored>> {
        let mut chance = Chance::new(SEED ^ (writer << 32));
        let (mut files, mut in_a_row) = (Vec::new(), 0);
        let mut connection = Connection::open(cluster.url(), Some(cluster.token()))?;
        for count in 0.. {
            if failed.load(Ordering::Relaxed) || started.elapsed() > PATIENCE {
                break;
            }
            let number = writer * 100_000 + count;
            let length = chance.within(1, sizes.most + 1);
            match put(
                &mut connection,
                &format!("fill/{number:06}"),
                number,
                length,
            )? {
                Some(file) => {
                    files.push(file);
                    in_a_row = 0;
                }
                None => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    in_a_row += 1;
                    // What was refused may have been left unread.
                    connection = Connection::open(cluster.url(), Some(cluster.token()))?;
                }
            }
            if in_a_row >= REFUSALS && full.load(Ordering::Relaxed) {
                return Ok(files);
            }
        }
        failed.store(true, Ordering::Relaxed);
        bail!("writer {writer} was not refused in time");
    };
    let ends = |writer| {
        let result = write(writer);
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    };
    let files = thread::scope(|scope| {
        let ends = &ends;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || ends(writer)))
            .collect();
        let watched = wait_for("empty trash", PATIENCE, || {
            let left = trash(cluster)?;
            let oldest_first = trash_before.ends_with(&left);
            if failed.load(Ordering::Relaxed) || !oldest_first {
                return Ok(Some(oldest_first));
            }
            Ok(left.is_empty().then_some(true))
        });
        failed.fetch_or(!matches!(watched, Ok(true)), Ordering::Relaxed);
        full.store(true, Ordering::Relaxed);
        let mut files = Vec::new();
        for writer in writers {
            match writer.join() {
                Ok(wrote) => files.extend(wrote?),
                Err(_) => bail!("a writer ended badly"),
            }
        }
        ensure!(watched?, "the trash did not end from its oldest file on");
        Ok(files)
    })?;
    figure(
        "files of the trash that ended, the oldest first",
        &trash_before.len().to_string(),
    );
    let refused = refused.load(Ordering::Relaxed);
    figure("uploads refused, each with 507", &refused.to_string());
    Ok(files)
}

/// The log's reserve was never used up: no disk has failed, and changes are still taken.
fn log_is_whole(cluster: &DevCluster) -> Result<()> {
    // A count may be of while files were still written: it never flatters.
    let started = now();
    wait_status(
        cluster,
        "status without a file at risk",
        PATIENCE,
        |found| found.missing_files == 0 && found.under_replicated_files == 0,
    )?;
    figure(
        "until the status says that no file is at risk",
        &format!("{:.1} s", started.elapsed().as_secs_f64()),
    );
    let answer = ask(cluster, "GET", "/v1/workers", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    for worker in workers.context("no workers")? {
        let read_only = worker.get("read_only").and_then(Value::as_bool);
        ensure!(read_only == Some(false), "a disk has failed: {worker}");
    }
    let log = cluster.log()?;
    let full = log.lines().find(|line| line.contains("os error 28"));
    ensure!(full.is_none(), "a disk was used up: {full:?}");
    Ok(())
}
