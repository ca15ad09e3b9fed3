//! Clusters of real servers, started as a person starts them, seen through the HTTP API, the
//! program and the disks.

mod bodies;
mod cli;
mod damage;
mod disks;
mod examples;
mod faults;
mod full_disk;
mod life;
mod logs;
mod masters;
mod names;
mod policy;
mod ranges;
mod smuggling;
mod tokens;
mod trash;
mod uploads;

use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::{Answer, Connection};
use serde_json::Value;

/// Does `work` with a cluster in one process.
fn with_cluster(work: impl FnOnce(&mut DevCluster) -> Result<()>) -> Result<()> {
    DevCluster::with(
        &Options {
            processes: false,
            ..Options::default()
        },
        work,
    )
}

/// Asks for `path` with the cluster's token.
fn ask(cluster: &DevCluster, method: &str, path: &str) -> Result<Answer> {
    cluster.connect()?.request(method, path, &[], &[])
}

/// Whether an error's answer is `wanted` (status and code), and says nothing but what it must.
fn refused(answer: &Answer, wanted: &str, what: &str) -> Result<()> {
    let found = answer.problem();
    ensure!(
        found == wanted,
        "{what} was answered {found} instead of {wanted}"
    );
    let media_type = answer.header("content-type");
    ensure!(
        media_type == Some("application/problem+json"),
        "{what}: {media_type:?}"
    );
    let body = answer.json()?;
    let request = body
        .get("request_id")
        .and_then(Value::as_str)
        .context("no request_id")?;
    ensure!(
        answer.header("x-request-id") == Some(request),
        "{what}: two request ids"
    );
    Ok(())
}

/// Names of all files, in the order of the list.
fn names(connection: &mut Connection) -> Result<Vec<String>> {
    let page = connection.request("GET", "/v1/files", &[], &[])?;
    ensure!(
        page.status() == 200,
        "the list was answered {}",
        page.problem()
    );
    let page = page.json()?;
    let files = page
        .get("files")
        .and_then(Value::as_array)
        .context("a page without files")?;
    let name = |file: &Value| Some(file.get("name")?.as_str()?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}
