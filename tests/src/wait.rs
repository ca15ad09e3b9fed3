//! Waiting for a condition, with a deadline: nothing here waits for time to pass.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// The time now, to measure with.
#[expect(
    clippy::disallowed_methods,
    reason = "tests and proofs measure real processes"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Looks until `condition` gives something, for `limit` at most.
///
/// # Errors
/// When the time is over, with `what` was waited for and the condition's last error.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = now();
    loop {
        let last = match condition() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() > limit {
            match last {
                Some(error) => bail!("no {what} within {limit:?}: {error:#}"),
                None => bail!("no {what} within {limit:?}"),
            }
        }
        std::thread::sleep(PERIOD);
    }
}

/// Lets `pause` pass: for faults at moments that nothing else marks.
pub fn pause(pause: Duration) {
    std::thread::sleep(pause);
}
