//! What came of requests that a client may repeat.

use super::FileRecord;
use crate::id::FileId;
use crate::name::FileName;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a repeated request is recognised, in log time. Older ids are refused.
pub const REQUEST_WINDOW: Duration = Duration::from_secs(600);

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It opened this upload, which is not committed yet.
    Begun(FileId),
    /// It made this file.
    Stored(FileName, Box<FileRecord>),
    /// It deleted a file.
    Deleted,
    /// It removed a file for good.
    Purged,
    /// It was refused, and is refused so whenever it comes again.
    Refused(Refused),
}

/// Why a request was refused: for what the records were when it came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// No file had this name.
    FileNotFound(FileName),
    /// No file of this name was in the trash.
    NotInTrash(FileName),
    /// A file had this name already.
    NameTaken(FileName),
    /// A precondition did not hold for the file of this name; which, and what was there.
    PreconditionFailed(FileName, String),
}

impl Refused {
    /// The name that was looked at.
    pub const fn name(&self) -> &FileName {
        match self {
            Self::FileNotFound(name)
            | Self::NotInTrash(name)
            | Self::NameTaken(name)
            | Self::PreconditionFailed(name, _) => name,
        }
    }
}
