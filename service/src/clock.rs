//! Time as an argument: the real clock, and one that tests move by hand.

use mdfs_core::time::{LogTime, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a process reads the time. A clone reads the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    now_millis: AtomicU64,
    wall_millis: AtomicU64,
}

impl Clock {
    /// The clock of the machine.
    pub fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that stands still until it is moved: for tests. It starts at 1000 seconds, on a wall
    /// clock of 1,700,000,000 seconds.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(Manual {
            now_millis: AtomicU64::new(1_000_000),
            wall_millis: AtomicU64::new(1_700_000_000_000),
        })))
    }

    /// The monotonic time. Goes on while the machine is suspended, so a lease that ended meanwhile
    /// is seen to have ended.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(match &self.0 {
            Source::Real => boot_millis(),
            Source::Manual(manual) => manual.now_millis.load(Ordering::SeqCst),
        })
    }

    /// The wall time. May jump either way: only for what people see and for log times.
    pub fn wall(&self) -> LogTime {
        LogTime::from_millis(match &self.0 {
            Source::Real => wall_millis(),
            Source::Manual(manual) => manual.wall_millis.load(Ordering::SeqCst),
        })
    }

    /// Moves a manual clock, monotonic and wall time alike. Does nothing to the real one.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            manual.now_millis.fetch_add(millis, Ordering::SeqCst);
            manual.wall_millis.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Sets the wall time of a manual clock alone. Does nothing to the real one.
    pub fn set_wall(&self, time: LogTime) {
        if let Source::Manual(manual) = &self.0 {
            manual.wall_millis.store(time.as_millis(), Ordering::SeqCst);
        }
    }
}

fn boot_millis() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(millis)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the wall clock is read"
)]
fn wall_millis() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_with_it() {
        let clock = Clock::manual();
        let other = clock.clone();
        let (start, wall) = (clock.now(), clock.wall());
        clock.advance(Duration::from_millis(1500));
        assert_eq!(other.now().since(start), Duration::from_millis(1500));
        assert_eq!(other.wall().since(wall), Duration::from_millis(1500));
        clock.set_wall(LogTime::from_millis(7));
        assert_eq!(other.wall(), LogTime::from_millis(7));
        assert_eq!(other.now().since(start), Duration::from_millis(1500));
    }

    #[test]
    fn the_real_clock_never_goes_back_and_knows_the_century() {
        let clock = Clock::real();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.wall() > LogTime::from_millis(1_700_000_000_000));
    }
}
