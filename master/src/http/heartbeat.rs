//! Heartbeats of workers.

use super::App;
use super::error::HttpError;
use super::wire::{HEARTBEAT_MAX_BYTES, bytes_up_to, compact, parse_compact};
use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use http_body::Body as _;
use mdfs_protocol::internal::{HEARTBEAT, Heartbeat};
use mdfs_service::ConnectionClosed;

/// Takes a heartbeat. The leader also hears of the end of the connection it came on: a worker that
/// was killed is avoided long before a beat is missing.
pub(crate) async fn beat(
    State(app): State<App>,
    ConnectionClosed(closed): ConnectionClosed,
    request: Request,
) -> Result<Response, HttpError> {
    let first_line = "POST  HTTP/1.1".len() + HEARTBEAT.len();
    let head = head_bytes(first_line, request.headers());
    let bytes = bytes_up_to(request.into_body(), HEARTBEAT_MAX_BYTES).await?;
    let taken = head + bytes.len();
    let beat: Heartbeat = parse_compact(&bytes)?;
    let reply = app.0.leader.heartbeat(beat, closed).await?;
    let answer = compact(&reply)?;
    // What the server adds below: the date, and the length of the body.
    let added = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 1000\r\n".len();
    let body = answer.body().size_hint().exact().unwrap_or(0);
    let body = usize::try_from(body).unwrap_or(usize::MAX);
    let answered = head_bytes("HTTP/1.1 200 OK".len(), answer.headers()) + added;
    let metrics = &app.0.metrics;
    metrics.count_heartbeat(taken, answered.saturating_add(body));
    Ok(answer)
}

/// Bytes of a head on the wire, with a first line of so many.
fn head_bytes(first_line: usize, headers: &HeaderMap) -> usize {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    let lines: usize = headers.iter().map(line).sum();
    first_line + lines + "\r\n\r\n".len()
}
