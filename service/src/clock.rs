//! Time as an argument: the real clock, and one that tests move by hand.

use mdfs_core::time::{LogTime, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Where a process reads the time. A clone reads the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<Manual>),
    Simulated(Arc<Simulated>),
}

#[derive(Debug)]
struct Simulated {
    /// When the clock was made, in the runtime's time.
    begun: Instant,
    /// What it showed then.
    began_millis: u64,
    /// How many of its milliseconds are a thousand of the runtime's.
    per_thousand: u64,
    /// How far the wall clock is off, to either side.
    wall_off_millis: AtomicI64,
}

impl Simulated {
    fn now_millis(&self) -> u64 {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let own = passed.saturating_mul(self.per_thousand) / 1000;
        self.began_millis.saturating_add(own)
    }
}

/// What wall clocks show when simulated and manual ones begin, in milliseconds.
const WALL_BEGAN: u64 = 1_700_000_000_000;

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
            wall_millis: AtomicU64::new(WALL_BEGAN),
        })))
    }

    /// A clock on the runtime's own time, which may be paused: for simulations. It begins at
    /// `began_millis`, and shows `per_thousand` of its milliseconds for a thousand of the runtime's.
    /// Made in a runtime.
    pub fn simulated(began_millis: u64, per_thousand: u64) -> Self {
        Self(Source::Simulated(Arc::new(Simulated {
            begun: Instant::now(),
            began_millis,
            per_thousand,
            wall_off_millis: AtomicI64::new(0),
        })))
    }

    /// The monotonic time. Goes on while the machine is suspended, so a lease that ended meanwhile
    /// is seen to have ended.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(match &self.0 {
            Source::Real => boot_millis(),
            Source::Manual(manual) => manual.now_millis.load(Ordering::SeqCst),
            Source::Simulated(simulated) => simulated.now_millis(),
        })
    }

    /// The wall time. May jump either way: only for what people see and for log times.
    pub fn wall(&self) -> LogTime {
        LogTime::from_millis(match &self.0 {
            Source::Real => wall_millis(),
            Source::Manual(manual) => manual.wall_millis.load(Ordering::SeqCst),
            Source::Simulated(simulated) => WALL_BEGAN
                .saturating_add(simulated.now_millis())
                .saturating_add_signed(simulated.wall_off_millis.load(Ordering::SeqCst)),
        })
    }

    /// Moves a manual clock, monotonic and wall time alike. Does nothing to another one.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            manual.now_millis.fetch_add(millis, Ordering::SeqCst);
            manual.wall_millis.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Lets the wall time of a simulated clock jump by so many milliseconds. Does nothing to another.
    pub fn jump_wall(&self, millis: i64) {
        if let Source::Simulated(simulated) = &self.0 {
            simulated
                .wall_off_millis
                .fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Sets the wall time of a manual clock alone. Does nothing to another one.
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

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_at_its_own_rate_and_its_wall_time_jumps_alone() {
        let clock = Clock::simulated(5000, 2000);
        let (start, wall) = (clock.now(), clock.wall());
        assert_eq!(start, Timestamp::from_millis(5000));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(6));
        assert_eq!(clock.wall().since(wall), Duration::from_secs(6));
        clock.jump_wall(-6000);
        assert_eq!(clock.wall(), wall);
        assert_eq!(clock.now().since(start), Duration::from_secs(6));
    }

    #[test]
    fn the_real_clock_never_goes_back_and_knows_the_century() {
        let clock = Clock::real();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.wall() > LogTime::from_millis(1_700_000_000_000));
    }
}
