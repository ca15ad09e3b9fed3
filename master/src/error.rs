//! Everything that can go wrong in a master. Knows nothing of HTTP.

use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Term, TokenId};
use mdfs_protocol::internal::Leader;
use mdfs_protocol::problem::Code;
use mdfs_service::settings::Faults;

/// Why a master could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that cannot work.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// A part of the process cannot be made.
    #[error("{0}")]
    Start(String),
    /// The leader knows of no such file.
    #[error("no file named {name:?}")]
    FileNotFound {
        /// The name asked for.
        name: String,
    },
    /// The leader knows of no such file in the trash.
    #[error("no file named {name:?} is in the trash")]
    NotInTrash {
        /// The name asked for.
        name: String,
    },
    /// A precondition of the request does not hold.
    #[error("{name:?}: {what}")]
    PreconditionFailed {
        /// The file.
        name: String,
        /// Which precondition, and what is there.
        what: String,
    },
    /// The new name of a rename, or the name of an undelete, is taken.
    #[error("a file named {name:?} exists already")]
    NameTaken {
        /// The new name.
        name: String,
    },
    /// A file and a folder, or an upload that ended, stand in the way.
    #[error("{0}")]
    Conflict(String),
    /// The upload is not open (any more).
    #[error("upload {file} is not open")]
    UploadNotOpen {
        /// The file id of the upload.
        file: FileId,
    },
    /// The leader knows of no such upload, or of none any more.
    #[error("no upload {file} is known, or none any more")]
    UploadNotFound {
        /// The file id of the upload.
        file: FileId,
    },
    /// As many sessions, or chunks of sessions, are open as the cluster allows.
    #[error("{open} {what} are open, and no more are allowed")]
    TooManyUploads {
        /// Of what.
        what: String,
        /// How many there are.
        open: u64,
    },
    /// A chunk that cannot be one of its upload's.
    #[error("{0}")]
    InvalidChunk(String),
    /// Some chunks of an upload that is to be committed were never stored.
    #[error("upload {file} lacks chunks: {missing}")]
    MissingChunks {
        /// The file id of the upload.
        file: FileId,
        /// Their numbers, the first of them.
        missing: String,
    },
    /// The copies were answered in an earlier term; verify them in `term`, then commit again.
    #[error("the copies have to be verified in term {term}")]
    VerifyFirst {
        /// The leader's present term.
        term: Term,
    },
    /// A disk was retired on which a chunk was stored: its copy is none, another has to be made.
    #[error("disk {disk}, where a chunk was stored, was retired meanwhile")]
    CopyGone {
        /// The disk.
        disk: DiskId,
    },
    /// A request id from outside the window in which repeats are recognised.
    #[error("the request id was not issued within the last 10 minutes")]
    RequestTooOld,
    /// Not enough live workers.
    #[error("need {wanted} live workers, have {found}")]
    TooFewWorkers {
        /// Copies wanted.
        wanted: usize,
        /// Workers that could take one.
        found: usize,
    },
    /// Workers live, but without room.
    #[error("not enough space: {wanted} workers with {bytes} free bytes are needed, {found} found")]
    NoSpace {
        /// Copies wanted.
        wanted: usize,
        /// Workers with room.
        found: usize,
        /// Bytes of the chunk.
        bytes: u64,
    },
    /// Nobody leads, or this master cannot reach who does.
    #[error("no leader can answer at the moment")]
    NoLeader,
    /// This master does not lead, and nothing was done: who leads may be asked the same. Told to the
    /// rest of this master and to other masters only.
    #[error("another master leads")]
    NotLeader {
        /// Who, as far as this master knows.
        hint: Option<Leader>,
    },
    /// The leader cannot reach enough voters to write.
    #[error("not enough voters are reachable")]
    NoQuorum,
    /// The cluster was not started yet.
    #[error("the cluster is not bootstrapped yet")]
    NotBootstrapped,
    /// Bootstrap with another list than before, or over disks that hold something.
    #[error("bootstrap refused: {0}")]
    BootstrapRefused(String),
    /// A disk of another cluster.
    #[error("disk {disk} belongs to cluster {theirs}, not {ours}")]
    ForeignDisk {
        /// The disk.
        disk: DiskId,
        /// Its cluster.
        theirs: ClusterId,
        /// This cluster.
        ours: ClusterId,
    },
    /// No member has this name or disk.
    #[error("no worker is named {worker}, by its name or the id of its disk")]
    WorkerNotFound {
        /// What was asked for.
        worker: String,
    },
    /// No token has this id.
    #[error("no token has the id {token}")]
    TokenNotFound {
        /// The id.
        token: TokenId,
    },
    /// A disk that was retired: what it holds counts no more.
    #[error("disk {disk} was retired: it is refused for ever; wipe it to use it anew")]
    RetiredDisk {
        /// The disk.
        disk: DiskId,
    },
    /// A disk that votes cannot go: its vote would go with it.
    #[error(
        "disk {disk} of worker {worker} is a voter of the metadata log: it can be drained, but its \
         vote has to move to another disk before it can be retired; to decommission {worker} does both"
    )]
    VoterStays {
        /// The disk.
        disk: DiskId,
        /// Its worker.
        worker: String,
    },
    /// A disk has good copies of which there are no others.
    #[error(
        "disk {disk} may have the last good copy of parts of {files} files: {}",
        names.join(", ")
    )]
    WouldLoseFiles {
        /// The disk.
        disk: DiskId,
        /// How many files.
        files: u64,
        /// Some of their names.
        names: Vec<String>,
    },
    /// The files could not be counted while somebody waited for it.
    #[error("the copies of the files could not be counted in time")]
    NotCounted,
    /// A recovery is to end, and what no record has may be all that is left of files.
    #[error("{}", not_searched(unread))]
    NotSearched {
        /// The workers of the disks that the last search did not read to the end; none if the present
        /// leader knows of no search.
        unread: Vec<String>,
    },
    /// A disk that went back in time.
    #[error("disk {disk} shows generation {shown:?}, but {remembered:?} is remembered")]
    OldDisk {
        /// The disk.
        disk: DiskId,
        /// What it shows.
        shown: Generation,
        /// What the log remembers.
        remembered: Generation,
    },
    /// The leader's queue is full.
    #[error("the leader is busy")]
    Busy,
    /// No reachable worker has these bytes at the moment.
    #[error("chunk {index} of {name:?} cannot be reached at the moment")]
    Unavailable {
        /// The file.
        name: String,
        /// The chunk.
        index: u32,
    },
    /// Every copy of these bytes is damaged.
    #[error("bytes {start}-{end} of {name:?} are damaged on every reachable copy")]
    DataDamaged {
        /// The file.
        name: String,
        /// First byte of the block.
        start: u64,
        /// Last byte of the block.
        end: u64,
    },
    /// A stored record or message does not decode, or an invariant is broken.
    #[error("{0}")]
    Broken(String),
    /// The listening socket failed.
    #[error("cannot serve")]
    Serve(#[source] std::io::Error),
    /// A task of the process ended.
    #[error("task {name} ended: {reason}")]
    TaskEnded {
        /// The task.
        name: &'static str,
        /// What it said.
        reason: String,
    },
}

/// At most so many workers are named: the text goes into an answer's head.
const MOST_NAMED: usize = 16;

fn not_searched(unread: &[String]) -> String {
    let up = "or say that what a search would bring back is given up (--finish --unsearched)";
    if unread.is_empty() {
        return format!(
            "no search has ended that the present leader knows of, and what it would bring back is \
             dropped once the recovery ends: search first (mdfs admin recover --search), {up}"
        );
    }
    let (named, more) = unread.split_at(unread.len().min(MOST_NAMED));
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the last search did not read all that the disks of these workers have, which may be all that is \
         left of files: {}{more}; bring them back and search again (mdfs admin recover --search), retire \
         those that are lost for good (mdfs retire WORKER --lost), {up}",
        named.join(", ")
    )
}

impl Error {
    /// The stable word for clients and metric labels.
    pub fn code(&self) -> Code {
        match self {
            Error::FileNotFound { .. } | Error::NotInTrash { .. } => Code::FileNotFound,
            Error::PreconditionFailed { .. } => Code::PreconditionFailed,
            Error::NameTaken { .. } | Error::Conflict(_) | Error::BootstrapRefused(_) => {
                Code::Conflict
            }
            Error::UploadNotFound { .. } => Code::UploadNotFound,
            Error::UploadNotOpen { .. } => Code::UploadEnded,
            Error::TooManyUploads { .. } => Code::TooManyUploads,
            Error::InvalidChunk(_) => Code::InvalidRequest,
            Error::MissingChunks { .. } => Code::MissingChunks,
            Error::RequestTooOld => Code::RequestOutsideWindow,
            Error::VerifyFirst { .. } | Error::NoLeader | Error::NotLeader { .. } => Code::NoLeader,
            Error::TooFewWorkers { .. } => Code::TooFewWorkers,
            Error::NoSpace { .. } => Code::NoSpace,
            Error::VoterStays { .. } => Code::Conflict,
            Error::WouldLoseFiles { .. } => Code::WouldLoseFiles,
            Error::NotCounted => Code::Busy,
            Error::NotSearched { .. } => Code::NotSearched,
            Error::NoQuorum => Code::NoQuorum,
            Error::NotBootstrapped => Code::NotBootstrapped,
            Error::WorkerNotFound { .. } => Code::WorkerNotFound,
            Error::TokenNotFound { .. } => Code::TokenNotFound,
            Error::ForeignDisk { .. } | Error::OldDisk { .. } | Error::RetiredDisk { .. } => {
                Code::ForeignDisk
            }
            Error::Busy => Code::Busy,
            Error::Unavailable { .. } | Error::CopyGone { .. } => Code::Unavailable,
            Error::DataDamaged { .. } => Code::DataDamaged,
            Error::Settings(_)
            | Error::Start(_)
            | Error::Broken(_)
            | Error::Serve(_)
            | Error::TaskEnded { .. } => Code::Internal,
        }
    }
}
