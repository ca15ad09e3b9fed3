//! One chunk on its way to its holders: the chain, and what happens when a hop fails.

use super::Shared;
use super::peers::Failure;
use super::segments::Segment;
use crate::error::Error;
use crate::leader::command::{OpenUpload, Place, Site};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::{HopOutcome, HopsReply, PullRequest, Seal, SealRequest, Stored};
use mdfs_protocol::problem::Code;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For how long a disk that failed this upload is not chosen again.
const AVOID: Duration = Duration::from_secs(15);
/// In which a worker must say how far it has received a chunk.
const PROBE: Duration = Duration::from_secs(1);
/// How often the leader is told that a slow upload goes on.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How often new holders are looked for before a chunk is given up.
const ROUNDS: u32 = 6;
/// What [`super::Limits::seal`] is for.
const SEAL_UNIT_BYTES: u64 = 64 << 20;

/// The chunks of one upload.
pub(super) struct Chunks<'a> {
    shared: &'a Shared,
    open: OpenUpload,
    known: Mutex<Known>,
}

/// What an upload learns of workers on its way.
#[derive(Default)]
struct Known {
    /// Disks that failed, and when.
    failed: BTreeMap<DiskId, Timestamp>,
    /// Whether one of them was full: then want of workers is want of space.
    full: bool,
}

/// A chunk whose bytes are under way.
pub(super) struct Chain<'a> {
    chunks: &'a Chunks<'a>,
    chunk: ChunkId,
    /// Bytes that need room on a new holder.
    bytes: u64,
    /// Who has received everything so far, in the order of the chain.
    hops: Vec<Site>,
    length: u64,
    crc32: Crc32,
    /// When the leader last heard of the upload.
    told: Timestamp,
}

/// A chunk whose bytes have all been sent, or are at hand.
pub(super) struct Staged {
    pub(super) chunk: ChunkId,
    pub(super) length: u64,
    pub(super) crc32: Crc32,
    at: At,
}

enum At {
    /// Received by these.
    Hops(Vec<Site>),
    /// Sent nowhere yet: small enough to be stored at once.
    Here(Segment),
}

/// A chunk that is durable as often as wanted.
#[derive(Clone, Debug)]
pub(super) struct ChunkDone {
    pub(super) chunk: ChunkId,
    pub(super) length: u64,
    pub(super) crc32: Crc32,
    pub(super) sites: Vec<Site>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(shared: &'a Shared, open: OpenUpload) -> Self {
        Self { shared, open, known: Mutex::default() }
    }

    pub(super) fn open(&self) -> &OpenUpload {
        &self.open
    }

    fn id(&self, index: u32) -> ChunkId {
        ChunkId { file: self.open.file, index }
    }

    fn copies(&self) -> usize {
        usize::from(self.open.replicas.get())
    }

    /// Begins a chunk that comes in segments; `bytes` is how long it may get.
    pub(super) async fn place(&'a self, index: u32, bytes: u64) -> Result<Chain<'a>, Error> {
        let chunk = self.id(index);
        let hops = self.sites(chunk, bytes, &[]).await?;
        let told = self.shared.clock.now();
        Ok(Chain { chunks: self, chunk, bytes, hops, length: 0, crc32: Crc32::default(), told })
    }

    /// A chunk of one segment.
    pub(super) fn whole(&self, index: u32, segment: Segment) -> Staged {
        let (length, crc32) = (segment.length(), segment.crc32);
        Staged { chunk: self.id(index), length, crc32, at: At::Here(segment) }
    }

    /// Where the copies go that are still wanted when `have` has one each; at least one site.
    async fn sites(&self, chunk: ChunkId, bytes: u64, have: &[Site]) -> Result<Vec<Site>, Error> {
        let place = Place { file: chunk.file, chunk: chunk.index, bytes, avoid: self.avoid() };
        let mut sites = match self.shared.leader.place(place).await {
            Ok(sites) => sites,
            Err(Error::TooFewWorkers { found, .. }) => return Err(self.too_few(found, bytes)),
            Err(error) => return Err(error),
        };
        sites.retain(|site| have.iter().all(|known| known.disk != site.disk));
        sites.truncate(self.copies().saturating_sub(have.len()));
        let found = sites.len() + have.len();
        if found < self.copies() {
            return Err(self.too_few(found, bytes));
        }
        Ok(sites)
    }

    fn too_few(&self, found: usize, bytes: u64) -> Error {
        let wanted = self.copies();
        if self.known().full {
            Error::NoSpace { wanted, found, bytes }
        } else {
            Error::TooFewWorkers { wanted, found }
        }
    }

    fn avoid(&self) -> Vec<DiskId> {
        let now = self.shared.clock.now();
        let recent = |at: &Timestamp| now.since(*at) < AVOID;
        self.known().failed.iter().filter(|(_, at)| recent(at)).map(|(disk, _)| *disk).collect()
    }

    fn note(&self, chunk: ChunkId, disk: DiskId, failure: &Failure) {
        let now = self.shared.clock.now();
        let mut known = self.known();
        known.failed.insert(disk, now);
        known.full |= failure.code() == Some(Code::NoSpace);
        drop(known);
        if failure.is_unreachable() {
            self.shared.memory.failed(disk, now);
        }
        tracing::warn!(%disk, %chunk, error = %failure, "a holder fails an upload");
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a chunk durable on as many disks as wanted, whoever fails meanwhile.
    ///
    /// # Errors
    /// If no hop is left that has the bytes, or nobody takes the place of those that failed.
    pub(super) async fn make_durable(&self, staged: Staged, seal: Seal) -> Result<ChunkDone, Error> {
        let Staged { chunk, length, crc32, at } = staged;
        let sites = match at {
            At::Here(segment) => self.store_whole(chunk, &seal, &segment).await?,
            At::Hops(hops) => self.seal(chunk, &seal, hops).await?,
        };
        Ok(ChunkDone { chunk, length, crc32, sites })
    }

    /// Small chunks go to all holders at once: one hop less than a chain.
    async fn store_whole(
        &self,
        chunk: ChunkId,
        seal: &Seal,
        segment: &Segment,
    ) -> Result<Vec<Site>, Error> {
        let mut durable = Vec::new();
        let mut rounds = 0..ROUNDS;
        while durable.len() < self.copies() {
            rounds.next().ok_or_else(|| self.too_few(durable.len(), seal.length))?;
            let sites = self.sites(chunk, seal.length, &durable).await?;
            let stored = sites.into_iter().map(|site| async move {
                let Self { shared, open, .. } = self;
                let (bytes, within) = (segment.bytes.clone(), self.seal_time(seal));
                let peers = &shared.peers;
                let stored = peers.store_whole(&site, chunk, open.term, seal, bytes, within).await;
                (checked(stored, seal), site)
            });
            let stored = together(stored).await;
            self.keep_durable(chunk, stored, &mut durable);
        }
        Ok(durable)
    }

    async fn seal(
        &self,
        chunk: ChunkId,
        seal: &Seal,
        hops: Vec<Site>,
    ) -> Result<Vec<Site>, Error> {
        let mut durable = Vec::new();
        let behind = match hops.split_first() {
            Some((first, next)) => {
                let next = next.iter().map(|site| site.disk).collect();
                let reply = self.send_seal(first, chunk, seal, next).await;
                let is_durable = |site: &Site| {
                    reply.as_ref().is_ok_and(|reply| says_durable(reply, site.disk, seal))
                };
                let (sealed, behind) = hops.into_iter().partition(is_durable);
                durable = sealed;
                behind
            }
            None => Vec::new(),
        };
        // Whoever is left of a broken chain is asked without it.
        let alone = behind.into_iter().map(|site: Site| async move {
            let reply = self.send_seal(&site, chunk, seal, Vec::new()).await;
            let stored = reply.and_then(|reply| stored_by(&reply, site.disk));
            (checked(stored, seal), site)
        });
        let alone = together(alone).await;
        self.keep_durable(chunk, alone, &mut durable);
        if durable.is_empty() {
            let name = seal.name.clone();
            return Err(Error::Unavailable { name, index: chunk.index });
        }
        let mut rounds = 0..ROUNDS;
        while durable.len() < self.copies() {
            rounds.next().ok_or_else(|| self.too_few(durable.len(), seal.length))?;
            let sites = self.sites(chunk, seal.length, &durable).await?;
            let sources = &durable;
            let pulled = sites.into_iter().map(|site| async move {
                (self.pull(&site, chunk, seal, sources).await, site)
            });
            let pulled = together(pulled).await;
            self.keep_durable(chunk, pulled, &mut durable);
        }
        Ok(durable)
    }

    async fn send_seal(
        &self,
        first: &Site,
        chunk: ChunkId,
        seal: &Seal,
        next: Vec<DiskId>,
    ) -> Result<HopsReply, Failure> {
        let request = SealRequest { term: self.open.term, seal: seal.clone(), next };
        self.shared.peers.seal(first, chunk, &request, self.seal_time(seal)).await
    }

    /// Has `site` copy the chunk from one of those that have it.
    async fn pull(
        &self,
        site: &Site,
        chunk: ChunkId,
        seal: &Seal,
        sources: &[Site],
    ) -> Result<(), Failure> {
        let mut outcome = Err(Failure::silent());
        for source in sources {
            let request =
                PullRequest { term: self.open.term, seal: seal.clone(), from: source.disk };
            let within = self.seal_time(seal);
            outcome = checked(self.shared.peers.pull(site, chunk, &request, within).await, seal);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn keep_durable(
        &self,
        chunk: ChunkId,
        outcomes: Vec<(Result<(), Failure>, Site)>,
        durable: &mut Vec<Site>,
    ) {
        for (outcome, site) in outcomes {
            match outcome {
                Ok(()) => durable.push(site),
                Err(failure) => self.note(chunk, site.disk, &failure),
            }
        }
    }

    fn seal_time(&self, seal: &Seal) -> Duration {
        let units = seal.length.div_ceil(SEAL_UNIT_BYTES).max(1);
        self.shared.limits.seal.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
    }
}

impl Chain<'_> {
    /// Bytes sent so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Ends the chunk.
    pub(super) fn staged(self) -> Staged {
        let Self { chunk, length, crc32, hops, .. } = self;
        Staged { chunk, length, crc32, at: At::Hops(hops) }
    }

    /// Sends the next segment along the chain. Hops that fail are left out from now on; in a
    /// chunk's first segment they are replaced, later a copy is pulled at the chunk's end.
    ///
    /// # Errors
    /// If no hop is left that has the bytes before, or nobody takes the place of one that failed.
    pub(super) async fn send(&mut self, segment: &Segment) -> Result<(), Error> {
        self.keep_alive().await;
        let mut hops = std::mem::take(&mut self.hops);
        let mut behind = self.send_along(&mut hops, segment).await;
        let mut rounds = 0..ROUNDS;
        loop {
            let caught_up = self.catch_up(behind, segment).await;
            hops.extend(caught_up);
            if self.length > 0 || hops.len() >= self.chunks.copies() {
                break;
            }
            // Nothing else of the chunk has been sent: a new hop can still get all of it.
            let (chunks, bytes) = (self.chunks, self.bytes);
            rounds.next().ok_or_else(|| chunks.too_few(hops.len(), bytes))?;
            behind = self.chunks.sites(self.chunk, self.bytes, &hops).await?;
        }
        if hops.is_empty() {
            let what = format!("chunk {}", self.chunk);
            return Err(Error::Unavailable { name: what, index: self.chunk.index });
        }
        self.hops = hops;
        self.crc32 = Crc32::combine(self.crc32, segment.crc32, segment.length());
        self.length += segment.length();
        Ok(())
    }

    /// Sends a segment to the first hop, which passes it on. Takes out of `hops`, and returns,
    /// those that did not get it that way.
    async fn send_along(&self, hops: &mut Vec<Site>, segment: &Segment) -> Vec<Site> {
        let Some((first, next)) = hops.split_first() else { return Vec::new() };
        let next: Vec<DiskId> = next.iter().map(|site| site.disk).collect();
        let reply = self.send_segment(first, segment, 0, &next).await;
        let end = self.length + segment.length();
        let (got, behind) = std::mem::take(hops).into_iter().partition(|site| {
            reply.as_ref().is_ok_and(|reply| received_by(reply, site.disk) == Some(end))
        });
        *hops = got;
        behind
    }

    /// Sends the segment directly to hops that the chain did not reach. Those that got it.
    async fn catch_up(&self, behind: Vec<Site>, segment: &Segment) -> Vec<Site> {
        let sent = behind.into_iter().map(|site| async move {
            let outcome = self.send_directly(&site, segment).await;
            (outcome, site)
        });
        let mut reached = Vec::new();
        for (outcome, site) in together(sent).await {
            match outcome {
                Ok(()) => reached.push(site),
                Err(failure) => self.chunks.note(self.chunk, site.disk, &failure),
            }
        }
        reached
    }

    async fn send_directly(&self, site: &Site, segment: &Segment) -> Result<(), Failure> {
        let end = self.length + segment.length();
        let received = match self.chunks.shared.peers.staged(site, self.chunk, PROBE).await {
            Ok(staged) => staged.received,
            Err(failure) if failure.code() == Some(Code::ChunkNotFound) => 0,
            Err(failure) => return Err(failure),
        };
        if received >= end {
            return Ok(());
        }
        let Some(skip) = received.checked_sub(self.length) else {
            return Err(Failure::new(Code::ChunkNotFound, "the worker lost what it had received"));
        };
        let reply = self.send_segment(site, segment, skip, &[]).await?;
        match received_by(&reply, site.disk) {
            Some(received) if received == end => Ok(()),
            Some(_) | None => Err(failure_of(&reply, site.disk)),
        }
    }

    /// Sends a segment from its byte `skip` on.
    async fn send_segment(
        &self,
        first: &Site,
        segment: &Segment,
        skip: u64,
        next: &[DiskId],
    ) -> Result<HopsReply, Failure> {
        let Chunks { shared, open, .. } = self.chunks;
        let rest = segment.skip(skip);
        let at = (self.chunk, self.length + skip);
        shared.peers.segment(first, at, open.term, &rest, next, shared.limits.segment).await
    }

    /// Tells the leader that the upload goes on, if it has not heard of it for long.
    async fn keep_alive(&mut self) {
        let now = self.chunks.shared.clock.now();
        if now.since(self.told) < KEEP_ALIVE {
            return;
        }
        self.told = now;
        let Chunks { shared, open, .. } = self.chunks;
        let (chunk, bytes, avoid) = (self.chunk.index, self.bytes, self.chunks.avoid());
        // What it answers does not matter: the chunk has its places.
        let _ = shared.leader.place(Place { file: open.file, chunk, bytes, avoid }).await;
    }
}

fn outcome_of(reply: &HopsReply, disk: DiskId) -> Option<&HopOutcome> {
    reply.hops.iter().find(|hop| hop.disk == disk).map(|hop| &hop.outcome)
}

fn received_by(reply: &HopsReply, disk: DiskId) -> Option<u64> {
    match outcome_of(reply, disk)? {
        HopOutcome::Received(staged) => Some(staged.received),
        HopOutcome::Durable(_) | HopOutcome::Failed { .. } => None,
    }
}

fn stored_by(reply: &HopsReply, disk: DiskId) -> Result<Stored, Failure> {
    match outcome_of(reply, disk) {
        Some(HopOutcome::Durable(stored)) => Ok(*stored),
        Some(HopOutcome::Received(_) | HopOutcome::Failed { .. }) | None => {
            Err(failure_of(reply, disk))
        }
    }
}

fn says_durable(reply: &HopsReply, disk: DiskId, seal: &Seal) -> bool {
    stored_by(reply, disk).is_ok_and(|stored| is_as_sealed(&stored, seal))
}

fn is_as_sealed(stored: &Stored, seal: &Seal) -> bool {
    stored.length == seal.length && stored.crc32 == seal.crc32
}

fn failure_of(reply: &HopsReply, disk: DiskId) -> Failure {
    match outcome_of(reply, disk) {
        Some(HopOutcome::Failed { code, detail }) => Failure::new(*code, detail),
        Some(HopOutcome::Received(_) | HopOutcome::Durable(_)) | None => {
            Failure::new(Code::Internal, "the worker answered something else")
        }
    }
}

/// Whether a worker has stored what was meant.
fn checked(stored: Result<Stored, Failure>, seal: &Seal) -> Result<(), Failure> {
    if is_as_sealed(&stored?, seal) {
        Ok(())
    } else {
        Err(Failure::new(Code::ChecksumMismatch, "the worker stored other bytes"))
    }
}

/// Waits for all. Boxed: the compiler cannot tell that closures over borrowed sites may be sent.
fn together<'a, F>(futures: impl Iterator<Item = F>) -> BoxFuture<'a, Vec<F::Output>>
where
    F: Future<Output: Send + 'a> + Send + 'a,
{
    let futures: Vec<BoxFuture<'a, F::Output>> = futures.map(FutureExt::boxed).collect();
    join_all(futures).boxed()
}
