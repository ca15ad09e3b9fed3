//! Probes and monitoring.

use super::App;
use super::error::HttpError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use mdfs_core::partition::Partition;
use mdfs_protocol::problem::Code;
use mdfs_service::Leaving;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether the process lives.
pub(crate) async fn health() -> &'static str {
    "OK"
}

/// Whether requests should come here. Does not depend on a leader: with none, every master would
/// vanish from its Service at once, and nobody could say why.
pub(crate) async fn ready(
    State(app): State<App>,
    Leaving(leaving): Leaving,
) -> Result<&'static str, HttpError> {
    if leaving || app.0.tasks.stop().is_cancelled() {
        return Err(HttpError::new(Code::Busy, "the master is stopping"));
    }
    Ok("OK")
}

/// Counters as JSON.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Stats {
    /// Workers that are live.
    active_workers: u64,
    /// All workers.
    workers: u64,
    /// Files that have a name.
    files: u64,
    /// Files whose checksum is known: all of them.
    checksums: u64,
    /// Bytes of all files, counted once.
    bytes: u64,
    /// Files with fewer reachable copies than wanted.
    under_replicated_files: u64,
    /// Partitions on the ring.
    ring_size: usize,
}

/// Answers `/stats`.
pub(crate) async fn stats(State(app): State<App>) -> Result<Response, HttpError> {
    let status = app.0.leader.status().await?;
    let stats = Stats {
        active_workers: status.live_workers,
        workers: status.workers,
        files: status.files,
        checksums: status.files,
        bytes: status.bytes,
        under_replicated_files: status.under_replicated_files,
        ring_size: Partition::COUNT,
    };
    Ok(Json(stats).into_response())
}

/// Answers `/metrics`; also when nobody leads.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let status = app.0.leader.status().await.ok();
    let (kind, text) = app.0.metrics.render(status.as_ref());
    ([(CONTENT_TYPE, kind)], text).into_response()
}
