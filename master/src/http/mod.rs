//! The HTTP interface of a master: parses once at the border, and decides nothing.

mod access;
mod acting;
mod admin;
mod asked;
mod audit;
mod behalf;
mod browsing;
mod caller;
mod conditions;
mod console;
mod counted;
mod digest;
mod disposition;
mod error;
mod events;
mod feed;
mod files;
pub mod form;
mod guard;
mod heartbeat;
mod known;
mod look_up;
mod metrics;
mod multipart;
mod name;
mod openapi;
mod original;
mod overview;
mod peers;
mod probes;
mod query;
mod reading;
mod recover;
mod routes;
mod rule;
mod session;
mod signing;
mod storing;
mod subtitles;
mod throttle;
mod tokens;
mod transfer;
mod trash;
mod uploads;
mod wire;

pub use access::Access;
pub use openapi::openapi;
pub use routes::router;

use crate::board::mirror::Watchers;
use crate::config;
use crate::gateway::Gateway;
use crate::leader::handle::LeaderHandle;
use access::Entrance;
use mdfs_service::metrics::{Description, MetricError, Registry};
use mdfs_service::{Chance, Clock, Machine, Tasks};
use metrics::HttpMetrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the handlers work with.
#[derive(Debug)]
pub struct Parts {
    /// Moves file bytes.
    pub gateway: Gateway,
    /// Knows and decides everything else.
    pub leader: LeaderHandle,
    /// Who may do what.
    pub access: Access,
    /// Its clock is for the expiry of links and the dates of answers, its chance for tokens.
    pub machine: Machine,
    /// The tasks of the process; once they are told to stop, the master is not ready.
    pub tasks: Tasks,
    /// Where the metrics of the HTTP interface are registered, and what `/metrics` shows.
    pub registry: Registry,
    /// How long a worker may say nothing on its connection of heartbeats.
    pub beat_silence: Duration,
    /// What there is for browsers.
    pub console: config::Console,
    /// Counts who watches events.
    pub watchers: Watchers,
}

/// All metrics of a master, for the page that tells of them.
pub(crate) fn describe_metrics() -> Result<Vec<Description>, MetricError> {
    metrics::describe(&routes::labels())
}

/// The state that all handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    gateway: Gateway,
    leader: LeaderHandle,
    entrance: Entrance,
    clock: Clock,
    chance: Chance,
    tasks: Tasks,
    metrics: HttpMetrics,
    /// One for each export and import that may be under way.
    transfers: Arc<Semaphore>,
    beat_silence: Duration,
    console: config::Console,
    watchers: Watchers,
}

impl App {
    /// Puts the parts together and registers the metrics.
    ///
    /// # Errors
    /// If the registry has metrics of these names already.
    pub fn new(parts: Parts) -> Result<Self, MetricError> {
        let Parts {
            gateway,
            leader,
            access,
            machine,
            tasks,
            registry,
            beat_silence,
            console,
            watchers,
        } = parts;
        let Machine { clock, chance, .. } = machine;
        let metrics = HttpMetrics::new(registry)?;
        let entrance = Entrance::new(access, leader.clone(), clock.clone(), console.enabled);
        Ok(Self(Arc::new(Inner {
            gateway,
            leader,
            entrance,
            clock,
            chance,
            tasks,
            metrics,
            transfers: Arc::new(Semaphore::new(transfer::MOST_TRANSFERS)),
            beat_silence,
            console,
            watchers,
        })))
    }
}
