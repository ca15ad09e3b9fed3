//! The chunks of an upload: where they go, and how they become durable whoever fails meanwhile.

use super::Shared;
use super::chain::Chain;
use super::peers::{Failure, time_for, together};
use super::replies::{checked, says_durable, stored_by};
use super::segments::Segment;
use crate::error::Error;
use crate::leader::command::{OpenUpload, Place, Site};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::records::plan::Refusal;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::{HopsReply, PullRequest, Seal, SealRequest};
use mdfs_protocol::problem::Code;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For how long a disk that failed this upload is not chosen again.
const AVOID: Duration = Duration::from_secs(15);
/// How often new holders are looked for before a chunk is given up.
pub(super) const ROUNDS: u32 = 6;

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

/// A chunk that is durable as often as wanted, or as often as suffices.
#[derive(Clone, Debug)]
pub(super) struct ChunkDone {
    pub(super) chunk: ChunkId,
    pub(super) length: u64,
    pub(super) crc32: Crc32,
    pub(super) sites: Vec<Site>,
}

impl Staged {
    /// A chunk that these have received.
    pub(super) fn on(hops: Vec<Site>, chunk: ChunkId, length: u64, crc32: Crc32) -> Self {
        Self {
            chunk,
            length,
            crc32,
            at: At::Hops(hops),
        }
    }
}

impl<'a> Chunks<'a> {
    pub(super) fn new(shared: &'a Shared, open: OpenUpload) -> Self {
        Self {
            shared,
            open,
            known: Mutex::default(),
        }
    }

    pub(super) fn open(&self) -> &OpenUpload {
        &self.open
    }

    fn id(&self, index: u32) -> ChunkId {
        ChunkId {
            file: self.open.file,
            index,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        self.shared
    }

    /// How many copies of each chunk are wanted.
    pub(super) fn copies(&self) -> usize {
        usize::from(self.open.replicas.get())
    }

    /// Begins a chunk that comes in segments; `bytes` is how long it may get.
    pub(super) async fn place(&'a self, index: u32, bytes: u64) -> Result<Chain<'a>, Error> {
        let chunk = self.id(index);
        let hops = self.sites(chunk, bytes, &[]).await?;
        Ok(Chain::new(self, chunk, bytes, hops))
    }

    /// A chunk of one segment.
    pub(super) fn whole(&self, index: u32, segment: Segment) -> Staged {
        let (length, crc32) = (segment.length(), segment.crc32);
        Staged {
            chunk: self.id(index),
            length,
            crc32,
            at: At::Here(segment),
        }
    }

    /// Where the copies go that are still wanted when `have` has one each. None if the leader says that
    /// `have` suffices while there is nobody else.
    pub(super) async fn sites(
        &self,
        chunk: ChunkId,
        bytes: u64,
        have: &[Site],
    ) -> Result<Vec<Site>, Error> {
        let place = Place {
            file: chunk.file,
            chunk: chunk.index,
            bytes,
            avoid: self.avoid(),
        };
        let mut sites = match self.shared.leader.place(place).await {
            Ok(sites) => sites,
            Err(Error::TooFewWorkers { found, .. }) => return Err(self.too_few(found, bytes)),
            Err(error) => return Err(error),
        };
        let suffices = sites.len();
        sites.retain(|site| have.iter().all(|known| known.disk != site.disk));
        sites.truncate(self.copies().saturating_sub(have.len()));
        let found = sites.len() + have.len();
        // The leader names fewer than wanted only if so many suffice.
        if found < self.copies().min(suffices) || found == 0 {
            return Err(self.too_few(found, bytes));
        }
        Ok(sites)
    }

    /// The error that says that not enough workers can take a copy.
    pub(super) fn too_few(&self, found: usize, bytes: u64) -> Error {
        let wanted = self.copies();
        if self.known().full {
            Error::NoSpace {
                wanted,
                found,
                bytes,
            }
        } else {
            Error::TooFewWorkers { wanted, found }
        }
    }

    /// Whether a disk had no room for a part of this upload.
    pub(super) fn is_full(&self) -> bool {
        self.known().full
    }

    /// The disks that failed a moment ago.
    pub(super) fn avoid(&self) -> Vec<DiskId> {
        let now = self.shared.clock.now();
        let recent = |at: &Timestamp| now.since(*at) < AVOID;
        self.known()
            .failed
            .iter()
            .filter(|(_, at)| recent(at))
            .map(|(disk, _)| *disk)
            .collect()
    }

    /// Takes note that a disk failed.
    pub(super) fn note(&self, chunk: ChunkId, disk: DiskId, failure: &Failure) {
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

    /// Makes a chunk durable on as many disks as wanted, or as suffice, whoever fails meanwhile.
    ///
    /// # Errors
    /// If no hop is left that has the bytes, or nobody takes the place of those that failed.
    pub(super) async fn make_durable(
        &self,
        staged: Staged,
        seal: Seal,
    ) -> Result<ChunkDone, Error> {
        let Staged {
            chunk,
            length,
            crc32,
            at,
        } = staged;
        let sites = match at {
            At::Here(segment) => self.store_whole(chunk, &seal, &segment).await?,
            At::Hops(hops) => self.seal(chunk, &seal, hops).await?,
        };
        Ok(ChunkDone {
            chunk,
            length,
            crc32,
            sites,
        })
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
            rounds
                .next()
                .ok_or_else(|| self.too_few(durable.len(), seal.length))?;
            let sites = self.sites(chunk, seal.length, &durable).await?;
            if sites.is_empty() {
                break;
            }
            let stored = sites.into_iter().map(|site| async move {
                let Self { shared, open, .. } = self;
                let (bytes, within) = (segment.bytes.clone(), self.seal_time(seal));
                let peers = &shared.peers;
                let stored = peers
                    .store_whole(&site, chunk, open.term, seal, bytes, within)
                    .await;
                (checked(stored, seal), site)
            });
            let stored = together(stored).await;
            self.keep_durable(chunk, stored, &mut durable)?;
        }
        Ok(durable)
    }

    async fn seal(&self, chunk: ChunkId, seal: &Seal, hops: Vec<Site>) -> Result<Vec<Site>, Error> {
        let mut durable = Vec::new();
        let behind = match hops.split_first() {
            Some((first, next)) => {
                let next = next.iter().map(|site| site.disk).collect();
                let reply = self.send_seal(first, chunk, seal, next).await;
                let is_durable = |site: &Site| {
                    reply
                        .as_ref()
                        .is_ok_and(|reply| says_durable(reply, site.disk, seal))
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
        self.keep_durable(chunk, alone, &mut durable)?;
        if durable.is_empty() {
            let name = seal.name.clone();
            return Err(Error::Unavailable {
                name,
                index: chunk.index,
            });
        }
        self.complete(chunk, seal, durable).await
    }

    /// Has as many copies made of a chunk as are wanted, from those that are `durable`.
    ///
    /// # Errors
    /// If not enough workers can take one.
    pub(super) async fn complete(
        &self,
        chunk: ChunkId,
        seal: &Seal,
        mut durable: Vec<Site>,
    ) -> Result<Vec<Site>, Error> {
        let mut rounds = 0..ROUNDS;
        while durable.len() < self.copies() {
            rounds
                .next()
                .ok_or_else(|| self.too_few(durable.len(), seal.length))?;
            let sites = self.sites(chunk, seal.length, &durable).await?;
            if sites.is_empty() {
                break;
            }
            let sources = &durable;
            let pulled = sites
                .into_iter()
                .map(|site| async move { (self.pull(&site, chunk, seal, sources).await, site) });
            let pulled = together(pulled).await;
            self.keep_durable(chunk, pulled, &mut durable)?;
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
        let request = SealRequest {
            term: self.open.term,
            seal: seal.clone(),
            next,
        };
        self.shared
            .peers
            .seal(first, chunk, &request, self.seal_time(seal))
            .await
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
            let request = PullRequest {
                term: self.open.term,
                seal: seal.clone(),
                from: source.disk,
            };
            let within = self.seal_time(seal);
            outcome = checked(
                self.shared.peers.pull(site, chunk, &request, within).await,
                seal,
            );
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Takes what disks answered of a chunk.
    ///
    /// # Errors
    /// If one of them has sealed other bytes as this chunk. That cannot be, as what it is was settled
    /// before; if it is all the same, nowhere else would a copy do: the disk's would be counted as good.
    fn keep_durable(
        &self,
        chunk: ChunkId,
        outcomes: Vec<(Result<(), Failure>, Site)>,
        durable: &mut Vec<Site>,
    ) -> Result<(), Error> {
        let mut others = false;
        for (outcome, site) in outcomes {
            match outcome {
                Ok(()) => durable.push(site),
                Err(failure) => {
                    others |= failure.code() == Some(Code::Conflict);
                    self.note(chunk, site.disk, &failure);
                }
            }
        }
        let other = others.then_some(Refusal::OtherChunk(chunk));
        other.map_or(Ok(()), |other| Err(other.into()))
    }

    fn seal_time(&self, seal: &Seal) -> Duration {
        time_for(seal.length, self.shared.limits.seal)
    }
}
