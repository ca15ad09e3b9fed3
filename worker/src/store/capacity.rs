//! How much chunks may have, where that is less than the file system.

use super::ChunkStore;
use super::error::{Error, Result};
use super::footer::tail_length;
use super::staged::Staged;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes of chunk files, footers included, on a disk whose chunks may have only so many.
#[derive(Debug)]
pub(super) struct HeldBytes {
    /// The most they may have, if that was said.
    capacity_bytes: Option<u64>,
    sealed: AtomicU64,
    /// Of chunks being received, each counted as large as it will be when it is sealed, or larger.
    staged: AtomicU64,
}

impl HeldBytes {
    /// Of a disk whose sealed chunks have that many bytes.
    pub(super) fn new(capacity_bytes: Option<u64>, sealed: u64) -> Self {
        Self {
            capacity_bytes,
            sealed: AtomicU64::new(sealed),
            staged: AtomicU64::new(0),
        }
    }

    /// How large the disk is for chunks, on a file system of that many bytes.
    pub(super) fn capacity(&self, total: u64) -> u64 {
        self.capacity_bytes.map_or(total, |most| most.min(total))
    }

    /// What more chunks may have.
    pub(super) fn left(&self) -> u64 {
        self.capacity_bytes.map_or(u64::MAX, |most| {
            let staged = self.staged.load(Ordering::SeqCst);
            most.saturating_sub(self.with(staged))
        })
    }

    /// Sealed before it is no longer staged: whoever reads the two in the other order counts a chunk
    /// once or twice, and never not at all.
    fn with(&self, staged: u64) -> u64 {
        staged.saturating_add(self.sealed.load(Ordering::SeqCst))
    }

    /// A chunk of so many bytes was sealed.
    pub(super) fn sealed(&self, length: u64) {
        let file_bytes = length + tail_length(length);
        self.sealed.fetch_add(file_bytes, Ordering::SeqCst);
    }

    /// A chunk file of so many bytes is gone.
    pub(super) fn gone(&self, file_bytes: u64) {
        subtract(&self.sealed, file_bytes);
    }

    /// A chunk is no longer being received.
    pub(super) fn closed(&self, staged: &mut Staged) {
        let counted = std::mem::take(&mut staged.counted);
        subtract(&self.staged, counted.values().sum());
    }

    /// Counts so many more, or says what is held if that would be too much.
    fn stage(&self, more: u64) -> std::result::Result<(), Full> {
        let order = Ordering::SeqCst;
        let Some(most) = self.capacity_bytes else {
            self.staged.fetch_add(more, order);
            return Ok(());
        };
        let fits = |staged: u64| {
            let after = self.with(staged).checked_add(more)?;
            (after <= most).then(|| staged + more)
        };
        let counted = self.staged.fetch_update(order, order, fits);
        counted.map(|_| ()).map_err(|staged| Full {
            held: self.with(staged),
            most,
        })
    }
}

struct Full {
    held: u64,
    most: u64,
}

fn subtract(from: &AtomicU64, bytes: u64) {
    let order = Ordering::SeqCst;
    let _ = from.fetch_update(order, order, |held| Some(held.saturating_sub(bytes)));
}

impl ChunkStore {
    /// Counts a segment that a chunk is about to receive, and its part of the footer.
    ///
    /// # Errors
    /// `Full` if chunks have all that they may.
    pub(super) fn count_staged(&self, staged: &mut Staged, number: u64, length: u64) -> Result<()> {
        let all = length + tail_length(length);
        // One that comes again is counted once.
        let before = staged.counted.get(&number).copied().unwrap_or(0);
        let counted = self.inner.held_bytes.stage(all.saturating_sub(before));
        counted.map_err(|Full { held, most }| Error::Full {
            held_bytes: held,
            capacity_bytes: most,
        })?;
        staged.counted.insert(number, all.max(before));
        Ok(())
    }
}
