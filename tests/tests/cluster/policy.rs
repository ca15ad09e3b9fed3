//! The number of copies is changed while the cluster runs.

use crate::{ask, refused};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::http::Answer;
use mdfs_tests::transfer;
use mdfs_tests::wait::wait_for;
use mdfs_tests::walker::{Depth, Records, only_what_is_wanted, read_disks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const LENGTH: u64 = 300_000;
const FILES: u64 = 12;
/// To copy everything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn name(number: u64) -> String {
    format!("policy/{number}")
}

/// Waits until every chunk has exactly `copies` copies, as the records want.
fn wait_copies(cluster: &DevCluster, copies: u64) -> Result<()> {
    let status = ask(cluster, "GET", "/v1/status")?.json()?;
    let cluster_id = status.get("cluster_id").and_then(Value::as_str);
    let cluster_id = cluster_id.context("no cluster id")?;
    let workers = cluster.role("worker").into_iter();
    let disks: BTreeMap<_, _> = workers
        .filter_map(|worker| Some((worker.name, worker.data_dir?)))
        .collect();
    wait_for("as many copies as wanted", PATIENCE, || {
        let records = Records::list(&mut cluster.connect()?)?;
        let told = records.files.iter().all(|file| file.replicas == copies);
        ensure!(told, "{:?}", records.files);
        only_what_is_wanted(
            &records,
            &read_disks(&disks, cluster_id, Depth::Footers)?,
            0,
        )?;
        Ok(Some(()))
    })
}

#[test]
fn copies_become_more_and_fewer_as_the_policy_says() -> Result<()> {
    let options = Options {
        workers: 4,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let mut connection = cluster.connect()?;
        for number in 0..FILES {
            transfer::put(&mut connection, &name(number), Content::new(number), LENGTH)?;
        }
        wait_copies(cluster, 2)?;

        let said = cluster.cli_ends(0, &["policy", "-o", "json"])?;
        let policy: Value = serde_json::from_slice(&said.stdout)?;
        ensure!(
            policy["replicas"] == 2 && policy["repair_delay_seconds"] == 15,
            "{policy}"
        );
        cluster.cli_ends(0, &["policy", "--replicas", "3"])?;
        wait_copies(cluster, 3)?;
        cluster.wait_healthy()?;

        let too_many = br#"{"replicas":5}"#;
        let answer = connection.request("POST", "/v1/admin/policy", &[], too_many)?;
        refused(&answer, "409 conflict", "more copies than workers")?;

        let lower = ["policy", "--replicas", "2", "--lower-after", "2s"];
        cluster.cli_ends(0, &lower)?;
        wait_copies(cluster, 2)?;
        cluster.wait_healthy()?;
        for number in 0..FILES {
            let content = Content::new(number);
            transfer::get(&mut connection, &name(number), content, LENGTH, |_| Ok(()))?;
        }
        Ok(())
    })
}

/// Puts a file, whatever is answered.
fn put(cluster: &DevCluster, name: &str, content: Content, length: u64) -> Result<Answer> {
    let body = content.reader(length);
    let path = transfer::path(name);
    cluster
        .connect()?
        .upload("PUT", &path, &[], body, Some(length))
}

#[test]
fn fewer_copies_suffice_if_the_policy_says_so_and_become_whole_again() -> Result<()> {
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        cluster.cli_ends(0, &["policy", "--replicas", "3"])?;
        cluster.wait_healthy()?;
        let gone = cluster.process("worker-2")?;
        let role = Role::of(&gone)?;
        cluster.kill(&gone)?;
        let content = Content::new(1);
        let answer = put(cluster, "refused", content, LENGTH)?;
        refused(
            &answer,
            "503 too_few_workers",
            "a file without its third copy",
        )?;

        let least = ["policy", "--min-write-copies", "2", "-o", "json"];
        let policy: Value = serde_json::from_slice(&cluster.cli_ends(0, &least)?.stdout)?;
        ensure!(policy["min_write_copies"] == 2, "{policy}");
        // One goes to all at once, the other along a chain.
        for (name, length) in [("small", LENGTH), ("large", 5_000_000)] {
            let answer = put(cluster, name, content, length)?;
            ensure!(answer.status() == 202, "{name}: {}", answer.text());
            let info = answer.json()?;
            ensure!(info["durability"] == 2 && info["replicas"] == 3, "{info}");
            transfer::get(&mut cluster.connect()?, name, content, length, |_| Ok(()))?;
        }
        // With all it never happens.
        cluster.start_by_hand(&role)?;
        wait_copies(cluster, 3)?;
        cluster.wait_healthy()?;
        transfer::put(&mut cluster.connect()?, "whole", content, LENGTH)?;
        cluster.cli_ends(0, &["policy", "--min-write-copies", "0"])?;
        let policy = ask(cluster, "GET", "/v1/admin/policy")?.json()?;
        ensure!(policy["min_write_copies"].is_null(), "{policy}");
        Ok(())
    })
}
