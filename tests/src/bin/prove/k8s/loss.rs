//! Whatever of a cluster is lost, it comes back by itself, with every file.

use super::installed::{Mdfs, PATIENCE, SYSTEM, image, install, small_spec};
use super::load::{File, read_back, store};
use super::witness::Witness;
use super::{Form, with_bed};
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::kube::Bed;
use mdfs_tests::wait::{now, wait_for};
use serde_json::json;

pub(crate) fn prove(form: Form) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    let count = if form.short { 40 } else { 1_000 };
    with_bed(form.keep, &images, |bed| {
        install(bed)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&small_spec())?;
        mdfs.wait_ready(PATIENCE)?;
        let files = store(&mdfs, "loss", count)?;
        mdfs.wait_condition("DataSafe", "True", PATIENCE)?;
        let mut lost = Lost {
            files,
            witness: Witness::start(bed, &mdfs)?,
            mdfs,
        };
        let worker = lost.a_worker()?;
        lost.and_back(bed, "a worker's pod is deleted by force", |bed, mdfs| {
            delete_by_force(bed, mdfs, &[&worker])
        })?;
        lost.and_back(bed, "the operator is killed", |bed, _| {
            let words = ["delete", "pods", "--all", "--namespace", SYSTEM, "--force"];
            bed.kubectl().call(&words).map(drop)
        })?;
        if form.short {
            return lost.judge(0);
        }
        let node = lost.mdfs.node_of(&worker)?;
        lost.and_back(bed, "a node dies and comes back", |bed, _| {
            bed.cut_node(&node)?;
            bed.start_node(&node)
        })?;
        lost.and_back(bed, "a node is drained", |bed, _| drain(bed, &node))?;
        lost.and_back(bed, "all pods are deleted at once", |bed, mdfs| {
            let pods: Vec<String> = ["master", "worker"]
                .into_iter()
                .map(|component| Ok(mdfs.pods(component)?.into_keys()))
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect();
            let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
            delete_by_force(bed, mdfs, &pods)
        })?;
        lost.and_back(bed, "a volume is lost with its pod", |bed, mdfs| {
            let claim = format!("data-{worker}");
            mdfs.call(&["delete", "pvc", &claim, "--wait=false"])?;
            delete_by_force(bed, mdfs, &[&worker])
        })?;
        lost.judge(10)
    })
}

/// A cluster and what it must not lose.
struct Lost {
    mdfs: Mdfs,
    files: Vec<File>,
    witness: Witness,
}

impl Lost {
    fn a_worker(&self) -> Result<String> {
        let workers = self.mdfs.pods("worker")?;
        workers.into_keys().next().context("there are workers")
    }

    /// Does `harm` to a healthy cluster, and waits until it is healthy again, with all files.
    fn and_back(
        &mut self,
        bed: &mut Bed,
        what: &str,
        harm: impl FnOnce(&mut Bed, &Mdfs) -> Result<()>,
    ) -> Result<()> {
        let started = now();
        harm(bed, &self.mdfs).with_context(|| what.to_owned())?;
        self.wait_healthy()
            .with_context(|| format!("after {what}"))?;
        read_back(&self.mdfs, &self.files).with_context(|| format!("after {what}"))?;
        figure(
            &format!("{what}: whole again"),
            &format!("after {:.1} s", started.elapsed().as_secs_f64()),
        );
        self.files
            .extend(store(&self.mdfs, &what.replace([' ', '\''], "-"), 3)?);
        self.witness.learn(&self.mdfs)?;
        // An operator that works tells of the new files.
        let count = self.files.len();
        wait_for("all files in the status", PATIENCE, || {
            let resource = self.mdfs.resource()?;
            let files = resource.pointer("/status/data/files");
            ensure!(files == Some(&json!(count)), "{files:?} of {count} files");
            Ok(Some(()))
        })
    }

    /// No status was better than the truth, which at least so many walks found to be bad.
    fn judge(self, least: usize) -> Result<()> {
        let judged = self.witness.judge()?;
        figure(
            "statuses with DataSafe, each as a walk says",
            &judged.safe.to_string(),
        );
        figure("walks that found all copies", &judged.whole.to_string());
        figure(
            "walks that found too few copies",
            &judged.lacking.to_string(),
        );
        figure(
            "walks that ended with no answer",
            &judged.unknown.to_string(),
        );
        let looked = judged.whole > 5 && judged.lacking >= least;
        ensure!(
            judged.safe > 5 && looked,
            "too little was compared: {judged:?}"
        );
        Ok(())
    }

    /// Every pod is there and ready, every member is live, and every file has all copies.
    fn wait_healthy(&self) -> Result<()> {
        wait_for("a healthy cluster", PATIENCE, || {
            let status = self.mdfs.ask("GET", "/v1/status")?.json()?;
            ensure!(
                status.get("health") == Some(&"ok".into()),
                "status: {status}"
            );
            let ready = self.mdfs.ready_workers()?;
            ensure!(ready == 3, "{ready} workers are ready");
            Ok(Some(()))
        })?;
        self.mdfs.wait_ready(PATIENCE)?;
        self.mdfs.wait_condition("DataSafe", "True", PATIENCE)
    }
}

fn delete_by_force(bed: &Bed, mdfs: &Mdfs, pods: &[&str]) -> Result<()> {
    let words = [
        "delete",
        "pod",
        "--namespace",
        &mdfs.namespace,
        "--force",
        "--grace-period=0",
    ];
    bed.kubectl().call(&[&words, pods].concat()).map(drop)
}

/// As whoever takes care of the machine does; the node takes pods again afterwards.
fn drain(bed: &Bed, node: &str) -> Result<()> {
    let words = [
        "drain",
        node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=50s",
    ];
    bed.kubectl().call(&words)?;
    bed.kubectl().call(&["uncordon", node]).map(drop)
}
