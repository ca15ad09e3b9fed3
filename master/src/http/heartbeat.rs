//! Heartbeats of workers.
//!
//! A worker beats on a connection that has left HTTP: a head costs more than the beat itself. A beat
//! may also come as a request of its own.

use super::App;
use super::error::{HttpError, render};
use super::wire::{bytes_up_to, compact, parse_compact};
use crate::leader::handle::LeaderHandle;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http_body::Body as _;
use http_body_util::BodyExt;
use mdfs_client::link::Messages;
use mdfs_protocol::internal::{
    BEATS_PROTOCOL, HEARTBEAT, HEARTBEAT_MAX_BYTES, Heartbeat, HeartbeatAnswer, HeartbeatReply,
    Masters,
};
use mdfs_service::{ConnectionClosed, RequestId, Upgrade};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long it may take an answer to go out.
const WRITE_STALL: Duration = Duration::from_secs(10);

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
    let reply = hear(&app.0.leader, &bytes, closed).await?;
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

/// Which masters there are, by this one's word.
pub(crate) async fn masters(State(app): State<App>) -> Result<Json<Masters>, HttpError> {
    Ok(Json(app.0.leader.masters().await?))
}

/// Leaves HTTP for a connection of heartbeats alone.
pub(crate) async fn beats(
    State(app): State<App>,
    ConnectionClosed(closed): ConnectionClosed,
    upgrade: Upgrade,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    if !Upgrade::is_asked(&headers, BEATS_PROTOCOL) {
        let detail = format!("only for the upgrade to {BEATS_PROTOCOL}");
        return Err(HttpError::invalid(detail));
    }
    Ok(upgrade.leave(BEATS_PROTOCOL, move |stream, early| {
        async move {
            if let Err(error) = talk(&app, stream, early, closed).await {
                tracing::debug!(%error, "a connection of heartbeats ended with an error");
            }
        }
        .boxed()
    }))
}

/// Hears beats and answers them until the worker closes the connection.
async fn talk(
    app: &App,
    stream: TcpStream,
    early: Bytes,
    closed: CancellationToken,
) -> io::Result<()> {
    let mut messages = Messages::new(stream, &early);
    let silence = app.0.beat_silence;
    while let Some(beat) = timeout(silence, messages.next(HEARTBEAT_MAX_BYTES)).await?? {
        let taken = Messages::HEAD_BYTES + beat.len();
        let heard = hear(&app.0.leader, &beat, closed.clone()).await;
        let answer = match heard {
            Ok(reply) => HeartbeatAnswer::Heard(reply),
            Err(error) => refused(&error).await,
        };
        drop(beat);
        let answered = timeout(WRITE_STALL, messages.send(&answer)).await??;
        app.0.metrics.count_heartbeat(taken, answered);
    }
    Ok(())
}

async fn hear(
    leader: &LeaderHandle,
    bytes: &[u8],
    closed: CancellationToken,
) -> Result<HeartbeatReply, HttpError> {
    let beat: Heartbeat = parse_compact(bytes)?;
    Ok(leader.heartbeat(beat, closed).await?)
}

/// A refusal as a request of its own would be answered.
async fn refused(error: &HttpError) -> HeartbeatAnswer {
    let response = render(error, RequestId::random().as_str(), &HeaderMap::new());
    let status = response.status().as_u16();
    // It lies in memory.
    let problem = response.into_body().collect().await;
    let problem = problem.map(|body| body.to_bytes().to_vec());
    HeartbeatAnswer::Refused {
        status,
        problem: problem.unwrap_or_default(),
    }
}

/// Bytes of a head on the wire, with a first line of so many.
fn head_bytes(first_line: usize, headers: &HeaderMap) -> usize {
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    let lines: usize = headers.iter().map(line).sum();
    first_line + lines + "\r\n\r\n".len()
}
