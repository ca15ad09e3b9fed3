//! Why a voter does not answer, and why its thread ends.

use mdfs_core::log::violation::Violation;

/// Why a voter did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterError {
    /// Its queue is full.
    #[error("too many messages wait for the voter")]
    Busy,
    /// Its disk failed or its log is damaged: it answers nothing any more, since it cannot know what
    /// it promised.
    #[error("the voter's disk failed or its log is damaged, it takes no part in the log any more")]
    Failed,
    /// The worker is stopping.
    #[error("the voter is stopping")]
    Stopping,
}

/// Why the voter's thread ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterEnded {
    /// An invariant of the log is broken; the process must stop.
    #[error("the metadata log is broken")]
    Violation(#[from] Violation),
    /// The thread panicked; the process must stop.
    #[error("the voter's thread died")]
    Died,
}
