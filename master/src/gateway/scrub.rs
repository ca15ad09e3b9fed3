//! Has all workers read everything they hold.

use super::Shared;
use futures_util::future::join_all;
use mdfs_protocol::public::{Scrub, Scrubs, WorkerInfo, Workers};
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
