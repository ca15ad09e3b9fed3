//! Heartbeats of workers.

use super::App;
use super::error::HttpError;
use super::wire::{HEARTBEAT_MAX_BYTES, json_up_to};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mdfs_protocol::internal::{Heartbeat, HeartbeatReply};
use mdfs_service::ConnectionClosed;

/// Takes a heartbeat. The leader also hears of the end of the connection it came on: a worker that
/// was killed is avoided long before a beat is missing.
pub(crate) async fn beat(
    State(app): State<App>,
    ConnectionClosed(closed): ConnectionClosed,
    body: Body,
) -> Result<Json<HeartbeatReply>, HttpError> {
    let beat: Heartbeat = json_up_to(body, HEARTBEAT_MAX_BYTES).await?;
    Ok(Json(app.0.leader.heartbeat(beat, closed).await?))
}
