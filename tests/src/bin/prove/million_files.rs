//! A million files: what a leader takes for each, how soon another one serves them, and how soon one
//! that starts from nothing does.

use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::process::resident_bytes;
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);
const IMPORT_LIMIT: Duration = Duration::from_secs(600);
/// How long a voter follows a leader that it does not hear, in a cluster of `mdfs dev`.
const LEASE: Duration = Duration::from_secs(3);
/// In which another master must answer once nobody holds a lease any more, and in which one that
/// starts anew must.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(2);
const COLD_WITHIN: Duration = Duration::from_secs(5);
/// Memory of the leader's whole process for each file.
const BYTES_A_FILE_MOST: f64 = 200.0;
/// Records that are taken in within a second.
const IMPORT_RATE_LEAST: f64 = 20_000.0;
/// How long a leader is left alone before its memory is read.
const SETTLES: Duration = Duration::from_secs(10);

/// The size of everything.
#[derive(Clone, Copy)]
struct Sizes {
    files: u64,
    settles: Duration,
    judge: bool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let sizes = match short {
        true => Sizes {
            files: 3000,
            settles: Duration::ZERO,
            judge: false,
        },
        false => Sizes {
            files: 1_000_000,
            settles: SETTLES,
            judge: true,
        },
    };
    let options = Options {
        masters: 2,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| whole(cluster, sizes))
}

fn whole(cluster: &mut DevCluster, sizes: Sizes) -> Result<()> {
    cluster.wait_healthy()?;
    let leader = cluster.leader()?;
    let empty = resident_bytes(leader.pid)?;
    figure("memory of a leader without files, MiB", &mib(empty));

    let path = cluster.folder().join("records.jsonl");
    write_export(&path, &cluster.state().cluster_id, sizes.files, name)?;
    let started = now();
    let taken = import(cluster, &leader, &path)?;
    let took = started.elapsed().as_secs_f64();
    ensure!(
        taken == (sizes.files, 0),
        "files taken in, there before: {taken:?}"
    );
    let rate = as_f64(sizes.files) / took;
    figure("records taken in each second", &format!("{rate:.0}"));
    memory(&leader, empty, sizes, "that took them in")?;
    ensure!(
        !sizes.judge || rate >= IMPORT_RATE_LEAST,
        "only {rate:.0} records a second were taken in"
    );
    let exported = export(cluster, &leader)?;
    ensure!(
        exported == sizes.files + 3,
        "an export of {} files has {exported} lines",
        sizes.files
    );

    let followers = cluster.followers()?;
    let follower = followers.first().context("there are two masters")?;
    let killed = kill(cluster, &leader)?;
    let answered = first_answer(cluster, follower, killed, sizes)?;
    judged("the follower", answered, LEASE + TAKEOVER_WITHIN, sizes)?;
    memory(follower, empty, sizes, "that took over")?;

    let role = Role::of(follower)?;
    let killed = kill(cluster, follower)?;
    let alone = cluster.start_by_hand(&role)?;
    let answered = first_answer(cluster, &alone, killed, sizes)?;
    judged("a master alone", answered, LEASE + COLD_WITHIN, sizes)?;
    memory(&alone, empty, sizes, "that started anew")?;

    let again = import(cluster, &alone, &path)?;
    ensure!(
        again == (0, sizes.files),
        "taken in again, there before: {again:?}"
    );
    Ok(())
}

/// Reads what a leader's process takes, once it was left alone for a while.
fn memory(leader: &Process, empty: u64, sizes: Sizes, which: &str) -> Result<()> {
    pause(sizes.settles);
    let bytes = resident_bytes(leader.pid)?;
    let each = as_f64(bytes) / as_f64(sizes.files);
    let more = as_f64(bytes.saturating_sub(empty)) / as_f64(sizes.files);
    figure(
        &format!("memory of the leader {which}"),
        &format!(
            "{} MiB, {each:.0} bytes a file; {more:.0} more than without",
            mib(bytes)
        ),
    );
    ensure!(
        !sizes.judge || each <= BYTES_A_FILE_MOST,
        "the leader {which} takes {each:.0} bytes for each file"
    );
    Ok(())
}

fn kill(cluster: &DevCluster, master: &Process) -> Result<Instant> {
    let killed = now();
    cluster.kill(master)?;
    Ok(killed)
}

/// How long after `killed` a master knows of the last file for the first time; it must know of all
/// others then, too.
fn first_answer(
    cluster: &DevCluster,
    master: &Process,
    killed: Instant,
    sizes: Sizes,
) -> Result<Duration> {
    let knows = |number: u64| -> Result<bool> {
        let mut connection = cluster.connect_to(master)?;
        let path = format!("/v1/files/{}", name(number));
        let answer = connection.request("HEAD", &path, &[], &[])?;
        Ok(answer.status() == 200)
    };
    let last = sizes.files - 1;
    wait_for("the first answer of a new leader", PATIENCE, || {
        Ok(knows(last).is_ok_and(|knows| knows).then_some(()))
    })?;
    let took = killed.elapsed();
    for part in 0..100 {
        let number = last / 100 * part;
        ensure!(knows(number)?, "file {number} is not there");
    }
    Ok(took)
}

fn judged(who: &str, took: Duration, within: Duration, sizes: Sizes) -> Result<()> {
    let (took, within) = (took.as_secs_f64(), within.as_secs_f64());
    figure(
        &format!("{who} answered after, s"),
        &format!("{took:.2} (its lease ended at most 3 s after the last leader was killed)"),
    );
    ensure!(
        !sizes.judge || took <= within,
        "{who} answered after {took:.2} s, not within {within:.0} s"
    );
    Ok(())
}

/// Has an export taken in. How many files came, and how many were there.
pub(crate) fn import(cluster: &DevCluster, master: &Process, path: &Path) -> Result<(u64, u64)> {
    let mut connection = cluster.connect_to(master)?;
    connection.bear_silence_for(IMPORT_LIMIT)?;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let answer = connection.upload("POST", "/v1/admin/import", &[], file, Some(length))?;
    ensure!(answer.status() == 200, "import: {}", answer.problem());
    let imported = answer.json()?;
    let count = |field| imported.get(field).and_then(Value::as_u64);
    let counts = count("files").zip(count("present"));
    counts.with_context(|| format!("no counts in {imported}"))
}

/// How many lines an export has, its last one among them.
fn export(cluster: &DevCluster, master: &Process) -> Result<u64> {
    let mut connection = cluster.connect_to(master)?;
    connection.bear_silence_for(IMPORT_LIMIT)?;
    let mut body = connection.download("GET", "/v1/admin/export", &[])?;
    let (mut lines, mut last) = (0, Vec::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = std::io::Read::read(&mut body, &mut piece)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        for &byte in bytes {
            match byte {
                b'\n' => lines += 1,
                _ if last.last() == Some(&b'\n') => last.clear(),
                _ => {}
            }
            last.push(byte);
        }
    }
    let end: Value = serde_json::from_slice(&last).context("the last line")?;
    let told = end.pointer("/end/lines").and_then(Value::as_u64);
    ensure!(
        told == Some(lines - 1),
        "{lines} lines, and the last says {end}"
    );
    Ok(lines)
}

/// Writes an export of files that never were: a film of one chunk each, as large as records are.
pub(crate) fn write_export(
    path: &Path,
    cluster: &str,
    files: u64,
    name: impl Fn(u64) -> String,
) -> Result<()> {
    let mut hashed = Hashed {
        file: BufWriter::new(File::create(path)?),
        hasher: blake3::Hasher::new(),
    };
    writeln!(
        hashed,
        r#"{{"mdfs":"export","format":1,"cluster":"{cluster}","index":1,"log_time":1}}"#
    )?;
    for number in 0..files {
        let hash = blake3::hash(&number.to_le_bytes()).to_hex();
        let id = hash.get(..32).context("a hash has 64 digits")?;
        let (name, size) = (name(number), 30_000_000 + number);
        writeln!(
            hashed,
            r#"{{"file":{{"name":"{name}","file_id":"{id}","version":1,"size":{size},"chunk_size":67108864,"replicas":2,"by_policy":true,"crc32":"{:08x}","blake3":"{hash}","content_type":"video/x-matroska","modified":{}}}}}"#,
            number.wrapping_mul(2_654_435_761) & 0xffff_ffff,
            1_700_000_000_000 + number
        )?;
    }
    let (sum, lines) = (hashed.hasher.finalize().to_hex(), files + 1);
    let mut file = hashed.file;
    writeln!(file, r#"{{"end":{{"lines":{lines},"blake3":"{sum}"}}}}"#)?;
    Ok(file.flush()?)
}

/// Writes to a file, and hashes what it writes.
struct Hashed {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A name of 37 bytes.
fn name(number: u64) -> String {
    format!(
        "films/{:04}/season-{:02}/film-{number:08}.mkv",
        number / 1000,
        number % 24
    )
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", as_f64(bytes) / f64::from(1 << 20))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and bytes of one process are far below 2^52"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
