//! When to try again: within a budget, later each time, never all clients at once, and each master at
//! least once.

use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Retry {
    budget: Duration,
    /// When the budget ends; known from the first failure on.
    until: Option<Instant>,
    /// Masters that were not asked yet: that one is silent for long says nothing of the others.
    others: usize,
    masters: usize,
    longest: Duration,
    /// How far the furthest try came, in bytes.
    furthest: u64,
}

impl Retry {
    /// Tries with one of `masters`, for so long after the first failure; not again if that is zero.
    pub(crate) fn new(budget: Duration, masters: usize) -> Self {
        Self {
            budget,
            until: None,
            others: masters.saturating_sub(1),
            masters,
            longest: FIRST_PAUSE,
            furthest: 0,
        }
    }

    /// A try failed behind so many bytes. Further than any before, it is as the first.
    pub(crate) fn reached(&mut self, bytes: u64) {
        if bytes > self.furthest {
            *self = Self {
                furthest: bytes,
                ..Self::new(self.budget, self.masters)
            };
        }
    }

    /// Waits for the next try, behind a failure; false if there is no time left for one, and every
    /// master was asked.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = pause(self.longest, random());
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.budget);
        if now + pause >= until && (self.others == 0 || self.budget.is_zero()) {
            return false;
        }
        self.others = self.others.saturating_sub(1);
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
        let mut retry = Retry::new(Duration::from_secs(10), 1);
        let mut tries = 0;
        while retry.pause().await {
            tries += 1;
        }
        assert!((12..=30).contains(&tries), "{tries}");
        assert!(start.elapsed() > Duration::from_secs(8));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    const BUDGET: Duration = Duration::from_secs(15);
    const STALL: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn every_master_is_asked_however_long_one_is_silent() {
        for (budget, masters, want) in [
            (BUDGET, 3, 2),
            (BUDGET, 1, 1),
            (Duration::from_millis(1), 2, 1),
            (Duration::ZERO, 3, 0),
        ] {
            let mut retry = Retry::new(budget, masters);
            let mut tries = 0;
            tokio::time::sleep(STALL).await;
            while retry.pause().await {
                tries += 1;
                tokio::time::sleep(STALL).await;
            }
            assert_eq!(tries, want, "{budget:?} {masters}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_further_each_time_is_tried_again_and_what_does_not_is_given_up() {
        let mut retry = Retry::new(BUDGET, 1);
        for bytes in [5, 6, 7] {
            tokio::time::sleep(STALL).await;
            retry.reached(bytes);
            assert!(retry.pause().await, "{bytes}");
        }
        tokio::time::sleep(STALL).await;
        retry.reached(7);
        assert!(!retry.pause().await);
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
