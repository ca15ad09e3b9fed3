//! What went out of a local file, as seen by all that send parts of it.

use super::PutFileOptions;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tells how many bytes went out, or were durable before.
#[derive(Clone)]
pub(super) struct Sent(Arc<Told>);

struct Told {
    total: AtomicU64,
    /// Of chunks under way, by their first byte.
    under_way: Mutex<BTreeMap<u64, u64>>,
    /// Why the local file could not be read to its end.
    failure: Mutex<Option<io::Error>>,
    progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Sent {
    pub(super) fn new(done: u64, options: &PutFileOptions) -> Self {
        let progress = options.put.progress.clone();
        if let Some(progress) = &progress {
            progress(done);
        }
        Self(Arc::new(Told {
            total: AtomicU64::new(done),
            under_way: Mutex::default(),
            failure: Mutex::default(),
            progress,
        }))
    }

    pub(super) fn add(&self, chunk: u64, bytes: u64) {
        *self.under_way().entry(chunk).or_default() += bytes;
        let total = self.0.total.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = &self.0.progress {
            progress(total);
        }
    }

    /// What went out of a chunk has to go out again: so many bytes.
    pub(super) fn take_back(&self, chunk: u64) -> u64 {
        let bytes = self.under_way().remove(&chunk).unwrap_or(0);
        self.0.total.fetch_sub(bytes, Ordering::Relaxed);
        bytes
    }

    /// Keeps `failure`; what is given back ends the request's body.
    pub(super) fn fail(&self, failure: io::Error) -> io::Error {
        let kind = failure.kind();
        *self.failure() = Some(failure);
        kind.into()
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure().take()
    }

    fn failure(&self) -> MutexGuard<'_, Option<io::Error>> {
        let locked = self.0.failure.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        let locked = self.0.under_way.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}
