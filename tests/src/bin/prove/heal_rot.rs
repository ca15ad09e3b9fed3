//! Rotten bits are found, named and mended; nothing wrong is ever read.

use crate::MIB;
use crate::figures::figure;
use crate::healing::{
    Stored, all_disks, ask, change, read_back, settle, text, two_copies, wait_status, walk,
};
use crate::invariants;
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::disks;
use mdfs_tests::transfer::{self, get_range};
use mdfs_tests::wait::{now, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEED: u64 = 20_260_404;
const BLOCK: u64 = 64 * 1024;
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn prove(short: bool) -> Result<()> {
    let flips = if short { 10 } else { 100 };
    let options = Options {
        workers: 3,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let disks = all_disks(cluster)?;
        let mut files = Vec::new();
        let mut connection = cluster.connect()?;
        for number in 0..flips {
            let name = format!("rot/{number:03}");
            let length = 2 * MIB + number * 1000;
            files.push(Stored::put(
                &mut connection,
                &name,
                number,
                length,
                2 * MIB,
            )?);
        }
        settle(cluster, &disks, 3, files.iter(), PATIENCE)?;
        one_copy_each(cluster, &disks, &files)?;
        invariants::hold(cluster, &disks, PATIENCE)?;
        both_copies(cluster, &disks, &files)
    })
}

/// One bit in one copy of one chunk of each file.
fn one_copy_each(
    cluster: &DevCluster,
    disks: &BTreeMap<String, PathBuf>,
    files: &[Stored],
) -> Result<()> {
    let mut chance = Chance::new(SEED);
    let mut rotten = BTreeMap::new();
    for file in files {
        let copies = copies(disks, file, 0)?;
        let (disk, path) = chance.one_of(&copies).context("a chunk without a copy")?;
        let at = chance.within(0, 2 * MIB);
        flip(path, at)?;
        rotten.insert(file.name.clone(), disk.clone());
    }
    // Whoever reads now reads right, whichever copy is asked.
    read_back(cluster, files)?;
    let names = worker_names(cluster)?;
    let verified = files.first().context("no files")?;
    let report = verify(cluster, verified)?;
    let problems = report.get("problems").and_then(Value::as_array);
    let problems = problems.context("a report without problems")?;
    // A reader may have met it already, and the copy may be mended.
    for problem in problems {
        let disk = names.get(&text(problem, "disk_id")?).cloned();
        let wanted = rotten.get(&verified.name).cloned();
        ensure!(
            disk == wanted,
            "{problem} names another worker than {wanted:?}"
        );
        ensure!(problem.get("chunk").and_then(Value::as_u64) == Some(0));
    }
    figure(
        "verify of one file",
        &format!("names {} damaged copy", problems.len()),
    );

    let begun = now();
    change(cluster, "POST", "/v1/admin/scrub", None)?;
    wait_for("whole copies", PATIENCE, || {
        wait_scrubbed(cluster)?;
        for file in files {
            for (disk, path) in copies(disks, file, 0)? {
                ensure!(
                    is_as_stored(file, &path)?,
                    "{} on {disk} is rotten",
                    file.name
                );
            }
        }
        Ok(Some(()))
    })?;
    let took = begun.elapsed();
    settle(cluster, disks, 3, files.iter(), PATIENCE)?;
    for file in files {
        let report = verify(cluster, file)?;
        let good = report.get("good").and_then(Value::as_bool);
        ensure!(good == Some(true), "{} is not good: {report}", file.name);
    }
    figure(
        "flipped bits mended after a scrub",
        &format!(
            "{} of {} in {:.1} s",
            files.len(),
            files.len(),
            took.as_secs_f64()
        ),
    );
    Ok(())
}

/// Both copies of a chunk: other blocks, then the same block.
fn both_copies(
    cluster: &DevCluster,
    disks: &BTreeMap<String, PathBuf>,
    files: &[Stored],
) -> Result<()> {
    let [mended, lost, ..] = files else {
        anyhow::bail!("too few files")
    };
    for (number, (_, path)) in (0..).zip(copies(disks, mended, 0)?) {
        flip(&path, (3 + 5 * number) * BLOCK + 17)?;
    }
    let block = 7;
    for (_, path) in copies(disks, lost, 0)? {
        flip(&path, block * BLOCK + 99)?;
    }
    change(cluster, "POST", "/v1/admin/scrub", None)?;
    wait_for("a chunk mended from two damaged copies", PATIENCE, || {
        wait_scrubbed(cluster)?;
        for (disk, path) in copies(disks, mended, 0)? {
            ensure!(is_as_stored(mended, &path)?, "the copy on {disk} is rotten");
        }
        Ok(Some(()))
    })?;
    wait_status(cluster, "count of the lost block", PATIENCE, |status| {
        status.missing_files == 1
    })?;
    let mut connection = cluster.connect()?;
    mended.get(&mut connection)?;

    // What is bad in all copies is said to be bad, by its bytes; all other bytes can be had.
    let bad = block * BLOCK..(block + 1) * BLOCK;
    let path = transfer::path(&lost.name);
    let header = format!("bytes={}-{}", bad.start, bad.end - 1);
    let answer = connection.request("GET", &path, &[("range", &header)], &[])?;
    ensure!(answer.status() >= 500, "a lost block: {}", answer.problem());
    let problem = text(&answer.json()?, "detail")?;
    let named = format!("bytes {}-{}", bad.start, bad.end - 1);
    ensure!(problem.contains(&named), "{problem} does not say {named}");
    let mut connection = cluster.connect()?;
    for (start, end) in [(0, bad.start), (bad.end, lost.length)] {
        get_range(
            &mut connection,
            &lost.name,
            lost.content,
            start,
            end - start,
        )?;
    }
    // Neither copy was thrown away.
    two_copies(&walk(disks.values())?, files, false)?;
    figure("same block bad in both copies", &problem);
    Ok(())
}

fn wait_scrubbed(cluster: &DevCluster) -> Result<()> {
    let answer = ask(cluster, "GET", "/v1/admin/scrub", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    for worker in workers.context("no workers")? {
        let finished = worker
            .pointer("/progress/finished")
            .and_then(Value::as_bool);
        ensure!(finished == Some(true), "{worker}");
    }
    Ok(())
}

fn verify(cluster: &DevCluster, file: &Stored) -> Result<Value> {
    let path = format!("{}?verify", transfer::path(&file.name));
    let answer = ask(cluster, "POST", &path, None)?;
    ensure!(answer.status() == 200, "verify: {}", answer.problem());
    answer.json()
}

/// The names of the workers by their disks.
fn worker_names(cluster: &DevCluster) -> Result<BTreeMap<String, String>> {
    let answer = ask(cluster, "GET", "/v1/workers", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    let names = workers.context("no workers")?.iter();
    names
        .map(|worker| Ok((text(worker, "disk_id")?, text(worker, "name")?)))
        .collect()
}

/// The disks that have a chunk of a file, by the worker's name.
fn copies(
    disks: &BTreeMap<String, PathBuf>,
    file: &Stored,
    index: u64,
) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for (name, disk) in disks {
        let mut chunks = disks::chunks(disk, &file.file_id)?;
        found.extend(chunks.remove(&index).map(|path| (name.clone(), path)));
    }
    Ok(found)
}

/// Turns one bit of a chunk file over, behind its worker's back.
fn flip(path: &Path, at: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x10], at)?;
    file.sync_all()?;
    Ok(())
}

/// Whether the first chunk's file has the bytes that were stored.
fn is_as_stored(stored: &Stored, path: &Path) -> Result<bool> {
    let length = stored.chunk_size.min(stored.length);
    let mut bytes = vec![0; usize::try_from(length)?];
    File::open(path)?.read_exact_at(&mut bytes, 0)?;
    Ok(stored.content.check(0, &bytes).is_ok())
}
