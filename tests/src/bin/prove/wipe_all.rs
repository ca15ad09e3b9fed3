//! Every disk is wiped, one after the other, until none of the first is left: nothing is lost. An old copy of
//! a disk, and a disk of another cluster, are refused, and nothing on them is touched.

use crate::figures::figure;
use crate::healing::{
    Stored, all_disks, ask, change, read_back, status, store_small, text, wait_status, whole,
};
use crate::invariants;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::disks::disk_id;
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);
const WORKERS: u32 = 4;

pub(crate) fn prove(short: bool) -> Result<()> {
    let files = if short { 12 } else { 200 };
    let options = Options {
        workers: WORKERS,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let mut stored = store_small(cluster, "first", files)?;
        swap_votes_soon(cluster)?;
        wipe_each(cluster, &stored)?;
        stored.extend(put_back_an_old_copy(cluster, &stored, files)?);
        bring_a_foreign_disk(cluster)?;
        read_back(cluster, &stored)
    })
}

/// A voter that is away hands its vote over after seconds instead of minutes.
fn swap_votes_soon(cluster: &mut DevCluster) -> Result<()> {
    let master = cluster.first("master")?;
    let mut role = Role::of(&master)?;
    role.set("--voter-patience", "2s");
    cluster.kill(&master)?;
    cluster.start_by_hand(&role)?;
    whole(cluster, WORKERS.into(), PATIENCE)
}

fn wipe_each(cluster: &mut DevCluster, files: &[Stored]) -> Result<()> {
    let first: BTreeSet<String> = members(cluster)?.into_keys().collect();
    for worker in cluster.role("worker") {
        let role = Role::of(&worker)?;
        let old = disk_of(cluster, role.name())?;
        let voted = members(cluster)?.get(&old) == Some(&true);
        cluster.kill(&worker)?;
        let killed = now();
        fs::remove_dir_all(role.disk()?)?;
        cluster.start_by_hand(&role)?;
        wait_for("the vote of the wiped disk on another", PATIENCE, || {
            let members = members(cluster)?;
            let voters = members.values().filter(|votes| **votes).count();
            let moved = members.get(&old) != Some(&true) && voters == 3;
            ensure!(moved, "{members:?}");
            Ok(Some(()))
        })?;
        let lost = json!({ "worker": old, "lost": true });
        // It has a say until the change of the voters is committed.
        wait_for("the wiped disk retired", PATIENCE, || {
            change(cluster, "POST", "/v1/admin/retire", Some(&lost))?;
            Ok(Some(()))
        })?;
        whole(cluster, WORKERS.into(), PATIENCE)?;
        read_back(cluster, files)?;
        let what = if voted { "a voter" } else { "no voter" };
        figure(
            &format!("{} wiped ({what}), whole again", role.name()),
            &format!("after {:.1} s", killed.elapsed().as_secs_f64()),
        );
    }
    let left: Vec<_> = members(cluster)?
        .into_keys()
        .filter(|it| first.contains(it))
        .collect();
    ensure!(left.is_empty(), "disks of the first are left: {left:?}");
    // Copies may still be on their way to the last of the new disks, and a walk is not of one moment.
    invariants::hold(cluster, &all_disks(cluster)?, PATIENCE)
}

/// A disk goes back in time: it is refused, and its copies are made elsewhere.
fn put_back_an_old_copy(
    cluster: &mut DevCluster,
    files: &[Stored],
    count: u64,
) -> Result<Vec<Stored>> {
    let worker = cluster.first("worker")?;
    let role = Role::of(&worker)?;
    let (disk, id) = (role.disk()?, disk_of(cluster, role.name())?);
    cluster.stop_by_hand(&worker)?;
    let snapshot = cluster.folder().join("snapshot");
    copy(&disk, &snapshot)?;
    cluster.start_by_hand(&role)?;
    whole(cluster, WORKERS.into(), PATIENCE)?;
    let later = store_small(cluster, "later", count)?;
    let worker = cluster
        .role("worker")
        .into_iter()
        .find(|it| it.name == worker.name);
    cluster.stop_by_hand(&worker.context("it runs")?)?;
    fs::remove_dir_all(&disk)?;
    fs::rename(&snapshot, &disk)?;
    let before = bytes_of(&disk)?;
    cluster.start_by_hand(&role)?;
    let why = format!("disk {id} shows generation");
    wait_for("the refusal of an old copy", PATIENCE, || {
        Ok(is_refused(cluster, &why)?.then_some(()))
    })?;
    wait_for("its vote on another", PATIENCE, || {
        Ok((members(cluster)?.get(&id) != Some(&true)).then_some(()))
    })?;
    wait_status(cluster, "copies of all elsewhere", PATIENCE, |found| {
        found.is_whole() && found.live_workers == u64::from(WORKERS) - 1
    })?;
    ensure!(
        bytes_of(&disk)? == before,
        "an old copy of a disk was written to"
    );
    read_back(cluster, files)?;
    read_back(cluster, &later)?;
    Ok(later)
}

/// A disk of another cluster beats here: it is refused, and keeps what it has.
fn bring_a_foreign_disk(cluster: &mut DevCluster) -> Result<()> {
    let other = Options {
        workers: 2,
        restart: false,
        ..Options::default()
    };
    let mut foreign = DevCluster::start(&other)?;
    store_small(&foreign, "theirs", 4)?;
    let disk = foreign.first("worker")?.data_dir.context("its disk")?;
    let like = cluster
        .role("worker")
        .into_iter()
        .next_back()
        .context("a worker")?;
    let guest = Role::of(&like)?.another("guest")?;
    foreign.stop()?;
    copy(&disk, &guest.disk()?)?;
    let before = bytes_of(&guest.disk()?)?;
    ensure!(!before.is_empty(), "nothing is stored on the foreign disk");
    let known = status(cluster)?.workers;
    let (id, theirs) = (disk_id(&guest.disk()?)?, &foreign.state().cluster_id);
    let why = format!("disk {id} belongs to cluster {theirs}");
    ensure!(!is_refused(cluster, &why)?, "it was here before");
    cluster.start_by_hand(&guest)?;
    wait_for("the refusal of a foreign disk", PATIENCE, || {
        Ok(is_refused(cluster, &why)?.then_some(()))
    })?;
    let taken = members(cluster)?.contains_key(&id);
    ensure!(!taken, "the foreign disk is a member");
    ensure!(status(cluster)?.workers == known, "it was taken in");
    ensure!(bytes_of(&guest.disk()?)? == before, "it was written to");
    Ok(())
}

/// The disks, and whether they vote.
fn members(cluster: &DevCluster) -> Result<BTreeMap<String, bool>> {
    let member = |worker: &Value| {
        Ok((
            text(worker, "disk_id")?,
            worker.get("voter") == Some(&json!(true)),
        ))
    };
    workers(cluster)?.iter().map(member).collect()
}

fn disk_of(cluster: &DevCluster, name: &str) -> Result<String> {
    let found = workers(cluster)?;
    let live = |it: &&Value| {
        it.get("name") == Some(&json!(name)) && it.get("state") == Some(&json!("live"))
    };
    text(found.iter().find(live).context("it is live")?, "disk_id")
}

fn workers(cluster: &DevCluster) -> Result<Vec<Value>> {
    let answer = ask(cluster, "GET", "/v1/workers", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    Ok(workers.context("no workers")?.clone())
}

/// Whether a worker was told that its disk is refused for this reason, which names the disk.
fn is_refused(cluster: &DevCluster, why: &str) -> Result<bool> {
    let log = cluster.log()?;
    let told = |line: &str| line.contains("the master refuses this disk") && line.contains(why);
    Ok(log.lines().any(told))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    succeed(Command::new("cp").arg("-a").arg(from).arg(to), PATIENCE)?;
    Ok(())
}

/// All chunk files of a disk with their bytes.
fn bytes_of(disk: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(disk.join("chunks"))? {
        for file in fs::read_dir(folder?.path())? {
            let path = file?.path();
            let bytes = fs::read(&path)?;
            found.insert(path, bytes);
        }
    }
    Ok(found)
}
