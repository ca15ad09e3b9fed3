//! Disks that come back other than they were.

use crate::{ask, refused};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::disks::{Chunk, all_chunks};
use mdfs_tests::http::Connection;
use mdfs_tests::transfer;
use mdfs_tests::wait::wait_for;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LENGTH: u64 = 300_000;
const FILES: u64 = 20;
/// The delay before repairs, and time to copy on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nobody starts again what a test kills.
fn by_hand(work: impl FnOnce(&mut DevCluster) -> Result<()>) -> Result<()> {
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, work)
}

fn name(number: u64) -> String {
    format!("disks/{number}")
}

fn put_all(cluster: &DevCluster) -> Result<()> {
    let mut connection = cluster.connect()?;
    (0..FILES).try_for_each(|number| {
        transfer::put(&mut connection, &name(number), Content::new(number), LENGTH)
    })
}

fn read_all(cluster: &DevCluster) -> Result<()> {
    let mut connection = cluster.connect()?;
    (0..FILES).try_for_each(|number| {
        let content = Content::new(number);
        transfer::get(&mut connection, &name(number), content, LENGTH, |_| Ok(())).map(drop)
    })
}

fn data_dir(worker: &Process) -> Result<PathBuf> {
    worker.data_dir.clone().context("a worker without a disk")
}

/// How many copies of each chunk there are on the disks of all workers.
fn copies(cluster: &DevCluster) -> Result<BTreeMap<Chunk, usize>> {
    let mut found = BTreeMap::new();
    for worker in cluster.role("worker") {
        for chunk in all_chunks(&data_dir(&worker)?)?.into_keys() {
            *found.entry(chunk).or_default() += 1;
        }
    }
    Ok(found)
}

/// What the API says of each worker.
fn workers(cluster: &DevCluster) -> Result<Vec<Value>> {
    let listed = ask(cluster, "GET", "/v1/workers")?.json()?;
    let listed = listed.get("workers").and_then(Value::as_array);
    Ok(listed.context("a list without workers")?.clone())
}

fn status(cluster: &DevCluster) -> Result<Value> {
    ask(cluster, "GET", "/v1/status")?.json()
}

/// Waits until every chunk has two copies and nothing is to be copied. There may be more: nothing is
/// dropped while a disk that has been silent for a short time might tell otherwise.
fn wait_whole(cluster: &DevCluster) -> Result<()> {
    wait_for("two copies of each chunk", PATIENCE, || {
        let status = status(cluster)?;
        let found = copies(cluster)?;
        let figure = |field| status.get(field).and_then(Value::as_u64);
        let whole = figure("under_replicated_files") == Some(0)
            && figure("copies_to_make") == Some(0)
            && figure("moving_partitions") == Some(0)
            && figure("counted_millis_ago").is_some()
            && found.values().all(|&copies| copies >= 2);
        ensure!(whole, "{status}, {found:?}");
        Ok(Some(()))
    })
}

#[test]
fn a_wiped_disk_joins_as_a_new_one_and_the_old_one_is_lost_and_made_up_for() -> Result<()> {
    by_hand(|cluster| {
        put_all(cluster)?;
        cluster.wait_healthy()?;
        let wiped = cluster.first("worker")?;
        let role = Role::of(&wiped)?;
        let known: BTreeSet<String> = disk_ids(&workers(cluster)?);
        cluster.kill(&wiped)?;
        fs::remove_dir_all(data_dir(&wiped)?)?;
        cluster.start_by_hand(&role)?;
        wait_for("the new disk and the lost one", PATIENCE, || {
            let listed = workers(cluster)?;
            let of_name: Vec<&Value> = listed.iter().filter(|w| w["name"] == *wiped.name).collect();
            let states: BTreeMap<bool, &str> = of_name
                .iter()
                .filter_map(|w| {
                    let old = known.contains(w["disk_id"].as_str()?);
                    Some((old, w["state"].as_str()?))
                })
                .collect();
            let right = of_name.len() == 2
                && states.get(&false) == Some(&"live")
                && states.get(&true) == Some(&"dead");
            ensure!(right, "{listed:?}");
            Ok(Some(()))
        })?;
        ensure!(status(cluster)?["health"] != "ok", "a lost disk is ok");
        read_all(cluster)?;
        wait_whole(cluster)?;
        read_all(cluster)?;
        let again = all_chunks(&data_dir(&wiped)?)?;
        ensure!(!again.is_empty(), "the new disk got nothing");
        transfer::put(&mut cluster.connect()?, "new", Content::new(99), LENGTH)
    })
}

fn disk_ids(workers: &[Value]) -> BTreeSet<String> {
    let id = |worker: &Value| Some(worker["disk_id"].as_str()?.to_owned());
    workers.iter().filter_map(id).collect()
}

#[test]
fn workers_that_come_back_with_each_others_disks_go_by_what_is_on_them() -> Result<()> {
    by_hand(|cluster| {
        put_all(cluster)?;
        cluster.wait_healthy()?;
        let before = disk_ids(&workers(cluster)?);
        let pair = cluster.role("worker");
        let [one, other, ..] = pair.as_slice() else {
            anyhow::bail!("there are three workers");
        };
        let roles = [Role::of(one)?, Role::of(other)?];
        cluster.kill(one)?;
        cluster.kill(other)?;
        let (one, other) = (data_dir(one)?, data_dir(other)?);
        let (mine, theirs) = (all_chunks(&one)?, all_chunks(&other)?);
        let aside = one.with_file_name("aside");
        fs::rename(&one, &aside)?;
        fs::rename(&other, &one)?;
        fs::rename(&aside, &other)?;
        for role in &roles {
            cluster.start_by_hand(role)?;
        }
        cluster.wait_healthy()?;
        ensure!(disk_ids(&workers(cluster)?) == before, "disks changed");
        read_all(cluster)?;
        let kept = all_chunks(&one)? == theirs && all_chunks(&other)? == mine;
        ensure!(kept, "chunks were copied or dropped");
        Ok(())
    })
}

#[test]
fn a_voter_with_a_damaged_log_serves_its_chunks_and_the_status_names_it() -> Result<()> {
    by_hand(|cluster| {
        put_all(cluster)?;
        cluster.wait_healthy()?;
        let broken = cluster.first("worker")?;
        let role = Role::of(&broken)?;
        cluster.kill(&broken)?;
        let log = data_dir(&broken)?.join("log.redb");
        let length = usize::try_from(fs::metadata(&log)?.len())?;
        fs::write(&log, vec![7; length])?;
        cluster.start_by_hand(&role)?;
        wait_for("the worker to be named", PATIENCE, || {
            let (status, listed) = (status(cluster)?, workers(cluster)?);
            let why = format!("the metadata log of worker {} ", broken.name);
            let reasons = status["reasons"].as_array().context("no reasons")?;
            let named = reasons
                .iter()
                .any(|reason| reason.as_str().is_some_and(|text| text.starts_with(&why)));
            let listed = listed.iter().any(|worker| {
                worker["name"] == *broken.name
                    && worker["state"] == "live"
                    && worker["voter_broken"] == true
            });
            let right = named && listed && status["health"] == "degraded";
            ensure!(right && status["leased_voters"] == 2, "{status}");
            Ok(Some(()))
        })?;
        // It is a copy's only holder as often as any other: all of it is served.
        let others = cluster.role("worker");
        let other = others.iter().find(|one| one.name != broken.name);
        read_all(cluster)?;
        transfer::put(&mut cluster.connect()?, "new", Content::new(99), LENGTH)?;
        wait_whole(cluster)?;
        ensure!(other.is_some(), "there are three workers");
        Ok(())
    })
}

#[test]
fn chunk_files_that_were_cut_or_deleted_are_made_again_and_foreign_files_stay() -> Result<()> {
    by_hand(|cluster| {
        put_all(cluster)?;
        cluster.wait_healthy()?;
        let worker = cluster.first("worker")?;
        let disk = data_dir(&worker)?;
        let before = all_chunks(&disk)?;
        let mut files = before.keys().map(|chunk| path(&disk, chunk));
        let (cut, gone) = (files.next(), files.next());
        let (cut, gone) = (cut.context("no chunk")?, gone.context("one chunk")?);
        let half = fs::read(&cut)?.len() / 2;
        fs::write(&cut, &fs::read(&cut)?[..half])?;
        fs::remove_file(&gone)?;
        let foreign = disk.join("chunks/foreign");
        fs::write(&foreign, b"what is this?")?;

        let answer = ask(cluster, "POST", "/v1/admin/scrub")?;
        ensure!(answer.status() == 200, "{}", answer.problem());
        wait_for("both copies again", PATIENCE, || {
            fs::remove_file(&foreign).ok();
            let found = all_chunks(&disk)?;
            fs::write(&foreign, b"what is this?")?;
            ensure!(found == before, "{found:?} instead of {before:?}");
            Ok(Some(()))
        })?;
        read_all(cluster)?;

        // It is told of from the next mount on, and left alone.
        let role = Role::of(&worker)?;
        cluster.kill(&worker)?;
        cluster.start_by_hand(&role)?;
        cluster.wait_healthy()?;
        let url = worker.url.as_deref().context("a worker without a url")?;
        let stats = Connection::open(url, None)?;
        let stats = { stats }.request("GET", "/stats", &[], &[])?.json()?;
        ensure!(stats["foreign_files"] == 1, "{stats}");
        ensure!(fs::read(&foreign)? == b"what is this?", "it was changed");
        Ok(())
    })
}

#[test]
fn each_worker_answers_by_name_for_the_chunks_it_has() -> Result<()> {
    by_hand(|cluster| {
        let target = format!("{}?chunk_size=1048576", transfer::path("film"));
        let (content, length) = (Content::new(1), 4_000_000);
        let body = content.reader(length);
        let answer = cluster
            .connect()?
            .upload("PUT", &target, &[], body, Some(length))?;
        transfer::stored("film", length, &answer)?;
        let stored = answer.json()?;
        let mut good = 0;
        let answers = |worker: &Process, token: Option<&str>, target: &str| {
            let url = worker.url.as_deref().context("a worker without a url")?;
            Connection::open(url, token)?.request("GET", target, &[], &[])
        };
        for worker in cluster.role("worker") {
            let ask = |target| answers(&worker, Some(cluster.token()), target);
            let said = ask("/verify?name=film&checksum=00000000")?.json()?;
            good += said["good"].as_u64().context("no count")?;
            let right = said["file_id"] == stored["file_id"]
                && said["recorded_crc32"] == stored["crc32"]
                && said["chunks"] == 4
                && said["matches"] == false;
            ensure!(right, "{said}, but {stored}");
            ensure!(ask("/checksum?name=film")?.status() == 200, "no answer");
            let unknown = ask("/checksum?name=not-there")?;
            refused(&unknown, "404 file_not_found", "an unknown name")?;
            let secret = ask("/checksum?name=film&token=x")?;
            refused(&secret, "400 invalid_request", "a secret in the URL")?;
            let nobody = answers(&worker, None, "/checksum?name=film")?;
            refused(&nobody, "401 unauthorized", "nobody")?;
        }
        ensure!(good == 8, "workers have {good} copies of 4 chunks");
        cluster.kill(&cluster.first("master")?)?;
        let alone = answers(
            &cluster.first("worker")?,
            Some(cluster.token()),
            "/checksum?name=not-there",
        )?;
        refused(&alone, "503 unavailable", "a worker without a master")
    })
}

fn path(disk: &Path, (file_id, index): &Chunk) -> PathBuf {
    let digits = file_id.get(..3).unwrap_or_default();
    disk.join(format!("chunks/{digits}/{file_id}.{index}"))
}
