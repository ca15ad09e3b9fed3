//! Disk calls run on threads of their own, a bounded number of them.
//!
//! A disk that hangs holds its threads and nothing else: whoever comes later is told to come back
//! after a while, and the runtime, the health routes and the heartbeats go on.
//!
//! What nobody waits for, such as copies and the scrub, runs on threads of a [`Crew`], which give way
//! to all others.

mod crew;

use crate::error::Error;
use bytes::Bytes;
use crew::Crew;
use mdfs_service::Threads;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The unit in which memory is handed out: a block.
const UNIT_BYTES: u64 = 64 << 10;

/// Threads for disk calls.
#[derive(Clone, Debug)]
pub(crate) struct DiskThreads {
    slots: Arc<Semaphore>,
    wait: Duration,
    /// Somebody waited in vain, and no call has ended since.
    stuck: Arc<AtomicBool>,
    /// Who carries the calls out; none means the machine's threads for blocking calls.
    crew: Option<Crew>,
    machine: Threads,
}

impl DiskThreads {
    /// At most `threads` calls at once; others wait up to `wait`.
    pub(crate) fn new(machine: &Threads, threads: usize, wait: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(threads)),
            wait,
            stuck: Arc::default(),
            crew: None,
            machine: machine.clone(),
        }
    }

    /// As [`DiskThreads::new`], on threads that give way to all others.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn yielding(machine: &Threads, threads: usize, wait: Duration) -> io::Result<Self> {
        let crew = match machine.as_inline() {
            None => Some(Crew::hire(threads)?),
            Some(_) => None,
        };
        Ok(Self {
            crew,
            ..Self::new(machine, threads, wait)
        })
    }

    /// Runs a blocking call and returns what it returned.
    ///
    /// # Errors
    /// [`Error::Busy`] if no thread became free in time, [`Error::CallDied`] if the call panicked.
    ///
    /// # Cancel safety
    /// A call that has begun runs to its end and keeps its place until then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let slot = tokio::time::timeout(self.wait, Arc::clone(&self.slots).acquire_owned());
        let Ok(Ok(slot)) = slot.await else {
            self.stuck.store(true, Ordering::Relaxed);
            return Err(Error::Busy {
                what: "disk threads",
            });
        };
        let stuck = Arc::clone(&self.stuck);
        let (tell, ended) = oneshot::channel();
        let call = move || {
            let result = call();
            stuck.store(false, Ordering::Relaxed);
            drop(slot);
            // Nobody listens if the future was dropped.
            let _ = tell.send(result);
        };
        match &self.crew {
            Some(crew) => crew.carry_out(call)?,
            None => self.machine.start(call),
        }
        ended.await.map_err(|_| Error::CallDied)
    }

    /// Whether all threads are at work: whoever comes now waits.
    pub(crate) fn all_busy(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Whether all threads hang, as far as is known: somebody waited in vain, and no call has ended
    /// since. While a thread is free, nothing hangs, in whatever order these two were noted.
    pub(crate) fn stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed) && self.all_busy()
    }
}

/// Memory for bytes in flight, handed out in blocks.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    units: Arc<Semaphore>,
    /// How many there are.
    most: usize,
    wait: Duration,
}

/// Memory for bytes on their way to the disk, apart by how much of the chain lies behind.
///
/// A segment keeps its share until the rest of its chain has answered. Were there one memory for
/// all, workers that are each other's next hop could wait for each other in a circle; so a request
/// only ever waits for requests with a shorter rest, and the last hop for its disk alone.
#[derive(Debug)]
pub(crate) struct ChainMemory {
    last: Memory,
    /// For one, two, … disks behind this one.
    passing: Vec<Memory>,
}

/// A share of the [`Memory`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    /// At most `bytes` at once; who finds none waits up to `wait`.
    pub(crate) fn new(bytes: u64, wait: Duration) -> Self {
        let units = usize::try_from(bytes / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        let most = units.min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(most)),
            most,
            wait,
        }
    }

    /// Memory for `bytes`, waiting for it if need be.
    ///
    /// # Errors
    /// [`Error::Busy`] if none became free in time.
    ///
    /// # Cancel safety
    /// Nothing is kept if the future is dropped.
    pub(crate) async fn take(&self, bytes: u64) -> Result<Share, Error> {
        let share = Arc::clone(&self.units).acquire_many_owned(units(bytes));
        match tokio::time::timeout(self.wait, share).await {
            Ok(Ok(permit)) => Ok(Share { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(Error::Busy { what: "buffers" }),
        }
    }

    /// Memory for `bytes` if it is free right now.
    pub(crate) fn try_take(&self, bytes: u64) -> Option<Share> {
        let permit = Arc::clone(&self.units)
            .try_acquire_many_owned(units(bytes))
            .ok()?;
        Some(Share { _permit: permit })
    }

    /// Memory for `bytes` if half of all is free beyond that: for what is of use but not needed.
    pub(crate) fn try_take_spare(&self, bytes: u64) -> Option<Share> {
        let needed = usize::try_from(units(bytes)).ok()?;
        let left = self.units.available_permits().checked_sub(needed)?;
        (left >= self.most / 2).then(|| self.try_take(bytes))?
    }
}

impl ChainMemory {
    /// At most `bytes` at once for each length of the rest, up to `longest`.
    pub(crate) fn new(bytes: u64, longest: usize, wait: Duration) -> Self {
        let memory = || Memory::new(bytes, wait);
        Self {
            last: memory(),
            passing: std::iter::repeat_with(memory).take(longest).collect(),
        }
    }

    /// The memory for requests with so many disks behind this one.
    pub(crate) fn with_behind(&self, behind: usize) -> &Memory {
        behind
            .checked_sub(1)
            .and_then(|index| self.passing.get(index))
            .unwrap_or(&self.last)
    }
}

impl Share {
    /// The bytes, holding the share until the last clone of them is dropped.
    pub(crate) fn guard(self, bytes: Bytes) -> Bytes {
        struct Guarded(
            Bytes,
            #[expect(dead_code, reason = "held for its drop")] Share,
        );
        impl AsRef<[u8]> for Guarded {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Guarded(bytes, self))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hung_call_keeps_its_place_and_others_are_told_to_come_back() {
        let threads = DiskThreads::new(&Threads::real(), 1, Duration::from_millis(20));
        let (release, hung) = std::sync::mpsc::channel::<()>();
        let first = threads.run(move || hung.recv().is_ok());
        let mut first = Box::pin(first);
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx)));
        assert!(begun.await.is_pending());
        drop(first);
        assert!(matches!(threads.run(|| ()).await, Err(Error::Busy { .. })));
        assert!(threads.stuck());
        release.send(()).unwrap();
        assert!(threads.run(|| 7).await.is_ok());
        assert!(!threads.stuck());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_comes_back_with_the_last_clone_of_the_bytes() {
        let memory = Memory::new(2 * UNIT_BYTES, Duration::from_secs(1));
        let bytes = memory
            .take(UNIT_BYTES + 1)
            .await
            .unwrap()
            .guard(Bytes::from_static(b"x"));
        let clone = bytes.clone();
        drop(bytes);
        assert!(memory.try_take(1).is_none());
        assert!(matches!(memory.take(1).await, Err(Error::Busy { .. })));
        drop(clone);
        assert!(memory.try_take(2 * UNIT_BYTES).is_some());
    }
}
