//! What a master counts: requests by route and status, and the state of the cluster.

use mdfs_protocol::public::{Health, Status};
use mdfs_service::metrics::{Counter, Gauge, Histogram, LATENCY_SECONDS, MetricError, Registry};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The metrics of the HTTP interface.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    registry: Registry,
    /// By route and status: both are from closed sets, so this stays small.
    requests: Mutex<BTreeMap<(&'static str, u16), Counter>>,
    latency: BTreeMap<&'static str, Histogram>,
    active_nodes: Gauge,
    total_files: Gauge,
    total_bytes: Gauge,
    under_replicated: Gauge,
    missing: Gauge,
    open_sessions: Gauge,
    session_bytes: Gauge,
    oldest_session: Gauge,
    /// Bytes of chunks of sessions that came in, chunks that came twice included.
    pub(crate) upload_bytes: Counter,
    /// Bytes of heartbeats, and of the answers to them.
    heartbeat_bytes: [Counter; 2],
    heartbeats: Counter,
}

impl HttpMetrics {
    /// Registers everything; `labels` are the routes.
    pub(crate) fn new(registry: Registry, labels: &[&'static str]) -> Result<Self, MetricError> {
        let mut latency = BTreeMap::new();
        for route in labels {
            let histogram = registry.histogram(
                "mdfs_http_first_byte_seconds",
                "Time from a request's head to the head of its answer.",
                &[("route", route)],
                LATENCY_SECONDS,
            )?;
            latency.insert(*route, histogram);
        }
        let gauge = |name, help| registry.gauge(name, help, &[]);
        let heartbeat_bytes = |way| {
            let help =
                "Bytes of heartbeats from workers and of the answers, with what frames them.";
            registry.counter("mdfs_heartbeat_bytes_total", help, &[("way", way)])
        };
        registry
            .gauge("mdfs_up", "Whether this master runs.", &[])?
            .set_u64(1);
        Ok(Self {
            active_nodes: gauge("mdfs_active_nodes", "Workers that are live.")?,
            total_files: gauge("mdfs_total_files", "Files that have a name.")?,
            total_bytes: gauge("mdfs_total_bytes", "Bytes of all files, counted once.")?,
            under_replicated: gauge(
                "mdfs_under_replicated_files",
                "Files that have a chunk with fewer reachable copies than wanted.",
            )?,
            missing: gauge(
                "mdfs_missing_files",
                "Files that have a chunk without any reachable copy.",
            )?,
            open_sessions: gauge(
                "mdfs_open_uploads",
                "Open uploads that clients may come back to.",
            )?,
            session_bytes: gauge(
                "mdfs_open_upload_bytes",
                "Bytes of their durable chunks, counted once.",
            )?,
            oldest_session: gauge(
                "mdfs_oldest_upload_seconds",
                "Time since the oldest of them was begun.",
            )?,
            upload_bytes: registry.counter(
                "mdfs_upload_received_bytes_total",
                "Bytes of chunks received here, chunks that came twice included.",
                &[],
            )?,
            heartbeat_bytes: [heartbeat_bytes("in")?, heartbeat_bytes("out")?],
            heartbeats: registry.counter(
                "mdfs_heartbeats_total",
                "Heartbeats of workers that were answered.",
                &[],
            )?,
            requests: Mutex::default(),
            latency,
            registry,
        })
    }

    /// Counts a request that was answered after `span`.
    pub(crate) fn count(&self, route: &'static str, status: u16, span: Duration) {
        if let Some(histogram) = self.latency.get(route) {
            histogram.observe_span(span);
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = requests.get(&(route, status)) {
            counter.inc();
            return;
        }
        let labels = [("route", route), ("status", &status.to_string())];
        let help = "Requests by route and status.";
        match self
            .registry
            .counter("mdfs_http_requests_total", help, &labels)
        {
            Ok(counter) => {
                counter.inc();
                requests.insert((route, status), counter);
            }
            Err(error) => tracing::error!(%error, "cannot count requests"),
        }
    }

    /// Counts a heartbeat, its bytes and those of the answer to it.
    pub(crate) fn count_heartbeat(&self, taken: usize, answered: usize) {
        self.heartbeats.inc();
        for (counter, bytes) in self.heartbeat_bytes.iter().zip([taken, answered]) {
            counter.add(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// Media type and body of a scrape. What no leader knows is not a number.
    pub(crate) fn render(&self, status: Option<&Status>) -> (String, String) {
        let known = status.filter(|status| status.health != Health::Unknown);
        let set = |gauge: &Gauge, value: fn(&Status) -> u64| match known {
            Some(status) => gauge.set_u64(value(status)),
            None => gauge.set(f64::NAN),
        };
        set(&self.active_nodes, |status| status.live_workers);
        set(&self.total_files, |status| status.files);
        set(&self.total_bytes, |status| status.bytes);
        set(&self.under_replicated, |status| {
            status.under_replicated_files
        });
        set(&self.missing, |status| status.missing_files);
        set(&self.open_sessions, |status| status.upload_sessions);
        set(&self.session_bytes, |status| status.upload_bytes);
        set(&self.oldest_session, |status| status.oldest_upload_seconds);
        self.registry.render()
    }
}
