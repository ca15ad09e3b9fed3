//! What a worker counts. Labels are the routes and outcomes listed here, never names.

use crate::store::Usage;
use http::StatusCode;
use mdfs_protocol::internal::DiskState;
use mdfs_protocol::{footers, holdings, internal, local};
use mdfs_service::metrics::{Counter, Gauge, Histogram, MetricError, Registry};
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
    requests: Vec<(Route, [Counter; 3])>,
    /// Bytes of chunks handed to readers.
    pub(crate) read_bytes: Counter,
    /// Bytes of chunks taken from writers.
    pub(crate) written_bytes: Counter,
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
}

impl Metrics {
    /// The counters, at zero.
    ///
    /// # Errors
    /// If two have one name: a defect of this module.
    pub(crate) fn new() -> Result<Self, MetricError> {
        let registry = Registry::new();
        let mut requests = Vec::new();
        for (route, word) in Route::ALL {
            let counter = |result| {
                let labels = [("route", word), ("result", result)];
                let help = "Requests by route and outcome";
                registry.counter("mdfs_worker_requests_total", help, &labels)
            };
            let [ok, refused, failed] = RESULTS.map(counter);
            requests.push((route, [ok?, refused?, failed?]));
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
        Ok(Self {
            requests,
            read_bytes: moved("read")?,
            written_bytes: moved("write")?,
            damaged_reads: registry.counter(
                "mdfs_worker_damaged_reads_total",
                "Reads that met a damaged block or chunk",
                &[],
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
            registry,
        })
    }

    /// Counts a request.
    pub(crate) fn count(&self, route: Route, status: StatusCode) {
        let Some((_, [ok, refused, failed])) = self.requests.iter().find(|(of, _)| *of == route)
        else {
            return;
        };
        match status {
            status if status.is_server_error() => failed.inc(),
            status if status.is_client_error() => refused.inc(),
            _ => ok.inc(),
        }
    }

    /// Shows the state of the disk; none while it is not open or does not answer, which leaves the
    /// last known figures.
    pub(crate) fn show(&self, usage: Option<&Usage>, scrubbed_ago: Option<Duration>) {
        self.up.set_u64(u64::from(usage.is_some()));
        // Unknown is worse than any age.
        let seconds = scrubbed_ago.map_or(f64::INFINITY, |ago| ago.as_secs_f64());
        self.scrubbed_ago.set(seconds);
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
