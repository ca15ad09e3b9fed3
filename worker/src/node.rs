//! What a worker has once its disk is open.

use crate::blocking::{ChainMemory, DiskThreads, Memory};
use crate::config::Config;
use crate::directory::Directory;
use crate::disk::BufferPool;
use crate::error::Error;
use crate::http::CHAIN_MAX;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::probe::{Probe, Ticks};
use crate::scrub::Scrub;
use crate::seals::Seals;
use crate::store::{ChunkStore, Usage};
use crate::transfer::peers::Peers;
use crate::verdict::Verdict;
use crate::voter::driver::VoterHandle;
use mdfs_core::id::DiskId;
use mdfs_core::time::Timestamp;
use mdfs_protocol::holdings::{Known, Report};
use mdfs_protocol::internal::Identity;
use mdfs_protocol::problem::Code;
use mdfs_service::{Clock, Machine, Threads};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// How often the disk is asked how much room it has, at the least.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Threads for copies that nobody waits for. One, because a client's read waits behind whatever the
/// disk was given before: two copies then share it, call by call, and are as fast as most disks.
const YIELDING_THREADS: usize = 1;

/// The open disk with all that serves it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) store: ChunkStore,
    pub(crate) voter: VoterHandle,
    pub(crate) directory: Directory,
    pub(crate) peers: Peers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) threads: Threads,
    pub(crate) buffers: BufferPool,
    /// Readers and writers wait in queues of their own: a slow sync delays no read.
    pub(crate) read_threads: DiskThreads,
    pub(crate) write_threads: DiskThreads,
    /// For copies that nobody waits for.
    pub(crate) yielding_threads: DiskThreads,
    /// Asks how the disk is; apart, so that load does not look like a disk that hangs.
    probe: Probe,
    pub(crate) read_memory: Memory,
    pub(crate) write_memory: ChainMemory,
    seals: Seals,
    pub(crate) scrub: Scrub,
    pub(crate) pace: Pace,
    pub(crate) verdict: Verdict,
}

impl Node {
    pub(crate) fn new(
        store: ChunkStore,
        voter: VoterHandle,
        peers: Peers,
        metrics: Arc<Metrics>,
        machine: &Machine,
        config: &Config,
    ) -> Result<Self, Error> {
        let limits = &config.limits;
        let every = config.heartbeat_interval.min(PROBE_EVERY);
        let probe = Probe::start(Arc::clone(store.disk()), machine, every);
        let probe = probe.map_err(|source| Error::System {
            operation: "ask the disk for its room",
            source,
        })?;
        let threads = || DiskThreads::new(&machine.threads, limits.disk_threads, limits.queue_wait);
        let yielding = DiskThreads::yielding(&machine.threads, YIELDING_THREADS, limits.queue_wait);
        let yielding_threads = yielding.map_err(|source| Error::System {
            operation: "start threads",
            source,
        })?;
        Ok(Self {
            buffers: store.buffers().clone(),
            directory: peers.directory().clone(),
            seals: Seals::default(),
            scrub: Scrub::new(),
            verdict: Verdict::new(),
            pace: Pace::new(config.copy_rate.and_then(NonZeroU64::new)),
            store,
            voter,
            peers,
            metrics,
            clock: machine.clock.clone(),
            threads: machine.threads.clone(),
            read_threads: threads(),
            write_threads: threads(),
            yielding_threads,
            probe,
            read_memory: Memory::new(limits.read_buffer_bytes, limits.queue_wait),
            write_memory: ChainMemory::new(
                limits.write_buffer_bytes / 2,
                CHAIN_MAX,
                limits.queue_wait,
            ),
        })
    }

    /// The disk's id.
    pub(crate) fn disk(&self) -> DiskId {
        self.store.identity().disk
    }

    /// Who the disk is, as others are told.
    pub(crate) fn identity(&self) -> Identity {
        let identity = self.store.identity();
        Identity {
            disk: identity.disk,
            cluster: identity.cluster,
            generation: identity.generation,
        }
    }

    /// What the disk has and can do, and what a master that knows so much is told of its chunks.
    ///
    /// # Errors
    /// If the disk does not say, or hangs.
    pub(crate) fn report(&self, known: Option<Known>) -> Result<(Usage, Report), Error> {
        Ok((self.usage()?, self.store.report(known)))
    }

    /// What the disk has and can do.
    ///
    /// # Errors
    /// If the disk does not say, or hangs.
    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        Ok(self.store.usage_with(self.probe.space()?))
    }

    /// When the disk has said how much room it has, and how often that should be.
    pub(crate) fn ticks(&self) -> (Ticks, Duration) {
        (self.probe.ticks(), self.probe.every())
    }

    /// How long ago the scrub began that has read everything: at most so long ago each chunk was
    /// verified. None if that is not known.
    pub(crate) fn scrubbed_ago(&self) -> Option<Duration> {
        let since = self.scrub.whole_since()?;
        Some(self.clock.wall().since(since))
    }

    /// Whether clients wait for the disk, or would.
    pub(crate) fn is_crowded(&self) -> bool {
        self.read_threads.all_busy() || self.write_threads.all_busy()
    }

    /// Whether the disk hangs, as far as those know who wait for it.
    pub(crate) fn hangs(&self) -> bool {
        self.read_threads.stuck() || self.write_threads.stuck()
    }

    /// Counts a chunk that was made durable, and how long it took since then.
    pub(crate) fn note_seal(&self, begun: Timestamp) {
        let now = self.clock.now();
        let took = now.since(begun);
        self.metrics.seal_seconds.observe_span(took);
        self.seals.note(took, now);
    }

    /// How long it took lately to make a chunk durable; none if none was.
    pub(crate) fn seals_took(&self) -> Option<Duration> {
        self.seals.lately(self.clock.now())
    }

    /// Counts a read that failed because of what is on the disk.
    pub(crate) fn note_read_error(&self, error: &Error) {
        if matches!(error.code(), Code::BadBlock | Code::DataDamaged) {
            self.metrics.damaged_reads.inc();
        }
    }
}
