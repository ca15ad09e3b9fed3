//! The newest of a value, for whoever waits for the next: as in `tokio::sync::watch`, which wakes those
//! who wait in an order drawn at random. Here they are woken in the order in which they wait, so that a
//! simulation repeats itself.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Says what the value is. A clone says it to the same receivers.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Hears what the value is. A clone has seen what this one has.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// Nobody is left who could say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody says anything more")]
pub struct Closed;

struct Shared<T> {
    latest: Mutex<Latest<T>>,
    changed: Notify,
    senders: AtomicUsize,
}

struct Latest<T> {
    value: T,
    /// How often it was said.
    times: u64,
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.lock().value).finish()
    }
}

/// A value to begin with, and both ends.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Shared<T> {
    /// No lock is held over a call that can panic, but for the callers' own.
    fn lock(&self) -> MutexGuard<'_, Latest<T>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// A value to begin with.
    pub fn new(value: T) -> Self {
        Self {
            shared: Arc::new(Shared {
                latest: Mutex::new(Latest { value, times: 0 }),
                changed: Notify::new(),
                senders: AtomicUsize::new(1),
            }),
        }
    }

    /// A receiver that has seen what is there now.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.shared.lock().times;
        Receiver {
            shared: Arc::clone(&self.shared),
            seen,
        }
    }

    /// Changes the value; whoever waits hears of it if `change` says so.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut latest = self.shared.lock();
        if change(&mut latest.value) {
            latest.times += 1;
            drop(latest);
            self.shared.changed.notify_waiters();
        }
    }

    /// Says another value.
    pub fn send(&self, value: T) {
        self.send_if_modified(|latest| {
            *latest = value;
            true
        });
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.changed.notify_waiters();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Receiver<T> {
    /// The value now.
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.shared.lock().value.clone()
    }

    /// The value now, which counts as seen.
    pub fn see(&mut self) -> T
    where
        T: Clone,
    {
        let latest = self.shared.lock();
        self.seen = latest.times;
        latest.value.clone()
    }

    /// Waits for a value that was not seen yet, and sees it.
    ///
    /// # Errors
    /// If nobody is left who could say one.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let seen = self.seen;
        self.seen = until(&self.shared, |latest| latest.times != seen).await?;
        Ok(())
    }

    /// Waits until the value is as wanted, which it may be already, and sees it.
    ///
    /// # Errors
    /// If it is not, and nobody is left who could say another.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn wait_for(&mut self, mut want: impl FnMut(&T) -> bool) -> Result<(), Closed> {
        self.seen = until(&self.shared, |latest| want(&latest.value)).await?;
        Ok(())
    }
}

/// Waits until what was said last is as wanted; how often anything was said by then.
async fn until<T>(
    shared: &Shared<T>,
    mut want: impl FnMut(&Latest<T>) -> bool,
) -> Result<u64, Closed> {
    loop {
        let mut changed = pin!(shared.changed.notified());
        // From here on no change is missed.
        changed.as_mut().enable();
        let is_closed = shared.senders.load(Ordering::Acquire) == 0;
        {
            let latest = shared.lock();
            if want(&latest) {
                return Ok(latest.times);
            }
        }
        if is_closed {
            return Err(Closed);
        }
        changed.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_value_is_heard_by_all_in_the_order_in_which_they_wait() {
        let (sender, receiver) = channel(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..40 {
            let (mut receiver, order) = (receiver.clone(), Arc::clone(&order));
            let mut wait = Box::pin(async move {
                receiver.changed().await.unwrap();
                order.lock().unwrap().push(number);
                receiver.get()
            });
            assert!(wait.as_mut().now_or_never().is_none());
            waiting.push(wait);
        }
        let all = futures_util::future::join_all(waiting);
        let say = async { sender.send(2) };
        let (values, ()) = tokio::join!(all, say);
        assert_eq!(values, [2; 40]);
        assert!(order.lock().unwrap().iter().copied().eq(0..40));
    }

    #[tokio::test]
    async fn what_was_seen_is_not_waited_for_and_the_end_is_told() {
        let (sender, mut receiver) = channel(1);
        assert!(receiver.changed().now_or_never().is_none());
        sender.send_if_modified(|_| false);
        assert!(receiver.changed().now_or_never().is_none());
        sender.send(2);
        assert_eq!(receiver.changed().await, Ok(()));
        sender.send(3);
        assert_eq!((receiver.see(), receiver.get()), (3, 3));
        assert!(receiver.changed().now_or_never().is_none());
        assert_eq!(receiver.wait_for(|&it| it == 3).await, Ok(()));
        let other = sender.clone();
        drop(sender);
        assert!(receiver.changed().now_or_never().is_none());
        other.send(4);
        drop(other);
        // What was said last is heard all the same.
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.changed().await, Err(Closed));
        assert_eq!(receiver.wait_for(|&it| it == 5).await, Err(Closed));
        assert_eq!(receiver.wait_for(|&it| it == 4).await, Ok(()));
    }
}
