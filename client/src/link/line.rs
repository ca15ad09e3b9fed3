//! A connection of one's own, for calls to one server that follow each other all the time.

use super::beats::Beats;
use super::error::Silent;
use super::network::Answered;
use super::pieces::{Pieces, PiecesBody};
use super::send::{OCTETS, encode};
use super::transport::{Pool, Stream, Transport, carry, collect};
use super::{LinkError, Links};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use http::{Method, Request, StatusCode, Uri};
use hyper::client::conn::http1::{self, Parts, SendRequest};
use mdfs_protocol::internal::{BEATS_PROTOCOL, HEARTBEAT, Heartbeat, HeartbeatReply};
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
    open: Option<Way>,
    timer: Pin<Box<Sleep>>,
}

/// How a connection is spoken on.
enum Way {
    /// As heartbeats alone.
    Beats(Beats),
    /// As a request for each: the master knows no better.
    Requests(Open),
}

struct Open {
    sender: SendRequest<PiecesBody>,
    connection: Box<http1::Connection<Stream, PiecesBody>>,
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
        // The same timer moves on: most of what one costs is that it is the next to fire.
        timer.as_mut().reset(Instant::now() + within);
        let call = async {
            let pool = match &links.transport {
                Transport::Real(pool) => pool,
                Transport::Simulated(route) => {
                    let body = encode(url, beat)?;
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
                Some(Way::Beats(beats)) if beats.is_usable() => Some(Way::Beats(beats)),
                Some(Way::Requests(mut line)) => {
                    line.is_usable().await.then_some(Way::Requests(line))
                }
                Some(Way::Beats(_)) | None => None,
            };
            let mut way = match usable {
                Some(way) => way,
                None => Open::connect(pool, url).await?.leave(links, url).await?,
            };
            let answered = match &mut way {
                Way::Beats(beats) => beats.exchange(url, beat).await,
                Way::Requests(line) => line.beat(links, url, beat).await,
            };
            // After a whole answer it is as good as before, whatever that said.
            let is_whole = match &answered {
                Ok(_) | Err(LinkError::Refused { .. }) => true,
                Err(LinkError::Protocol { .. }) => matches!(way, Way::Requests(_)),
                Err(LinkError::Unreachable { .. }) => false,
            };
            *open = is_whole.then_some(way);
            answered
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
            connection: Box::new(connection),
            ended: false,
            host,
            target,
        })
    }

    /// Leaves HTTP, if the master can.
    async fn leave(mut self, links: &Links, url: &str) -> Result<Way, LinkError> {
        let request = links
            .head(Method::GET, self.target.clone(), None)
            .header(HOST, self.host.clone())
            .header(CONNECTION, UPGRADE.as_str())
            .header(UPGRADE, BEATS_PROTOCOL)
            .body(PiecesBody::from(Pieces::default()))
            .map_err(|why| LinkError::protocol(url, why))?;
        let (status, answer) = self.exchange(url, request).await?;
        match status {
            StatusCode::SWITCHING_PROTOCOLS => {}
            // A master that has no such route may not say so to whoever it does not know: if it is
            // the key that it refuses, it does so again.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED => {
                return Ok(Way::Requests(self));
            }
            _ => return Err(LinkError::refused(url, status, &answer)),
        }
        let Self { connection, .. } = self;
        let Parts { io, read_buf, .. } = connection.into_parts();
        Ok(Way::Beats(Beats::new(io.into_inner(), &read_buf)))
    }

    /// Beats by a request of its own.
    async fn beat(
        &mut self,
        links: &Links,
        url: &str,
        beat: &Heartbeat,
    ) -> Result<HeartbeatReply, LinkError> {
        let request = links
            .head(Method::POST, self.target.clone(), None)
            .header(HOST, self.host.clone())
            .header(CONTENT_TYPE, OCTETS)
            .body(PiecesBody::from(Pieces::from(encode(url, beat)?)))
            .map_err(|why| LinkError::protocol(url, why))?;
        let (status, answer) = self.exchange(url, request).await?;
        understand(url, status, &answer)
    }

    /// Whether the connection takes another request. It may have ended since the last one.
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.ended = self.ended || self.connection.poll_without_shutdown(cx).is_ready();
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
            *ended = *ended || connection.poll_without_shutdown(cx).is_ready();
            // What the connection brought is taken at once.
            match exchange.as_mut().poll(cx) {
                Poll::Pending if *ended => Poll::Ready(Err(LinkError::unreachable(url, Closed))),
                polled => polled,
            }
        })
        .await
    }
}
