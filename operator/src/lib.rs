//! The MDFS operator turns `MdfsCluster` resources into running clusters on Kubernetes.
//!
//! [`run`] is the whole operator. [`crd`] is what users write and are shown; [`controller`] reads what is
//! there, decides in pure functions, and writes what differs: [`controller::build`] makes objects,
//! [`controller::removal`] says which worker may go, [`controller::growth`] how volumes grow,
//! [`controller::status`] what is shown.
//!
//! It never touches files and never decides where copies go: that is the masters' business, which it
//! asks as anybody else could.

mod config;
pub mod controller;
pub mod crd;
mod election;
mod error;
mod http;
mod metrics;
pub mod names;
mod quantity;

pub use config::{Config, MastersAt};
pub use error::Error;

use controller::Context;
use election::Election;
use mdfs_service::{Clock, Tasks};
use metrics::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the end may take.
const GRACE: Duration = Duration::from_secs(10);

/// How long the Kubernetes API may send nothing on a connection: a little more than a watch lasts.
const SILENCE: Duration = Duration::from_secs(295);

/// Runs an operator until `stop` fires. It answers probes at once, and works while it has the lease,
/// which it gives back at the end.
///
/// # Errors
/// If a setting cannot work, the Kubernetes API cannot be found, or the lease is lost to another.
///
/// # Cancel safety
/// Dropping the future ends everything where it is; the next operator goes on from there.
pub async fn run(
    config: Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.check()?;
    let mut kubernetes = kube::Config::infer()
        .await
        .map_err(|error| Error::Connect(Box::new(error)))?;
    kubernetes.read_timeout = Some(SILENCE);
    let client = kube::Client::try_from(kubernetes);
    let client = client.map_err(|error| Error::Connect(Box::new(error)))?;
    run_with(client, config, listener, stop).await
}

/// The same with a connection of its own to the Kubernetes API.
///
/// # Errors
/// As [`run`].
///
/// # Cancel safety
/// As [`run`].
pub async fn run_with(
    client: kube::Client,
    config: Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    let clock = Clock::real();
    let http = config.http.clone();
    let election = Election::new(client.clone(), &config, clock.clone());
    let keeper = Election::new(client.clone(), &config, clock.clone());
    let metrics = Metrics::new(&clock)?;
    let ctx = Arc::new(Context::new(client, config, clock, metrics));
    let tasks = Tasks::new(stop.clone());
    let router = http::router(Arc::clone(&ctx));
    tasks.spawn("http", |stop| {
        mdfs_service::serve(listener, router, http, stop)
    });
    if election.win(&stop).await {
        tracing::info!("this operator has the lease");
        ctx.metrics.lead();
        tasks.spawn("lease", |stop| keeper.keep(stop));
        tasks.spawn("controller", |stop| controller::run(ctx, stop));
        stop.cancelled().await;
        // What is under way ends before another may begin.
        let ended = tasks.shut_down(GRACE).await;
        if !ended {
            tracing::warn!("not everything has ended in time");
        }
        if tasks.failed().is_none() {
            election.give_back().await;
        }
    } else {
        tasks.shut_down(GRACE).await;
    }
    match tasks.failed() {
        Some(failed) => Err(failed.into()),
        None => Ok(()),
    }
}

/// All metrics of an operator, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this package.
pub fn metrics()
-> Result<Vec<mdfs_service::metrics::Description>, mdfs_service::metrics::MetricError> {
    metrics::describe()
}
