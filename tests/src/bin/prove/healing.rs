//! What the proofs of healing have in common: files by number, the cluster's status, and what is on
//! the disks.

use crate::MIB;
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::api::Api;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::disks::{self, Chunk};
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::{transfer, wait};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What is looked at of the status.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) health: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) trashed_files: u64,
    pub(crate) open_uploads: u64,
    pub(crate) under_replicated_files: u64,
    pub(crate) missing_files: u64,
    pub(crate) damaged_chunks: u64,
    pub(crate) copies_to_make: u64,
    pub(crate) excess_copies: u64,
    pub(crate) moving_partitions: u64,
    pub(crate) counted_millis_ago: Option<u64>,
    pub(crate) live_workers: u64,
    pub(crate) workers: u64,
}

impl Status {
    /// Whether it was counted, and every copy is where it should be.
    pub(crate) fn is_whole(&self) -> bool {
        self.counted_millis_ago.is_some()
            && self.under_replicated_files == 0
            && self.missing_files == 0
            && self.copies_to_make == 0
            && self.moving_partitions == 0
    }

    /// Whether its figures are younger than this.
    pub(crate) fn is_of_the_last(&self, time: Duration) -> bool {
        let age = self.counted_millis_ago.map(Duration::from_millis);
        age.is_some_and(|age| age + Duration::from_millis(1) < time)
    }
}

/// A stored file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) file_id: String,
    pub(crate) content: Content,
    pub(crate) length: u64,
    pub(crate) chunk_size: u64,
}

impl Stored {
    /// Stores the content of a number.
    pub(crate) fn put(
        connection: &mut Connection,
        name: &str,
        number: u64,
        length: u64,
        chunk_size: u64,
    ) -> Result<Self> {
        Self::put_with(connection, name, number, length, chunk_size, "")
    }

    /// As [`Stored::put`], with more words in the query, each begun by `&`.
    pub(crate) fn put_with(
        connection: &mut Connection,
        name: &str,
        number: u64,
        length: u64,
        chunk_size: u64,
        query: &str,
    ) -> Result<Self> {
        let content = Content::new(number);
        let target = format!("{}?chunk_size={chunk_size}{query}", transfer::path(name));
        let body = content.reader(length);
        let answer = connection.upload("PUT", &target, &[], body, Some(length))?;
        transfer::stored(name, length, &answer)?;
        let answer = answer.json()?;
        Ok(Self {
            name: name.to_owned(),
            file_id: text(&answer, "file_id")?,
            content,
            length,
            chunk_size,
        })
    }

    /// Reads it whole and compares every byte.
    pub(crate) fn get(&self, connection: &mut Connection) -> Result<()> {
        transfer::get(
            connection,
            &self.name,
            self.content,
            self.length,
            |_| Ok(()),
        )?;
        Ok(())
    }

    /// Its chunks and their lengths.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (Chunk, u64)> + '_ {
        (0..self.length.div_ceil(self.chunk_size)).map(|index| {
            let length = self.chunk_size.min(self.length - index * self.chunk_size);
            ((self.file_id.clone(), index), length)
        })
    }
}

/// Reads all of them back.
pub(crate) fn read_back(cluster: &DevCluster, files: &[Stored]) -> Result<()> {
    let mut connection = cluster.connect()?;
    files.iter().try_for_each(|file| file.get(&mut connection))
}

/// The cluster's status.
pub(crate) fn status(cluster: &impl Api) -> Result<Status> {
    let answer = ask(cluster, "GET", "/v1/status", None)?;
    let found = answer.status();
    ensure!(found == 200, "the status was answered {}", answer.problem());
    Ok(serde_json::from_value(answer.json()?)?)
}

/// Waits until the status is as wanted, and gives it.
pub(crate) fn wait_status(
    cluster: &impl Api,
    what: &str,
    limit: Duration,
    wanted: impl Fn(&Status) -> bool,
) -> Result<Status> {
    wait::wait_for(what, limit, || {
        let found = status(cluster)?;
        ensure!(wanted(&found), "{found:?}");
        Ok(Some(found))
    })
}

/// Asks for `path`, with `body` if there is one.
pub(crate) fn ask(
    cluster: &impl Api,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers = [("content-type", "application/json")];
    cluster
        .connect()?
        .request(method, path, &headers, body.as_bytes())
}

/// Asks for a change, which must succeed.
pub(crate) fn change(
    cluster: &DevCluster,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<()> {
    let answer = ask(cluster, method, path, body)?;
    let (status, problem) = (answer.status(), || answer.problem());
    ensure!(
        (200..300).contains(&status),
        "{method} {path} was answered {}",
        problem()
    );
    Ok(())
}

/// Gives an order that concerns a worker.
pub(crate) fn order(cluster: &DevCluster, what: &str, worker: &str) -> Result<()> {
    let body = json!({ "worker": worker });
    change(cluster, "POST", &format!("/v1/admin/{what}"), Some(&body))
}

/// The disks of all workers that the harness knows, by name.
pub(crate) fn all_disks(cluster: &DevCluster) -> Result<BTreeMap<String, PathBuf>> {
    let disk = |worker: mdfs_tests::dev_cluster::Process| {
        let data_dir = worker.data_dir.context("a worker without a data_dir")?;
        Ok((worker.name, data_dir))
    };
    cluster.role("worker").into_iter().map(disk).collect()
}

/// What is on each of these disks.
pub(crate) fn walk<'a>(
    disks: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<Vec<BTreeMap<Chunk, u64>>> {
    disks
        .into_iter()
        .map(|disk| disks::all_chunks(disk))
        .collect()
}

/// Bytes of file in these chunks.
pub(crate) fn bytes_in(chunks: &BTreeMap<Chunk, u64>) -> u64 {
    chunks.values().sum()
}

/// Checks that each chunk of each of these files is on exactly two of these disks, as long as it
/// should be. `nothing_else` also forbids chunks of any other file.
pub(crate) fn two_copies<'a>(
    found: &[BTreeMap<Chunk, u64>],
    files: impl IntoIterator<Item = &'a Stored>,
    nothing_else: bool,
) -> Result<()> {
    so_many_copies(2, found, files, nothing_else)
}

/// As [`two_copies`], of another number.
pub(crate) fn so_many_copies<'a>(
    number: usize,
    found: &[BTreeMap<Chunk, u64>],
    files: impl IntoIterator<Item = &'a Stored>,
    nothing_else: bool,
) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for file in files {
        for (chunk, length) in file.chunks() {
            let lengths = found.iter().filter_map(|disk| disk.get(&chunk));
            let lengths: Vec<u64> = lengths.copied().collect();
            let is_right = lengths == vec![length; number];
            let name = &file.name;
            ensure!(
                is_right,
                "chunk {chunk:?} of {name} ({length} bytes) is there as {lengths:?}"
            );
            wanted.insert(chunk);
        }
    }
    let mut others = found.iter().flat_map(BTreeMap::keys);
    match others.find(|chunk| nothing_else && !wanted.contains(*chunk)) {
        Some((file_id, index)) => bail!("chunk {index} of {file_id} is on a disk for nobody"),
        None => Ok(()),
    }
}

/// Waits until the cluster is whole, with `live` workers and nothing on these disks but two copies
/// of each of these files.
pub(crate) fn settle<'a>(
    cluster: &DevCluster,
    disks: &BTreeMap<String, PathBuf>,
    live: u64,
    files: impl Iterator<Item = &'a Stored> + Clone,
    limit: Duration,
) -> Result<()> {
    wait::wait_for("two copies of each chunk and nothing else", limit, || {
        let found = status(cluster)?;
        two_copies(&walk(disks.values())?, files.clone(), true)
            .with_context(|| format!("{found:?}"))?;
        let settled = found.is_whole() && found.excess_copies == 0 && found.live_workers == live;
        ensure!(settled, "{found:?}");
        Ok(Some(()))
    })
}

/// Waits until the cluster is whole with so many live workers, counted after this was called.
pub(crate) fn whole(cluster: &DevCluster, live: u64, limit: Duration) -> Result<()> {
    let called = wait::now();
    wait_status(cluster, "whole cluster", limit, |status| {
        let settled = status.is_whole() && status.excess_copies == 0;
        let fresh = status.is_of_the_last(called.elapsed());
        settled && fresh && status.live_workers == live
    })?;
    Ok(())
}

/// Stores so many small files of two chunks and more in a folder.
pub(crate) fn store_small(cluster: &DevCluster, folder: &str, count: u64) -> Result<Vec<Stored>> {
    let mut connection = cluster.connect()?;
    let put = |number| {
        let name = format!("{folder}/{number}");
        let length = 2 * MIB + number * 999;
        Stored::put(&mut connection, &name, number, length, MIB)
    };
    (1..=count).map(put).collect()
}

/// All files that the API lists at `path`, as it says them.
pub(crate) fn list(cluster: &DevCluster, path: &str) -> Result<Vec<Value>> {
    let mut connection = cluster.connect()?;
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = format!("{path}?limit=1000{after}");
        let answer = connection.request("GET", &page, &[], &[])?;
        let status = answer.status();
        ensure!(status == 200, "{page} was answered {}", answer.problem());
        let page = answer.json()?;
        let files = page.get("files").and_then(Value::as_array);
        listed.extend(files.context("a page without files")?.iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(listed),
        }
    }
}

/// A text in an answer.
pub(crate) fn text(value: &Value, field: &str) -> Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("no {field} in {value}"))?
        .to_owned())
}
