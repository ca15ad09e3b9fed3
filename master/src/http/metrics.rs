//! What a master counts: requests by route and status, and the state of the cluster.

use http::Method;
use mdfs_protocol::public::{Health, MasterRole, Status};
use mdfs_service::Clock;
use mdfs_service::metrics::{
    Counter, Description, Gauge, GaugeFamily, Histogram, LATENCY_SECONDS, MetricError, Registry,
};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Reads a figure from a status; none if it is not known.
type Read = fn(&Status) -> Option<u64>;

/// What is told of a status: name, help, and where it stands there.
const FIGURES: &[(&str, &str, Read)] = &[
    ("mdfs_active_nodes", "Workers that are live.", |it| {
        Some(it.live_workers)
    }),
    ("mdfs_workers", "Workers that are members.", |it| {
        Some(it.workers)
    }),
    ("mdfs_total_files", "Files that have a name.", |it| {
        Some(it.files)
    }),
    (
        "mdfs_total_bytes",
        "Bytes of all files, counted once.",
        |it| Some(it.bytes),
    ),
    ("mdfs_trashed_files", "Files in the trash.", |it| {
        Some(it.trashed_files)
    }),
    (
        "mdfs_under_replicated_files",
        "Files that have a chunk with fewer reachable copies than wanted.",
        |it| Some(it.under_replicated_files),
    ),
    (
        "mdfs_single_copy_files",
        "Files that have a chunk with one reachable copy where more are wanted, among the worst 1000.",
        |it| Some(single_copies(it)),
    ),
    (
        "mdfs_missing_files",
        "Files that have a chunk without any reachable copy.",
        |it| Some(it.missing_files),
    ),
    (
        "mdfs_damaged_chunks",
        "Chunks of which some copy is damaged.",
        |it| Some(it.damaged_chunks),
    ),
    (
        "mdfs_excess_copies",
        "Copies on disks that need not have them and have not dropped them yet.",
        |it| Some(it.excess_copies),
    ),
    (
        "mdfs_copies_to_make",
        "Copies that the mover still has to make.",
        |it| Some(it.copies_to_make),
    ),
    (
        "mdfs_bytes_to_copy",
        "Bytes of the copies that the mover still has to make.",
        |it| Some(it.bytes_to_copy),
    ),
    (
        "mdfs_moving_partitions",
        "Partitions on their way to other workers.",
        |it| Some(it.moving_partitions),
    ),
    (
        "mdfs_repair_paused",
        "Whether repairs wait because many workers fell silent at once.",
        |it| Some(u64::from(it.repair_paused)),
    ),
    (
        "mdfs_figures_age_seconds",
        "How old the figures on copies are.",
        |it| it.counted_millis_ago.map(|millis| millis / 1000),
    ),
    (
        "mdfs_open_uploads",
        "Open uploads that clients may come back to.",
        |it| Some(it.upload_sessions),
    ),
    (
        "mdfs_open_upload_bytes",
        "Bytes of durable chunks of open uploads, counted once.",
        |it| Some(it.upload_bytes),
    ),
    (
        "mdfs_oldest_upload_seconds",
        "Time since the oldest open upload was begun.",
        |it| Some(it.oldest_upload_seconds),
    ),
    ("mdfs_voters", "Voters of the metadata log.", |it| {
        Some(it.voters)
    }),
    (
        "mdfs_leased_voters",
        "Voters that follow the leader.",
        |it| Some(it.leased_voters),
    ),
    (
        "mdfs_log_commit_index",
        "The last committed index of the metadata log.",
        |it| Some(it.commit),
    ),
    (
        "mdfs_term_round",
        "The round of the leader's term: it rises with each election.",
        |it| it.term.as_deref().and_then(round),
    ),
    (
        "mdfs_masters",
        "Masters that this one knows to be there.",
        |it| u64::try_from(it.masters.len()).ok(),
    ),
];

/// What a status says of the whole, each with its word.
const HEALTH: [(Health, &str); 4] = [
    (Health::Ok, "ok"),
    (Health::Degraded, "degraded"),
    (Health::Critical, "critical"),
    (Health::Unknown, "unknown"),
];

/// The methods that are told apart: those that routes have.
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];
/// What all others are counted under.
const OTHER: &str = "other";

/// The metrics of the HTTP interface.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    registry: Registry,
    /// By route, method and status: all are from closed sets, so these stay small.
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), Counter>>,
    latency: Mutex<BTreeMap<(&'static str, &'static str), Histogram>>,
    /// As in [`FIGURES`].
    figures: Vec<(Gauge, Read)>,
    health: GaugeFamily,
    leading: Gauge,
    leader_known: Gauge,
    /// Bytes of chunks of sessions that came in, chunks that came twice included.
    pub(crate) upload_bytes: Counter,
    /// Bytes of heartbeats, and of the answers to them.
    heartbeat_bytes: [Counter; 2],
    heartbeats: Counter,
}

impl HttpMetrics {
    /// Registers everything but what is counted by route, which is when it is counted first.
    pub(crate) fn new(registry: Registry) -> Result<Self, MetricError> {
        let heartbeat_bytes = |way| {
            let help =
                "Bytes of heartbeats from workers and of the answers, with what frames them.";
            registry.counter("mdfs_heartbeat_bytes_total", help, &[("way", way)])
        };
        registry
            .gauge("mdfs_up", "Whether this master runs.", &[])?
            .set_u64(1);
        Ok(Self {
            figures: FIGURES
                .iter()
                .map(|(name, help, read)| Ok((registry.gauge(name, help, &[])?, *read)))
                .collect::<Result<_, MetricError>>()?,
            health: registry.gauge_family(
                "mdfs_health",
                "1 for what the health of the cluster is, 0 for what it is not.",
                "state",
            )?,
            leading: registry.gauge("mdfs_leading", "Whether this master leads.", &[])?,
            leader_known: registry.gauge(
                "mdfs_leader_known",
                "Whether this master leads, or knows who does.",
                &[],
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
            latency: Mutex::default(),
            registry,
        })
    }

    /// Counts a request that was answered after `span`; `method` is one of [`method`].
    pub(crate) fn count(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        span: Duration,
    ) {
        let counted = self
            .observe(route, method, span)
            .and_then(|()| self.increase(route, method, status));
        if let Err(error) = counted {
            tracing::error!(%error, "cannot count requests");
        }
    }

    fn observe(
        &self,
        route: &'static str,
        method: &'static str,
        span: Duration,
    ) -> Result<(), MetricError> {
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = match latency.entry((route, method)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.registry.histogram(
                "mdfs_http_first_byte_seconds",
                "Time from a request's head to the head of its answer.",
                &[("route", route), ("method", method)],
                LATENCY_SECONDS,
            )?),
        };
        histogram.observe_span(span);
        Ok(())
    }

    fn increase(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
    ) -> Result<(), MetricError> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = match requests.entry((route, method, status)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let status = status.to_string();
                let labels = [("route", route), ("method", method), ("status", &status)];
                let help = "Requests by route, method and status.";
                let name = "mdfs_http_requests_total";
                new.insert(self.registry.counter(name, help, &labels)?)
            }
        };
        counter.inc();
        Ok(())
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
        let health = status.map_or(Health::Unknown, |status| status.health);
        let known = status.filter(|_| health != Health::Unknown);
        for (gauge, read) in &self.figures {
            match known.and_then(read) {
                Some(value) => gauge.set_u64(value),
                None => gauge.set(f64::NAN),
            }
        }
        let is_so = |state: Health| f64::from(u8::from(state == health));
        self.health
            .replace(HEALTH.map(|(state, word)| (word, is_so(state))));
        let leads = |status: &Status| {
            let this = status.masters.first();
            this.is_some_and(|this| this.role == MasterRole::Leader)
        };
        self.leading.set_u64(u64::from(status.is_some_and(leads)));
        let has_term = status.is_some_and(|status| status.term.is_some());
        self.leader_known.set_u64(u64::from(has_term));
        self.registry.render()
    }
}

/// The label of a method.
pub(crate) fn method(method: &Method) -> &'static str {
    let mut known = METHODS.into_iter();
    known.find(|known| method == known).unwrap_or(OTHER)
}

/// Files of which one copy is left.
fn single_copies(status: &Status) -> u64 {
    let at_risk = status.at_risk.iter();
    let single = at_risk.filter(|file| file.copies == 1 && file.wanted > 1);
    u64::try_from(single.count()).unwrap_or(u64::MAX)
}

/// The round of a term, as a status has it.
fn round(term: &str) -> Option<u64> {
    term.split('.').next()?.parse().ok()
}

/// All metrics of a master, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this module.
pub(crate) fn describe(labels: &[&'static str]) -> Result<Vec<Description>, MetricError> {
    let registry = Registry::new();
    registry.about("master", env!("CARGO_PKG_VERSION"), &Clock::real())?;
    let metrics = HttpMetrics::new(registry.clone())?;
    for (label, word) in labels.iter().flat_map(|label| {
        let words = METHODS.into_iter().chain([OTHER]);
        words.map(move |word| (label, word))
    }) {
        metrics.count(label, word, 200, Duration::ZERO);
    }
    metrics.render(None);
    Ok(registry.describe())
}
