//! How fast a worker copies for others: within the rate it was told, and gently while clients are there.

use mdfs_core::time::Timestamp;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// For so long after a request of a client, more of them are expected.
const CLIENTS_STAY: Duration = Duration::from_millis(500);

/// While clients are there, each turn costs a rest of one part in so many of the time that it took:
/// others find nothing of it at work for a fifth of the time.
const REST_PART: u32 = 4;

/// Rests shorter than this are saved up: timers are no finer than a millisecond.
const LEAST_REST: Duration = Duration::from_millis(4);

/// The longest rest, whatever a disk that hangs made of a turn.
const MOST_OWED: Duration = Duration::from_millis(250);

/// For so long a turn may wait for another disk's bytes: a source that is slower than 10 MiB a second
/// leaves it to others, however long it may be silent before it is given up.
const MOST_WAITED: Duration = Duration::from_millis(100);

/// What paces the copies of a worker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second that are copied at most.
    most: Option<NonZeroU64>,
    /// When the bytes copied so far have had their time.
    paid_until: Mutex<Option<Instant>>,
    /// When a client asked last, in milliseconds of the worker's clock, and one more; 0 if none did.
    client: AtomicU64,
    /// The one turn at a time while clients are there.
    single: Semaphore,
    /// Rests that the turns so far have cost and that were not taken yet.
    owed: Mutex<Duration>,
}

/// The right to give the disk, or another one, something to do. Once dropped, there is a rest.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _single: Option<Single<'a>>,
}

/// A turn of which there is one at a time.
#[derive(Debug)]
struct Single<'a> {
    pace: &'a Pace,
    since: Instant,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Single<'_> {
    fn drop(&mut self) {
        let rest = self.since.elapsed() / REST_PART;
        let mut owed = lock(&self.pace.owed);
        *owed = owed.saturating_add(rest).min(MOST_OWED);
    }
}

impl Turn<'_> {
    /// Waits for what others send in this turn, which goes on to whoever comes next if that takes long.
    /// Gives it back with what came, if it was kept.
    ///
    /// # Cancel safety
    /// As `work`; the turn ends.
    pub(crate) async fn wait_for<T>(self, work: impl Future<Output = T>) -> (Option<Self>, T) {
        let mut work = pin!(work);
        match timeout(MOST_WAITED, work.as_mut()).await {
            Ok(done) => (Some(self), done),
            Err(_) => {
                drop(self);
                (None, work.await)
            }
        }
    }
}

impl Pace {
    /// At most so many bytes a second; none means as fast as disks and network are.
    pub(crate) fn new(most: Option<NonZeroU64>) -> Self {
        Self {
            most,
            paid_until: Mutex::default(),
            client: AtomicU64::new(0),
            single: Semaphore::new(1),
            owed: Mutex::default(),
        }
    }

    /// A client asked for something.
    pub(crate) fn client(&self, now: Timestamp) {
        let now = now.as_millis().saturating_add(1);
        self.client.store(now, Ordering::Relaxed);
    }

    /// Waits until so many more bytes may be copied, or bytes that were paid for already be worked on:
    /// until the bytes before them have had their time, and, while clients are there, until nothing
    /// else is and there was a rest.
    ///
    /// # Cancel safety
    /// May be dropped. The bytes count as copied then.
    pub(crate) async fn turn(&self, bytes: u64, now: Timestamp) -> Turn<'_> {
        if let Some(until) = self.pay(bytes) {
            sleep_until(until).await;
        }
        if self.is_quiet(now) {
            return Turn { _single: None };
        }
        // Nothing closes the semaphore.
        let Ok(permit) = self.single.acquire().await else {
            return Turn { _single: None };
        };
        let owed = *lock(&self.owed);
        if owed >= LEAST_REST {
            sleep(owed).await;
            *lock(&self.owed) = Duration::ZERO;
        }
        let single = Single {
            pace: self,
            since: Instant::now(),
            _permit: permit,
        };
        Turn {
            _single: Some(single),
        }
    }

    /// Takes the time for these bytes; gives when it begins, if there is a limit.
    fn pay(&self, bytes: u64) -> Option<Instant> {
        let most = self.most.filter(|_| bytes > 0)?;
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(most.get());
        let costs = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid = lock(&self.paid_until);
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

/// No lock is held over a call that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn while_clients_are_there_turns_come_one_at_a_time_with_a_rest_between() {
        let pace = Pace::new(None);
        let (_one, _other) = (pace.turn(1, NOW).await, pace.turn(1, NOW).await);
        pace.client(NOW);
        let soon = NOW.plus(CLIENTS_STAY);
        let single = pace.turn(1, soon).await;
        let second = tokio::time::timeout(Duration::from_secs(9), pace.turn(1, soon));
        assert!(second.await.is_err());
        let after = soon.plus(Duration::from_millis(1));
        pace.turn(1, after).await;
        // Nine seconds are a turn of a disk that hangs.
        drop(single);
        let begun = Instant::now();
        let single = pace.turn(1, soon).await;
        assert_eq!(begun.elapsed(), MOST_OWED);
        drop(single);
        for (took, waited) in [(12, 0), (12, 0), (4, 6), (16, 0), (0, 5)] {
            // Who comes when no client is there any more waits for nothing.
            drop(pace.turn(0, after).await);
            let begun = Instant::now();
            let single = pace.turn(0, soon).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(waited));
            tokio::time::advance(Duration::from_millis(took)).await;
            drop(single);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_goes_on_to_the_next_while_a_source_says_nothing() {
        let pace = Pace::new(None);
        pace.client(NOW);
        let begun = Instant::now();
        let slow = async {
            let mine = pace.turn(1, NOW).await;
            mine.wait_for(sleep(Duration::from_secs(10))).await
        };
        let other = async {
            let mine = pace.turn(1, NOW).await;
            let waited = begun.elapsed();
            (waited, mine.wait_for(std::future::ready(7)).await)
        };
        let ((lost, ()), (waited, (kept, seven))) = tokio::join!(slow, other);
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
        // And the rest that it cost.
        assert!(
            waited <= MOST_WAITED + MOST_WAITED / REST_PART,
            "{waited:?}"
        );
        assert!(lost.is_none() && kept.is_some());
        assert_eq!(seven, 7);
    }
}
