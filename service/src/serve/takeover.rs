//! A connection that leaves HTTP: a handler answers 101, and what it said takes the socket over.

use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;

/// What takes a connection over: its socket, and the bytes that came behind the request.
type Takeover = Box<dyn FnOnce(TcpStream, Bytes) -> BoxFuture<'static, ()> + Send>;

/// The way out of HTTP for the connection on which a request came. An extractor; outside of
/// [`super::serve`] nothing takes over.
#[derive(Clone, Default)]
pub struct Upgrade(Arc<Mutex<Option<Takeover>>>);

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Upgrade {
    /// Whether a request asks for `protocol`.
    pub fn is_asked(headers: &HeaderMap, protocol: &str) -> bool {
        let asked = headers.get(UPGRADE);
        asked.is_some_and(|asked| asked.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()))
    }

    /// The answer that leaves HTTP for `protocol`. Once it is sent, `talk` has the socket, until it
    /// is done or the server stops; none of the server's limits on requests hold any more.
    pub fn leave(
        self,
        protocol: &'static str,
        talk: impl FnOnce(TcpStream, Bytes) -> BoxFuture<'static, ()> + Send + 'static,
    ) -> Response {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(talk));
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(protocol));
        response
    }

    pub(super) fn taken(&self) -> Option<Takeover> {
        let mut takeover = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        takeover.take()
    }
}
