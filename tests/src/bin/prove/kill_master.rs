//! A master may be killed at any moment: no acknowledged file is lost or changed, none is half.

use crate::figures::{Series, figure};
use crate::healing::all_disks;
use crate::invariants;
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::http::Connection;
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const SEED: u64 = 20_260_302;
/// The longest that reads may be away after a kill.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long anything here may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The file that is read after each kill.
const PROBE: &str = "probe";
const PROBE_BYTES: u64 = 100_000;
const PREFIX: &str = "kill/";

/// One upload that was begun.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    length: u64,
    acknowledged: bool,
}

/// What all uploads together did; each has a number, which gives its name and its content.
#[derive(Default)]
struct Uploads {
    next: AtomicU64,
    acknowledged: AtomicU64,
    attempts: Mutex<BTreeMap<u64, Attempt>>,
    done: AtomicBool,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let (parallel, kills) = if short { (8, 3) } else { (32, 20) };
    DevCluster::with(&Options::default(), |cluster| {
        transfer::put(&mut cluster.connect()?, PROBE, Content::new(0), PROBE_BYTES)?;
        let uploads = Uploads::default();
        let (url, token) = (cluster.url().to_owned(), cluster.token().to_owned());
        let times = thread::scope(|scope| {
            for number in 0..parallel {
                let (uploads, url, token) = (&uploads, &url, &token);
                scope.spawn(move || upload_until_done(uploads, url, token, number));
            }
            let times = kill_again_and_again(cluster, &uploads, kills, parallel);
            uploads.done.store(true, Ordering::Relaxed);
            times
        })?;
        figure(
            "kills of the master, uploads in parallel",
            &format!("{kills}, {parallel}"),
        );
        figure("first correct read after a kill", &times.shown("s"));
        verify(cluster, &uploads)?;
        invariants::hold(cluster, &all_disks(cluster)?, PATIENCE)?;
        if !short && times.most() > READ_LIMIT.as_secs_f64() {
            bail!("a read was right only {:.3} s after a kill", times.most());
        }
        Ok(())
    })
}

fn upload_until_done(uploads: &Uploads, url: &str, token: &str, thread: u64) {
    let mut chance = Chance::new(SEED ^ (thread << 32));
    while !uploads.done.load(Ordering::Relaxed) {
        // Without a master there is nobody to begin an upload with.
        let Ok(mut connection) = Connection::open(url, Some(token)) else {
            pause(Duration::from_millis(20));
            continue;
        };
        let number = uploads.next.fetch_add(1, Ordering::Relaxed) + 1;
        // Most are small, some have several segments.
        let most = if chance.within(0, 32) == 0 {
            6 << 20
        } else {
            200_000
        };
        let length = chance.within(0, most);
        note(
            uploads,
            number,
            Attempt {
                length,
                acknowledged: false,
            },
        );
        let content = Content::new(number);
        let put = transfer::put(&mut connection, &name(number), content, length);
        if put.is_ok() {
            note(
                uploads,
                number,
                Attempt {
                    length,
                    acknowledged: true,
                },
            );
            uploads.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else {
            pause(Duration::from_millis(20));
        }
    }
}

fn note(uploads: &Uploads, number: u64, attempt: Attempt) {
    let mut attempts = uploads
        .attempts
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    attempts.insert(number, attempt);
}

fn kill_again_and_again(
    cluster: &mut DevCluster,
    uploads: &Uploads,
    kills: u64,
    parallel: u64,
) -> Result<Series> {
    let mut chance = Chance::new(SEED);
    let mut times = Series::default();
    for round in 0..kills {
        let enough = uploads.acknowledged.load(Ordering::Relaxed) + parallel;
        wait_for("acknowledged uploads", PATIENCE, || {
            Ok((uploads.acknowledged.load(Ordering::Relaxed) >= enough).then_some(()))
        })?;
        pause(Duration::from_millis(chance.within(0, 300)));
        let master = cluster.first("master")?;
        let killed = now();
        cluster.kill(&master)?;
        first_read(cluster).with_context(|| format!("after kill {round}"))?;
        times.add(killed.elapsed().as_secs_f64());
        let again: Process = cluster.wait_restart(&master)?;
        ensure!(
            again.url == master.url,
            "the master came back at another address"
        );
    }
    Ok(times)
}

/// Reads until it is right. Whatever else is answered before must not be wrong.
fn first_read(cluster: &DevCluster) -> Result<()> {
    let read = || -> Result<Option<Result<()>>> {
        let path = transfer::path(PROBE);
        let answer = cluster.connect()?.request("GET", &path, &[], &[])?;
        Ok(match answer.status() {
            200 => Some(Content::new(0).check(0, &answer.body).and_then(|()| {
                let bytes = u64::try_from(answer.body.len())?;
                ensure!(bytes == PROBE_BYTES, "a read gave {bytes} bytes");
                Ok(())
            })),
            503 => {
                let retry = answer.header("retry-after").is_some();
                if retry {
                    None
                } else {
                    Some(Err(anyhow::anyhow!("503 without Retry-After")))
                }
            }
            _ => Some(Err(anyhow::anyhow!(
                "a read was answered {}",
                answer.problem()
            ))),
        })
    };
    wait_for("correct read", PATIENCE, read)?
}

/// Reads back everything that was ever begun.
fn verify(cluster: &DevCluster, uploads: &Uploads) -> Result<()> {
    let attempts = uploads
        .attempts
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut listed = list(cluster)?;
    let mut connection = cluster.connect()?;
    let (mut acknowledged, mut bytes, mut whole, mut absent) = (0_u64, 0, 0_u64, 0_u64);
    for (&number, attempt) in attempts.iter() {
        let name = name(number);
        let (content, length) = (Content::new(number), attempt.length);
        let size = listed.remove(&name);
        ensure!(
            size.is_none_or(|size| size == length),
            "{name} is listed with {size:?} bytes"
        );
        if size.is_some() {
            transfer::get(&mut connection, &name, content, length, |_| Ok(()))?;
            bytes += length;
        } else {
            ensure!(
                !attempt.acknowledged,
                "{name} was acknowledged and is not listed"
            );
            let answer = connection.request("GET", &transfer::path(&name), &[], &[])?;
            let answered = answer.problem();
            ensure!(
                answered == "404 file_not_found",
                "{name} is not listed, but {answered}"
            );
        }
        match (attempt.acknowledged, size) {
            (true, _) => acknowledged += 1,
            (false, Some(_)) => whole += 1,
            (false, None) => absent += 1,
        }
    }
    ensure!(
        listed.is_empty(),
        "files are listed that nobody put: {listed:?}"
    );
    figure(
        "acknowledged files, all there and unchanged",
        &acknowledged.to_string(),
    );
    figure("others: whole, absent", &format!("{whole}, {absent}"));
    figure("bytes read back", &bytes.to_string());
    Ok(())
}

fn list(cluster: &DevCluster) -> Result<BTreeMap<String, u64>> {
    let mut connection = cluster.connect()?;
    let mut listed = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/files?prefix={PREFIX}&limit=1000&after={after}");
        let answer = connection.request("GET", &path, &[], &[])?;
        ensure!(
            answer.status() == 200,
            "the list was answered {}",
            answer.problem()
        );
        let page = answer.json()?;
        let files = page
            .get("files")
            .and_then(Value::as_array)
            .context("a page without files")?;
        for file in files {
            let name = file
                .get("name")
                .and_then(Value::as_str)
                .context("a file without a name")?;
            let size = file
                .get("size")
                .and_then(Value::as_u64)
                .context("a file without a size")?;
            ensure!(
                listed.insert(name.to_owned(), size).is_none(),
                "{name} is listed twice"
            );
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = next.to_owned(),
            None => return Ok(listed),
        }
    }
}

fn name(number: u64) -> String {
    format!("{PREFIX}{number:08}")
}
