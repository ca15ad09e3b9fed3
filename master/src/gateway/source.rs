//! Where a file's bytes come from: finds a copy that gives them, whoever fails.

use super::Shared;
use super::peers::Failure;
use crate::error::Error;
use crate::leader::command::{FileView, Site, SitesOfRun};
use futures_util::stream::{FuturesUnordered, StreamExt};
use mdfs_client::link::ChunkStream;
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId};
use mdfs_core::id::DiskId;
use mdfs_core::records::FileRecord;
use mdfs_protocol::problem::Code;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// The pause between two rounds over all copies: doubled from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(1);
/// What a worker checks and gives at a time.
const BLOCK: u64 = BLOCK_BYTES as u64;
/// How long a worker that has been asked may take for its first byte when no other is left.
const ANSWER: Duration = Duration::from_secs(5);
/// Without a byte for so long, a worker counts as gone; others are asked much earlier.
const SILENCE: Duration = Duration::from_secs(20);

/// How often in a row all copies must be found damaged or missing before that is said: one that is moved
/// meanwhile may be missed once, where it is not yet and where it is no more.
const SURE: u32 = 2;

/// One version of a file, as long as a response needs it.
pub(super) struct Source {
    shared: Arc<Shared>,
    view: FileView,
    known: Mutex<Known>,
}

/// What is known of the copies by now.
struct Known {
    /// Where the chunks are, as the leader said last.
    sites: Arc<[SitesOfRun]>,
    /// A chunk of which a copy cannot give all blocks: they are asked for one by one.
    damaged: Option<u32>,
    /// Who may have a chunk that those did not give that should, as the leader said last.
    others: Option<(u32, Vec<Site>)>,
}

/// A worker that gives bytes of a chunk.
pub(super) struct Open {
    /// Who.
    pub(super) disk: DiskId,
    /// The bytes.
    pub(super) stream: ChunkStream,
    /// How many were asked.
    pub(super) length: u64,
}

impl Source {
    pub(super) fn new(shared: Arc<Shared>, view: FileView) -> Self {
        let known = Mutex::new(Known {
            sites: view.sites.clone().into(),
            damaged: None,
            others: None,
        });
        Self {
            shared,
            view,
            known,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn record(&self) -> &FileRecord {
        &self.view.info.record
    }

    fn name(&self) -> String {
        self.view.info.name.as_str().to_owned()
    }

    /// The error that says that the chunk with this byte cannot be had.
    pub(super) fn unavailable(&self, position: u64) -> Error {
        let index = self
            .record()
            .layout
            .locate(position)
            .map_or(0, |at| at.index);
        Error::Unavailable {
            name: self.name(),
            index,
        }
    }

    /// Whether another disk than this one has the chunk with this byte.
    pub(super) fn has_other(&self, position: u64, disk: DiskId) -> bool {
        let located = self.record().layout.locate(position);
        located.is_some_and(|at| self.sites_of(at.index).iter().any(|site| site.disk != disk))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sites_of(&self, index: u32) -> Vec<Site> {
        let sites = Arc::clone(&self.known().sites);
        let holds = |run: &&SitesOfRun| run.has(index);
        sites
            .iter()
            .find(holds)
            .map(|run| run.sites.clone())
            .unwrap_or_default()
    }

    /// Opens the bytes from `position` to the end of their chunk, or to `end` if that is before; of a chunk
    /// with a damaged copy those to the end of the block. `after` just failed and is asked last.
    ///
    /// Goes over all copies that there should be, asks the leader again where they are, and where else
    /// there may be some, and goes on for as long as `Limits::patience`.
    ///
    /// # Errors
    /// [`Error::DataDamaged`] if a copy says so and no disk that may have another has a better one, time
    /// and again, [`Error::Unavailable`] otherwise.
    pub(super) async fn open(
        self: Arc<Self>,
        position: u64,
        end: u64,
        after: Option<DiskId>,
    ) -> Result<Open, Error> {
        let mut wanted = self.wanted(position, end)?;
        let to_block_end = to_block_end(wanted.offset);
        let deadline = Instant::now() + self.shared.limits.patience;
        let mut pause = PAUSE_FIRST;
        let mut asked_again = false;
        // Whether all were asked that may have the chunk, as the leader said before.
        let mut all = false;
        let mut sure = 0;
        loop {
            let sites = self.order(wanted.chunk.index, after);
            // Many may be silent: each gets its moment before the next is asked.
            let round = timeout_at(deadline + ANSWER, self.try_sites(&wanted, sites));
            let failures = match round.await {
                Ok(Ok(open)) => return Ok(open),
                Ok(Err(failures)) => failures,
                Err(_) => return Err(self.unavailable(position)),
            };
            if is_any(&failures, Code::BadBlock) && wanted.length > to_block_end {
                // A later block may be the damaged one: what is before it can be had.
                self.known().damaged = Some(wanted.chunk.index);
                wanted.length = to_block_end;
                continue;
            }
            let is_final = all && all_damaged(&failures);
            sure = if is_final { sure + 1 } else { 0 };
            if sure >= SURE {
                let start = position - (BLOCK - to_block_end);
                let end = position + to_block_end.min(wanted.in_chunk) - 1;
                return Err(Error::DataDamaged {
                    name: self.name(),
                    start,
                    end,
                });
            }
            if asked_again {
                if Instant::now() + pause >= deadline {
                    return Err(self.unavailable(position));
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LAST);
            }
            asked_again = true;
            all = self.ask_again(wanted.chunk, deadline).await;
        }
    }

    /// One round over the copies on other disks than `disk`, which is slow but may still answer.
    pub(super) async fn open_elsewhere(
        self: Arc<Self>,
        position: u64,
        end: u64,
        disk: DiskId,
    ) -> Result<Open, Error> {
        let wanted = self.wanted(position, end)?;
        let mut sites = self.sites_of(wanted.chunk.index);
        sites.retain(|site| site.disk != disk);
        let Shared { memory, clock, .. } = &*self.shared;
        let sites = memory.order(&sites, None, clock.now());
        let opened = self.try_sites(&wanted, sites).await;
        opened.map_err(|_| self.unavailable(position))
    }

    fn wanted(&self, position: u64, end: u64) -> Result<Wanted, Error> {
        let layout = &self.record().layout;
        let (Some(at), true) = (layout.locate(position), position < end) else {
            return Err(Error::Broken(format!("byte {position} is in no chunk")));
        };
        let in_chunk = layout
            .chunk_len(at.index)
            .unwrap_or(0)
            .saturating_sub(at.offset);
        let chunk = ChunkId {
            file: self.record().file,
            index: at.index,
        };
        let mut length = in_chunk.min(end - position);
        if self.known().damaged == Some(at.index) {
            length = length.min(to_block_end(at.offset));
        }
        Ok(Wanted {
            chunk,
            offset: at.offset,
            length,
            in_chunk,
        })
    }

    /// Asks the leader where the chunks are now, and who may have this one. Whether all who may do answer:
    /// any other may have a good copy. If the name stands for another version or for none, what was said
    /// before stays: nobody tells where the old version's chunks should be.
    async fn ask_again(&self, chunk: ChunkId, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let leader = &self.shared.leader;
        let asked = async {
            let found = leader.look_up(self.view.info.name.clone()).await;
            if let Ok(view) = found
                && view.info.record.file == chunk.file
            {
                self.known().sites = view.sites.into();
            }
            leader.who_may_have(chunk).await
        };
        match timeout(left, asked).await {
            Ok(Ok(told)) => {
                let all = told.iter().all(|site| site.live);
                self.known().others = Some((chunk.index, told));
                all
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Who is asked for a chunk, in order: those that should have it, and behind them others that may, of
    /// which only those that live are worth their time.
    fn order(&self, index: u32, last: Option<DiskId>) -> Vec<Site> {
        let mut sites = self.sites_of(index);
        if let Some((chunk, others)) = &self.known().others
            && *chunk == index
        {
            let places: BTreeSet<DiskId> = sites.iter().map(|site| site.disk).collect();
            let is_other = |site: &&Site| site.live && !places.contains(&site.disk);
            sites.extend(others.iter().filter(is_other).cloned());
        }
        let Shared { memory, clock, .. } = &*self.shared;
        memory.order(&sites, last, clock.now())
    }

    /// Asks one copy after another: the next one at once when one fails, and beside it when one
    /// does not answer in time. The first to give bytes wins.
    async fn try_sites(&self, wanted: &Wanted, sites: Vec<Site>) -> Result<Open, Vec<Failure>> {
        let Shared {
            memory,
            clock,
            limits,
            ..
        } = &*self.shared;
        let mut rest = sites.into_iter();
        let mut asked = FuturesUnordered::new();
        let mut slow: Vec<DiskId> = Vec::new();
        let mut failures = Vec::new();
        let mut next = rest.next();
        let mut hedge_at = Instant::now();
        loop {
            if let Some(site) = next.take() {
                slow.push(site.disk);
                asked.push(self.ask(wanted, site));
                hedge_at = Instant::now() + limits.first_byte;
            }
            if asked.is_empty() {
                return Err(failures);
            }
            let waits = if rest.len() == 0 {
                ANSWER
            } else {
                Duration::ZERO
            };
            tokio::select! {
                biased;
                Some((disk, answer)) = asked.next() => match answer {
                    Ok(stream) => {
                        memory.answered(disk);
                        // Those asked before did not answer in time.
                        for disk in slow.into_iter().take_while(|other| *other != disk) {
                            memory.failed(disk, clock.now());
                        }
                        return Ok(Open { disk, stream, length: wanted.length });
                    }
                    Err(failure) => {
                        slow.retain(|other| *other != disk);
                        self.note(wanted, disk, &failure);
                        failures.push(failure);
                        next = rest.next();
                    }
                },
                () = sleep_until(hedge_at + waits) => {
                    next = rest.next();
                    if next.is_none() {
                        for disk in slow {
                            memory.failed(disk, clock.now());
                            failures.push(Failure::silent());
                        }
                        return Err(failures);
                    }
                }
            }
        }
    }

    async fn ask(&self, wanted: &Wanted, site: Site) -> (DiskId, Result<ChunkStream, Failure>) {
        let Wanted {
            chunk,
            offset,
            length,
            ..
        } = *wanted;
        (
            site.disk,
            self.shared
                .peers
                .read(&site, chunk, offset, length, SILENCE)
                .await,
        )
    }

    fn note(&self, wanted: &Wanted, disk: DiskId, failure: &Failure) {
        if failure.is_unreachable() {
            self.shared.memory.failed(disk, self.shared.clock.now());
        }
        tracing::warn!(%disk, chunk = %wanted.chunk, error = %failure, "a copy cannot be read");
    }
}

/// Bytes of a chunk.
struct Wanted {
    chunk: ChunkId,
    offset: u64,
    length: u64,
    /// From `offset` to the end of the chunk.
    in_chunk: u64,
}

fn to_block_end(offset: u64) -> u64 {
    BLOCK - offset % BLOCK
}

fn is_any(failures: &[Failure], code: Code) -> bool {
    failures.iter().any(|failure| failure.code() == Some(code))
}

/// Whether all copies were looked at, and at least one is damaged. A copy on a worker that cannot
/// be reached, or of which the leader knows no address yet, may be good.
fn all_damaged(failures: &[Failure]) -> bool {
    let is_looked_at =
        |failure: &Failure| matches!(failure.code(), Some(Code::BadBlock | Code::ChunkNotFound));
    is_any(failures, Code::BadBlock) && failures.iter().all(is_looked_at)
}
