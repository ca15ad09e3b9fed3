//! Who may move bytes now: so many at a time, and no one of them more than half.

use crate::error::Error;
use mdfs_core::records::Holder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns at one thing.
#[derive(Debug)]
pub(super) struct Turns {
    slots: Arc<Semaphore>,
    /// The most that one holder has: the others are left the rest, however slow this one is.
    of_one: usize,
    wait: Duration,
    /// How many each has or waits for. As many entries as there are requests.
    held: Arc<Mutex<HashMap<Holder, usize>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

#[derive(Debug)]
struct Place {
    held: Arc<Mutex<HashMap<Holder, usize>>>,
    holder: Holder,
}

impl Turns {
    /// So many turns at a time; who finds none free waits for so long.
    pub(super) fn new(turns: usize, wait: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(turns)),
            of_one: turns.div_ceil(2),
            wait,
            held: Arc::default(),
        }
    }

    /// A turn for somebody.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if they have half of all turns, or when none becomes free in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the turn.
    pub(super) async fn take(&self, holder: Holder) -> Result<Turn, Error> {
        let place = self.place(holder).ok_or(Error::Busy)?;
        let waiting = Arc::clone(&self.slots).acquire_owned();
        match tokio::time::timeout(self.wait, waiting).await {
            Ok(Ok(slot)) => Ok(Turn {
                _slot: slot,
                _place: place,
            }),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }

    fn place(&self, holder: Holder) -> Option<Place> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(holder).or_default();
        if *count >= self.of_one {
            return None;
        }
        *count += 1;
        let held = Arc::clone(&self.held);
        Some(Place { held, holder })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::id::TokenId;

    #[tokio::test]
    async fn one_holder_leaves_half_of_the_turns_to_others() {
        let turns = Turns::new(4, Duration::from_millis(10));
        let slow = Holder::Token(TokenId::from_u128(1));
        let other = Holder::Address(1);
        let first = turns.take(slow).await.unwrap();
        let _second = turns.take(slow).await.unwrap();
        assert!(matches!(turns.take(slow).await, Err(Error::Busy)));
        let _others = [turns.take(other).await, turns.take(other).await].map(Result::unwrap);
        let third = Holder::Address(2);
        assert!(matches!(turns.take(third).await, Err(Error::Busy)));
        drop(first);
        turns.take(third).await.unwrap();
        turns.take(slow).await.unwrap();
        assert_eq!(turns.held.lock().unwrap().len(), 2);
    }
}
