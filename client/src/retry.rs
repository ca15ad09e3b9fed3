//! When to try again: within a budget, later each time, and never all clients at once.

use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Retry {
    until: Instant,
    longest: Duration,
}

impl Retry {
    pub(crate) fn new(budget: Duration) -> Self {
        Self {
            until: Instant::now() + budget,
            longest: FIRST_PAUSE,
        }
    }

    /// Waits for the next try; false if there is no time left for one.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = pause(self.longest, random());
        if Instant::now() + pause >= self.until {
            return false;
        }
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
        true
    }
}

/// Between half of `longest` and all of it, as `random` says.
fn pause(longest: Duration, random: u32) -> Duration {
    let half = longest / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Chance, or the middle if the system has none to give: it only spreads clients.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_budget() {
        let start = Instant::now();
        let mut retry = Retry::new(Duration::from_secs(10));
        let mut tries = 0;
        while retry.pause().await {
            tries += 1;
        }
        assert!((12..=30).contains(&tries), "{tries}");
        assert!(start.elapsed() > Duration::from_secs(8));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_pause_lies_between_half_and_all() {
        assert_eq!(pause(Duration::from_secs(1), 0), Duration::from_millis(500));
        assert_eq!(
            pause(Duration::from_secs(1), u32::MAX),
            Duration::from_secs(1)
        );
    }
}
