//! HTTP/1.1 between servers: one pool of connections, large reads, a time limit on every wait.

use super::error::{LinkError, Silent};
use super::pieces::PiecesBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpStream;
use tower::ServiceExt;
use tower::util::MapResponse;

/// The least time for a TCP connection to a server of the same cluster.
const CONNECT: Duration = Duration::from_secs(1);
/// Unused connections end before the server's side gives them up, so that none is used that does.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections kept for each server.
const IDLE_PER_SERVER: usize = 64;
/// A silent server is asked for a sign of life after the first span, then after each second one.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(8), Duration::from_secs(4), 3);
/// The longest answer that is read as a whole, in bytes: a page of the log or a snapshot.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

type Connector = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<TcpStream>>;

/// The connections to all servers. A clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client<Connector, PiecesBody>,
}

impl Transport {
    /// Connections that read up to so many bytes at a time.
    pub(super) fn new(read_bytes: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_keepalive(Some(KEEPALIVE.0));
        connector.set_keepalive_interval(Some(KEEPALIVE.1));
        connector.set_keepalive_retries(Some(KEEPALIVE.2));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_SERVER)
            .http1_max_buf_size(read_bytes)
            .build(connector.map_response(near as fn(_) -> _));
        Self { client }
    }

    /// Sends a request and gives the answer's head and its body still to be read; a refusal is an
    /// error. `url` names the server in errors.
    pub(super) async fn open(
        &self,
        url: &str,
        request: Request<PiecesBody>,
        within: Duration,
    ) -> Result<Response<Incoming>, LinkError> {
        in_time(url, within, self.exchange(url, request)).await
    }

    /// Sends a request and gives the whole answer; a refusal is an error.
    pub(super) async fn call(
        &self,
        url: &str,
        request: Request<PiecesBody>,
        within: Duration,
    ) -> Result<Bytes, LinkError> {
        // One time limit for all of it: each is a timer, and a call of its own to the system.
        in_time(url, within, async {
            let response = self.exchange(url, request).await?;
            collect(url, response.into_body()).await
        })
        .await
    }

    async fn exchange(
        &self,
        url: &str,
        request: Request<PiecesBody>,
    ) -> Result<Response<Incoming>, LinkError> {
        let sent = self.client.request(request).await;
        let response = sent.map_err(|error| LinkError::unreachable(url, error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = collect(url, response.into_body()).await?;
        Err(LinkError::refused(url, status, &body))
    }
}

fn near(connection: TokioIo<TcpStream>) -> TokioIo<TcpStream> {
    // The system's own choice serves as well, if slower.
    let _ = rustix::net::sockopt::set_tcp_congestion(connection.inner(), super::CONGESTION);
    connection
}

async fn collect(url: &str, body: Incoming) -> Result<Bytes, LinkError> {
    match Limited::new(body, ANSWER_MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(LinkError::protocol(url, "the answer is too long"))
        }
        Err(error) => Err(LinkError::unreachable(url, error)),
    }
}

async fn in_time<T>(
    url: &str,
    within: Duration,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(within, work).await {
        Ok(done) => done,
        Err(_) => Err(LinkError::unreachable(url, Silent(within))),
    }
}
