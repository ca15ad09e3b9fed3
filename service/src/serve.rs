//! The accept loop: HTTP/1.1 with a limit on everything that a peer can make a server wait for.

mod addresses;
mod body;
mod framing;
mod guarded;
mod request;
mod takeover;

pub use addresses::{InvalidNetwork, Network, customer};
pub use body::BodyError;
pub use request::{ConnectionClosed, Leaving, Peer, RequestId, problem_response};
pub use takeover::Upgrade;

use crate::settings::{Quantity, Setting};
use addresses::{Addresses, Place};
use guarded::{Guarded, Shared};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use request::Connection;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How much a server bears. Memory is bounded by `max_connections` times about 2 MiB, reached only
/// by connections that move bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait until one ends.
    pub max_connections: usize,
    /// Connections of one address at a time; further ones are answered 503 and closed.
    pub connections_of_one: usize,
    /// Where any number of connections may come from: proxies, which ask for many.
    pub proxies: Arc<[Network]>,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Between requests on one connection.
    pub idle_timeout: Duration,
    /// Without a byte of a request's body while its handler waits for one.
    pub body_stall: Duration,
    /// Bytes a second that a request's body must bring, counted over each 30 s in which its handler
    /// waits for it.
    pub body_rate: u64,
    /// Without the client taking a byte of an answer.
    pub write_stall: Duration,
    /// From the wish to leave to the stop, where [`serve_leaving`] is told of both.
    pub shutdown_delay: Duration,
    /// For requests under way when the server stops.
    pub grace: Duration,
    /// The congestion control of connections, where the system has it; none for the system's own.
    pub congestion: Option<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            connections_of_one: usize::MAX,
            proxies: Arc::from([]),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_stall: Duration::from_secs(30),
            body_rate: 1000,
            write_stall: Duration::from_secs(60),
            shutdown_delay: Duration::ZERO,
            grace: Duration::from_secs(20),
            congestion: None,
        }
    }
}

impl Limits {
    /// What each limit may be that every role leaves to its user.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::count(
            "max_connections",
            |c| Some(c.max_connections.into()),
            1,
            65_536,
        ),
        Setting::span(
            "header_timeout",
            |c| Some(c.header_timeout.into()),
            SECOND,
            MINUTE,
        ),
        Setting::span(
            "idle_timeout",
            |c| Some(c.idle_timeout.into()),
            SECOND,
            HOUR,
        ),
        Setting::span("body_stall", |c| Some(c.body_stall.into()), SECOND, HOUR),
        Setting::size(
            "body_rate",
            |c| Some(Quantity::Size(c.body_rate)),
            1,
            1 << 30,
        ),
        Setting::span("write_stall", |c| Some(c.write_stall.into()), SECOND, HOUR),
        Setting::span("grace", |c| Some(c.grace.into()), Duration::ZERO, HOUR),
    ];
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The longest head, in bytes: request line and headers.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// What hyper reads and gathers for a write at a time: large bodies move in pieces of this size.
const BUFFER_BYTES: usize = 512 * 1024;
/// A silent peer is asked for a sign of life after this time, and given up after three more.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(8);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(4);
const KEEPALIVE_PROBES: u32 = 3;
/// The answer to a connection too many of one address.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\
    retry-after: 5\r\nconnection: close\r\n\r\n";
/// How long what a client still sends is thrown away after an answer that closes the connection.
const LINGER: Duration = Duration::from_secs(2);
/// The wait after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `stop` fires, then lets requests under way finish for up to
/// `limits.grace` and returns.
///
/// Every request carries the extensions [`RequestId`], [`Peer`], [`ConnectionClosed`] and [`Leaving`]. A client
/// that hangs up cancels its request: the handler's future, or the body it answered with, is
/// dropped. Requests that another server could read differently (two lengths, both kinds of length,
/// bare line feeds, more than one host) get 400 and the connection closes.
///
/// # Errors
/// If the listener has no address any more. A single accept that fails is logged and tried again.
///
/// # Cancel safety
/// Dropping the future ends all connections at once.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_leaving(listener, router, limits, stop.clone(), stop).await
}

/// As [`serve`], for a server that others still send clients to when it is told to go: once `leave` fires,
/// each answer closes its connection, so that its client goes elsewhere, and new ones are still taken.
/// After `limits.shutdown_delay`, this fires `stop` itself.
///
/// # Errors
/// As [`serve`].
///
/// # Cancel safety
/// As [`serve`].
pub async fn serve_leaving(
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    leave: CancellationToken,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let addresses = Addresses::default();
    let mut connections = JoinSet::new();
    let mut left = pin!(async {
        leave.cancelled().await;
        tokio::time::sleep(limits.shutdown_delay).await;
    });
    loop {
        let (stream, peer, slot) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = &mut left => {
                stop.cancel();
                break;
            }
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener, &slots) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%address, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Some(place) = addresses.take(peer.ip(), &limits) else {
            tracing::debug!(%peer, "its address has as many connections as it may");
            // As far as the socket takes it: nobody waits for this client.
            let _ = stream.try_write(TOO_MANY);
            continue;
        };
        if let Err(error) = tune(&stream, &limits) {
            tracing::debug!(%peer, %error, "cannot set socket options");
        }
        let connection = Connection {
            router: router.clone(),
            shared: Shared::default(),
            limits: limits.clone(),
            peer: Peer(peer),
            closed: ConnectionClosed::default(),
            upgrade: Upgrade::default(),
            leave: leave.clone(),
        };
        let held = (slot, place);
        connections.spawn(handle(stream, connection, held, stop.clone()));
    }
    drop(listener);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.grace, finish).await.is_err() {
        tracing::warn!(%address, "cut off requests that did not finish in time");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

/// No delay for small answers, and an end to peers that are gone without a word.
///
/// Not `TCP_USER_TIMEOUT`: it would also end a player that is paused and takes no bytes.
fn tune(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    if let Some(congestion) = limits.congestion {
        sockopt::set_tcp_congestion(stream, congestion)?;
    }
    Ok(())
}

async fn handle(
    stream: TcpStream,
    connection: Connection,
    _held: (OwnedSemaphorePermit, Place),
    stop: CancellationToken,
) {
    let peer = connection.peer.0;
    let closed = connection.closed.0.clone().drop_guard();
    let upgrade = connection.upgrade.clone();
    let mut guarded = Guarded::new(stream, connection.shared.clone(), connection.limits.clone());
    let service = service_fn(|request| Box::pin(request::answer(connection.clone(), request)));
    let mut served = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Guarded` limits heads, and tells them from idle connections.
        .header_read_timeout(None)
        .max_header_size(HEAD_MAX_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .half_close(false)
        .serve_connection(TokioIo::new(&mut guarded), service);
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => {
            Pin::new(&mut served).graceful_shutdown();
            poll_fn(|cx| served.poll_without_shutdown(cx)).await
        }
        result = poll_fn(|cx| served.poll_without_shutdown(cx)) => result,
    };
    let result = match (result, upgrade.taken()) {
        (Ok(()), Some(talk)) => {
            let early = served.into_parts().read_buf;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = talk(guarded.into_inner(), early) => {}
            }
            return;
        }
        // What was not sent yet goes out, and then the end.
        (Ok(()), None) => (&mut served).await,
        (Err(error), _) => Err(error),
    };
    drop(served);
    drop(closed);
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a connection ended with an error");
    }
    if !guarded.ended() && !stop.is_cancelled() {
        linger(&mut guarded).await;
    }
}

/// Reads on for a moment, so that the client gets the last answer: closing a socket with unread
/// bytes makes the kernel reset the connection and throws the answer away.
async fn linger(stream: &mut Guarded<TcpStream>) {
    let drain = async {
        stream.shutdown().await?;
        let mut scratch = vec![0; 64 * 1024];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    if !matches!(tokio::time::timeout(LINGER, drain).await, Ok(Ok(()))) {
        tracing::trace!("a client went on sending after its last answer");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

#[cfg(test)]
mod tests;
