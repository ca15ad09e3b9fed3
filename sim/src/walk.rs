//! What is really on the disks when all is at rest, compared with the records.

use crate::admin::identity;
use crate::content::check;
use crate::history::History;
use crate::net::HostId;
use crate::world::World;
use anyhow::{Context, Result, bail, ensure};
use http::{Method, StatusCode};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_simdisk::SimDisk;
use mdfs_tests::walker::{Copy, Disk, Record, Records, only_what_is_wanted};
use mdfs_worker::store::{ChunkStore, StoreSettings};
use mdfs_worker::voter::VoterStorage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a table that are read at a time: all there can be.
const ALL: usize = 1 << 30;

/// Walks all disks: each file that has a name, or is in the trash, has as many good copies as it wants,
/// of the bytes that were sent; nothing else is there; the master's figures say the same; and all
/// voters have the same records.
///
/// # Errors
/// The first of what is not so.
pub(crate) async fn walk(world: &World, leader: HostId, history: &History) -> Result<()> {
    let records = Records {
        files: pages(world, leader, "/v1/files").await?,
        trash: pages(world, leader, "/v1/trash").await?,
    };
    let status = get(world, leader, "/v1/status").await?;
    let cluster = status.get("cluster_id").and_then(Value::as_str);
    let cluster = cluster.context("the status names no cluster")?;
    let mut disks = BTreeMap::new();
    let mut all: Vec<(PathBuf, Arc<Vec<u8>>)> = Vec::new();
    for (id, disk) in world
        .hosts
        .values()
        .filter_map(|it| Some((it.id, it.disk()?)))
    {
        let files = disk.contents();
        let seen = files
            .iter()
            .map(|(path, bytes)| (path.as_path(), bytes.as_slice()));
        disks.insert(format!("w{id}"), Disk::of_files(seen, cluster)?);
        let of_chunks = |(path, _): &(PathBuf, _)| path.starts_with("chunks");
        all.extend(files.into_iter().filter(of_chunks));
    }
    let count = only_what_is_wanted(&records, &disks, 0)?;
    for (field, counted) in [
        ("files", count.files),
        ("bytes", count.bytes),
        ("trashed_files", count.trashed_files),
        ("under_replicated_files", count.under_replicated_files),
        ("missing_files", count.missing_files),
        ("damaged_chunks", count.damaged_chunks),
        ("excess_copies", count.excess_copies),
    ] {
        let said = status.get(field).and_then(Value::as_u64);
        ensure!(
            said == Some(counted),
            "{field}: {said:?} are told, {counted} there"
        );
    }
    let mut chunks: BTreeMap<PathBuf, Arc<Vec<u8>>> = BTreeMap::new();
    for (path, bytes) in all {
        if let Some(other) = chunks.get(&path) {
            ensure!(data(other) == data(&bytes), "copies of {path:?} differ");
        }
        chunks.insert(path, bytes);
    }
    for file in records.files.iter().chain(&records.trash) {
        let mut bytes = Vec::new();
        for ((id, index), _) in file.chunks() {
            let folder = id.get(..3).unwrap_or_default();
            let path = Path::new("chunks")
                .join(folder)
                .join(format!("{id}.{index}"));
            let chunk = chunks
                .get(&path)
                .context("a copy that was counted is gone")?;
            bytes.extend_from_slice(data(chunk));
        }
        check(history, &bytes).with_context(|| format!("the copies of {}", file.name))?;
    }
    tables(world, leader).await
}

/// Voters that have applied the same entries have the same records.
async fn tables(world: &World, leader: HostId) -> Result<()> {
    let said = get(world, leader, "/v1/workers").await?;
    let workers = said.get("workers").and_then(Value::as_array);
    let votes = |it: &&Value| it.get("voter") == Some(&Value::Bool(true));
    let voters = workers.into_iter().flatten().filter(votes);
    let voters: Vec<&str> = voters
        .filter_map(|it| it.get("disk_id")?.as_str())
        .collect();
    let mut seen: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for disk in world.hosts.values().filter_map(|host| host.disk()) {
        let Some((id, _)) = identity(disk).filter(|(id, _)| voters.contains(&id.as_str())) else {
            continue;
        };
        let fresh = DiskId::from_u128(1);
        let disk = Arc::new(disk.after_kill());
        let store = ChunkStore::open(disk, StoreSettings::default(), fresh)?;
        let storage = VoterStorage::open(&store)?;
        let applied = storage.load()?.applied;
        let (records, more) = storage.page(None, ALL)?;
        ensure!(!more, "a table is larger than all there can be");
        match seen.get(&applied) {
            Some(first) if *first != records => {
                bail!("voter {id} has other records than another one at {applied}")
            }
            Some(_) => {}
            None => drop(seen.insert(applied, records)),
        }
    }
    Ok(())
}

async fn pages(world: &World, leader: HostId, path: &str) -> Result<Vec<Record>> {
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let mut page = get(world, leader, &format!("{path}?limit=1000{after}")).await?;
        let files = page.get_mut("files").map(Value::take);
        let files: Vec<Record> = serde_json::from_value(files.context("a page without files")?)?;
        listed.extend(files);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(listed),
        }
    }
}

async fn get(world: &World, leader: HostId, path: &str) -> Result<Value> {
    match world.ask_one(leader, Method::GET, path, None).await {
        Some((StatusCode::OK, said)) => Ok(said),
        told => bail!("{path} was answered {told:?}"),
    }
}

/// Whether the chunk file at `path` of a disk is good, with these bytes.
pub(crate) fn is_good(disk: &SimDisk, path: &Path, bytes: &[u8]) -> bool {
    let files = disk.contents();
    let own = files.iter().find(|(path, _)| path == Path::new("identity"));
    let cluster = own.and_then(|(_, bytes)| bytes.get(16..32)?.try_into().ok());
    let Some(cluster) = cluster.map(ClusterId::from_bytes) else {
        return false;
    };
    let disk = Disk::of_files([(path, bytes)], &cluster.to_string());
    let mut copies = disk.iter().flat_map(|disk| disk.copies.values());
    copies.any(|copy| matches!(copy, Copy::Good { .. }))
}

/// Bytes of the file in a chunk file: the length of its footer stands near its end.
pub(crate) fn data(bytes: &[u8]) -> &[u8] {
    let trailer = bytes.len().saturating_sub(16);
    let footer = bytes.get(trailer..).and_then(|rest| rest.first_chunk());
    let footer = footer.map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let length = trailer.saturating_sub(usize::try_from(footer).unwrap_or(0));
    bytes.get(..length).unwrap_or_default()
}
