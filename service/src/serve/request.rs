//! What happens around every request: its id, what it may carry, and what becomes of a panic.

use super::Limits;
use super::body::{RequestBody, ResponseBody};
use super::framing::Finding;
use super::guarded::Shared;
use super::takeover::Upgrade;
use crate::chance::random_u64;
use crate::tasks::panic_text;
use axum::extract::FromRequestParts;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use mdfs_protocol::problem::{self, Code, Problem, REQUEST_ID_HEADER};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Names a request in answers and logs: what the client sent as `x-request-id` if that is 1 to 64
/// letters, digits, `-`, `_` or `.`, else 16 random digits.
///
/// An extractor: outside of [`super::serve`], as in a test of a router, it is a random one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

/// The address at the other end of the connection. An extractor; unspecified outside of
/// [`super::serve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Is cancelled when the connection on which the request came has ended, for whatever reason.
/// An extractor; outside of [`super::serve`] it is never cancelled.
#[derive(Clone, Debug, Default)]
pub struct ConnectionClosed(pub CancellationToken);

/// Whether the server was told to go when the request came, and waits for its clients to go elsewhere.
/// An extractor; outside of [`super::serve`] it is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving(pub bool);

impl RequestId {
    /// A random one.
    pub fn random() -> Self {
        Self::numbered(random_u64())
    }

    /// The one of a number: where requests are counted.
    pub fn numbered(number: u64) -> Self {
        Self(format!("{number:016x}").into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(headers: &HeaderMap) -> Self {
        let sane = |text: &&str| {
            (1..=64).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        headers
            .get(REQUEST_ID_HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(sane)
            .map_or_else(Self::random, |text| Self(text.into()))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::random))
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let nobody = Self(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(nobody))
    }
}

impl<S: Sync> FromRequestParts<S> for ConnectionClosed {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for Leaving {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_default())
    }
}

/// The answer that says why a request failed. A 503 asks to try again after a second.
pub fn problem_response(code: Code, detail: impl Into<String>, id: &RequestId) -> Response {
    let problem = Problem::new(code, detail, id.as_str());
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(problem::CONTENT_TYPE),
    );
    if code.status() == 503 {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The longest path and query that is taken, in bytes.
pub(super) const URI_MAX_BYTES: usize = 8 * 1024;

/// What all requests of one connection share.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) router: axum::Router,
    pub(super) shared: Shared,
    pub(super) limits: Limits,
    pub(super) peer: Peer,
    pub(super) closed: ConnectionClosed,
    pub(super) upgrade: Upgrade,
    pub(super) leave: CancellationToken,
}

/// Answers one request. A panic in its handler becomes a 500, and the connection closes after it.
pub(super) async fn answer(
    connection: Connection,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let Connection {
        router,
        shared,
        limits,
        peer,
        closed,
        upgrade,
        leave,
    } = connection;
    let (finding, in_flight) = shared.begin();
    let id = RequestId::of(request.headers());
    let refused = refuse(finding, request.method(), request.uri(), &id);
    let mut close = refused.is_some() || finding == Finding::Chunked;
    let mut response = if let Some(response) = refused {
        response
    } else {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut request =
            request.map(|body| axum::body::Body::new(RequestBody::new(body, &limits)));
        request.extensions_mut().insert(id.clone());
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(closed);
        request.extensions_mut().insert(upgrade);
        request
            .extensions_mut()
            .insert(Leaving(leave.is_cancelled()));
        match AssertUnwindSafe(router.oneshot(request))
            .catch_unwind()
            .await
        {
            Ok(Ok(response)) => response,
            Err(panic) => {
                close = true;
                let reason = panic_text(panic.as_ref());
                tracing::error!(request_id = id.as_str(), %method, path, reason, "handler panicked");
                problem_response(Code::Internal, Code::Internal.title(), &id)
            }
        }
    };
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    // A connection that leaves HTTP has no next request.
    close |= leave.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if close {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| ResponseBody {
        body,
        _request: in_flight,
    }))
}

fn refuse(finding: Finding, method: &Method, uri: &Uri, id: &RequestId) -> Option<Response> {
    let bad = |reason: &str| Some(problem_response(Code::InvalidRequest, reason, id));
    match finding {
        Finding::Refused(reason) => return bad(reason),
        Finding::HeaderTooLong => {
            let reason = "a header is longer than 16 KiB";
            return Some(problem_response(Code::HeaderTooLong, reason, id));
        }
        Finding::Sound | Finding::Chunked => {}
    }
    let target_bytes = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target_bytes > URI_MAX_BYTES {
        let reason = "the path is longer than 8 KiB";
        return Some(problem_response(Code::TargetTooLong, reason, id));
    }
    let is_path = uri.path().starts_with('/');
    if method == Method::CONNECT || uri.scheme().is_some() || uri.authority().is_some() || !is_path
    {
        return bad("the request target must be a path");
    }
    None
}
