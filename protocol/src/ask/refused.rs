//! Why the leader says no.

use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Term, TokenId};
use serde::{Deserialize, Serialize};

/// Why the leader does not do what it was asked. What each means stands at the error of a master of the
/// same name.
#[expect(
    missing_docs,
    reason = "each is an error of a master, documented there"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    FileNotFound {
        name: String,
    },
    NotInTrash {
        name: String,
    },
    PreconditionFailed {
        name: String,
        what: String,
    },
    NameTaken {
        name: String,
    },
    Conflict(String),
    UploadNotOpen {
        file: FileId,
    },
    UploadNotFound {
        file: FileId,
    },
    TooManyUploads {
        what: String,
        open: u64,
    },
    InvalidChunk(String),
    MissingChunks {
        file: FileId,
        missing: String,
    },
    VerifyFirst {
        term: Term,
    },
    CopyGone {
        disk: DiskId,
    },
    RequestTooOld,
    TooFewWorkers {
        wanted: u64,
        found: u64,
    },
    NoSpace {
        wanted: u64,
        found: u64,
        bytes: u64,
    },
    NoLeader,
    NoQuorum,
    NotBootstrapped,
    BootstrapRefused(String),
    ForeignDisk {
        disk: DiskId,
        theirs: ClusterId,
        ours: ClusterId,
    },
    WorkerNotFound {
        worker: String,
    },
    TokenNotFound {
        token: TokenId,
    },
    RetiredDisk {
        disk: DiskId,
    },
    VoterStays {
        disk: DiskId,
        worker: String,
    },
    WouldLoseFiles {
        disk: DiskId,
        files: u64,
        names: Vec<String>,
    },
    NotCounted,
    OldDisk {
        disk: DiskId,
        shown: Generation,
        remembered: Generation,
    },
    Busy,
    Unavailable {
        name: String,
        index: u32,
    },
    DataDamaged {
        name: String,
        start: u64,
        end: u64,
    },
    Internal(String),
    NotSearched {
        unread: Vec<String>,
    },
}
