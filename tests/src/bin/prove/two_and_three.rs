//! Of three workers any one may be lost. Of two, what is stored is still read.

use crate::MIB;
use crate::figures::figure;
use crate::healing::{
    Stored, all_disks, ask, change, read_back, store_small, text, two_copies, wait_status, walk,
};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn prove(short: bool) -> Result<()> {
    let files = if short { 6 } else { 60 };
    let options = |workers| Options {
        workers,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options(3), |cluster| any_of_three(cluster, files))?;
    DevCluster::with(&options(2), |cluster| either_of_two(cluster, files))?;
    DevCluster::with(&options(2), |cluster| two_and_a_witness(cluster, files))
}

/// Any of three is killed: reads and writes go on at once, and what is written meanwhile has two copies.
fn any_of_three(cluster: &mut DevCluster, count: u64) -> Result<()> {
    let mut files = store_small(cluster, "three", count)?;
    for worker in cluster.role("worker") {
        let role = Role::of(&worker)?;
        cluster.kill(&worker)?;
        let killed = now();
        read_back(cluster, &files)?;
        let name = format!("without/{}", worker.name);
        files.extend(store_small(cluster, &name, count / 2)?);
        figure(
            &format!(
                "without {}: everything read, and {} files stored",
                worker.name,
                count / 2
            ),
            &format!("within {:.1} s", killed.elapsed().as_secs_f64()),
        );
        comes_back(cluster, &role, 3)?;
    }
    read_back(cluster, &files)
}

/// Two that both vote: either is killed, reads go on, writes are put off. Then one is lost for good, and
/// the other goes on alone when it is said so.
fn either_of_two(cluster: &mut DevCluster, count: u64) -> Result<()> {
    change(
        cluster,
        "POST",
        "/v1/admin/voters",
        Some(&json!({ "wanted": 2 })),
    )?;
    wait_for("two voters", PATIENCE, || {
        Ok((voters(cluster)? == 2).then_some(()))
    })?;
    let files = store_small(cluster, "two", count)?;
    for worker in cluster.role("worker") {
        let role = Role::of(&worker)?;
        cluster.kill(&worker)?;
        read_back(cluster, &files)?;
        is_put_off(cluster, "two/not-now")?;
        read_back(cluster, &files)?;
        comes_back(cluster, &role, 2)?;
        let more = store_small(cluster, &format!("again/{}", worker.name), 1)?;
        read_back(cluster, &more)?;
    }
    let workers = cluster.role("worker");
    let lost = workers.last().context("there are two workers")?;
    let said = cluster.cli_ends(1, &["admin", "forget-voter", &lost.name, "--lost"])?;
    ensure!(said.stderr.contains("answers"), "{}", said.stderr);
    cluster.kill(lost)?;
    wait_for("a voter given up", PATIENCE, || {
        cluster.cli_ends(0, &["admin", "forget-voter", &lost.name, "--lost"])?;
        Ok(Some(()))
    })?;
    ensure!(voters(cluster)? == 1, "{} vote", voters(cluster)?);
    read_back(cluster, &files)?;
    // Metadata is written again; for two copies of new bytes a second worker is missing.
    let file = files.first().context("a file")?;
    change(cluster, "DELETE", &transfer::path(&file.name), None)
}

/// Two with chunks and one that only votes: either of the two is killed, and names are still changed; files
/// are stored too, if the policy is content with one copy, and have two once the other is back.
fn two_and_a_witness(cluster: &mut DevCluster, count: u64) -> Result<()> {
    let mut witness = Role::of(&cluster.first("worker")?)?.another("witness")?;
    witness.say("--witness");
    cluster.start_by_hand(&witness)?;
    wait_status(cluster, "a third member", PATIENCE, |found| {
        found.workers == 3
    })?;
    change(
        cluster,
        "POST",
        "/v1/admin/voters",
        Some(&json!({ "wanted": 3 })),
    )?;
    wait_for("three voters", PATIENCE, || {
        Ok((voters(cluster)? == 3).then_some(()))
    })?;
    let mut files = store_small(cluster, "witnessed", count)?;
    let held = mdfs_tests::disks::all_chunks(&witness.disk()?)?;
    ensure!(held.is_empty(), "the witness holds {} chunks", held.len());
    for worker in cluster.role("worker") {
        if worker.name == witness.name() {
            continue;
        }
        let role = Role::of(&worker)?;
        cluster.kill(&worker)?;
        read_back(cluster, &files)?;
        let gone = files.pop().context("a file is left")?;
        change(cluster, "DELETE", &transfer::path(&gone.name), None)?;
        is_put_off(cluster, "witnessed/not-now")?;
        cluster.cli_ends(0, &["policy", "--min-write-copies", "1"])?;
        let name = format!("witnessed/without-{}", worker.name);
        let alone = store_with_one_copy(cluster, &name)?;
        read_back(cluster, std::slice::from_ref(&alone))?;
        comes_back(cluster, &role, 3)?;
        wait_for("the second copy", PATIENCE, || {
            two_copies(&walk(all_disks(cluster)?.values())?, [&alone], false).map(Some)
        })?;
        files.push(alone);
        cluster.cli_ends(0, &["policy", "--min-write-copies", "0"])?;
    }
    read_back(cluster, &files)
}

/// Stores a file while one worker is there, which the answer says.
fn store_with_one_copy(cluster: &DevCluster, name: &str) -> Result<Stored> {
    let (content, length) = (Content::new(77), MIB + 5);
    let path = format!("{}?chunk_size={MIB}", transfer::path(name));
    let body = content.reader(length);
    let mut connection = cluster.connect()?;
    let answer = connection.upload("PUT", &path, &[], body, Some(length))?;
    ensure!(answer.status() == 202, "{name}: {}", answer.text());
    let said = answer.json()?;
    ensure!(said.get("durability") == Some(&json!(1)), "{said}");
    Ok(Stored {
        name: name.to_owned(),
        file_id: text(&said, "file_id")?,
        content,
        length,
        chunk_size: MIB,
    })
}

/// Nothing is stored with one copy, and the answer says when to come again.
fn is_put_off(cluster: &DevCluster, name: &str) -> Result<()> {
    let path = transfer::path(name);
    let answer = cluster.connect()?.request("PUT", &path, &[], b"bytes")?;
    let again = answer.header("retry-after").map(str::to_owned);
    ensure!(
        answer.status() == 503,
        "it was answered {}",
        answer.status()
    );
    ensure!(again.is_some(), "no Retry-After in {}", answer.problem());
    let there = ask(cluster, "HEAD", &path, None)?.status();
    ensure!(there == 404, "what was refused is there: {there}");
    Ok(())
}

fn comes_back(cluster: &mut DevCluster, role: &Role, live: u64) -> Result<Process> {
    let process = cluster.start_by_hand(role)?;
    wait_status(cluster, "everything whole again", PATIENCE, |found| {
        found.live_workers == live && found.is_whole()
    })?;
    Ok(process)
}

fn voters(cluster: &DevCluster) -> Result<usize> {
    let answer = ask(cluster, "GET", "/v1/workers", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    let votes = |worker: &&Value| worker.get("voter") == Some(&json!(true));
    Ok(workers.context("no workers")?.iter().filter(votes).count())
}
