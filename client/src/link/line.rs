//! A connection of one's own, for calls to one server that follow each other all the time.

use super::error::Silent;
use super::network::Answered;
use super::pieces::{Pieces, PiecesBody};
use super::send::{OCTETS, encode};
use super::transport::{Pool, Stream, Transport, carry, collect};
use super::{LinkError, Links};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use hyper::client::conn::http1::{self, SendRequest};
use mdfs_protocol::internal::{HEARTBEAT, Heartbeat, HeartbeatReply};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A worker's way to one master. It has one connection and one timer for all calls, and whoever calls
/// moves the bytes too: no other task is woken, no pool is asked, no timer is made.
pub struct Line {
    links: Links,
    url: String,
    /// None before the first call and after one that failed.
    open: Option<Open>,
    timer: Pin<Box<Sleep>>,
}

struct Open {
    sender: SendRequest<PiecesBody>,
    connection: Pin<Box<http1::Connection<Stream, PiecesBody>>>,
    ended: bool,
    host: HeaderValue,
    /// Without the server.
    target: Uri,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = f.debug_struct("Line");
        line.field("url", &self.url).finish_non_exhaustive()
    }
}

/// The connection ended before the answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection was closed")]
struct Closed;

impl Line {
    pub(super) fn new(links: Links, url: &str) -> Self {
        Self {
            links,
            url: url.to_owned(),
            open: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Beats. A connection that ended in the meantime is made anew.
    ///
    /// # Errors
    /// [`LinkError`].
    ///
    /// # Cancel safety
    /// May be dropped: the connection ends, and whether the master heard is not known.
    pub async fn heartbeat(
        &mut self,
        beat: &Heartbeat,
        within: Duration,
    ) -> Result<HeartbeatReply, LinkError> {
        let Self {
            links,
            url,
            open,
            timer,
        } = self;
        let url = url.as_str();
        let body = encode(url, beat)?;
        // The same timer moves on: most of what one costs is that it is the next to fire.
        timer.as_mut().reset(Instant::now() + within);
        let call = async {
            let pool = match &links.transport {
                Transport::Real(pool) => pool,
                Transport::Simulated(route) => {
                    let uri = format!("{}{HEARTBEAT}", url.trim_end_matches('/'));
                    let uri = uri.parse().map_err(|why| LinkError::protocol(url, why))?;
                    let request = links.head(Method::POST, uri, None);
                    let request = request
                        .header(CONTENT_TYPE, OCTETS)
                        .body(PiecesBody::from(Pieces::from(body)))
                        .map_err(|why| LinkError::protocol(url, why))?;
                    let response = carry(route.as_ref(), url, request).await?;
                    let status = response.status();
                    let answer = collect(url, response.into_body()).await?;
                    return understand(url, status, &answer);
                }
            };
            // It comes back only after a whole answer.
            let usable = match open.take() {
                Some(mut line) => line.is_usable().await.then_some(line),
                None => None,
            };
            let mut line = match usable {
                Some(line) => line,
                None => Open::connect(pool, url).await?,
            };
            let request = links
                .head(Method::POST, line.target.clone(), None)
                .header(HOST, line.host.clone())
                .header(CONTENT_TYPE, OCTETS)
                .body(PiecesBody::from(Pieces::from(body)))
                .map_err(|why| LinkError::protocol(url, why))?;
            let (status, answer) = line.exchange(url, request).await?;
            *open = Some(line);
            understand(url, status, &answer)
        };
        tokio::select! {
            biased;
            done = call => done,
            () = timer.as_mut() => Err(LinkError::unreachable(url, Silent(within))),
        }
    }
}

fn understand(url: &str, status: StatusCode, answer: &[u8]) -> Result<HeartbeatReply, LinkError> {
    if !status.is_success() {
        return Err(LinkError::refused(url, status, answer));
    }
    postcard::from_bytes(answer).map_err(|why| LinkError::protocol(url, why))
}

impl Open {
    async fn connect(pool: &Pool, url: &str) -> Result<Self, LinkError> {
        let wrong = |why: &dyn fmt::Display| LinkError::protocol(url, why);
        let uri = format!("{}{HEARTBEAT}", url.trim_end_matches('/'));
        let uri: Uri = uri.parse().map_err(|why| wrong(&why))?;
        let authority = uri
            .authority()
            .ok_or_else(|| wrong(&"no server is named"))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|why| wrong(&why))?;
        let path = uri.path_and_query().cloned();
        let target = path.map_or_else(|| Uri::from_static(HEARTBEAT), Uri::from);
        let stream = pool.connect(url, uri).await?;
        let made = http1::handshake(stream).await;
        let (sender, connection) = made.map_err(|error| LinkError::unreachable(url, error))?;
        Ok(Self {
            sender,
            connection: Box::pin(connection),
            ended: false,
            host,
            target,
        })
    }

    /// Whether the connection takes another request. It may have ended since the last one.
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.ended = self.ended || self.connection.as_mut().poll(cx).is_ready();
            Poll::Ready(!self.ended && self.sender.is_ready())
        })
        .await
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(
        &mut self,
        url: &str,
        request: Request<PiecesBody>,
    ) -> Result<(StatusCode, Bytes), LinkError> {
        let Self {
            sender,
            connection,
            ended,
            ..
        } = self;
        let mut exchange = pin!(async {
            let sent = sender.send_request(request).await;
            let response = sent.map_err(|error| LinkError::unreachable(url, error))?;
            let status = response.status();
            let body = collect(url, Answered::Real(response.into_body())).await?;
            Ok::<_, LinkError>((status, body))
        });
        poll_fn(|cx| {
            if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            *ended = *ended || connection.as_mut().poll(cx).is_ready();
            // What the connection brought is taken at once.
            match exchange.as_mut().poll(cx) {
                Poll::Pending if *ended => Poll::Ready(Err(LinkError::unreachable(url, Closed))),
                polled => polled,
            }
        })
        .await
    }
}
