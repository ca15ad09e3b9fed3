//! When a change is tried again of which nobody knows whether it took effect.

use super::Shared;
use mdfs_service::Chance;
use std::time::Duration;
use tokio::time::Instant;

/// No try begins later than so long after the first: longer than another master takes to lead, and
/// short enough for whoever waits for the answer.
const TRY_FOR: Duration = Duration::from_secs(15);
/// The first pause, and twice as long each time after that.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(1);

/// Tries, with pauses between them. A pause is cut short by up to a half, by chance: all who lost the
/// same leader come back at different times.
#[derive(Debug)]
pub(super) struct Again {
    chance: Chance,
    pause: Duration,
    last: Instant,
}

impl Again {
    /// The first try begins now.
    pub(super) fn new(shared: &Shared) -> Self {
        Self::drawn(shared.chance.clone())
    }

    fn drawn(chance: Chance) -> Self {
        Self {
            chance,
            pause: FIRST,
            last: Instant::now() + TRY_FOR,
        }
    }

    /// Waits until the next try; false at once if there is to be none.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(super) async fn wait(&mut self) -> bool {
        let half = self.pause / 2;
        let millis = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
        let drawn = self.chance.random_u64() % millis.saturating_add(1);
        let at = Instant::now() + half + Duration::from_millis(drawn);
        if at > self.last {
            return false;
        }
        self.pause = (self.pause * 2).min(LONGEST);
        tokio::time::sleep_until(at).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_differ_and_end() {
        for (byte, first) in [(0, 25), (1, 25 + 0x0101_0101_0101_0101 % 26)] {
            let mut again = Again::drawn(Chance::drawn(move |bytes| bytes.fill(byte)));
            let begun = Instant::now();
            assert!(again.wait().await);
            assert_eq!(begun.elapsed(), Duration::from_millis(first));
            let mut tries = 1;
            let mut before = Instant::now();
            while again.wait().await {
                tries += 1;
                assert!(before.elapsed() >= FIRST / 2 && before.elapsed() <= LONGEST);
                before = Instant::now();
            }
            assert!(begun.elapsed() <= TRY_FOR && begun.elapsed() >= TRY_FOR - LONGEST);
            assert!((10..40).contains(&tries), "{tries}");
        }
    }
}
