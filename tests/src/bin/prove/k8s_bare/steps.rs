//! What the operator does to a cluster that runs, on a real API server and with real masters and workers,
//! which run beside it. The test stands in for the controllers, so it can let them lag: nothing is called in
//! force that is not, no pod goes for a change that did not come, and what is taken back is undone.

use super::bench::{Bench, Operator, PATIENCE, USUAL, text};
use super::stage::Stage;
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::process::{Fault, inflict};
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

/// How long is looked that something does not happen: several passes.
const QUIET: Duration = Duration::from_secs(8);
/// The longest time after which an operator that hears nothing must have given up.
const GIVES_UP: Duration = Duration::from_secs(45);
const IMAGE: &str = "localhost/mdfs:next";

pub(crate) fn prove() -> Result<()> {
    let bench = Bench::start()?;
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let stage = Stage::set(&bench, cluster)?;
        let account = bench.account(&USUAL)?;
        let url = cluster.url();
        let mut operator = Operator::start(account.config(), bench.folder.path(), &USUAL, url)?;
        let shown = || operator.log_tail();
        bench.wait_shown("films", &operator)?;
        stage.obey()?;
        stage.wait_ready().with_context(shown)?;
        policy(&stage).context("a policy").with_context(shown)?;
        unbound_claim(&stage)
            .context("a claim")
            .with_context(shown)?;
        mark_taken_back(&stage)
            .context("a mark")
            .with_context(shown)?;
        image(&stage).context("an image").with_context(shown)?;
        silence(&bench, &mut operator).context("silence")
    })
}

/// Ready is true of a generation only once the masters go by its policy.
fn policy(stage: &Stage<'_>) -> Result<()> {
    let delay = |stage: &Stage<'_>| -> Result<Option<u64>> {
        Ok(stage
            .ask("/v1/admin/policy")?
            .get("repair_delay_seconds")
            .and_then(Value::as_u64))
    };
    for seconds in [7, 11, 13] {
        stage.change(
            "/spec/replication",
            json!({ "factor": 3, "repairDelaySeconds": seconds }),
        )?;
        stage.wait_ready()?;
        let found = delay(stage)?;
        ensure!(
            found == Some(seconds),
            "ready with a delay of {found:?}, not {seconds}"
        );
    }
    // Fewer copies hold only after ten minutes.
    stage.change(
        "/spec/replication",
        json!({ "factor": 2, "minWriteCopies": 1 }),
    )?;
    stage.never_ready("ApplyingPolicy", QUIET)?;
    let least = stage
        .ask("/v1/admin/policy")?
        .get("min_write_copies")
        .cloned();
    ensure!(least == Some(json!(1)), "min_write_copies is {least:?}");
    stage.change("/spec/replication", json!({ "factor": 3 }))?;
    stage.wait_ready()
}

/// A claim that was never bound never had a disk: it holds up nothing.
fn unbound_claim(stage: &Stage<'_>) -> Result<()> {
    stage.claim(3)?;
    pause(QUIET);
    stage.wait_ready()?;
    let (truth, reason) = stage.condition("ScaleDownBlocked")?;
    ensure!(
        (truth.as_str(), reason.as_str()) == ("False", "NotRequested"),
        "{truth} {reason}"
    );
    let replicas = stage.get(&["statefulset", "films-worker"])?;
    let replicas = replicas.pointer("/spec/replicas").cloned();
    ensure!(replicas == Some(json!(3)), "{replicas:?} workers");
    Ok(())
}

/// A shrink that was taken back after its mark was set: the disk takes part again.
fn mark_taken_back(stage: &Stage<'_>) -> Result<()> {
    let disk = stage.worker(2)?;
    let disk = text(&disk, "/disk_id")
        .context("a worker has a disk")?
        .to_owned();
    stage.order("/v1/admin/drain", &json!({ "worker": disk }))?;
    let marks = json!({ "metadata": { "annotations": {
        "mdfs.io/drained": disk, "mdfs.io/retired": disk,
    } } });
    stage.patch("pvc", "data-films-worker-2", &marks)?;
    wait_for("the disk to take part again", PATIENCE, || {
        let claim = stage.get(&["pvc", "data-films-worker-2"])?;
        let annotations = claim.pointer("/metadata/annotations");
        let marked = annotations.is_some_and(|it| it.to_string().contains("mdfs.io/"));
        let drained = stage.worker(2)?.get("draining") == Some(&json!(true));
        Ok((!marked && !drained).then_some(()))
    })?;
    stage.wait_ready()
}

/// Another image: no pod goes before the StatefulSet would make what is wanted, and Ready stays false until
/// the last pod of before is gone.
fn image(stage: &Stage<'_>) -> Result<()> {
    let before = stage.pods("worker")?;
    stage.freeze(true)?;
    stage.change("/spec/image", json!(IMAGE))?;
    stage.never_ready("RollingOut", QUIET)?;
    untouched(stage, &before).context("the StatefulSet was refused")?;
    stage.freeze(false)?;
    wait_for("the StatefulSet to have the image", PATIENCE, || {
        let set = stage.get(&["statefulset", "films-worker"])?;
        let image = text(&set, "/spec/template/spec/containers/0/image");
        Ok((image == Some(IMAGE)).then_some(()))
    })?;
    stage.never_ready("RollingOut", QUIET)?;
    untouched(stage, &before).context("its controller had not seen it")?;

    let started = now();
    stage.keep_a_master_of_before(true);
    wait_for("new workers", PATIENCE, || {
        stage.obey()?;
        let present = stage.pods("worker")?;
        let kept = present
            .values()
            .filter(|uid| before.values().any(|it| it == *uid));
        Ok((kept.count() == 0).then_some(()))
    })?;
    wait_for("new masters", PATIENCE, || {
        stage.obey()?;
        Ok((stage.pods_of(IMAGE, "master")? == 2).then_some(()))
    })?;
    stage.never_ready("RollingOut", QUIET)?;
    stage.keep_a_master_of_before(false);
    wait_for("a ready generation", PATIENCE, || {
        stage.obey()?;
        Ok(stage.is_ready()?.then_some(()))
    })?;
    ensure!(
        stage.pods("master")?.len() == 2,
        "a master of before is there"
    );
    figure(
        "ready once all pods of before are gone, s",
        &started.elapsed().as_secs().to_string(),
    );
    Ok(())
}

/// No pod went, and none is announced to go.
fn untouched(stage: &Stage<'_>, before: &std::collections::BTreeMap<String, String>) -> Result<()> {
    ensure!(stage.pods("worker")? == *before, "a pod went");
    for ordinal in 0..3 {
        let worker = stage.worker(ordinal)?;
        let announced = worker.get("announced_seconds").filter(|it| !it.is_null());
        ensure!(announced.is_none(), "a restart is announced: {worker}");
    }
    Ok(())
}

/// An API server that takes connections and answers nothing: the operator ends, so that another may lead.
fn silence(bench: &Bench, operator: &mut Operator) -> Result<()> {
    let server = bench.plane.api_server_pid()?;
    inflict(Fault::Stop, server)?;
    let started = now();
    let ended = wait_for("end of the operator", GIVES_UP, || {
        Ok(operator.check().is_err().then_some(()))
    });
    inflict(Fault::Continue, server)?;
    ended?;
    figure(
        "an operator gives up that hears nothing, s",
        &started.elapsed().as_secs().to_string(),
    );
    Ok(())
}
