//! Has all workers read everything they hold.

use super::Shared;
use futures_util::future::join_all;
use mdfs_protocol::public::{Scrub, Scrubs, Task, TaskKind, WorkerInfo, Workers};
use std::time::Duration;

/// In which a worker must have answered: it only begins.
const WITHIN: Duration = Duration::from_secs(5);

/// Begins to scrub, or with `begin` false asks how far that is.
pub(super) async fn scrub(shared: &Shared, workers: Workers, begin: bool) -> Scrubs {
    let asked = workers
        .workers
        .into_iter()
        .map(|worker| ask(shared, worker, begin));
    Scrubs {
        workers: join_all(asked).await,
    }
}

/// The scrubs that are under way.
pub(super) async fn tasks(shared: &Shared, workers: Workers) -> Vec<Task> {
    let asked = workers.workers.into_iter().map(|worker| async {
        let (chunks, bytes) = (worker.chunks, worker.chunk_bytes);
        let Scrub {
            disk_id,
            name,
            progress,
        } = ask(shared, worker, false).await;
        let progress = progress.filter(|it| !it.finished && (it.ordered || it.chunks > 0))?;
        // Meanwhile chunks may have gone.
        let (total_chunks, total_bytes) = (chunks.max(progress.chunks), bytes.max(progress.bytes));
        let rate = u128::from(progress.bytes) * 1000;
        let rate = rate.checked_div(progress.millis.into()).unwrap_or(0);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        Some(Task {
            kind: TaskKind::Scrub,
            worker: Some(name),
            disk_id: Some(disk_id),
            millis: progress.millis,
            done_chunks: progress.chunks,
            total_chunks,
            done_bytes: progress.bytes,
            total_bytes,
            bytes_per_second: rate,
            eta_seconds: (total_bytes - progress.bytes).checked_div(rate),
        })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn ask(shared: &Shared, worker: WorkerInfo, begin: bool) -> Scrub {
    let WorkerInfo {
        disk_id, name, url, ..
    } = worker;
    let progress = match url {
        Some(url) => shared.peers.scrub(disk_id, url, begin, WITHIN).await.ok(),
        None => None,
    };
    Scrub {
        disk_id,
        name,
        progress,
    }
}
