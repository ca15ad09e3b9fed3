//! The feed that masters which follow read.

use super::App;
use super::error::HttpError;
use super::wire::{JSON_MAX_BYTES, bytes_up_to, compact, parse_compact};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

/// Answers with what was committed, after a while if there is nothing new.
pub(crate) async fn answer(State(app): State<App>, body: Body) -> Result<Response, HttpError> {
    // It names a place in the log and one key, which is shorter than a JSON body may be.
    let bytes = bytes_up_to(body, JSON_MAX_BYTES).await?;
    let request = parse_compact(&bytes)?;
    compact(&app.0.leader.feed(request).await?)
}
