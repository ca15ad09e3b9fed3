//! The operator is killed on the way of a smaller cluster and of another image, after a write whose
//! answer it does not hear. The next one goes on: no worker goes before it is empty, and never are two away.

use super::installed::{IMAGE, Mdfs, PATIENCE, SYSTEM, image, install, small_spec};
use super::load::{File, read_back, store};
use super::upgrade::{away, runs};
use super::with_bed;
use crate::figures::figure;
use crate::k8s_bare::bench::{Operator, USUAL};
use crate::k8s_bare::writes::Door;
use anyhow::{Context, Result, ensure};
use mdfs_tests::disks::all_chunks;
use mdfs_tests::kube::{Bed, Kubectl};
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// The image under another name: another template, the same program.
const NEXT: &str = "localhost/mdfs:e2e-next";
/// At how many moments of each the operator is killed.
const MOMENTS: usize = 4;
/// How long each may take.
const LIMIT: Duration = Duration::from_secs(400);
/// How many files there are.
const FILES: u64 = 200;

pub(crate) fn prove() -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-k8s-")?;
    let images = [image(folder.path())?];
    with_bed(false, &images, |bed| {
        install(bed)?;
        bed.rename(IMAGE, NEXT)?;
        let mdfs = Mdfs::new(bed, "films", "films");
        mdfs.create(&spec(4, IMAGE))?;
        mdfs.wait_ready(PATIENCE)?;
        let files = store(&mdfs, "crash", FILES)?;
        // From here on operators run beside the cluster.
        let words = ["scale", "deployment", "mdfs-operator", "--replicas=0"];
        let words = [&words[..], &["--namespace", SYSTEM]].concat();
        bed.kubectl().call(&words)?;
        let killed = Killed {
            account: bed.plane().as_service_account(SYSTEM, &USUAL.full_name())?,
            folder: folder.path().to_owned(),
            url: mdfs.url()?,
            mdfs,
            files,
        };
        killed.smaller(bed)?;
        killed.rolled()
    })
}

fn spec(replicas: u32, image: &str) -> Value {
    let mut spec = small_spec();
    for (pointer, value) in [
        ("/workers/replicas", json!(replicas)),
        ("/image", json!(image)),
    ] {
        if let Some(field) = spec.pointer_mut(pointer) {
            *field = value;
        }
    }
    spec
}

/// A cluster whose operators are killed.
struct Killed {
    mdfs: Mdfs,
    files: Vec<File>,
    account: Kubectl,
    folder: PathBuf,
    url: String,
}

impl Killed {
    fn operate(&self, config: &std::path::Path) -> Result<Operator> {
        Operator::start(config, &self.folder, &USUAL, &self.url)
    }

    /// Has an operator work until `done`, and looks at `check` all the time. With a moment it is killed
    /// after so many writes, and another one goes on. Gives what the first one wrote.
    fn until(
        &self,
        moment: Option<usize>,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<Vec<String>> {
        let most = moment.map_or(Ok(u64::MAX), u64::try_from)?;
        let door = Door::open(&self.account, &self.folder, most)?;
        let mut operator = self.operate(door.config())?;
        let mut is_done = false;
        wait_for("all that is wanted, or the last write", LIMIT, || {
            is_done = done()?;
            if !is_done && !door.is_shut() {
                operator.check()?;
                return Ok(None);
            }
            Ok(Some(()))
        })
        .with_context(|| format!("{:?}\n{}", door.writes(), operator.log_tail()))?;
        drop(operator);
        let writes = door.writes();
        if is_done {
            return Ok(writes);
        }
        let operator = self.operate(self.account.config())?;
        wait_for("all that is wanted from the next one", LIMIT, || {
            Ok(done()?.then_some(()))
        })
        .with_context(|| format!("{writes:?}\n{}", operator.log_tail()))?;
        Ok(writes)
    }

    /// One moment is not killed at; the others are spread over all its writes.
    fn at_moments(
        &self,
        what: &str,
        mut work: impl FnMut(Option<usize>) -> Result<Vec<String>>,
    ) -> Result<()> {
        let writes = work(None).with_context(|| format!("{what}, nobody killed"))?;
        ensure!(writes.len() >= MOMENTS, "{what} took only {writes:?}");
        figure(&format!("writes of {what}"), &writes.len().to_string());
        for number in 1..=MOMENTS {
            let moment = number * writes.len() / (MOMENTS + 1);
            let moment = moment.max(1);
            let at = writes.get(moment - 1).map_or("", String::as_str);
            work(Some(moment)).with_context(|| format!("{what}, killed after {moment}: {at}"))?;
            read_back(&self.mdfs, &self.files)?;
            figure(&format!("{what}: killed after write {moment}"), at);
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool> {
        Ok(self.mdfs.is("Ready", "True")? && self.mdfs.is("Progressing", "False")?)
    }

    /// Four workers become three.
    fn smaller(&self, bed: &Bed) -> Result<()> {
        let last = format!("{}-worker-3", self.mdfs.name);
        self.at_moments("a smaller cluster", |moment| {
            self.mdfs.change(&spec(4, IMAGE))?;
            self.until(None, || {
                Ok(self.mdfs.ready_workers()? == 4 && self.is_ready()?)
            })?;
            let disk = self.mdfs.disk(bed, &last)?;
            let operator = self.operate(self.account.config())?;
            wait_for("chunks on the new worker", PATIENCE, || {
                Ok((!all_chunks(&disk)?.is_empty()).then_some(()))
            })?;
            drop(operator);
            self.mdfs.change(&spec(3, IMAGE))?;
            let writes = self.until(moment, || {
                let workers = self.mdfs.pods("worker")?;
                if workers.contains_key(&last) {
                    return Ok(false);
                }
                let held = all_chunks(&disk)?.len();
                ensure!(held == 0, "{last} went with {held} chunks");
                Ok(workers.len() == 3 && self.is_ready()?)
            })?;
            let health = self.mdfs.ask("GET", "/v1/status")?.json()?;
            ensure!(health.get("health") == Some(&json!("ok")), "{health}");
            Ok(writes)
        })
    }

    /// Another image and back, again and again.
    fn rolled(&self) -> Result<()> {
        let mut images = [NEXT, IMAGE].into_iter().cycle();
        self.at_moments("another image", |moment| {
            let image = images.next().unwrap_or(IMAGE);
            self.mdfs.change(&spec(3, image))?;
            let mut most = Vec::new();
            let writes = self.until(moment, || {
                let away = away(&self.mdfs)?;
                if away.len() > most.len() {
                    most = away;
                }
                Ok(runs(&self.mdfs, image)? && self.is_ready()?)
            })?;
            ensure!(most.len() == 1, "away at once: {most:?}");
            Ok(writes)
        })
    }
}
