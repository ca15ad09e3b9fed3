//! Workers that come and go: how much longer they are waited for, and when chunks are copied to them.

use crate::time::Timestamp;
use std::time::Duration;

/// How long a worker has to stay so that its earlier returns are forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3600);
/// Most times that the repair delay is doubled: then a worker is waited for 16 times as long, and
/// what it has is in danger for as long as that.
const MOST_DOUBLINGS: u32 = 4;

/// How often a worker came back from the dead, and when last.
///
/// Each time it does, it is waited for twice as long as before when it dies again, and it has to stay
/// for twice as long until chunks are copied to it again: what is copied for its deaths and its returns
/// becomes less and less. The first return costs nothing: once is chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    count: u32,
    last: Timestamp,
}

impl Returns {
    /// Notes that a worker is heard at `now` that was dead, and heard at `last_beat` before that.
    pub fn note(&mut self, last_beat: Timestamp, now: Timestamp) {
        self.count = self.lately(last_beat).saturating_add(1);
        self.last = now;
    }

    /// How often a worker came back that was heard at `last_beat` last, since it was last there for
    /// long.
    pub fn lately(&self, last_beat: Timestamp) -> u32 {
        match last_beat.since(self.last) >= FORGIVEN_AFTER {
            true => 0,
            false => self.count,
        }
    }

    /// How long a worker that was heard at `last_beat` last is waited for when it is dead, where
    /// others are waited for `delay`.
    pub fn patience(&self, last_beat: Timestamp, delay: Duration) -> Duration {
        let doublings = self.lately(last_beat).saturating_sub(1);
        delay.saturating_mul(1 << doublings.min(MOST_DOUBLINGS))
    }

    /// Whether a worker that was heard at `last_beat` last has not been back for long enough to have
    /// chunks copied to it.
    pub fn is_unsteady(&self, last_beat: Timestamp, delay: Duration) -> bool {
        let stayed = last_beat.since(self.last);
        self.lately(last_beat) > 1 && stayed < self.patience(last_beat, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// A worker that was away from and to these seconds: how long it is waited for when it was heard
    /// last at `last_beat`, in seconds, and whether it is unsteady then.
    #[track_caller]
    fn check(away: &[(u64, u64)], last_beat: u64, patience: u64, unsteady: bool) {
        let mut returns = Returns::default();
        for &(from, to) in away {
            returns.note(at(from), at(to));
        }
        let last_beat = at(last_beat);
        assert_eq!(returns.patience(last_beat, DELAY).as_secs(), patience);
        assert_eq!(returns.is_unsteady(last_beat, DELAY), unsteady);
    }

    #[test]
    fn a_worker_that_never_left_or_came_back_once_is_as_any_other() {
        check(&[], 0, 300, false);
        check(&[], 100_000, 300, false);
        check(&[(100, 500)], 500, 300, false);
        check(&[(100, 500)], 900, 300, false);
    }

    #[test]
    fn each_return_after_the_first_doubles_the_time_it_is_waited_for_and_has_to_stay() {
        let mut away = vec![(100, 200), (300, 400)];
        check(&away, 400, 600, true);
        check(&away, 999, 600, true);
        check(&away, 1000, 600, false);
        away.push((500, 600));
        check(&away, 600, 1200, true);
        check(&away, 1799, 1200, true);
        check(&away, 1800, 1200, false);
    }

    #[test]
    fn the_time_is_bounded() {
        let away: Vec<_> = (1..40).map(|n| (n * 100, n * 100 + 50)).collect();
        check(&away, 3950, 4800, true);
        check(&away, 7549, 4800, true);
        check(&away, 7550, 300, false);
    }

    #[test]
    fn who_stays_for_an_hour_is_forgiven_and_who_is_away_for_long_is_not() {
        let away = [(100, 200), (300, 400)];
        check(&away, 3999, 600, false);
        check(&away, 4000, 300, false);
        check(&[(100, 200), (300, 400), (4000, 4100)], 4100, 300, false);
        check(&[(100, 200), (300, 90_000)], 90_000, 600, true);
    }

    #[test]
    fn without_a_delay_nobody_is_waited_for() {
        let mut returns = Returns::default();
        returns.note(at(1), at(20));
        returns.note(at(30), at(50));
        assert_eq!(returns.patience(at(50), Duration::ZERO), Duration::ZERO);
        assert!(!returns.is_unsteady(at(50), Duration::ZERO));
    }
}
