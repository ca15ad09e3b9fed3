//! Reads every block of every chunk from time to time, so that damage is found while there are good
//! copies. A chunk found damaged is held no longer, and the leader hears of that. One that was marked as
//! damaged before the mount is read once more, before all others.
//!
//! The bytes are spread evenly over the time they may take, and clients go first. When told to, a
//! pass over everything begins at once and goes as fast as clients let it.

use crate::blocking::DiskThreads;
use crate::error::Error;
use crate::node::Node;
use crate::store::{self, OpenChunk, ScrubNote};
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, SEGMENT_BYTES};
use mdfs_core::time::LogTime;
use mdfs_protocol::internal::ScrubProgress;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const BLOCK: u64 = BLOCK_BYTES as u64;
const SEGMENT: u64 = SEGMENT_BYTES as u64;

/// How often the position is noted: a restart repeats less than that.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// How long a pause may last before it is looked again how long it should be: the disk may have
/// filled meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long to leave the disk to clients who wait for it.
const STAND_BACK: Duration = Duration::from_millis(50);

/// How long one call may wait for the one before it, which may hang in the disk.
const WAIT: Duration = Duration::from_secs(10);

/// How far the scrub is, and orders to it. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Scrub {
    progress: Arc<watch::Sender<ScrubProgress>>,
    /// When the pass began that is told of.
    begun: Arc<Mutex<Instant>>,
    /// As in [`ScrubNote`].
    whole_since: Arc<watch::Sender<Option<LogTime>>>,
}

impl Scrub {
    pub(crate) fn new() -> Self {
        Self {
            progress: Arc::new(watch::Sender::new(ScrubProgress::default())),
            begun: Arc::new(Mutex::new(Instant::now())),
            whole_since: Arc::new(watch::Sender::new(None)),
        }
    }

    /// How far the pass is that was ordered last; if none was, the one under way.
    pub(crate) fn progress(&self) -> ScrubProgress {
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        ScrubProgress {
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..*self.progress.borrow()
        }
    }

    fn note_begin(&self) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Since when each chunk was read, or has come; none if that is not known.
    pub(crate) fn whole_since(&self) -> Option<LogTime> {
        *self.whole_since.borrow()
    }

    /// Begins a pass over everything, as fast as clients let it; does nothing if one is under way.
    pub(crate) fn begin(&self) {
        self.progress.send_if_modified(|progress| {
            let begins = !progress.ordered || progress.finished;
            if begins {
                self.note_begin();
                *progress = ScrubProgress {
                    ordered: true,
                    ..ScrubProgress::default()
                };
            }
            begins
        });
    }

    /// Scrubs until `stop` fires, everything once in `every`.
    pub(crate) async fn run(self, node: Arc<Node>, every: Duration, stop: CancellationToken) {
        let passes = Passes {
            orders: self.progress.subscribe(),
            scrub: self,
            threads: DiskThreads::new(&node.threads, 1, WAIT),
            note: ScrubNote {
                position: None,
                began: node.clock.wall(),
                missed: false,
                whole_since: None,
                progress: ScrubProgress::default(),
            },
            node,
            noted: None,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = passes.run(every) => {}
        }
    }
}

struct Passes {
    scrub: Scrub,
    orders: watch::Receiver<ScrubProgress>,
    threads: DiskThreads,
    node: Arc<Node>,
    /// How far it is; what is told of it is in `scrub`.
    note: ScrubNote,
    /// When that was noted on the disk.
    noted: Option<Instant>,
}

impl Passes {
    async fn run(mut self, every: Duration) {
        // Whether the pass that was ordered is under way.
        let mut ordered = self.resume().await;
        self.look_at_marked().await;
        loop {
            let told = self.scrub.progress();
            let wanted = told.ordered && !told.finished;
            if wanted && !ordered {
                tracing::info!("scrubbing everything as ordered");
                self.begin_pass();
                self.note().await;
            }
            ordered = wanted;
            let Some((chunk, length)) = self.node.store.held_after(self.note.position) else {
                self.end_of_pass(ordered).await;
                // Those that could not be read before.
                self.look_at_marked().await;
                continue;
            };
            let begun = Instant::now();
            let bad_blocks = self.read(chunk).await;
            self.note.position = Some(chunk);
            self.count(ordered, length, bad_blocks);
            self.note().await;
            if !ordered {
                self.pause(begun, every, length).await;
            }
        }
    }

    /// Goes on where the disk says that the scrub was. Whether it goes on with a pass that was
    /// ordered; one that was ordered meanwhile begins anew.
    async fn resume(&mut self) -> bool {
        let store = self.node.store.clone();
        match self.threads.run(move || store.scrubbed()).await {
            Ok(Some(note)) => self.note = note,
            Ok(None) | Err(_) => {
                // What came to an empty disk came after this.
                let is_empty = self.node.store.held_after(None).is_none();
                self.note.whole_since = is_empty.then_some(self.note.began);
                self.note().await;
                self.noted = None;
            }
        }
        self.scrub.whole_since.send_replace(self.note.whole_since);
        let noted = self.note.progress;
        let resumes = self.scrub.progress.send_if_modified(|progress| {
            let resumes = !progress.ordered;
            if resumes {
                *progress = noted;
            }
            resumes
        });
        resumes && noted.ordered && !noted.finished
    }

    /// Reads what was marked as damaged before the mount, as fast as clients let it: what is good counts
    /// again, and of the rest it is known what is wrong.
    async fn look_at_marked(&mut self) {
        let mut last = None;
        while let Some(chunk) = self.node.store.marked_after(last) {
            let looked = match self.verify(chunk).await {
                Err(Error::Store(store::Error::ChunkNotFound { .. })) => {
                    let store = self.node.store.clone();
                    self.call(move || store.marked_is_absent(chunk)).await
                }
                verified => verified,
            };
            match looked {
                Ok(()) => {
                    tracing::info!(%chunk, "a chunk that was marked as damaged is not, or is gone")
                }
                Err(error) => {
                    self.node.note_read_error(&error);
                    tracing::debug!(%chunk, %error, "a chunk stays marked as damaged");
                }
            }
            last = Some(chunk);
        }
    }

    /// Reads all blocks of a chunk, up to the first bad one; one that is good counts as held.
    async fn verify(&self, chunk: ChunkId) -> Result<(), Error> {
        let store = self.node.store.clone();
        let mut rest = Some(self.call(move || store.begin_verify(chunk)).await?);
        while let Some(mut verification) = rest {
            self.stand_back().await;
            let read = move || Ok(verification.next_piece()?.is_none().then_some(verification));
            rest = self.call(read).await?;
        }
        Ok(())
    }

    /// The next chunk is the first one. What is noted next is noted at once.
    fn begin_pass(&mut self) {
        self.note.position = None;
        self.note.began = self.node.clock.wall();
        self.note.missed = false;
        self.noted = None;
    }

    async fn end_of_pass(&mut self, ordered: bool) {
        let was_empty = self.note.position.is_none();
        let noted = self.noted;
        if !self.note.missed {
            self.note.whole_since = Some(self.note.began);
            self.scrub.whole_since.send_replace(self.note.whole_since);
        }
        self.begin_pass();
        if was_empty && !ordered {
            // Nothing to hurry for.
            self.noted = noted;
        }
        self.scrub.progress.send_modify(|progress| {
            if ordered {
                progress.finished = true;
            } else if !progress.ordered {
                self.scrub.note_begin();
                *progress = ScrubProgress::default();
            }
        });
        if ordered {
            let ScrubProgress {
                chunks, bad_blocks, ..
            } = self.scrub.progress();
            tracing::info!(chunks, bad_blocks, "scrubbed everything as ordered");
        }
        self.note().await;
        if was_empty && !ordered {
            self.wait_for_order(LONGEST_PAUSE).await;
        }
    }

    fn count(&self, ordered: bool, length: u64, bad_blocks: u64) {
        self.node.metrics.scrubbed_bytes.add(length);
        self.scrub.progress.send_modify(|progress| {
            // One that has ended is told until the next is ordered.
            if progress.ordered == ordered {
                progress.chunks += 1;
                progress.bytes += length;
                progress.bad_blocks += bad_blocks;
            }
        });
    }

    /// Waits for the time that these bytes may take, or an order.
    async fn pause(&mut self, begun: Instant, every: Duration, length: u64) {
        loop {
            let total = self.node.store.held_bytes().max(1);
            // Bytes of one disk, in seconds of a scrub: a double is exact enough.
            #[expect(clippy::cast_precision_loss, reason = "a share of all bytes")]
            let share = (length as f64 / total as f64).min(1.0);
            let left = every.mul_f64(share).saturating_sub(begun.elapsed());
            if left.is_zero() || self.wait_for_order(left.min(LONGEST_PAUSE)).await {
                return;
            }
        }
    }

    /// Waits, but not longer than until a pass is ordered; whether it was.
    async fn wait_for_order(&mut self, most: Duration) -> bool {
        let ordered = self
            .orders
            .wait_for(|progress| progress.ordered && !progress.finished);
        tokio::time::timeout(most, ordered).await.is_ok()
    }

    /// Reads all blocks of a chunk. How many are bad.
    async fn read(&mut self, chunk: ChunkId) -> u64 {
        let store = self.node.store.clone();
        let open = match self.call(move || store.open_once(chunk)).await {
            Ok(open) => Arc::new(open),
            Err(error) => return self.bad(chunk, &error),
        };
        let (mut offset, mut bad) = (0, 0);
        while offset < open.len() {
            bad += match self.read_at(&open, offset, SEGMENT).await {
                Ok(()) => 0,
                Err(Error::Store(store::Error::Damaged { .. })) => return bad + 1,
                // Something is wrong with it: what exactly, is found block by block.
                Err(_) => self.read_blocks(&open, offset).await,
            };
            offset += SEGMENT;
        }
        bad
    }

    async fn read_blocks(&mut self, open: &Arc<OpenChunk>, offset: u64) -> u64 {
        let mut bad = 0;
        let end = (offset + SEGMENT).min(open.len());
        let mut at = offset;
        while at < end {
            if let Err(error) = self.read_at(open, at, BLOCK).await {
                bad += self.bad(open.chunk(), &error);
            }
            at += BLOCK;
        }
        bad
    }

    async fn read_at(&self, open: &Arc<OpenChunk>, offset: u64, length: u64) -> Result<(), Error> {
        self.stand_back().await;
        let open = Arc::clone(open);
        self.call(move || open.read(offset, length).map(drop)).await
    }

    /// Leaves the disk to clients who wait for it.
    async fn stand_back(&self) {
        while self.node.is_crowded() {
            tokio::time::sleep(STAND_BACK).await;
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> store::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.threads.run(call).await??)
    }

    /// Counts what a failed read says of the chunk: one that was dropped meanwhile is not damaged.
    fn bad(&mut self, chunk: ChunkId, error: &Error) -> u64 {
        self.node.note_read_error(error);
        let bad = self.node.store.is_damaged(chunk);
        if !bad {
            self.note.missed |= self.node.store.held(chunk).is_some();
            tracing::debug!(%chunk, %error, "a chunk was not scrubbed");
        }
        u64::from(bad)
    }

    /// Notes on the disk how far it is, if that is long ago.
    async fn note(&mut self) {
        let now = Instant::now();
        if self
            .noted
            .is_some_and(|noted| now.duration_since(noted) < NOTED_EVERY)
        {
            return;
        }
        self.noted = Some(now);
        self.note.progress = self.scrub.progress();
        let (store, note) = (self.node.store.clone(), self.note);
        if let Err(error) = self.call(move || store.note_scrubbed(note)).await {
            tracing::warn!(%error, "how far the scrub is was not noted");
        }
    }
}
