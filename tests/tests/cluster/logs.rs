//! What servers log, for people and for machines.

use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::disks;
use mdfs_tests::http::Connection;
use mdfs_tests::wait::wait_for;
use serde_json::Value;
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn options(log_json: bool) -> Options {
    Options {
        log: Some("info"),
        log_json,
        ..Options::default()
    }
}

/// Stores a file whose copies are all damaged, and reads it, each under an id of its own.
fn store_and_read(cluster: &DevCluster) -> Result<()> {
    let mut connection = cluster.connect()?;
    let named = [("x-request-id", "stored-1")];
    let stored = connection.request("PUT", "/v1/files/x", &named, &[7; 100_000])?;
    ensure!(stored.status() == 201, "{}", stored.problem());
    let stored = stored.json()?;
    let id = stored.get("file_id").and_then(Value::as_str);
    for worker in cluster.role("worker") {
        let data_dir = worker.data_dir.context("a worker has a disk")?;
        for path in disks::chunks(&data_dir, id.context("an id")?)?.into_values() {
            let mut bytes = fs::read(&path)?;
            *bytes.get_mut(10).context("a byte")? ^= 1;
            fs::write(path, bytes)?;
        }
    }
    let mut connection = Connection::open(cluster.url(), Some(cluster.token()))?;
    // Nothing that is good can be sent: it ends in one way or the other.
    let read = connection.request("GET", "/v1/files/x", &[("x-request-id", "read-1")], &[]);
    ensure!(
        read.map_or(true, |read| read.status() >= 500),
        "it was read"
    );
    Ok(())
}

#[test]
fn a_request_is_found_in_the_logs_of_all_servers_as_json() -> Result<()> {
    DevCluster::with(&options(true), |cluster| {
        store_and_read(cluster)?;
        let says = |line: &Value, target: &str, id: &str| {
            let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str);
            text("/target").is_some_and(|it| it.starts_with(target))
                && text("/fields/request_id") == Some(id)
        };
        wait_for("lines", LIMIT, || {
            let log = cluster.log()?;
            let lines = log.lines().filter(|line| line.contains("\"target\""));
            let lines = lines.map(|line| {
                let begin = line.find('{').context("a line of JSON")?;
                serde_json::from_str(line.get(begin..).unwrap_or_default()).context("not JSON")
            });
            let lines = lines.collect::<Result<Vec<Value>>>()?;
            let audited = lines.iter().any(|line| says(line, "audit", "stored-1"));
            let failed = lines.iter().any(|line| says(line, "mdfs_worker", "read-1"));
            ensure!(audited, "the audit trail lacks stored-1");
            ensure!(failed, "no worker names read-1");
            Ok(Some(()))
        })
    })
}

#[test]
fn lines_are_for_people_unless_json_is_asked_for() -> Result<()> {
    DevCluster::with(&options(false), |cluster| {
        store_and_read(cluster)?;
        wait_for("lines", LIMIT, || {
            let log = cluster.log()?;
            ensure!(!log.contains("\"target\""), "there is JSON");
            let has = |words: &[&str]| {
                let mut lines = log.lines();
                lines.any(|line| words.iter().all(|word| line.contains(word)))
            };
            ensure!(
                has(&["audit", "stored-1", "PUT"]),
                "no line of the audit trail"
            );
            ensure!(has(&["read-1", "bad_block"]), "no line of a worker");
            Ok(Some(()))
        })
    })
}
