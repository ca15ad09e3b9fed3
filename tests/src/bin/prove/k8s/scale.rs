//! Workers are added and taken away under load; none goes before its disk is empty.

use super::installed::{Mdfs, PATIENCE, image, install, small_spec};
use super::load::{Load, read_back, store};
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Context, Result, anyhow, ensure};
use mdfs_tests::disks::all_chunks;
use mdfs_tests::wait::{now, wait_for};
use serde_json::json;
use std::path::PathBuf;

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let count = if form.short { 30 } else { 1_000 };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        let files = store(&mdfs, "before", count)?;
        let load = Load::start(&mdfs, "scale")?;
        scale(&mdfs, 5)?;
        let disks = ["films-worker-3", "films-worker-4"].map(|worker| mdfs.disk(bed, worker));
        let disks: Vec<PathBuf> = disks.into_iter().collect::<Result<_>>()?;
        wait_for("chunks on the new workers", PATIENCE, || {
            let held: Vec<usize> = disks
                .iter()
                .map(|disk| Ok(all_chunks(disk)?.len()))
                .collect::<Result<_>>()?;
            Ok(held.iter().all(|count| *count > 0).then_some(()))
        })?;
        down(&mdfs, &disks)?;
        read_back(&mdfs, &files)?;
        load.finish().map(drop)
    })
}

fn scale(mdfs: &Mdfs, replicas: u32) -> Result<()> {
    let started = now();
    let wanted = format!("--replicas={replicas}");
    mdfs.call(&["scale", "mdfscluster", &mdfs.name, &wanted])?;
    let workers = format!("{}-worker", mdfs.name);
    wait_for(&format!("{replicas} workers"), PATIENCE, || {
        let set = mdfs.get(&["statefulset", &workers])?;
        let ready = set.pointer("/status/readyReplicas");
        ensure!(ready == Some(&json!(replicas)), "{ready:?} are ready");
        Ok((mdfs.pods("worker")?.len() == usize::try_from(replicas)?).then_some(()))
    })?;
    mdfs.wait_ready(PATIENCE)?;
    figure(
        &format!("{replicas} workers are ready"),
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    Ok(())
}

/// From the moment at which a pod is gone or going, its disk must have been empty.
fn down(mdfs: &Mdfs, disks: &[PathBuf]) -> Result<()> {
    let started = now();
    mdfs.call(&["scale", "mdfscluster", &mdfs.name, "--replicas=3"])?;
    for (worker, disk) in ["films-worker-4", "films-worker-3"]
        .iter()
        .zip(disks.iter().rev())
    {
        let went = wait_for(&format!("end of {worker}"), PATIENCE, || {
            let pod = mdfs.kubectl.attempt(&[
                "get",
                "pod",
                worker,
                "--namespace",
                &mdfs.namespace,
                "--output",
                "jsonpath={.metadata.deletionTimestamp}",
            ])?;
            let is_gone = pod.stderr.contains("(NotFound)");
            // An API server that does not answer says nothing of the pod.
            ensure!(is_gone || pod.code() == 0, "get: {}", pod.stderr.trim());
            let goes = is_gone || !pod.text().is_empty();
            if !goes {
                return Ok(None);
            }
            let held = all_chunks(disk).with_context(|| format!("the disk of {worker}"))?;
            // What it still has is judged now, and not what it has later.
            Ok(Some(match held.len() {
                0 => Ok(()),
                chunks => Err(anyhow!("{worker} went with {chunks} chunks")),
            }))
        })?;
        went?;
    }
    figure(
        "two workers were emptied and went",
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    scale(mdfs, 3)
}
