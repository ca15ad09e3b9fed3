//! The end of a run: nothing fails any more, and everything must come right.

use crate::admin::{Admin, is_complete};
use crate::content::content;
use crate::history::History;
use crate::host::SCRUB_EVERY;
use crate::net::HostId;
use crate::request::Answer;
use crate::walk::walk;
use crate::world::{Plan, World};
use crate::{client, judge_score, start_clients};
use anyhow::{Context, Result, bail, ensure};
use http::{Method, StatusCode};
use mdfs_service::Tasks;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a healed cluster may take to be whole, in seconds.
const WHOLE_WITHIN: u64 = 900;
/// How long clients use a healed cluster, in milliseconds.
const CALM: u64 = 20_000;
/// In which each operation must have ended once nothing fails any more, in milliseconds.
const PROMPT: u64 = 30_000;
/// How long what nobody goes on with may lie on disks, in seconds.
const SWEPT_WITHIN: u64 = 240;
/// A block of a chunk, in bytes.
const BLOCK: usize = 64 << 10;
/// The number of the client that reads everything.
const READER: u32 = 50;

/// Has everything come right, and looks whether it did.
///
/// # Errors
/// The first of what is not as promised.
pub(crate) async fn run(
    seed: u64,
    plan: &Plan,
    world: &mut World,
    admin: &mut Admin,
    history: &History,
    tasks: &Tasks,
) -> Result<()> {
    // What a disk spoiled is found by reading all of it, and mended.
    settle(world, admin).await?;
    tokio::time::sleep(3 * SCRUB_EVERY).await;
    settle(world, admin).await?;
    // Nobody may be left behind, whichever master is asked.
    let calm = world.trace.now() + CALM;
    let all = world.masters();
    for client in start_clients(seed ^ 1, plan, world, &all, history, tasks, calm) {
        client.await?;
    }
    judge_score(&world.trace, "calm", history.score(), Some(PROMPT));
    for &master in &all {
        let mut reader = client(seed ^ 2, READER, world, &[master], history);
        for name in reader.names.clone() {
            ensure!(reader.get(name).await, "master {master} does not read");
        }
        ensure!(reader.list().await, "master {master} does not list");
    }
    let leader = settle(world, admin).await?;
    swept(world, leader, history).await?;
    import_again(world).await?;
    if plan.faults && seed.is_multiple_of(4) {
        lose_a_block(world).await?;
        let leader = settle(world, admin).await?;
        swept(world, leader, history).await?;
    }
    Ok(())
}

/// Waits until the cluster says that it is whole. Who says so.
async fn settle(world: &mut World, admin: &mut Admin) -> Result<HostId> {
    let (mut said, mut settled) = (None, false);
    let voters = u64::try_from(world.workers().len().min(3)).ok();
    let voters = |status: &Value| status.get("voters").and_then(Value::as_u64) == voters;
    for _ in 0..WHOLE_WITHIN {
        tokio::time::sleep(Duration::from_secs(1)).await;
        settled = settled || admin.settle(world).await?;
        said = world.status().await;
        let whole = said.as_ref().filter(|(_, status)| {
            let number = |field: &str| status.get(field).and_then(Value::as_u64);
            let none = |field: &str| number(field) == Some(0);
            status.get("health").and_then(|health| health.as_str()) == Some("ok")
                && none("under_replicated_files")
                && none("missing_files")
                && none("damaged_chunks")
                && none("excess_copies")
                && none("open_uploads")
                && none("moving_partitions")
                && voters(status)
        });
        if let Some((leader, _)) = whole.filter(|_| settled) {
            // A disk that was lost just now may have been told of by nobody yet.
            if admin.settle(world).await? {
                return Ok(*leader);
            }
            settled = false;
        } else if said.as_ref().is_some_and(|(_, status)| !voters(status)) {
            // An order of before that comes late changes what was ordered since.
            settled = false;
        }
    }
    bail!("not whole {WHOLE_WITHIN} s after everything healed: {said:?}")
}

/// Walks the disks, until what dead uploads left is gone.
async fn swept(world: &World, leader: HostId, history: &History) -> Result<()> {
    let mut walked = walk(world, leader, history).await;
    for _ in 0..SWEPT_WITHIN / 5 {
        if walked.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        walked = walk(world, leader, history).await;
    }
    walked.context("what is on the disks")?;
    if history.lock().broke_off {
        world.trace.reach("broken upload left nothing");
    }
    Ok(())
}

/// Takes in, by one master, what another gives out: everything is there already.
async fn import_again(world: &World) -> Result<()> {
    let masters = world.masters();
    let (Some(from), Some(to)) = (masters.first(), masters.last()) else {
        return Ok(());
    };
    let lines = world.export(*from).await.context("no export")?;
    ensure!(is_complete(&lines), "an export without an end");
    let (status, told) = world.import(*to, lines).await.context("no import")?;
    let none = |field: &str| told.get(field).and_then(Value::as_u64) == Some(0);
    let nothing = none("files") && none("trashed") && none("conflicts");
    ensure!(
        status == StatusCode::OK && nothing,
        "import: {status} {told}"
    );
    Ok(())
}

/// Damages the same block in both copies of a file: it is told, the rest is read, and no copy goes.
async fn lose_a_block(world: &World) -> Result<()> {
    const PATH: &str = "/v1/files/doomed";
    let bytes = content(7, 3 * BLOCK as u64);
    let put = world
        .send(Method::PUT, PATH, None, Some(bytes.clone()))
        .await;
    let put = put.filter(|it| it.status == StatusCode::CREATED);
    let told: Value = serde_json::from_slice(&put.context("not stored")?.body)?;
    let id = told
        .get("file_id")
        .and_then(Value::as_str)
        .context("no file id")?;
    let folder = id.get(..3).unwrap_or_default();
    let chunk = Path::new("chunks").join(folder).join(format!("{id}.0"));
    let disks = || world.hosts.values().filter_map(|host| host.disk());
    let copies = || {
        let has = |disk: &&mdfs_simdisk::SimDisk| disk.files_below("chunks").contains(&chunk);
        disks().filter(has).count()
    };
    let before = copies();
    for disk in disks().filter(|disk| disk.files_below("chunks").contains(&chunk)) {
        disk.tamper(&chunk, |bytes| {
            if let Some(byte) = bytes.get_mut(BLOCK + 5) {
                *byte ^= 4;
            }
        });
    }
    world.trace.reach("copies damaged in the same block");
    let is_prefix = |answer: &Answer| bytes.starts_with(&answer.body) && !answer.whole;
    for _ in 0..3 {
        let whole = world.send(Method::GET, PATH, None, None).await;
        let is_error = |it: &Answer| it.status.is_server_error() || is_prefix(it);
        ensure!(
            whole.as_ref().is_none_or(is_error),
            "damaged bytes were read"
        );
        let first = format!("bytes=0-{}", BLOCK - 1);
        let part = world.send(Method::GET, PATH, Some(&first), None).await;
        let part = part.filter(|it| it.status == StatusCode::PARTIAL_CONTENT && it.whole);
        let part = part.context("bytes before the damaged ones are not read")?;
        ensure!(
            Some(part.body.as_slice()) == bytes.get(..BLOCK),
            "other bytes are read"
        );
        tokio::time::sleep(SCRUB_EVERY).await;
    }
    ensure!(copies() == before, "a copy of what cannot be mended went");
    let health = world.status().await;
    let health = health
        .as_ref()
        .and_then(|(_, it)| it.get("health")?.as_str());
    ensure!(
        health != Some("ok"),
        "a file cannot be read, and the health is ok"
    );
    let path = format!("{PATH}?purge");
    let gone = world.send(Method::DELETE, &path, None, None).await;
    ensure!(gone.is_some_and(|it| it.status.is_success()), "not purged");
    Ok(())
}
