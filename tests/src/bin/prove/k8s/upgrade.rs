//! An image is changed under writers and readers: one worker at a time, and back if it does not run.

use super::installed::{IMAGE, Mdfs, PATIENCE, condition, image, install, small_spec};
use super::load::{Load, read_back, store};
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Context, Result, anyhow, ensure};
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The image under another name: another template, the same program.
const NEXT: &str = "localhost/mdfs:e2e-next";
/// An image that no node has.
const BROKEN: &str = "localhost/mdfs:broken";
/// How long a rollout over all workers may take.
const ROLLOUT: Duration = Duration::from_secs(300);

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let (count, wait) = if form.short { (30, 5) } else { (1_000, 60) };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        bed.rename(IMAGE, NEXT)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        let files = store(&mdfs, "before", count)?;
        mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
        let load = Load::start(&mdfs, "upgrade")?;
        rolls(&mdfs)?;
        stops_and_goes_back(&mdfs, Duration::from_secs(wait))?;
        read_back(&mdfs, &files)?;
        load.finish().map(drop)
    })
}

fn with_image(image: &str) -> Value {
    let mut spec = small_spec();
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("image".to_owned(), json!(image));
    }
    spec
}

/// At no moment are two workers away, nor is it said to be ready before all pods are of the image.
fn rolls(mdfs: &Mdfs) -> Result<()> {
    let before = mdfs.pods("worker")?;
    let started = now();
    mdfs.change(&with_image(NEXT))?;
    let ended = wait_for("the image in all pods", ROLLOUT, || {
        // Read before the pods, which never go back.
        let is_ready = mdfs.is("Ready", "True")?;
        let away = away(mdfs)?;
        if away.len() > 1 {
            return Ok(Some(Err(anyhow!("away at once: {away:?}"))));
        }
        let all_run = runs(mdfs, NEXT)?;
        if is_ready && !all_run {
            let why = anyhow!("said to be ready while a pod runs the old image");
            return Ok(Some(Err(why)));
        }
        Ok((is_ready && all_run).then_some(Ok(())))
    })?;
    ended?;
    figure(
        "all pods run another image",
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    let after = mdfs.pods("worker")?;
    let kept = before
        .iter()
        .filter(|(name, uid)| after.get(*name) == Some(uid));
    ensure!(
        kept.count() == 0 && after.keys().eq(before.keys()),
        "{after:?} were {before:?}"
    );
    mdfs.wait_condition("Progressing", "False", PATIENCE)
}

/// Only one pod is of the broken image, however long it is waited for.
fn stops_and_goes_back(mdfs: &Mdfs, wait: Duration) -> Result<()> {
    let before = mdfs.pods("worker")?;
    let started = now();
    mdfs.change(&with_image(BROKEN))?;
    let stuck = wait_for("one worker that does not start", PATIENCE, || {
        let pods = pods(mdfs, "worker")?;
        let stuck = pods.iter().find(|pod| {
            let waiting = "/status/containerStatuses/0/state/waiting";
            has_image(pod, BROKEN) && pod.pointer(waiting).is_some()
        });
        Ok(stuck.and_then(|pod| Some(pod.pointer("/metadata/name")?.as_str()?.to_owned())))
    })?;
    let rule = "/status/rollout/blockedBy";
    let rule = wait_for("the rule that holds the next worker back", PATIENCE, || {
        let resource = mdfs.resource()?;
        let rule = resource.pointer(rule).and_then(Value::as_str);
        Ok(rule.filter(|rule| !rule.is_empty()).map(str::to_owned))
    })?;
    let after = started.elapsed().as_secs_f64();
    figure(
        "a broken image is held back",
        &format!("by {rule} after {after:.1} s"),
    );
    let since = now();
    let kept = wait_for("a time in which nothing goes", wait + PATIENCE, || {
        let present = mdfs.pods("worker")?;
        let mut others = before.iter().filter(|(name, _)| **name != stuck);
        if !others.all(|(name, uid)| present.get(name) == Some(uid)) {
            return Ok(Some(Err(anyhow!("{present:?} were {before:?}"))));
        }
        Ok((since.elapsed() > wait).then_some(Ok(())))
    })?;
    kept?;
    let started = now();
    mdfs.change(&with_image(NEXT))?;
    wait_for("all workers", PATIENCE, || {
        Ok(self::away(mdfs)?.is_empty().then_some(()))
    })?;
    mdfs.wait_ready(PATIENCE)?;
    mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
    figure(
        "a broken image is taken back",
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    Ok(())
}

/// The workers whose pod is missing or not ready.
pub(super) fn away(mdfs: &Mdfs) -> Result<Vec<String>> {
    let pods = pods(mdfs, "worker")?;
    let ready: BTreeSet<&str> = pods
        .iter()
        .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none())
        .filter(|pod| {
            condition(pod, "Ready").is_some_and(|one| one.get("status") == Some(&json!("True")))
        })
        .filter_map(|pod| pod.pointer("/metadata/name")?.as_str())
        .collect();
    let all = (0..3).map(|number| format!("{}-worker-{number}", mdfs.name));
    Ok(all.filter(|name| !ready.contains(name.as_str())).collect())
}

/// Whether all pods of workers and masters that stay are of this image.
pub(super) fn runs(mdfs: &Mdfs, image: &str) -> Result<bool> {
    for component in ["worker", "master"] {
        let mut pods = pods(mdfs, component)?;
        pods.retain(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        if pods.is_empty() || !pods.iter().all(|pod| has_image(pod, image)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn pods(mdfs: &Mdfs, component: &str) -> Result<Vec<Value>> {
    let selector = format!(
        "--selector=app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
        mdfs.name
    );
    let mut found = mdfs.get(&["pods", &selector])?;
    let items = found.pointer_mut("/items").and_then(Value::as_array_mut);
    Ok(std::mem::take(items.context("a list has items")?))
}

fn has_image(pod: &Value, image: &str) -> bool {
    pod.pointer("/spec/containers/0/image") == Some(&json!(image))
}
