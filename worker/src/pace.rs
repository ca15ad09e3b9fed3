//! How fast a worker copies for others: within the rate it was told, and gently while clients are there.

use mdfs_core::time::Timestamp;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// For so long after a request of a client, more of them are expected.
const CLIENTS_STAY: Duration = Duration::from_millis(500);

/// What paces the copies of a worker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second that are copied at most.
    most: Option<NonZeroU64>,
    /// When the bytes copied so far have had their time.
    paid_until: Mutex<Option<Instant>>,
    /// When a client asked last, in milliseconds of the worker's clock, and one more; 0 if none did.
    client: AtomicU64,
    /// The one segment that is copied at a time while clients are there.
    single: Semaphore,
}

/// The right to copy a segment.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _single: Option<SemaphorePermit<'a>>,
}

impl Pace {
    /// At most so many bytes a second; none means as fast as disks and network are.
    pub(crate) fn new(most: Option<NonZeroU64>) -> Self {
        Self {
            most,
            paid_until: Mutex::default(),
            client: AtomicU64::new(0),
            single: Semaphore::new(1),
        }
    }

    /// A client asked for something.
    pub(crate) fn client(&self, now: Timestamp) {
        let now = now.as_millis().saturating_add(1);
        self.client.store(now, Ordering::Relaxed);
    }

    /// Waits until a segment of so many bytes may be copied: until the bytes before it have had their
    /// time, and, while clients are there, until no other segment is being copied.
    ///
    /// # Cancel safety
    /// May be dropped. The bytes count as copied then.
    pub(crate) async fn turn(&self, bytes: u64, now: Timestamp) -> Turn<'_> {
        if let Some(until) = self.pay(bytes) {
            sleep_until(until).await;
        }
        let single = match self.is_quiet(now) {
            true => None,
            // Nothing closes the semaphore.
            false => self.single.acquire().await.ok(),
        };
        Turn { _single: single }
    }

    /// Takes the time for these bytes; gives when it begins, if there is a limit.
    fn pay(&self, bytes: u64) -> Option<Instant> {
        let most = self.most?;
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(most.get());
        let costs = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let begins = paid.map_or(now, |until| until.max(now));
        *paid = Some(begins.checked_add(costs).unwrap_or(begins));
        Some(begins)
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        match self.client.load(Ordering::Relaxed).checked_sub(1) {
            None => true,
            Some(last) => now.since(Timestamp::from_millis(last)) > CLIENTS_STAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(10_000);

    #[tokio::test(start_paused = true)]
    async fn bytes_have_the_time_that_the_rate_gives_them() {
        let pace = Pace::new(NonZeroU64::new(1000));
        let begun = Instant::now();
        for (bytes, waited) in [(500, 0), (1500, 500), (1, 2000)] {
            pace.turn(bytes, NOW).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(waited));
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        // What was not used is not saved up.
        let later = Instant::now();
        pace.turn(1000, NOW).await;
        pace.turn(1, NOW).await;
        assert_eq!(later.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn while_clients_are_there_segments_are_copied_one_at_a_time() {
        let pace = Pace::new(None);
        let (_one, _other) = (pace.turn(1, NOW).await, pace.turn(1, NOW).await);
        pace.client(NOW);
        let soon = NOW.plus(CLIENTS_STAY);
        let single = pace.turn(1, soon).await;
        let second = tokio::time::timeout(Duration::from_secs(9), pace.turn(1, soon));
        assert!(second.await.is_err());
        let after = soon.plus(Duration::from_millis(1));
        pace.turn(1, after).await;
        drop(single);
        pace.turn(1, soon).await;
    }
}
