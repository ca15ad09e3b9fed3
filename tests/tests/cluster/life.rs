//! The life of a cluster: start, Ctrl-C, crash, start again.

use crate::ask;
use anyhow::{Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::transfer;

const LENGTH: u64 = 5_000_000;

/// Starts clusters on the same data again and again; each finds what those before have stored.
fn survives(processes: bool, end: impl Fn(&mut DevCluster) -> Result<()>) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-life-")?;
    let data = Some(folder.path().join("data"));
    let options = Options {
        processes,
        data,
        ..Options::default()
    };
    let mut first_id = None;
    for round in 0..3_u64 {
        DevCluster::with(&options, |cluster| {
            let id = cluster.state().cluster_id.clone();
            ensure!(
                first_id.get_or_insert(id.clone()) == &id,
                "another cluster started"
            );
            let mut connection = cluster.connect()?;
            for number in 0..round {
                let (name, content) = (format!("f/{number}"), Content::new(number));
                transfer::get(&mut connection, &name, content, LENGTH, |_| Ok(()))?;
            }
            let (name, content) = (format!("f/{round}"), Content::new(round));
            transfer::put(&mut connection, &name, content, LENGTH)?;
            end(cluster)
        })?;
    }
    Ok(())
}

#[test]
fn ctrl_c_ends_one_process_cleanly_and_data_stays() -> Result<()> {
    survives(false, |cluster| {
        let status = cluster.stop()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    })
}

#[test]
fn ctrl_c_ends_all_processes_cleanly_and_data_stays() -> Result<()> {
    survives(true, |cluster| {
        let status = cluster.stop()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    })
}

#[test]
fn a_crash_of_everything_loses_nothing_acknowledged() -> Result<()> {
    survives(true, |cluster| cluster.kill_all())
}

#[test]
fn a_blank_disk_joins() -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("mdfs-join-")?;
    let data = Some(folder.path().join("data"));
    for workers in [3, 4] {
        let options = Options {
            workers,
            data: data.clone(),
            ..Options::default()
        };
        DevCluster::with(&options, |cluster| {
            cluster.wait_healthy()?;
            let status = ask(cluster, "GET", "/v1/status")?.json()?;
            ensure!(status["live_workers"] == workers, "status says {status}");
            transfer::put(&mut cluster.connect()?, "x", Content::new(1), LENGTH)?;
            cluster.stop().map(drop)
        })?;
    }
    Ok(())
}
