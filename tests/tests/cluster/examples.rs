//! The example programs print what their pages say, with real clusters.

use crate::{ask, with_cluster};
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{finish, succeed};
use mdfs_tests::dev_cluster::{DevCluster, Options, Process};
use mdfs_tests::program;
use mdfs_tests::readme::printed;
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// An example as a user of this cluster runs it.
fn example(cluster: &DevCluster, name: &str) -> Result<Command> {
    let mut command = Command::new(program::example(name)?);
    command.stdin(Stdio::null()).current_dir(cluster.folder());
    command
        .env("MDFS_URL", cluster.url())
        .env("MDFS_TOKEN_FILE", &cluster.state().token_file);
    Ok(command)
}

fn page(name: &str) -> Result<PathBuf> {
    Ok(program::repository()?
        .join("examples")
        .join(name)
        .join("README.md"))
}

fn prints_what_its_page_says(name: &str) -> Result<()> {
    let wanted = printed(&page(name)?)?;
    with_cluster(|cluster| {
        // Once more over what the first left.
        for round in 0..2 {
            let found = succeed(&mut example(cluster, name)?, LIMIT)?.text();
            ensure!(found == wanted, "round {round} printed:\n{found}");
        }
        let open = ask(cluster, "GET", "/v1/uploads")?.json()?;
        ensure!(open.get("uploads") == Some(&json!([])), "left open: {open}");
        Ok(())
    })
}

#[test]
fn basic_prints_what_its_page_says() -> Result<()> {
    prints_what_its_page_says("basic")
}

#[test]
fn concurrent_prints_what_its_page_says() -> Result<()> {
    prints_what_its_page_says("concurrent")
}

#[test]
fn failover_plays_on_while_a_worker_and_the_master_are_killed() -> Result<()> {
    let wanted = printed(&page("failover")?)?;
    DevCluster::with(&Options::default(), |cluster| {
        let progress = cluster.folder().join("progress");
        let said = cluster.folder().join("said");
        let mut command = example(cluster, "failover")?;
        // Nobody is at the first address.
        let urls = format!("http://127.0.0.1:1,{}", cluster.url());
        command
            .env("MDFS_URL", urls)
            .args(["--mib-per-second", "8"]);
        command
            .stdout(File::create(&said)?)
            .stderr(File::create(&progress)?);
        let mut player = Player(command.spawn().context("start the example")?);

        player.wait_until_played(&progress, 1)?;
        cluster.kill(&read_from(cluster)?)?;
        player.wait_until_played(&progress, 24)?;
        cluster.kill(&cluster.first("master")?)?;
        let at = played(&progress)?;
        ensure!(at < 48, "the master was killed only after {at} MiB");

        let status = finish(&mut player.0, "the example", LIMIT)?;
        let found = fs::read_to_string(&said)?;
        let why = || fs::read_to_string(&progress).unwrap_or_default();
        ensure!(status.success(), "it ended with {status}: {}", why());
        ensure!(found.trim() == wanted, "it printed:\n{found}");
        Ok(())
    })
}

/// The worker that the film is read from.
fn read_from(cluster: &DevCluster) -> Result<Process> {
    let path = "/v1/files/examples/failover/film.bin?replicas";
    let replicas = ask(cluster, "GET", path)?.json()?;
    let first = replicas
        .pointer("/runs/0/holders/0/url")
        .and_then(Value::as_str);
    let url = first.with_context(|| format!("no holder in {replicas}"))?;
    let mut workers = cluster.role("worker").into_iter();
    let found = workers.find(|worker| worker.url.as_deref() == Some(url));
    found.with_context(|| format!("no worker is at {url}"))
}

/// How many MiB were played so far.
fn played(progress: &Path) -> Result<usize> {
    let told = fs::read_to_string(progress)?;
    Ok(told.lines().filter(|line| line.ends_with("MiB")).count())
}

struct Player(Child);

impl Player {
    fn wait_until_played(&mut self, progress: &Path, mib: usize) -> Result<()> {
        wait_for("progress of the example", LIMIT, || {
            if let Some(status) = self.0.try_wait()? {
                let told = fs::read_to_string(progress)?;
                return Ok(Some(Err(format!("it ended with {status}: {told}"))));
            }
            Ok((played(progress)? >= mib).then_some(Ok(())))
        })?
        .map_err(anyhow::Error::msg)
    }
}

/// Nothing outlives a test.
impl Drop for Player {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}
