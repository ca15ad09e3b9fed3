//! HTTP/1.1 between servers: one pool of connections, large reads, a time limit on every wait.

use super::error::{LinkError, Silent};
use super::network::{Answered, Network, Route, whole};
use super::pieces::PiecesBody;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::Future;
use std::sync::Arc;
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

/// A connection.
pub(super) type Stream = TokioIo<TcpStream>;

type Connector = MapResponse<HttpConnector, fn(Stream) -> Stream>;

/// The connections to all servers. A clone shares them.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Real(Box<Pool>),
    Simulated(Arc<dyn Route>),
}

/// Connections of the system.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    client: Client<Connector, PiecesBody>,
    connector: Connector,
}

impl Transport {
    /// Connections on a network that read up to so many bytes at a time.
    pub(super) fn new(network: &Network, read_bytes: usize) -> Self {
        match &network.route {
            Some(route) => Self::Simulated(Arc::clone(route)),
            None => Self::Real(Box::new(Pool::new(read_bytes))),
        }
    }

    /// Sends a request and gives the answer's head and its body still to be read; a refusal is an
    /// error. `url` names the server in errors.
    pub(super) async fn open(
        &self,
        url: &str,
        request: Request<PiecesBody>,
        within: Duration,
    ) -> Result<Response<Answered>, LinkError> {
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
    ) -> Result<Response<Answered>, LinkError> {
        let response = match self {
            Self::Real(pool) => {
                let sent = pool.client.request(request).await;
                let response = sent.map_err(|error| LinkError::unreachable(url, error))?;
                response.map(Answered::Real)
            }
            Self::Simulated(route) => carry(route.as_ref(), url, request).await?,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = collect(url, response.into_body()).await?;
        Err(LinkError::refused(url, status, &body))
    }
}

/// Has a request carried.
pub(super) async fn carry(
    route: &dyn Route,
    url: &str,
    request: Request<PiecesBody>,
) -> Result<Response<Answered>, LinkError> {
    let carried = route.carry(whole(request)).await;
    let response = carried.map_err(|error| LinkError::unreachable(url, error))?;
    Ok(response.map(Answered::Carried))
}

impl Pool {
    fn new(read_bytes: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_keepalive(Some(KEEPALIVE.0));
        connector.set_keepalive_interval(Some(KEEPALIVE.1));
        connector.set_keepalive_retries(Some(KEEPALIVE.2));
        let connector = connector.map_response(near as fn(_) -> _);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_SERVER)
            .http1_max_buf_size(read_bytes)
            .build(connector.clone());
        Self { client, connector }
    }

    /// A new connection, in at most a second. The caller limits the time for all of it.
    pub(super) async fn connect(&self, url: &str, uri: Uri) -> Result<Stream, LinkError> {
        let connected = self.connector.clone().oneshot(uri).await;
        connected.map_err(|error| LinkError::unreachable(url, error))
    }
}

fn near(connection: Stream) -> Stream {
    // The system's own choice serves as well, if slower.
    let _ = rustix::net::sockopt::set_tcp_congestion(connection.inner(), super::CONGESTION);
    connection
}

pub(super) async fn collect(url: &str, body: Answered) -> Result<Bytes, LinkError> {
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
