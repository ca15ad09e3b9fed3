//! What anybody may ask: probes, and figures for people and monitoring. No names, no ids of files.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::Open;
use crate::metrics::Shown;
use crate::worker::Worker;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// What `/stats` tells.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    name: String,
    zone: Option<String>,
    disk: String,
    cluster: Option<String>,
    generation: u64,
    state: mdfs_protocol::internal::DiskState,
    voter: mdfs_protocol::internal::VoterState,
    capacity_bytes: u64,
    free_bytes: u64,
    chunks: u64,
    chunk_bytes: u64,
    staged_chunks: u64,
    bad_blocks: u64,
    damaged_chunks: u64,
    foreign_files: u64,
    directory_version: u64,
    /// Masters that answered lately.
    masters: usize,
    witness: bool,
}

/// The process answers requests. That is all it says.
pub(crate) async fn health() -> &'static str {
    "OK"
}

/// Whether requests should be sent here: the disk is open and the worker does not stop.
pub(crate) async fn ready(State(worker): State<Worker>) -> Result<&'static str, HttpError> {
    let _ = worker.node()?;
    if worker.leaving().is_cancelled() {
        return Err(Error::NotReady { doing: "stopping" }.into());
    }
    Ok("OK")
}

/// Figures for people.
pub(crate) async fn stats(
    State(worker): State<Worker>,
    Open(node): Open,
) -> Result<Json<Stats>, HttpError> {
    let usage = node.usage()?;
    let identity = node.identity();
    let config = worker.config();
    Ok(Json(Stats {
        name: config.name.clone(),
        zone: config.zone.clone(),
        disk: identity.disk.to_string(),
        cluster: identity.cluster.map(|cluster| cluster.to_string()),
        generation: identity.generation.0,
        state: usage.state,
        voter: node.voter.state(),
        capacity_bytes: usage.capacity_bytes,
        free_bytes: usage.free_bytes,
        chunks: usage.chunks,
        chunk_bytes: usage.chunk_bytes,
        staged_chunks: usage.staged,
        bad_blocks: usage.bad_blocks,
        damaged_chunks: usage.damaged_chunks,
        foreign_files: usage.foreign_files,
        directory_version: node.directory.version(),
        masters: worker.masters().answering(),
        witness: config.witness,
    }))
}

/// Figures for Prometheus. While the disk is not open, or hangs, those of the disk are the last
/// known ones, and `mdfs_worker_up` is zero.
pub(crate) async fn metrics(State(worker): State<Worker>) -> Response {
    let metrics = worker.metrics();
    let shown = worker.node().ok().map(|node| Shown {
        usage: node.usage().ok(),
        scrubbed_ago: node.scrubbed_ago(),
        voter: node.voter.state(),
        log_index: node.voter.last().index,
    });
    metrics.show(worker.masters().answering(), shown.as_ref());
    let (kind, text) = metrics.render();
    ([(CONTENT_TYPE, kind)], text).into_response()
}
