//! Refusals of the plan and of the log as errors of the master.

use crate::error::Error;
use mdfs_core::log::leader::NotLeading;
use mdfs_core::name::FileName;
use mdfs_core::records::REQUEST_WINDOW;
use mdfs_core::records::plan::Refusal;
use mdfs_core::time::Timestamp;
use std::collections::VecDeque;

/// Refusals that one leader has the log remember within [`REQUEST_WINDOW`]: two hundred a second. A change
/// that is refused costs its client nothing, and each is an entry and a record of up to a kilobyte.
const MOST_REMEMBERED: usize = 128 * 1024;

/// When this leader had the log remember refusals, oldest first, at most [`MOST_REMEMBERED`].
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Timestamp>);

impl Refusals {
    /// Notes one more; false if there are as many as may be.
    pub(super) fn note(&mut self, now: Timestamp) -> bool {
        while (self.0.front()).is_some_and(|then| now.since(*then) > REQUEST_WINDOW) {
            self.0.pop_front();
        }
        let has_room = self.0.len() < MOST_REMEMBERED;
        if has_room {
            self.0.push_back(now);
        }
        has_room
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::FileNotFound(name) => Error::FileNotFound {
                name: name.to_string(),
            },
            Refusal::NotInTrash(name) => Error::NotInTrash {
                name: name.to_string(),
            },
            Refusal::PreconditionFailed { name, what } => Error::PreconditionFailed {
                name: name.to_string(),
                what,
            },
            Refusal::NameTaken(name) => Error::NameTaken {
                name: name.to_string(),
            },
            Refusal::UploadNotOpen(file) => Error::UploadNotOpen { file },
            Refusal::BadChunk(..) => Error::InvalidChunk(refusal.to_string()),
            Refusal::NoSession(_)
            | Refusal::OtherChunk(_)
            | Refusal::BadCommit(_)
            | Refusal::RequestReused(_)
            | Refusal::TooFewMembers { .. }
            | Refusal::TooFewVoters { .. } => Error::Conflict(refusal.to_string()),
            Refusal::TooFewCopies { wanted, found } => Error::TooFewWorkers { wanted, found },
            Refusal::RequestOutsideWindow(_) => Error::RequestTooOld,
            Refusal::TokenNotFound(token) => Error::TokenNotFound { token },
            Refusal::TooManyTokens => Error::Conflict(refusal.to_string()),
            Refusal::NotBootstrapped => Error::NotBootstrapped,
            Refusal::Corrupt(corrupt) => Error::Broken(corrupt.to_string()),
        }
    }
}

/// The refusal behind an error, if it is of what the records are.
pub(super) fn reason_of(error: &Error) -> Option<Refusal> {
    let parsed = |name: &str| FileName::parse(name).ok();
    match error {
        Error::FileNotFound { name } => Some(Refusal::FileNotFound(parsed(name)?)),
        Error::NotInTrash { name } => Some(Refusal::NotInTrash(parsed(name)?)),
        Error::NameTaken { name } => Some(Refusal::NameTaken(parsed(name)?)),
        Error::PreconditionFailed { name, what } => Some(Refusal::PreconditionFailed {
            name: parsed(name)?,
            what: what.clone(),
        }),
        _ => None,
    }
}

pub(super) fn refusal_of(refused: NotLeading) -> Error {
    match refused {
        NotLeading::NoQuorum => Error::NoQuorum,
        NotLeading::Overloaded { .. } => Error::Busy,
        _ => Error::NoLeader,
    }
}
