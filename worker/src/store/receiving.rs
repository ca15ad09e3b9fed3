//! Who writes to a chunk that is being received.

use super::lock;
use super::staged::Staged;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// A chunk being received, for those who write to it at the same time.
///
/// The lock is not held while a segment is written: segments of one chunk go to the disk side by
/// side, each segment once at a time.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    staged: Mutex<Staged>,
    /// Told whenever a write has ended.
    written: Condvar,
}

impl Receiving {
    /// What is known of the chunk; segments may be on their way to the disk.
    pub(super) fn lock(&self) -> MutexGuard<'_, Staged> {
        lock(&self.staged)
    }

    /// The same, if nobody has it now.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Staged>> {
        match self.staged.try_lock() {
            Ok(staged) => Some(staged),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The same, once `blocks` holds no longer for it.
    pub(super) fn wait_while(&self, blocks: impl Fn(&Staged) -> bool) -> MutexGuard<'_, Staged> {
        self.written
            .wait_while(self.lock(), |staged| blocks(staged))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, once no segment is on its way to the disk.
    pub(super) fn settled(&self) -> MutexGuard<'_, Staged> {
        self.wait_while(|staged| !staged.writing.is_empty())
    }
}

/// A segment on its way to the disk; when dropped it is there, or failed.
pub(super) struct Writing<'a> {
    receiving: &'a Receiving,
    number: u64,
}

impl<'a> Writing<'a> {
    /// Of a segment that was noted as being written.
    pub(super) fn new(receiving: &'a Receiving, number: u64) -> Self {
        Self { receiving, number }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.receiving.lock().writing.remove(&self.number);
        self.receiving.written.notify_all();
    }
}
