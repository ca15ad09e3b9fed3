//! Two of three voters burn, with the disks of their workers: every file whose chunks are left is back, and
//! the others are listed. Then all three do.
//!
//! What is left, a walk of the disks says that shares no code with the servers.

use crate::MIB;
use crate::figures::figure;
use crate::healing::{Stored, ask, change, read_back, store_small, text, wait_status};
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{Output, run};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::disks;
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, wait_for};
use mdfs_tests::walker::{Copy, Depth, Disk};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);
const WORKERS: u32 = 5;

pub(crate) fn prove(short: bool) -> Result<()> {
    let files = if short { 5 } else { 100 };
    let options = Options {
        workers: WORKERS,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| two_of_three(cluster, files))?;
    DevCluster::with(&options, |cluster| all_three(cluster, files))
}

/// What is stored, by whether the last voter heard of it.
struct Files {
    known: Vec<Stored>,
    late: Vec<Stored>,
    /// The late one whose beginning it heard of, and not its end.
    begun: Option<String>,
}

fn two_of_three(cluster: &mut DevCluster, count: u64) -> Result<()> {
    let before = voters(cluster)?;
    let known = store(cluster, "early", count)?;
    let trashed = known.first().context("a file")?.name.clone();
    change(cluster, "DELETE", &transfer::path(&trashed), None)?;
    let known = known.into_iter().skip(1).collect();
    let begun = begin(cluster, before.last().context("a voter")?)?;
    // One of them is another process now.
    let voters = voters(cluster)?;
    let [last, burnt @ ..] = &*voters else {
        anyhow::bail!("no voter");
    };
    // What is written from here on, the last voter never hears of.
    let role = Role::of(&last.process)?;
    cluster.kill(&last.process)?;
    let mut late = store(cluster, "late", count)?;
    late.push(end(cluster, &begun)?);
    let files = Files {
        known,
        late,
        begun: Some(begun),
    };
    burn(cluster, burnt)?;
    cluster.start_by_hand(&role)?;
    let lost: Vec<&str> = burnt.iter().map(|voter| voter.disk.as_str()).collect();
    refuses(cluster, &lost)?;
    tear(cluster, &files.late)?;
    let left = left(cluster)?;
    let began = now();
    break_off(cluster, &lost)?;
    let found = recover(cluster, &lost, false)?;
    figure(
        "two of three voters burnt: recovered",
        &format!(
            "within {:.1} s, a killed master included",
            began.elapsed().as_secs_f64()
        ),
    );
    as_expected(&found, &files, &left)?;
    restart_master(cluster)?;
    not_searched(cluster)?;
    ensure!(
        recover(cluster, &lost, false)? == found,
        "twice, and not the same"
    );
    let back = read_all(cluster, &files, &left)?;
    let status = ask(cluster, "GET", &transfer::path(&trashed), None)?.status();
    ensure!(status == 404, "a deleted file is there: {status}");
    heals(cluster, &found, back, 3)
}

fn all_three(cluster: &mut DevCluster, count: u64) -> Result<()> {
    let voters = voters(cluster)?;
    let late = store(cluster, "all", count)?;
    let files = Files {
        known: Vec::new(),
        late,
        begun: None,
    };
    burn(cluster, &voters)?;
    let lost: Vec<&str> = voters.iter().map(|voter| voter.disk.as_str()).collect();
    let left = left(cluster)?;
    let began = now();
    let found = recover(cluster, &lost, true)?;
    figure(
        "all three voters burnt: recovered",
        &format!("within {:.1} s", began.elapsed().as_secs_f64()),
    );
    as_expected(&found, &files, &left)?;
    ensure!(
        recover(cluster, &lost, true)? == found,
        "twice, and not the same"
    );
    let back = read_all(cluster, &files, &left)?;
    heals(cluster, &found, back, 2)
}

/// Files of two chunks: some with two copies, some with one.
fn store(cluster: &DevCluster, folder: &str, count: u64) -> Result<Vec<Stored>> {
    let mut connection = cluster.connect()?;
    let mut files = Vec::new();
    for number in 0..count {
        for replicas in [1, 2] {
            let (length, chunk_size) = (MIB + 1000 + number, MIB);
            let content = Content::new(number * 2 + replicas);
            let name = format!("{folder}/{replicas}/{number}");
            let path = transfer::path(&name);
            let target = format!("{path}?chunk_size={chunk_size}&replicas={replicas}");
            let body = content.reader(length);
            let answer = connection.upload("PUT", &target, &[], body, Some(length))?;
            transfer::stored(&name, length, &answer)?;
            let file_id = text(&answer.json()?, "file_id")?;
            files.push(Stored {
                name,
                file_id,
                content,
                length,
                chunk_size,
            });
        }
    }
    Ok(files)
}

const BEGUN_BYTES: u64 = MIB + 77;

/// Begins an upload that the last voter hears of: one of the others does not, and two have to.
fn begin(cluster: &mut DevCluster, absent: &Voter) -> Result<String> {
    let role = Role::of(&absent.process)?;
    cluster.kill(&absent.process)?;
    let begin = json!({"name": "begun/1", "size": BEGUN_BYTES, "chunk_size": MIB});
    let begun = ask(cluster, "POST", "/v1/uploads", Some(&begin))?;
    ensure!(begun.status() == 201, "begin: {}", begun.text());
    let id = text(&begun.json()?, "id")?;
    cluster.start_by_hand(&role)?;
    cluster.wait_healthy()?;
    Ok(id)
}

/// Sends the upload and commits it.
fn end(cluster: &DevCluster, id: &str) -> Result<Stored> {
    let content = Content::new(4711);
    let mut connection = cluster.connect()?;
    let chunks = [content.bytes(0, 1 << 20), content.bytes(MIB, 77)];
    for (index, chunk) in chunks.iter().enumerate() {
        let path = format!("/v1/uploads/{id}/chunks/{index}");
        let length = u64::try_from(chunk.len())?;
        let stored = connection.upload("PUT", &path, &[], &**chunk, Some(length))?;
        ensure!(stored.status() == 200, "chunk {index}: {}", stored.text());
    }
    let path = format!("/v1/uploads/{id}/commit");
    let answer = ask(cluster, "POST", &path, Some(&json!({})))?;
    ensure!(
        (200..300).contains(&answer.status()),
        "commit: {}",
        answer.text()
    );
    Ok(Stored {
        name: "begun/1".to_owned(),
        file_id: text(&answer.json()?, "file_id")?,
        content,
        length: BEGUN_BYTES,
        chunk_size: MIB,
    })
}

/// A worker that votes, and its disk.
struct Voter {
    process: Process,
    disk: String,
}

fn voters(cluster: &DevCluster) -> Result<Vec<Voter>> {
    let answer = ask(cluster, "GET", "/v1/workers", None)?.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    let mut voters = Vec::new();
    for worker in workers.context("no workers")? {
        if worker.get("voter") == Some(&json!(true)) {
            voters.push(Voter {
                process: cluster.process(&text(worker, "name")?)?,
                disk: text(worker, "disk_id")?,
            });
        }
    }
    ensure!(voters.len() == 3, "{} vote", voters.len());
    Ok(voters)
}

/// The workers, their disks, and the master with all that it remembers are gone.
fn burn(cluster: &mut DevCluster, voters: &[Voter]) -> Result<()> {
    for voter in voters {
        let disk = voter.process.data_dir.clone();
        cluster.kill(&voter.process)?;
        fs::remove_dir_all(disk.context("a worker without a data_dir")?)?;
    }
    restart_master(cluster)
}

fn restart_master(cluster: &mut DevCluster) -> Result<()> {
    let master = cluster.first("master")?;
    let role = Role::of(&master)?;
    cluster.kill(&master)?;
    cluster.start_by_hand(&role)?;
    Ok(())
}

/// The chunks that are left, by the files they are of.
type Left = BTreeMap<String, BTreeSet<u64>>;

fn left(cluster: &DevCluster) -> Result<Left> {
    let mut left = Left::new();
    for worker in cluster.role("worker") {
        let disk = worker.data_dir.context("a worker without a data_dir")?;
        if !disk.exists() {
            continue;
        }
        let disk = Disk::read(&disk, &cluster.state().cluster_id, Depth::Blocks)?;
        for ((file_id, index), copy) in disk.copies {
            if matches!(copy, Copy::Good { .. }) {
                left.entry(file_id).or_default().insert(index);
            }
        }
    }
    Ok(left)
}

/// The first chunk of one of these files goes, wherever it is: the other is left alone.
fn tear(cluster: &DevCluster, files: &[Stored]) -> Result<()> {
    let before = left(cluster)?;
    let torn = files.iter().find(|file| is_left(file, &before));
    let torn = torn.context("a file is left")?;
    for worker in cluster.role("worker") {
        let disk = worker.data_dir.context("a worker without a data_dir")?;
        if disk.exists()
            && let Some(path) = disks::chunks(&disk, &torn.file_id)?.get(&0)
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether all chunks of a file are left.
fn is_left(file: &Stored, left: &Left) -> bool {
    let there = left.get(&file.file_id);
    file.chunks()
        .all(|((_, index), _)| there.is_some_and(|there| there.contains(&index)))
}

/// The name that a file of which only chunks are left gets.
fn again(file: &Stored) -> Result<String> {
    let digits = file.file_id.get(..8).context("an id has 32 digits")?;
    Ok(format!("recovered/{}~{digits}", file.name))
}

fn arguments<'a>(lost: &[&'a str]) -> Vec<&'a str> {
    let lost = lost.iter().flat_map(|disk| ["--lost", disk]);
    ["admin", "recover"].into_iter().chain(lost).collect()
}

/// Nothing happens on half a word, and without a yes it is only said.
fn refuses(cluster: &DevCluster, lost: &[&str]) -> Result<()> {
    wait_for("the word for each voter", PATIENCE, || {
        let half = arguments(lost.get(..1).unwrap_or_default());
        let said = cluster.cli_ends(1, &half)?;
        ensure!(said.stderr.contains("not named as lost"), "{}", said.stderr);
        Ok(Some(()))
    })?;
    wait_for("what would be done", PATIENCE, || {
        let said = cluster.cli_ends(0, &arguments(lost))?;
        ensure!(
            said.stderr.contains("nothing was changed"),
            "{}",
            said.stderr
        );
        Ok(Some(()))
    })
}

/// The order is given, and the master dies as soon as the lost voters are given up.
fn break_off(cluster: &mut DevCluster, lost: &[&str]) -> Result<()> {
    let mut words = arguments(lost);
    words.push("--yes");
    let mut ordered = cluster.cli(&words)?.spawn().context("mdfs")?;
    let given_up = wait_for("lost voters given up", PATIENCE, || {
        Ok(cluster
            .log()?
            .contains("lost voters are given up")
            .then_some(()))
    });
    let killed = given_up.and_then(|()| restart_master(cluster));
    ordered.kill()?;
    ordered.wait()?;
    killed
}

/// Another master does not end the recovery: of a search it knows nothing.
fn not_searched(cluster: &DevCluster) -> Result<()> {
    wait_for("the word for a search", PATIENCE, || {
        let said = cluster.cli_ends(1, &["admin", "recover", "--finish"])?;
        ensure!(said.stderr.contains("--search"), "{}", said.stderr);
        Ok(Some(()))
    })
}

/// What a search told: the files that are back, those of which something is missing, and what is left of
/// others by their ids.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    back: BTreeSet<String>,
    missing: BTreeSet<String>,
    incomplete: BTreeSet<String>,
}

fn recover(cluster: &DevCluster, lost: &[&str], all_voters: bool) -> Result<Found> {
    let mut words = arguments(lost);
    words.extend(["--yes", "--output", "json"]);
    words.extend(all_voters.then_some("--all-voters"));
    let output = wait_for("the recovery", PATIENCE, || {
        let output: Output = run(&mut cluster.cli(&words)?, PATIENCE)?;
        // 5 says that something is not whole.
        ensure!(
            matches!(output.code(), 0 | 5),
            "{}: {}",
            output.code(),
            output.stderr
        );
        Ok(Some(output))
    })?;
    let mut found = Found::default();
    let mut ended = false;
    for line in serde_json::Deserializer::from_str(&output.text()).into_iter::<Value>() {
        let line = line?;
        if let Some(file) = line.get("recovered") {
            found.back.insert(text(file, "name")?);
        } else if let Some(file) = line.get("missing") {
            found.missing.insert(text(file, "name")?);
        } else if let Some(file) = line.get("incomplete") {
            found.incomplete.insert(text(file, "file_id")?);
        }
        ended |= line.get("end").is_some();
    }
    ensure!(ended, "the search broke off: {}", output.text());
    Ok(found)
}

/// Exactly what the disks say.
fn as_expected(found: &Found, files: &Files, left: &Left) -> Result<()> {
    let mut expected = Found::default();
    for file in &files.known {
        if !is_left(file, left) {
            expected.missing.insert(file.name.clone());
        }
    }
    for file in &files.late {
        if is_left(file, left) {
            expected.back.insert(again(file)?);
        } else if left.contains_key(&file.file_id) || files.begun.as_ref() == Some(&file.file_id) {
            expected.incomplete.insert(file.file_id.clone());
        }
    }
    ensure!(
        *found == expected,
        "found {found:?}, and it should be {expected:?}"
    );
    ensure!(
        !expected.back.is_empty(),
        "no file is left by its chunks alone"
    );
    figure(
        "files back by their chunks alone, missing, and not whole",
        &format!(
            "{}, {} and {}",
            expected.back.len(),
            expected.missing.len(),
            expected.incomplete.len()
        ),
    );
    Ok(())
}

/// Reads everything that is left, byte for byte, each under the one name that it has.
fn read_all(cluster: &DevCluster, files: &Files, left: &Left) -> Result<Vec<Stored>> {
    let mut back = Vec::new();
    for file in &files.known {
        back.extend(is_left(file, left).then(|| file.clone()));
    }
    for file in &files.late {
        let status = ask(cluster, "HEAD", &transfer::path(&file.name), None)?.status();
        ensure!(status == 404, "{} is back under its own name", file.name);
        if is_left(file, left) {
            let name = again(file)?;
            back.push(Stored {
                name,
                ..file.clone()
            });
        }
    }
    read_back(cluster, &back)?;
    Ok(back)
}

/// What is missing is let go, the recovery ended, and the cluster is as any other.
fn heals(cluster: &DevCluster, found: &Found, mut back: Vec<Stored>, workers: u64) -> Result<()> {
    for name in &found.missing {
        let path = format!("{}?purge", transfer::path(name));
        change(cluster, "DELETE", &path, None)?;
    }
    cluster.cli_ends(0, &["admin", "recover", "--finish"])?;
    wait_status(
        cluster,
        "two copies of all that is left",
        PATIENCE,
        |found| found.is_whole() && found.live_workers == workers && found.workers == workers,
    )?;
    back.extend(store_small(cluster, "new", 4)?);
    read_back(cluster, &back)?;
    let refused = cluster.cli_ends(1, &["admin", "recover", "--search"])?;
    ensure!(refused.stderr.contains("no recovery"), "{}", refused.stderr);
    Ok(())
}
