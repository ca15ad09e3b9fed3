//! Failure detection: what the silence of a worker means.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a worker stands, by what was heard of it. Later is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It beats: reads and writes go to it.
    Live,
    /// Its connection broke or it missed beats: reads avoid it, its copies count as missing.
    Suspect,
    /// It is out of placement; repair starts after the repair delay.
    Dead,
}

/// When silence becomes suspicion, and when death. Checked: always holds together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectSettings {
    beat: Duration,
    suspect_after_beats: u32,
    dead_after: Duration,
}

/// Why settings do not hold together. Names all that take part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDetectSettings {
    /// Workers would beat without pause.
    #[error("the heartbeat interval is {0:?}, less than a millisecond")]
    BeatTooShort(Duration),
    /// One lost beat would make a worker suspect.
    #[error(
        "suspect after {0} missed heartbeats: one lost heartbeat must not matter, so at least 2"
    )]
    TooFewBeats(u32),
    /// A worker would die of one or two late beats.
    #[error("dead after {dead_after:?} is less than twice the heartbeat interval of {beat:?}")]
    DeadBeforeTwoBeats {
        /// The silence that means death.
        dead_after: Duration,
        /// The heartbeat interval.
        beat: Duration,
    },
    /// A worker would be dead before it is suspect.
    #[error("dead after {dead_after:?} is before suspect after {suspect_after:?} of silence")]
    DeadBeforeSuspect {
        /// The silence that means death.
        dead_after: Duration,
        /// The silence that means suspicion: the missed beats times the interval.
        suspect_after: Duration,
    },
}

impl DetectSettings {
    /// Settings of a beat each `beat`, suspicion after that many missed beats and death after
    /// `dead_after` of silence.
    ///
    /// # Errors
    /// An interval below a millisecond, fewer than two missed beats, or a death that comes before
    /// two beats or before suspicion.
    pub fn new(
        beat: Duration,
        suspect_after_beats: u32,
        dead_after: Duration,
    ) -> Result<Self, InvalidDetectSettings> {
        let settings = Self {
            beat,
            suspect_after_beats,
            dead_after,
        };
        let suspect_after = settings.suspect_after();
        if beat < Duration::from_millis(1) {
            Err(InvalidDetectSettings::BeatTooShort(beat))
        } else if suspect_after_beats < 2 {
            Err(InvalidDetectSettings::TooFewBeats(suspect_after_beats))
        } else if dead_after < beat.saturating_mul(2) {
            Err(InvalidDetectSettings::DeadBeforeTwoBeats { dead_after, beat })
        } else if dead_after < suspect_after {
            Err(InvalidDetectSettings::DeadBeforeSuspect {
                dead_after,
                suspect_after,
            })
        } else {
            Ok(settings)
        }
    }

    /// How often a worker beats.
    pub const fn beat(&self) -> Duration {
        self.beat
    }

    /// The silence after which a worker is suspect.
    pub fn suspect_after(&self) -> Duration {
        self.beat.saturating_mul(self.suspect_after_beats)
    }

    /// The silence after which a worker is dead.
    pub const fn dead_after(&self) -> Duration {
        self.dead_after
    }
}

impl Default for DetectSettings {
    /// A beat each second, suspect after three missed, dead after 15 seconds.
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(1),
            suspect_after_beats: 3,
            dead_after: Duration::from_secs(15),
        }
    }
}

/// Says how a worker stands at `now`, by its last beat and whether its connection is open.
///
/// A broken connection is suspicion at once, silence alone only after the missed beats. Death is
/// by silence alone. A clock that went back counts as no silence.
pub fn classify(
    last_beat: Timestamp,
    connection_open: bool,
    now: Timestamp,
    settings: &DetectSettings,
) -> Liveness {
    let silence = now.since(last_beat);
    if silence >= settings.dead_after {
        Liveness::Dead
    } else if !connection_open || silence >= settings.suspect_after() {
        Liveness::Suspect
    } else {
        Liveness::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Liveness::{Dead, Live, Suspect};

    #[track_caller]
    fn check(silence_ms: u64, connection_open: bool, want: Liveness) {
        let last = Timestamp::from_millis(1_000_000);
        let now = last.plus(Duration::from_millis(silence_ms));
        assert_eq!(
            classify(last, connection_open, now, &DetectSettings::default()),
            want
        );
    }

    #[test]
    fn one_or_two_lost_beats_are_no_action() {
        for silence in [0, 999, 1_000, 1_999, 2_000, 2_999] {
            check(silence, true, Live);
        }
    }

    #[test]
    fn three_missed_beats_are_suspicion() {
        check(3_000, true, Suspect);
        check(14_999, true, Suspect);
    }

    #[test]
    fn a_broken_connection_is_suspicion_at_once_but_never_death() {
        check(0, false, Suspect);
        check(14_999, false, Suspect);
    }

    #[test]
    fn fifteen_seconds_of_silence_are_death_even_on_an_open_connection() {
        check(15_000, true, Dead);
        check(15_000, false, Dead);
        check(u64::MAX / 2, true, Dead);
    }

    #[test]
    fn a_clock_that_went_back_is_no_silence() {
        let (last, now) = (Timestamp::from_millis(9_000), Timestamp::from_millis(1));
        assert_eq!(classify(last, true, now, &DetectSettings::default()), Live);
    }

    #[test]
    fn beats_every_five_seconds_work() {
        let seconds = Duration::from_secs;
        let settings = DetectSettings::new(seconds(5), 3, seconds(15)).unwrap();
        let at = |s| {
            classify(
                Timestamp::default(),
                true,
                Timestamp::from_millis(s),
                &settings,
            )
        };
        assert_eq!((at(14_999), at(15_000)), (Live, Dead));
    }

    #[test]
    fn settings_that_do_not_hold_together_name_both_sides() {
        let seconds = Duration::from_secs;
        let error = |beat, n, dead| DetectSettings::new(beat, n, dead).unwrap_err().to_string();
        let text = error(seconds(10), 2, seconds(19));
        assert!(text.contains("19s") && text.contains("10s"), "{text}");
        let text = error(seconds(1), 30, seconds(15));
        assert!(text.contains("15s") && text.contains("30s"), "{text}");
        assert!(error(seconds(1), 1, seconds(15)).contains("at least 2"));
        assert!(error(Duration::ZERO, 3, seconds(15)).contains("millisecond"));
        assert_eq!(
            DetectSettings::new(seconds(1), 3, seconds(15)),
            Ok(DetectSettings::default())
        );
    }
}
