//! How long the disk took lately to make a chunk durable.

use mdfs_core::time::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how long a figure says something. A disk that gets no chunks because it was slow is tried
/// again after that.
const SAYS_FOR: Duration = Duration::from_secs(60);
/// How much the past counts against the last figure.
const PAST: u32 = 3;
/// Of fewer chunks nothing is told: one slow sync is chance.
const ENOUGH: u32 = 4;

/// A mean in which the last chunks count most.
#[derive(Debug, Default)]
pub(crate) struct Seals(Mutex<Recent>);

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    chunks: u32,
    mean: Duration,
    last: Timestamp,
}

impl Seals {
    /// Notes that a chunk took so long.
    pub(crate) fn note(&self, took: Duration, now: Timestamp) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Recent { chunks, mean, last } = *recent;
        let says = chunks > 0 && now.since(last) < SAYS_FOR;
        *recent = Recent {
            chunks: if says { chunks.saturating_add(1) } else { 1 },
            mean: match says {
                true => (mean.saturating_mul(PAST).saturating_add(took)) / (PAST + 1),
                false => took,
            },
            last: now,
        };
    }

    /// How long chunks took; none if there were none lately, or too few.
    pub(crate) fn lately(&self, now: Timestamp) -> Option<Duration> {
        let recent = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let says = recent.chunks >= ENOUGH && now.since(recent.last) < SAYS_FOR;
        says.then_some(recent.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunks_count_most_and_few_or_old_ones_say_nothing() {
        let seals = Seals::default();
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let millis = Duration::from_millis;
        for _ in 0..3 {
            seals.note(millis(100), at(1));
        }
        assert_eq!(seals.lately(at(1)), None);
        seals.note(millis(900), at(2));
        assert_eq!(seals.lately(at(61)), Some(millis(300)));
        assert_eq!(seals.lately(at(62)), None);
        seals.note(millis(20), at(70));
        assert_eq!(seals.lately(at(70)), None);
        for _ in 0..3 {
            seals.note(millis(20), at(70));
        }
        assert_eq!(seals.lately(at(70)), Some(millis(20)));
    }
}
