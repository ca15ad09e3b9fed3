//! What a worker counts. Labels are the routes and outcomes listed here, never names.

use crate::store::Usage;
use http::StatusCode;
use mdfs_protocol::internal::{DiskState, VoterState};
use mdfs_protocol::{footers, holdings, internal, local};
use mdfs_service::Clock;
use mdfs_service::metrics::{Counter, Description, Gauge, Histogram, MetricError, Registry};
use std::time::Duration;

/// Bucket bounds for disk calls, in seconds. The clock counts whole milliseconds.
const DISK_SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

macro_rules! routes {
    ($($variant:ident = $word:literal $path:expr,)*) => {
        /// The routes that are counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Route { $($variant,)* }

        impl Route {
            const ALL: [(Route, &str); [$($word),*].len()] = [$((Route::$variant, $word)),*];

            /// The route with this path, as the router writes it.
            pub(crate) fn of(path: &str) -> Option<Self> {
                match path {
                    $(path if path == $path => Some(Route::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

routes! {
    Identity = "identity" internal::IDENTITY,
    Adopt = "adopt" internal::ADOPT,
    Log = "log" internal::LOG,
    Chunk = "chunk" internal::CHUNK,
    Segment = "segment" internal::CHUNK_SEGMENT,
    Staged = "staged" internal::CHUNK_STAGED,
    Seal = "seal" internal::CHUNK_SEAL,
    Pull = "pull" internal::CHUNK_PULL,
    Verify = "verify" internal::CHUNK_VERIFY,
    Drop = "drop" internal::FILE_DROP,
    Scrub = "scrub" internal::SCRUB,
    Holdings = "holdings" holdings::DIGESTS,
    List = "list" holdings::LIST,
    Footers = "footers" footers::FOOTERS,
    LocalChecksum = "local_checksum" local::CHECKSUM,
    LocalVerify = "local_verify" local::VERIFY,
}

/// How a request ended.
const RESULTS: [&str; 3] = ["ok", "refused", "failed"];

/// All counters of a worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Vec<(Route, [Counter; 3], Histogram)>,
    /// Bytes of chunks handed to readers.
    pub(crate) read_bytes: Counter,
    /// Bytes of chunks taken from writers.
    pub(crate) written_bytes: Counter,
    /// Bytes of chunks copied from other workers as a leader ordered; they count as taken, too.
    pub(crate) copied_bytes: Counter,
    /// Bytes of chunks read whole by the scrub.
    pub(crate) scrubbed_bytes: Counter,
    /// Reads that met a damaged block or chunk.
    pub(crate) damaged_reads: Counter,
    /// How long segments took to be written.
    pub(crate) segment_seconds: Histogram,
    /// How long chunks took to become durable.
    pub(crate) seal_seconds: Histogram,
    up: Gauge,
    read_only: Gauge,
    chunks: Gauge,
    bytes: Gauge,
    free: Gauge,
    capacity: Gauge,
    bad_blocks: Gauge,
    damaged_chunks: Gauge,
    foreign_files: Gauge,
    staged: Gauge,
    scrubbed_ago: Gauge,
    voter_broken: Gauge,
    log_index: Gauge,
    masters: Gauge,
}

/// What a worker shows of itself when it is asked.
#[derive(Debug)]
pub(crate) struct Shown {
    /// None while the disk does not answer.
    pub(crate) usage: Option<Usage>,
    /// None if it is not known.
    pub(crate) scrubbed_ago: Option<Duration>,
    pub(crate) voter: VoterState,
    /// Where the log ends on the disk.
    pub(crate) log_index: u64,
}

impl Metrics {
    /// The counters, at zero.
    ///
    /// # Errors
    /// If two have one name: a defect of this module.
    pub(crate) fn new(clock: &Clock, scrub_every: Duration) -> Result<Self, MetricError> {
        let registry = Registry::new();
        registry.about("worker", env!("CARGO_PKG_VERSION"), clock)?;
        let mut requests = Vec::new();
        for (route, word) in Route::ALL {
            let counter = |result| {
                let labels = [("route", word), ("result", result)];
                let help = "Requests by route and outcome";
                registry.counter("mdfs_worker_requests_total", help, &labels)
            };
            let [ok, refused, failed] = RESULTS.map(counter);
            let seconds = registry.histogram(
                "mdfs_worker_request_seconds",
                "Time from a request's head to the head of its answer",
                &[("route", word)],
                DISK_SECONDS,
            )?;
            requests.push((route, [ok?, refused?, failed?], seconds));
        }
        let moved = |way| {
            let help = "Bytes of chunks sent to readers and taken from writers";
            registry.counter("mdfs_worker_moved_bytes_total", help, &[("way", way)])
        };
        let seconds = |call| {
            let name = "mdfs_worker_disk_seconds";
            registry.histogram(
                name,
                "Duration of disk calls",
                &[("call", call)],
                DISK_SECONDS,
            )
        };
        let gauge = |name, help| registry.gauge(name, help, &[]);
        let counter = |name, help| registry.counter(name, help, &[]);
        gauge(
            "mdfs_worker_scrub_interval_seconds",
            "In which time the scrub is to read everything once",
        )?
        .set(scrub_every.as_secs_f64());
        Ok(Self {
            requests,
            read_bytes: moved("read")?,
            written_bytes: moved("write")?,
            copied_bytes: counter(
                "mdfs_worker_copied_bytes_total",
                "Bytes of chunks copied from other workers as the mover ordered",
            )?,
            scrubbed_bytes: counter(
                "mdfs_worker_scrubbed_bytes_total",
                "Bytes of chunks read by the scrub",
            )?,
            damaged_reads: counter(
                "mdfs_worker_damaged_reads_total",
                "Reads that met a damaged block or chunk",
            )?,
            segment_seconds: seconds("write")?,
            seal_seconds: seconds("sync")?,
            up: gauge("mdfs_worker_up", "Whether the disk is open and answers")?,
            read_only: gauge(
                "mdfs_worker_read_only",
                "Whether the disk accepts no writes",
            )?,
            chunks: gauge("mdfs_worker_files", "Sealed chunks on the disk")?,
            bytes: gauge("mdfs_worker_bytes_total", "Bytes in sealed chunks")?,
            free: gauge("mdfs_worker_free_bytes", "Bytes that chunks may still use")?,
            capacity: gauge(
                "mdfs_worker_capacity_bytes",
                "Bytes that chunks may have in all",
            )?,
            bad_blocks: gauge("mdfs_worker_bad_blocks", "Bad blocks found since the mount")?,
            damaged_chunks: gauge(
                "mdfs_worker_damaged_chunks",
                "Chunk files found cut or unreadable since the mount",
            )?,
            foreign_files: gauge(
                "mdfs_worker_foreign_files",
                "Files on the disk that are not ours",
            )?,
            staged: gauge("mdfs_worker_staged_chunks", "Chunks being received")?,
            scrubbed_ago: gauge(
                "mdfs_worker_oldest_unverified_seconds",
                "At most so long ago each chunk was read and verified; +Inf while unknown",
            )?,
            voter_broken: gauge(
                "mdfs_worker_voter_broken",
                "Whether its metadata log failed, is damaged or gone, so that it cannot vote",
            )?,
            log_index: gauge(
                "mdfs_worker_log_index",
                "Where the metadata log ends on its disk; 0 if it has none",
            )?,
            masters: gauge("mdfs_worker_masters", "Masters that answered lately")?,
            registry,
        })
    }

    /// Counts a request.
    pub(crate) fn count(&self, route: Route, status: StatusCode, span: Duration) {
        let mut counted = self.requests.iter();
        let Some((_, [ok, refused, failed], seconds)) = counted.find(|(of, ..)| *of == route)
        else {
            return;
        };
        seconds.observe_span(span);
        match status {
            status if status.is_server_error() => failed.inc(),
            status if status.is_client_error() => refused.inc(),
            _ => ok.inc(),
        }
    }

    /// Shows how many masters answer, and the state of the disk once it was opened. While the disk
    /// does not answer, the last known figures stay.
    pub(crate) fn show(&self, masters: usize, shown: Option<&Shown>) {
        self.masters
            .set_u64(u64::try_from(masters).unwrap_or(u64::MAX));
        let usage = shown.and_then(|shown| shown.usage.as_ref());
        self.up.set_u64(u64::from(usage.is_some()));
        // Unknown is worse than any age.
        let seconds = shown.and_then(|shown| shown.scrubbed_ago);
        let seconds = seconds.map_or(f64::INFINITY, |ago| ago.as_secs_f64());
        self.scrubbed_ago.set(seconds);
        if let Some(shown) = shown {
            let is_broken = shown.voter == VoterState::Broken;
            self.voter_broken.set_u64(u64::from(is_broken));
            self.log_index.set_u64(shown.log_index);
        }
        let Some(usage) = usage else { return };
        let Usage {
            capacity_bytes,
            free_bytes,
            chunks,
            chunk_bytes,
            bad_blocks,
            damaged_chunks,
            foreign_files,
            staged,
            state,
        } = *usage;
        self.read_only
            .set_u64(u64::from(state == DiskState::ReadOnly));
        for (gauge, value) in [
            (&self.chunks, chunks),
            (&self.bytes, chunk_bytes),
            (&self.free, free_bytes),
            (&self.capacity, capacity_bytes),
            (&self.bad_blocks, bad_blocks),
            (&self.damaged_chunks, damaged_chunks),
            (&self.foreign_files, foreign_files),
            (&self.staged, staged),
        ] {
            gauge.set_u64(value);
        }
    }

    /// Media type and body for a scrape.
    pub(crate) fn render(&self) -> (String, String) {
        self.registry.render()
    }
}

/// All metrics of a worker, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this module.
pub(crate) fn describe() -> Result<Vec<Description>, MetricError> {
    let metrics = Metrics::new(&Clock::real(), Duration::ZERO)?;
    Ok(metrics.registry.describe())
}
