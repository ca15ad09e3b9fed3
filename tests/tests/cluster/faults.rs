//! Processes that die, and disks that are not where they belong.

use crate::{ask, refused};
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::run;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::program::mdfs;
use mdfs_tests::transfer;
use mdfs_tests::wait::wait_for;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LENGTH: u64 = 2_000_000;

#[test]
fn without_a_quorum_nothing_is_known_and_nobody_says_404() -> Result<()> {
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        transfer::put(&mut cluster.connect()?, "x", Content::new(1), LENGTH)?;
        for worker in cluster.role("worker").iter().take(2) {
            cluster.kill(worker)?;
        }
        let asked = [
            ("GET", "/v1/files/x"),
            ("GET", "/v1/files/not-there"),
            ("GET", "/v1/files"),
            ("PUT", "/v1/files/y"),
            ("DELETE", "/v1/files/x"),
        ];
        for (method, path) in asked {
            let body: &[u8] = if method == "PUT" { b"y" } else { b"" };
            // A read that the leader's lease still covers may be right; nothing may be wrong.
            let answer = wait_for("503", Duration::from_secs(60), || {
                let answer = cluster.connect()?.request(method, path, &[], body)?;
                let covered = method == "GET" && path != "/v1/files/x" && answer.status() != 503;
                ensure!(answer.status() != 201, "{method} {path} was acknowledged");
                let still_right = answer.status() == 200 && path == "/v1/files/x";
                Ok((!covered && !still_right).then_some(answer))
            })?;
            let found = answer.problem();
            ensure!(
                answer.status() == 503,
                "{method} {path} was answered {found}"
            );
            let retry = answer
                .header("retry-after")
                .and_then(|after| after.parse::<u32>().ok());
            ensure!(retry.is_some(), "{method} {path} says no Retry-After");
        }
        let ready = cluster
            .connect()?
            .request("GET", "/health/ready", &[], &[])?;
        ensure!(
            ready.status() == 200,
            "readiness depends on the leader: {}",
            ready.status()
        );
        Ok(())
    })
}

#[test]
fn a_killed_worker_comes_back_with_its_disk() -> Result<()> {
    DevCluster::with(&Options::default(), |cluster| {
        let content = Content::new(1);
        transfer::put(&mut cluster.connect()?, "x", content, LENGTH)?;
        for worker in cluster.role("worker") {
            cluster.kill(&worker)?;
            transfer::get(&mut cluster.connect()?, "x", content, LENGTH, |_| Ok(()))?;
            let again = cluster.wait_restart(&worker)?;
            ensure!(again.data_dir == worker.data_dir, "it has another disk");
            cluster.wait_healthy()?;
        }
        Ok(())
    })
}

#[test]
fn a_second_process_on_a_disk_ends_and_harms_nothing() -> Result<()> {
    DevCluster::with(&Options::default(), |cluster| {
        let content = Content::new(1);
        transfer::put(&mut cluster.connect()?, "x", content, LENGTH)?;
        let mut second = Command::new(mdfs()?);
        second
            .args(["dev", "--port", "0", "--data"])
            .arg(cluster.data())
            .stdin(Stdio::null());
        let second = run(&mut second, Duration::from_secs(30))?;
        ensure!(
            second.code() == 1,
            "it ended with {}: {}",
            second.code(),
            second.stderr
        );
        ensure!(!second.stderr.trim().is_empty(), "it gave no reason");
        transfer::get(&mut cluster.connect()?, "x", content, LENGTH, |_| Ok(()))?;
        transfer::put(&mut cluster.connect()?, "y", content, LENGTH)
    })
}

#[test]
fn a_disk_of_another_cluster_is_refused_and_left_alone() -> Result<()> {
    let (mut one, mut other) = (
        DevCluster::start(&Options::default())?,
        DevCluster::start(&Options::default())?,
    );
    let content = Content::new(1);
    transfer::put(&mut one.connect()?, "x", content, LENGTH)?;
    transfer::put(&mut other.connect()?, "theirs", Content::new(2), LENGTH)?;
    // Each is on two of three disks: of so many, one is on the disk that will be moved.
    for number in 0..20 {
        let content = Content::new(number);
        transfer::put(&mut other.connect()?, &format!("f/{number}"), content, 1000)?;
    }
    let disk = |cluster: &DevCluster| cluster.first("worker")?.data_dir.context("no data_dir");
    let (ours, theirs) = (disk(&one)?, disk(&other)?);
    one.stop()?;
    other.stop()?;
    let data = one.data().to_owned();
    fs::rename(&ours, one.folder().join("aside"))?;
    fs::rename(&theirs, &ours)?;
    let before = bytes_below(&ours.join("chunks"))?;
    ensure!(before > 0, "the foreign disk has no chunks");

    let options = Options {
        data: Some(data),
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let mut connection = cluster.connect()?;
        transfer::get(&mut connection, "x", content, LENGTH, |_| Ok(()))?;
        let answer = ask(cluster, "GET", "/v1/files/theirs")?;
        refused(&answer, "404 file_not_found", "a file of another cluster")?;
        wait_for(
            "the missing member to be seen",
            Duration::from_secs(60),
            || {
                let status = ask(cluster, "GET", "/v1/status")?.json()?;
                Ok((status["live_workers"] == 2 && status["health"] != "ok").then_some(()))
            },
        )
    })?;
    ensure!(
        bytes_below(&ours.join("chunks"))? == before,
        "the foreign disk was changed"
    );
    Ok(())
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() {
            bytes_below(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
