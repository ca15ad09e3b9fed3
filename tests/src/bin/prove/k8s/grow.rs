//! Volumes grow while they are used; what cannot be is refused or reported.

use super::installed::{Mdfs, PATIENCE, condition, image, install, small_spec};
use super::load::{read_back, store};
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Result, ensure};
use mdfs_tests::kube::{Bed, FIXED_CLASS};
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};

const GIB: u64 = 1 << 30;

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let count = if form.short { 30 } else { 1_000 };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        let fixed = Mdfs::new(bed, "fixed", "fixed");
        let mut spec = small_spec();
        set(
            &mut spec,
            "/workers/storage/storageClassName",
            json!(FIXED_CLASS),
        );
        fixed.create(&spec)?;
        mdfs.wait_ready(PATIENCE)?;
        fixed.wait_ready(PATIENCE)?;
        grows(bed, &mdfs, count)?;
        shrink_is_refused(&mdfs)?;
        cannot_grow(&fixed, spec)
    })
}

fn grows(bed: &Bed, mdfs: &Mdfs, count: u64) -> Result<()> {
    let files = store(mdfs, "grow", count)?;
    let before = mdfs.pods("worker")?;
    for worker in before.keys() {
        let size = size_of(bed, mdfs, worker)?;
        ensure!(size < GIB + GIB / 10, "{worker} has {size} bytes");
    }
    let started = now();
    mdfs.change(&sized("2Gi"))?;
    mdfs.wait_condition("VolumesResized", "True", PATIENCE)?;
    wait_for("larger file systems", PATIENCE, || {
        for worker in before.keys() {
            let size = size_of(bed, mdfs, worker)?;
            ensure!(size > 2 * GIB - GIB / 8, "{worker} has {size} bytes");
        }
        Ok(Some(()))
    })?;
    figure(
        "three volumes have grown",
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    mdfs.wait_ready(PATIENCE)?;
    ensure!(mdfs.pods("worker")? == before, "a pod was started again");
    read_back(mdfs, &files)
}

fn shrink_is_refused(mdfs: &Mdfs) -> Result<()> {
    let refused = mdfs.change(&sized("1Gi"));
    let said = refused.map_or_else(|error| format!("{error:#}"), |()| "nothing".to_owned());
    ensure!(said.contains("cannot shrink"), "a smaller volume: {said}");
    Ok(())
}

/// A class without expansion is reported, and nothing else stops.
fn cannot_grow(fixed: &Mdfs, mut spec: Value) -> Result<()> {
    let before = fixed.pods("worker")?;
    set(&mut spec, "/workers/storage/size", json!("2Gi"));
    fixed.change(&spec)?;
    fixed.wait_condition("VolumesResized", "False", PATIENCE)?;
    let resource = fixed.resource()?;
    let reason = condition(&resource, "VolumesResized").and_then(|one| one.get("reason"));
    ensure!(reason == Some(&json!("ExpansionUnsupported")), "{reason:?}");
    ensure!(fixed.pods("worker")? == before, "a pod was started again");
    let health = fixed.ask("GET", "/v1/status")?.json()?;
    ensure!(health.get("health") == Some(&json!("ok")), "{health}");
    Ok(())
}

fn sized(size: &str) -> Value {
    let mut spec = small_spec();
    set(&mut spec, "/workers/storage/size", json!(size));
    spec
}

/// Sets a field of an object that is there.
fn set(spec: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = spec.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(field.to_owned(), value);
    }
}

/// The bytes of the file system that a worker's disk is.
fn size_of(bed: &Bed, mdfs: &Mdfs, worker: &str) -> Result<u64> {
    let statistics = rustix::fs::statvfs(mdfs.disk(bed, worker)?)?;
    Ok(statistics.f_blocks * statistics.f_frsize)
}
