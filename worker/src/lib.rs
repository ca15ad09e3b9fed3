//! The MDFS worker: chunks on a disk, and a voter of the metadata log.
//!
//! [`run`] is the whole worker. Its parts, from the disk up: [`disk`] is the few calls whose order
//! decides what survives a crash; [`store`] keeps chunks and identity on it, [`voter`] the metadata
//! log; the routes under `/internal/v1/` are borders around these; chunks travel onward along a
//! chain and are pulled from copies; heartbeats tell the masters how the worker is and bring orders.
//!
//! A worker knows no file names and decides nothing: masters place chunks and order drops, and who
//! asks one worker for a file by name is answered by what a master says of the name. It sends
//! to no address but those that it was given, or that masters name, which know the cluster's key.

mod blocking;
mod config;
mod directory;
pub mod disk;
mod error;
mod generation;
mod heartbeat;
mod http;
mod local;
mod masters;
mod metrics;
mod node;
mod orders;
mod pace;
mod probe;
mod scrub;
mod seals;
pub mod store;
mod transfer;
mod verdict;
pub mod voter;
mod worker;

pub use config::{Config, Limits};
pub use directory::Directory;
pub use error::Error;
pub use http::router;
pub use worker::Worker;

use crate::disk::Disk;
use crate::masters::Lines;
use crate::node::Node;
use crate::orders::Orders;
use crate::voter::driver::VoterEnd;
use mdfs_client::link::Network;
use mdfs_service::metrics::{Description, MetricError};
use mdfs_service::{Machine, Tasks};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How long tasks may take beyond the grace of requests.
const MARGIN: Duration = Duration::from_secs(2);

/// How soon a voter whose queue is full is asked again to end.
const VOTER_RETRY: Duration = Duration::from_millis(10);

/// Runs a worker until `stop` fires.
///
/// It answers probes at once, and everything else as soon as the disk is open. Stopping, it tells
/// the masters, takes no more connections, finishes the requests under way for up to
/// `http.grace`, then closes the log and gives the disk back, in this order.
///
/// # Errors
/// If a setting cannot work, the disk cannot be opened or is in use, an invariant of the metadata
/// log is broken, or a task ended by itself. A disk that fails later is no error: the worker goes on
/// serving what it can read.
///
/// # Cancel safety
/// Dropping the future ends connections at once; what was answered stays true.
pub async fn run(
    config: Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    run_on(config, listener, Network::real(), stop).await
}

/// As [`run`], with another way to other servers.
///
/// # Errors
/// As [`run`].
///
/// # Cancel safety
/// As [`run`].
pub async fn run_on(
    config: Config,
    listener: TcpListener,
    network: Network,
    stop: CancellationToken,
) -> Result<(), Error> {
    mdfs_service::raise_handle_limit();
    let worker = Worker::on(config, Machine::real(), network)?;
    let address = listener.local_addr().map_err(|source| Error::System {
        operation: "tell the listener's address",
        source,
    })?;
    let url = public_url(worker.config(), address)?;
    let tasks = Tasks::new(CancellationToken::new());
    let limits = worker.config().http.clone();
    let grace = limits.grace;
    let routes = router(worker.clone());
    tasks.spawn("http", |stop| {
        mdfs_service::serve(listener, routes, limits, stop)
    });
    let result = serve_disk(&worker, None, &url, &tasks, &stop).await;
    let in_time = tasks.shut_down(grace + MARGIN).await;
    if !in_time {
        tracing::warn!("stopped before all requests had ended");
    }
    match (result, tasks.failed()) {
        (Ok(()), Some(failed)) => Err(Error::TaskEnded {
            name: failed.name,
            reason: failed.reason,
        }),
        (result, _) => result,
    }
}

/// Opens the disk and keeps a worker going whose [`router`] is served elsewhere, at `url`, until `stop`
/// fires: [`run`] without the listener. The disk is `disk`, or else what is in the data directory. When
/// it returns, `tasks` have been stopped, unless it failed.
///
/// # Errors
/// As [`run`].
pub async fn serve_disk(
    worker: &Worker,
    disk: Option<Arc<dyn Disk>>,
    url: &str,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let opening = async {
        match disk {
            Some(disk) => worker.open_on(disk).await,
            None => worker.open().await,
        }
    };
    let mut voter_end = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        opened = opening => opened?,
    };
    let node = worker.node()?;
    let orders = Orders::new();
    let (said_farewell, mut farewells) = mpsc::channel(1);
    let lines = Lines {
        worker: worker.clone(),
        node: Arc::clone(&node),
        url: url.to_owned(),
        orders: orders.clone(),
        tasks: tasks.clone(),
        said_farewell,
    };
    tasks.spawn("masters", |stop| lines.run(stop));
    let (seeking, links) = (worker.clone(), node.peers.links().clone());
    tasks.spawn("seeds", |stop| masters::seek(seeking, links, stop));
    let orderly = Arc::clone(&node);
    tasks.spawn("orders", |stop| orders.run(orderly, stop));
    let scrubbed = worker.clone();
    tasks.spawn("scrub", |stop| async move { scrubbed.scrub(stop).await });
    let raised = Arc::clone(&node);
    tasks.spawn("generation", |stop| generation::run(raised, stop));
    let (sweeper, every) = (Arc::clone(&node), worker.config().limits.sweep_interval);
    tasks.spawn("sweep", |stop| sweep(sweeper, every, stop));
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tasks.stop().cancelled() => {}
        // The log is broken: nothing more may be answered, so nobody is told either.
        ended = voter_end.wait() => return ended.map_err(Error::from),
    }
    tracing::info!(disk = %node.disk(), "stopping");
    // Before the farewell, which shows it.
    generation::raise_at_stop(&node).await;
    worker.leave();
    // Ends when all masters have heard it: nothing is ever sent.
    let _ = tokio::time::timeout(heartbeat::FAREWELL_IN_ALL, farewells.recv()).await;
    let grace = worker.config().http.grace;
    tasks.shut_down(grace + MARGIN).await;
    close_voter(&node, &mut voter_end).await
}

/// Lets the voter answer what waits, apply what is committed, and close its tables.
async fn close_voter(node: &Node, end: &mut VoterEnd) -> Result<(), Error> {
    let closing = async {
        while !node.voter.stop() {
            tokio::time::sleep(VOTER_RETRY).await;
        }
        end.wait().await
    };
    match tokio::time::timeout(MARGIN, closing).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            tracing::warn!("the voter did not end in time: its disk hangs");
            Ok(())
        }
    }
}

/// All metrics of a worker, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this package.
pub fn metrics() -> Result<Vec<Description>, MetricError> {
    metrics::describe()
}

/// Gives back, from time to time, what uploads left behind that nobody goes on with.
async fn sweep(node: Arc<Node>, every: Duration, stop: CancellationToken) {
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = rounds.tick() => {}
        }
        let (store, now) = (node.store.clone(), node.clock.now());
        if let Err(error) = node.write_threads.run(move || store.sweep(now)).await {
            tracing::warn!(%error, "nothing was swept");
        }
    }
}

/// Where others reach the worker: as told, else where it listens.
fn public_url(config: &Config, listening: SocketAddr) -> Result<String, Error> {
    match &config.url {
        Some(url) => Ok(url.trim_end_matches('/').to_owned()),
        None if listening.ip().is_unspecified() => Err(Error::NoUrl { listening }),
        None => Ok(format!("http://{listening}")),
    }
}
