//! A converged cluster causes no write, and it works on while nobody answers for Kubernetes.

use super::installed::{Mdfs, PATIENCE, calls_of_operator, image, install, small_spec};
use super::load::{Load, store};
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Result, ensure};
use mdfs_tests::disks::all_chunks;
use mdfs_tests::http::Connection;
use mdfs_tests::kube::Bed;
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// So many chunks are stored before one disk loses what it has.
const CHUNKS: u64 = 60;

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let (quiet, away) = if form.short { (35, 15) } else { (90, 60) };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
        writes_nothing(bed, form, Duration::from_secs(quiet))?;
        goes_on_alone(bed, &mdfs, form, Duration::from_secs(away))
    })
}

/// From some moment on nothing is written for so long: longer than the operator waits before it writes
/// figures that changed, which is 30 s.
fn writes_nothing(bed: &mut Bed, form: Form, quiet: Duration) -> Result<()> {
    let mut count = writes(bed)?.len();
    // The cluster was made by writes: where none is seen, none could be.
    ensure!(count > 0, "the records show no write by the operator");
    let mut since = now();
    let started = now();
    wait_for("a time without a write", PATIENCE + quiet, || {
        let present = writes(bed)?.len();
        if present != count {
            count = present;
            since = now();
        }
        pause(Duration::from_millis(500));
        Ok((since.elapsed() >= quiet).then_some(()))
    })?;
    // What is still being settled right after the start is not counted, but it has an end: how soon says
    // something only where nothing else runs.
    let settled = started.elapsed().saturating_sub(quiet);
    ensure!(
        form.short || settled < Duration::from_secs(60),
        "written for {settled:?}: {:?}",
        writes(bed)?.last()
    );
    figure(
        "no write by the operator for, s",
        &quiet.as_secs().to_string(),
    );
    Ok(())
}

/// What the operator wrote, its own lease apart.
fn writes(bed: &mut Bed) -> Result<Vec<Value>> {
    let mut calls = calls_of_operator(bed)?;
    calls.retain(|call| {
        let verb = call.get("verb").and_then(Value::as_str);
        let resource = call.pointer("/objectRef/resource").and_then(Value::as_str);
        !matches!(verb, Some("get" | "list" | "watch")) && resource != Some("leases")
    });
    Ok(calls)
}

/// The API server is away: files are written and read all the same, and what a disk has lost is copied
/// back to it, by a worker whose process was killed.
fn goes_on_alone(bed: &mut Bed, mdfs: &Mdfs, form: Form, away: Duration) -> Result<()> {
    let worker = format!("{}-worker-0", mdfs.name);
    let (node, disk) = (mdfs.node_of(&worker)?, mdfs.disk(bed, &worker)?);
    // What nobody removes meanwhile.
    store(mdfs, "before", CHUNKS)?;
    let held = all_chunks(&disk)?;
    ensure!(!held.is_empty(), "{worker} has no chunk");
    let (url, token) = (mdfs.url()?, mdfs.token()?);
    let load = Load::start(mdfs, "alone")?;
    let before = load.done()?;
    bed.plane().stop_api_server()?;
    let started = now();
    for (file, index) in held.keys() {
        let folder = disk.join("chunks").join(file.get(..3).unwrap_or_default());
        std::fs::remove_file(folder.join(format!("{file}.{index}")))?;
    }
    mdfs.kill_worker(bed, &node, &worker)?;
    wait_for("repair without an API server", PATIENCE, || {
        let present = all_chunks(&disk)?;
        let lacking = held.keys().filter(|chunk| !present.contains_key(*chunk));
        let lacking = lacking.count();
        ensure!(
            lacking == 0,
            "{lacking} of {} chunks are lacking",
            held.len()
        );
        Ok(Some(()))
    })?;
    figure(
        "chunks copied back to a disk without an API server",
        &format!(
            "{} after {:.1} s",
            held.len(),
            started.elapsed().as_secs_f64()
        ),
    );
    pause(away.saturating_sub(started.elapsed()));
    let after = load.done()?;
    let (stored, reads) = (after.0 - before.0, after.1 - before.1);
    let least = if form.short { 0 } else { 10 };
    ensure!(
        stored > least && reads > u64::try_from(least)?,
        "only {stored} files were stored and {reads} read meanwhile"
    );
    figure("files stored without an API server", &stored.to_string());
    figure("files read without an API server", &reads.to_string());
    let mut connection = Connection::open(&url, Some(&token))?;
    let status = connection.request("GET", "/v1/status", &[], &[])?.json()?;
    ensure!(status.get("missing_files") == Some(&json!(0)), "{status}");
    bed.plane().start_api_server()?;
    mdfs.wait_ready(PATIENCE)?;
    mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
    load.finish().map(drop)
}
