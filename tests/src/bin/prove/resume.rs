//! An upload is interrupted again and again, and ends byte for byte right, with little sent twice;
//! one that nobody goes on with leaves nothing on any disk.

use crate::figures::figure;
use crate::healing::{all_disks, ask, text};
use crate::{GIB, MIB};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::disks;
use mdfs_tests::http::Connection;
use mdfs_tests::process::{Fault, inflict, is_running};
use mdfs_tests::proxy::Proxy;
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

const SEED: u64 = 20_261_127;
const NAME: &str = "resume/film.mkv";
const SOURCE: &str = "film.mkv";
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(600);
/// What requests have beside bodies: heads, and questions about the upload.
const HEADS_BYTES: u64 = MIB;

/// What interrupts an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// The client is killed, and the same command is given again.
    Client,
    /// The master is killed; another starts.
    Master,
    /// A worker is killed; it starts again.
    Worker,
    /// All connections of the client are cut.
    Connection,
}

const ALL: [Interruption; 4] = [
    Interruption::Client,
    Interruption::Master,
    Interruption::Worker,
    Interruption::Connection,
];

struct Size {
    file: u64,
    chunk: u64,
    interruptions: u64,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let size = if short {
        Size {
            file: 96 * MIB + 12_345,
            chunk: 8 * MIB,
            interruptions: 6,
        }
    } else {
        Size {
            file: 3 * GIB + 12_345,
            chunk: 64 * MIB,
            interruptions: 20,
        }
    };
    DevCluster::with(&Options::default(), |cluster| {
        interrupted(cluster, &size)?;
        abandoned(cluster)
    })
}

fn interrupted(cluster: &mut DevCluster, size: &Size) -> Result<()> {
    let content = Content::new(SEED);
    let mut source = File::create(cluster.folder().join(SOURCE))?;
    io::copy(&mut content.reader(size.file), &mut source)?;
    drop(source);
    let proxy = Proxy::start(cluster.url())?;
    let mut chance = Chance::new(SEED);
    let mut received = Received::default();
    let started = now();
    let mut put = start(cluster, &proxy, size.chunk)?;
    // So many bytes apart, and never more than half as many ahead, so that all interruptions come
    // before the last byte can have been sent.
    let step = size.file * 2 / (3 * (size.interruptions + 2));
    let mut counts = [0_u64; ALL.len()];
    for round in 0..size.interruptions {
        let at = proxy.sent() + chance.within(step / 3, step);
        proxy.hold_at(at + step / 2);
        let ended = wait_for("progress of the upload", PATIENCE, || {
            let ended = put.try_wait()?;
            Ok((ended.is_some() || proxy.sent() >= at).then_some(ended))
        })?;
        if let Some(status) = ended {
            bail!("before interruption {round}, {status}: {}", said(cluster));
        }
        let kind = pick(&mut chance, round)?;
        let count = counts.iter_mut().zip(ALL).find(|(_, one)| *one == kind);
        *count.context("every kind is counted")?.0 += 1;
        match kind {
            Interruption::Client => {
                put.kill()?;
                put.wait()?;
                put = start(cluster, &proxy, size.chunk)?;
            }
            Interruption::Master => {
                received.before_kill(cluster);
                let master = cluster.first("master")?;
                restarted(cluster, &master)?;
            }
            Interruption::Worker => {
                let workers = cluster.role("worker");
                let worker = chance.one_of(&workers).context("there are workers")?;
                restarted(cluster, worker)?;
            }
            Interruption::Connection => proxy.cut(),
        }
    }
    proxy.hold_at(u64::MAX);
    let status = end_of(&mut put)?;
    ensure!(
        status.success(),
        "the upload ended with {status}: {}",
        said(cluster)
    );
    let seconds = started.elapsed().as_secs_f64();
    received.before_kill(cluster);
    let sent = proxy.sent();
    let twice = sent.saturating_sub(size.file);
    let bound = size.interruptions * size.chunk + HEADS_BYTES;
    let shown = ALL.iter().zip(counts);
    let shown: Vec<String> = shown.map(|(kind, n)| format!("{kind:?} {n}")).collect();
    figure("interruptions", &shown.join(", "));
    figure("whole upload", &format!("{seconds:.1} s"));
    figure(
        "bytes sent beyond those of the file",
        &format!("{twice}, at most {bound} allowed"),
    );
    figure(
        "chunk bytes received, as masters counted until they were killed",
        &received.total.to_string(),
    );
    ensure!(
        twice <= bound,
        "more than a chunk was sent twice for each interruption"
    );
    check_file(cluster, content, size)
}

/// Every byte is right, every chunk has two copies, and no upload is open.
fn check_file(cluster: &DevCluster, content: Content, size: &Size) -> Result<()> {
    transfer::get(
        &mut cluster.connect()?,
        NAME,
        content,
        size.file,
        |_| Ok(()),
    )?;
    cluster.wait_healthy()?;
    let open = ask(cluster, "GET", "/v1/uploads", None)?.json()?;
    ensure!(
        open.get("uploads") == Some(&json!([])),
        "uploads are open: {open}"
    );
    let list = ask(cluster, "GET", "/v1/files?prefix=resume/", None)?.json()?;
    let file = list.pointer("/files/0").context("the file is listed")?;
    let id = text(file, "file_id")?;
    let chunks = size.file.div_ceil(size.chunk);
    let copies = wait_for("two copies of each chunk", PATIENCE, || {
        let folders: Vec<_> = all_disks(cluster)?.into_values().collect();
        let least = disks::least_copies(&folders, &id, 0..chunks)?;
        Ok((least >= 2).then_some(least))
    })?;
    figure("copies of each chunk, at least", &copies.to_string());
    Ok(())
}

fn pick(chance: &mut Chance, round: u64) -> Result<Interruption> {
    // Each kind once, then whatever comes.
    let first = usize::try_from(round).ok().and_then(|at| ALL.get(at));
    let kind = first.or_else(|| chance.one_of(&ALL));
    kind.copied().context("there are kinds")
}

fn restarted(cluster: &mut DevCluster, process: &Process) -> Result<()> {
    inflict(Fault::Kill, process.pid)?;
    wait_for("end of a killed process", PATIENCE, || {
        Ok((!is_running(process.pid)).then_some(()))
    })?;
    cluster.wait_restart(process).map(|_| ())
}

/// Gives the command, the same each time.
fn start(cluster: &DevCluster, proxy: &Proxy, chunk: u64) -> Result<Child> {
    let (url, chunk) = (proxy.url(), chunk.to_string());
    let put = ["--url", &url, "put", SOURCE, NAME, "--chunk-size", &chunk];
    // One chunk under way: what is lost with an interruption is at most that.
    let mut command = cluster.cli(&[&put[..], &["--streams", "1"]].concat())?;
    let stderr = File::create(cluster.folder().join("put.stderr"))?;
    command
        .env("MDFS_STATE_DIR", cluster.folder().join("state-of-put"))
        .stdout(Stdio::null())
        .stderr(stderr);
    command.spawn().context("start mdfs put")
}

fn said(cluster: &DevCluster) -> String {
    fs::read_to_string(cluster.folder().join("put.stderr")).unwrap_or_default()
}

fn end_of(put: &mut Child) -> Result<ExitStatus> {
    wait_for("end of the upload", PATIENCE, || Ok(put.try_wait()?))
}

/// What masters said they received, over their lives. What the last moment before a kill brought is
/// missing.
#[derive(Default)]
struct Received {
    total: u64,
}

impl Received {
    fn before_kill(&mut self, cluster: &DevCluster) {
        let read = || -> Result<u64> {
            let metrics = ask(cluster, "GET", "/metrics", None)?.text();
            let line = metrics
                .lines()
                .find_map(|line| line.strip_prefix("mdfs_upload_received_bytes_total "));
            Ok(line.context("the metric is there")?.trim().parse()?)
        };
        // It is a figure beside the claim: a master that cannot answer has nothing to tell.
        self.total += read().unwrap_or(0);
    }
}

/// An upload of which a chunk and a half came, and nobody comes back.
fn abandoned(cluster: &mut DevCluster) -> Result<()> {
    let begin = json!({
        "name": "resume/abandoned",
        "size": 3 * 4 * MIB,
        "chunk_size": 4 * MIB,
        "expires_seconds": 10,
    });
    let begun = ask(cluster, "POST", "/v1/uploads", Some(&begin))?;
    ensure!(begun.status() == 201, "begin: {}", begun.text());
    let id = text(&begun.json()?, "id")?;
    let content = Content::new(SEED + 1);
    let path = |index: u64| format!("/v1/uploads/{id}/chunks/{index}");
    let chunk = 4 * MIB;
    let mut connection = cluster.connect()?;
    let body = content.reader(chunk);
    let stored = connection.upload("PUT", &path(0), &[], body, Some(chunk))?;
    ensure!(stored.status() == 200, "chunk 0: {}", stored.text());
    let mut cut: Connection = cluster.connect()?;
    let half = content.reader(chunk / 2);
    let broken = cut.upload("PUT", &path(1), &[], half, Some(chunk));
    ensure!(
        broken.map_or(true, |answer| answer.status() != 200),
        "half a chunk was taken for one"
    );
    let on_disks = pieces_of(cluster, &id)?;
    figure(
        "pieces of an abandoned upload on disks",
        &on_disks.to_string(),
    );
    ensure!(on_disks >= 2, "a chunk of the upload has two copies");
    // The next leader does not know where its chunks went.
    let master = cluster.first("master")?;
    restarted(cluster, &master)?;
    let started = now();
    wait_for("an end of the abandoned upload", PATIENCE, || {
        let found = ask(cluster, "GET", &format!("/v1/uploads/{id}"), None)?;
        let found: Value = found.json()?;
        Ok((text(&found, "state")? == "expired").then_some(()))
    })?;
    wait_for("disks without the abandoned upload", PATIENCE, || {
        Ok((pieces_of(cluster, &id)? == 0).then_some(()))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    figure("gone from all disks after", &format!("{seconds:.1} s"));
    cluster.wait_healthy()
}

/// Files on the disks of all workers that are of this upload, sealed or not.
fn pieces_of(cluster: &DevCluster, id: &str) -> Result<usize> {
    let mut found = 0;
    for disk in all_disks(cluster)?.values() {
        found += disks::pieces(disk, id)?.len();
    }
    Ok(found)
}
