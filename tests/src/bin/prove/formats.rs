//! Servers are replaced one by one by those of a later release, and back, while files are stored; once what
//! the later one brought is in use, an older master does not lead.

mod older;

use crate::figures::figure;
use crate::healing::{Stored, ask, read_back};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::http::Connection;
use mdfs_tests::program;
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long all servers must have known a version before it rises, and a little more.
const KNOWN_FOR: Duration = Duration::from_secs(65);
/// Between two files that are stored while servers are replaced.
const BETWEEN: Duration = Duration::from_millis(50);
/// Bytes of a chunk, and of a file.
const CHUNK: u64 = 1 << 20;
const FILE: u64 = 100_000;

pub(crate) fn prove(short: bool) -> Result<()> {
    let newest = program::mdfs()?;
    if short {
        // To build another release takes longer than all tests of the rules, which are the master's.
        older::write()?;
        figure("the older release", "can be made of this tree");
        return DevCluster::with(&Options::default(), |cluster| {
            let format = format_of(cluster)?;
            figure("version of a new cluster", &format.to_string());
            ensure!(format == 2, "a new cluster has version {format}");
            Ok(())
        });
    }
    let began = now();
    let older = older::build()?;
    let seconds = began.elapsed().as_secs_f64();
    figure("the older release: built", &format!("in {seconds:.0} s"));
    let folder = tempfile::TempDir::with_prefix("mdfs-formats-")?;
    let program = folder.path().join("mdfs");
    install(&older, &program)?;
    let options = Options {
        masters: 2,
        program: Some(program.clone()),
        ..Options::default()
    };
    let releases = Releases {
        older,
        newest,
        program,
    };
    DevCluster::with(&options, |cluster| {
        let mut files = Vec::new();
        let first = roll(cluster, &releases, &mut files)?;
        let second = Session::open(cluster, "formats/second")?;
        files.extend(put_workers_back(cluster, &releases)?);
        files.push(put_masters_back(cluster, &releases)?);
        read_back(cluster, &files)?;
        for session in [first, second] {
            session.commit(cluster)?;
        }
        figure(
            "files stored meanwhile, and read back",
            &files.len().to_string(),
        );
        Ok(())
    })
}

/// The programs, and the place from which the cluster starts its servers.
struct Releases {
    older: PathBuf,
    newest: PathBuf,
    program: PathBuf,
}

/// From the older release to the newest, back, and forth, until what that brought is in use. Gives an upload
/// that is open since the beginning.
fn roll(cluster: &mut DevCluster, releases: &Releases, files: &mut Vec<Stored>) -> Result<Session> {
    wait_format(cluster, 1)?;
    let session = Session::open(cluster, "formats/first")?;
    let servers = names(cluster, &["worker", "master"]);
    let (last, others) = servers.split_first().context("a server")?;
    let to_newest = replace(cluster, releases, &releases.newest, others, "forward")?;
    files.extend(to_newest);
    // As long as one does not know it, however long that is.
    pause(KNOWN_FOR);
    let format = format_of(cluster)?;
    ensure!(format == 1, "it rose, and {last} is of the older release");
    // All are of the newest release: for less than a minute.
    let one = std::slice::from_ref(last);
    files.extend(replace(
        cluster,
        releases,
        &releases.newest,
        one,
        "the-last",
    )?);
    let back = replace(cluster, releases, &releases.older, &servers, "back")?;
    files.extend(back);
    let format = format_of(cluster)?;
    ensure!(format == 1, "an older release raised the version");
    read_back(cluster, files)?;
    let forth = replace(cluster, releases, &releases.newest, &servers, "forth")?;
    files.extend(forth);
    let replaced = now();
    wait_format(cluster, 2)?;
    let seconds = replaced.elapsed().as_secs_f64();
    figure(
        "version 2 after the last server was replaced",
        &format!("{seconds:.0} s"),
    );
    Ok(session)
}

/// A worker is put back: it serves what it has, and the leader names it.
fn put_workers_back(cluster: &mut DevCluster, releases: &Releases) -> Result<Vec<Stored>> {
    let name = cluster.first("worker")?.name;
    install(&releases.older, &releases.program)?;
    start_again(cluster, &name)?;
    wait_reason(cluster, &cluster.leader()?, &format!("{name} is an older"))?;
    figure(&format!("{name}, put back"), "is named");
    let mut connection = cluster.connect_to(&cluster.leader()?)?;
    let mut stored = Vec::new();
    for number in 0..8 {
        let path = format!("formats/older-worker/{number}");
        stored.push(Stored::put(&mut connection, &path, number, FILE, CHUNK)?);
    }
    read_back(cluster, &stored)?;
    install(&releases.newest, &releases.program)?;
    start_again(cluster, &name)?;
    cluster.wait_healthy()?;
    Ok(stored)
}

/// The masters are put back one after the other: none leads, and each is named, or says why.
fn put_masters_back(cluster: &mut DevCluster, releases: &Releases) -> Result<Stored> {
    let masters = names(cluster, &["master"]);
    let (first, others) = masters.split_first().context("a master")?;
    install(&releases.older, &releases.program)?;
    let older = start_again(cluster, first)?;
    let leader = cluster.leader()?;
    ensure!(leader.name != older.name, "{first} leads");
    wait_reason(cluster, &leader, "is an older program")?;
    // It moves bytes, and asks the leader for the rest.
    let stored = wait_for("a file by way of an older master", PATIENCE, || {
        let mut connection = cluster.connect_to(&older)?;
        let path = "formats/older-master";
        Stored::put(&mut connection, path, 1, FILE, CHUNK).map(Some)
    })?;
    for name in others {
        start_again(cluster, name)?;
    }
    for master in cluster.role("master") {
        wait_reason(cluster, &master, "knows versions 1 to 1")?;
        let status = status_of(cluster, &master)?;
        ensure!(!leads(&status, &master), "{} leads", master.name);
        let answer = cluster
            .connect_to(&master)?
            .request("GET", "/v1/files?limit=1", &[], &[])?;
        let (name, status) = (&master.name, answer.status());
        ensure!(status == 503, "without a leader {name} answers {status}");
        figure(&format!("{name}, put back"), "does not lead, and says why");
    }
    install(&releases.newest, &releases.program)?;
    for name in &masters {
        start_again(cluster, name)?;
    }
    cluster.leader()?;
    cluster.wait_healthy()?;
    ensure!(format_of(cluster)? == 2, "the version fell");
    Ok(stored)
}

/// The servers of these roles.
fn names(cluster: &DevCluster, roles: &[&str]) -> Vec<String> {
    let of = |role: &&str| cluster.role(role);
    let servers = roles.iter().flat_map(of);
    servers.map(|server| server.name).collect()
}

/// Has the cluster start this program from now on.
fn install(program: &Path, place: &Path) -> Result<()> {
    let beside = place.with_extension("new");
    fs::copy(program, &beside)?;
    // As a whole: a server may be started at any moment.
    fs::rename(beside, place)?;
    Ok(())
}

fn start_again(cluster: &mut DevCluster, name: &str) -> Result<Process> {
    let server = cluster.process(name)?;
    cluster.kill(&server)?;
    cluster.wait_restart(&server)
}

/// Replaces these servers, one after the other, while files are stored. Gives those that were.
fn replace(
    cluster: &mut DevCluster,
    releases: &Releases,
    with: &Path,
    servers: &[String],
    folder: &str,
) -> Result<Vec<Stored>> {
    install(with, &releases.program)?;
    let masters: Vec<String> = cluster.state().urls.clone();
    let token = cluster.token().to_owned();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&masters, &token, folder, &stop));
        let replaced = servers.iter().try_for_each(|name| {
            start_again(cluster, name)?;
            cluster.wait_healthy()
        });
        stop.store(true, Ordering::Relaxed);
        let stored = writer.join();
        replaced?;
        let stored = stored.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ensure!(!stored.is_empty(), "nothing was stored: {folder}");
        figure(&format!("stored: {folder}"), &stored.len().to_string());
        Ok(stored)
    })
}

/// Stores files until it is told to stop: those that were answered for. A master that is being replaced
/// answers nothing.
fn write(masters: &[String], token: &str, folder: &str, stop: &AtomicBool) -> Vec<Stored> {
    let mut stored = Vec::new();
    for (number, url) in (0..).zip(masters.iter().cycle()) {
        let path = format!("formats/{folder}/{number}");
        let put = Connection::open(url, Some(token))
            .and_then(|mut to| Stored::put(&mut to, &path, number, FILE, CHUNK));
        stored.extend(put.ok());
        if stop.load(Ordering::Relaxed) {
            break;
        }
        pause(BETWEEN);
    }
    stored
}

/// An upload that stays open, of one chunk.
struct Session {
    id: String,
    name: &'static str,
}

impl Session {
    fn open(cluster: &DevCluster, name: &'static str) -> Result<Self> {
        let begin = json!({ "name": name, "size": FILE, "chunk_size": CHUNK });
        let begun = ask(cluster, "POST", "/v1/uploads", Some(&begin))?;
        ensure!(begun.status() == 201, "begin: {}", begun.text());
        let begun = begun.json()?;
        let id = begun.get("id").and_then(Value::as_str);
        let id = id.context("an upload without an id")?.to_owned();
        let path = format!("/v1/uploads/{id}/chunks/0");
        let body = Content::new(7).reader(FILE);
        let stored = cluster
            .connect()?
            .upload("PUT", &path, &[], body, Some(FILE))?;
        ensure!(stored.status() == 200, "chunk 0: {}", stored.text());
        Ok(Self { id, name })
    }

    fn commit(self, cluster: &DevCluster) -> Result<()> {
        let path = format!("/v1/uploads/{}/commit", self.id);
        let committed = ask(cluster, "POST", &path, Some(&json!({})))?;
        let (name, status) = (self.name, committed.status());
        ensure!((200..300).contains(&status), "{name}: {}", committed.text());
        Ok(())
    }
}

/// Waits until a master's status has a reason with these words.
fn wait_reason(cluster: &DevCluster, master: &Process, words: &str) -> Result<()> {
    wait_for("a reason in the status", PATIENCE, || {
        let status = status_of(cluster, master)?;
        let reasons = status.get("reasons").context("no reasons")?.to_string();
        let name = &master.name;
        ensure!(
            reasons.contains(words),
            "{name} does not say {words}: {status}"
        );
        Ok(Some(()))
    })
}

fn wait_format(cluster: &DevCluster, wanted: u64) -> Result<()> {
    wait_for("another version", PATIENCE, || {
        let format = format_of(cluster)?;
        Ok((format == wanted).then_some(()))
    })
}

fn format_of(cluster: &DevCluster) -> Result<u64> {
    let status = status_of(cluster, &cluster.leader()?)?;
    let format = status.get("format").and_then(Value::as_u64);
    format.with_context(|| format!("no format in {status}"))
}

fn status_of(cluster: &DevCluster, master: &Process) -> Result<Value> {
    let answer = cluster
        .connect_to(master)?
        .request("GET", "/v1/status", &[], &[])?;
    match answer.status() {
        200 => answer.json(),
        _ => bail!("status of {}: {}", master.name, answer.problem()),
    }
}

fn leads(status: &Value, master: &Process) -> bool {
    let leader = status.get("leader_url").and_then(Value::as_str);
    leader.is_some() && leader == master.url.as_deref()
}
