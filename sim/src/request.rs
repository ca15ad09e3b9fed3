//! Requests to masters, and their answers as a whole.

use crate::host::TOKEN;
use crate::net::{HostId, Net, url};
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use mdfs_protocol::problem::{Code, Problem};
use std::time::Duration;

/// How long an answer is waited for, whole.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An answer: its status and body, which is whole unless it says otherwise.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) crc: Option<u32>,
    pub(crate) log_time: Option<u64>,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Answer {
    /// The word for what went wrong.
    pub(crate) fn code(&self) -> Option<Code> {
        let told: Option<Problem> = serde_json::from_slice(&self.body).ok();
        told.map(|told| told.code)
    }
}

/// Sends a request with the root token to a master, and takes the whole answer as far as it comes.
pub(crate) async fn ask(
    net: &Net,
    from: HostId,
    master: HostId,
    method: Method,
    path: &str,
    body: Option<Bytes>,
    more: impl FnOnce(http::request::Builder) -> http::request::Builder,
) -> Option<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", url(master)))
        .header("authorization", format!("Bearer {TOKEN}"));
    let body = match body {
        None => Body::empty(),
        Some(bytes) => {
            let pieces: Vec<_> = bytes
                .chunks(1 << 18)
                .map(|part| bytes.slice_ref(part))
                .collect();
            let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
            Body::from_stream(futures_util::stream::iter(pieces))
        }
    };
    let request = more(request).body(body).ok()?;
    let response = net.call(from, request, None).await.ok()?;
    let (head, mut frames) = response.into_parts();
    let crc = head.headers.get("x-mdfs-crc32");
    let crc = crc.and_then(|crc| u32::from_str_radix(crc.to_str().ok()?, 16).ok());
    let log_time = head.headers.get("x-mdfs-log-time");
    let log_time = log_time.and_then(|time| time.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    let mut whole = true;
    while let Some(frame) = frames.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    Some(Answer {
        status: head.status,
        crc,
        log_time,
        body,
        whole,
    })
}

/// Asks a master for something, or orders it, and gives its status and the document it answers.
pub(crate) async fn order(
    net: &Net,
    from: HostId,
    master: HostId,
    method: Method,
    path: &str,
    body: Option<serde_json::Value>,
) -> Option<(StatusCode, serde_json::Value)> {
    let body = body.map(|body| Bytes::from(body.to_string()));
    let asking = ask(net, from, master, method, path, body, |request| {
        request.header("content-type", "application/json")
    });
    let answer = tokio::time::timeout(PATIENCE, asking).await.ok()??;
    let document = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.whole.then_some((answer.status, document))
}
