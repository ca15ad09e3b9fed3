//! Questions of masters that follow.

use super::App;
use super::error::HttpError;
use super::wire::{bytes_up_to, compact, parse_compact};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

/// The longest question: a commit that names the disks of every chunk.
const ASKED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Answers another master by this one's own word.
pub(crate) async fn answer(State(app): State<App>, body: Body) -> Result<Response, HttpError> {
    let bytes = bytes_up_to(body, ASKED_MAX_BYTES).await?;
    let asked = parse_compact(&bytes)?;
    compact(&app.0.leader.answer(asked).await)
}
