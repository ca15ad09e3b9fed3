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
}
