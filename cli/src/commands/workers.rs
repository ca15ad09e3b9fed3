//! `mdfs workers`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, shown, size, table};
use mdfs_protocol::public::{WorkerInfo, WorkerState};

pub(crate) async fn execute(context: &Context) -> Result<Exit, CliError> {
    let workers = context.client()?.workers().await?;
    let rows = || {
        table(
            &[
                "NAME", "STATE", "ROLE", ">CHUNKS", ">BYTES", ">FREE", ">SIZE", ">BAD", "URL",
                "DISK",
            ],
            workers.workers.iter().map(row),
        )
    };
    let names = workers.workers.iter().map(|worker| worker.name.as_str());
    print(context.global.output, &workers, rows, names)?;
    Ok(Exit::Ok)
}

fn row(worker: &WorkerInfo) -> Vec<String> {
    let state = match worker.state {
        WorkerState::Live if worker.read_only => "read-only",
        WorkerState::Live if worker.decommissioning => "leaving",
        WorkerState::Live if worker.draining && worker.chunks == 0 => "drained",
        WorkerState::Live if worker.draining => "draining",
        WorkerState::Live => "live",
        WorkerState::Suspect | WorkerState::Dead if worker.announced_seconds.is_some() => {
            "announced"
        }
        WorkerState::Suspect => "suspect",
        WorkerState::Dead => "dead",
    };
    let role = match (worker.voter, worker.voter_broken) {
        (_, true) => "log broken",
        (true, false) if worker.witness => "votes only",
        (true, false) => "voter",
        (false, false) if worker.witness => "witness",
        (false, false) => "-",
    };
    let url = worker.url.as_deref().unwrap_or("-");
    vec![
        shown(&worker.name).into_owned(),
        state.to_owned(),
        role.to_owned(),
        worker.chunks.to_string(),
        size(worker.chunk_bytes),
        size(worker.free_bytes),
        size(worker.capacity_bytes),
        worker.bad_blocks.to_string(),
        shown(url).into_owned(),
        worker.disk_id.to_string(),
    ]
}
