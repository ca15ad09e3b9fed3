//! Everything that can go wrong on a worker's disk.

use crate::disk::out_of_handles;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{ClusterId, Term};
use mdfs_protocol::problem::Code;
use std::io;
use std::path::{Path, PathBuf};

/// A result of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong on a worker's disk, in chunks, identity and metadata log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another store of this one, has the disk.
    #[error("the disk is in use by another process")]
    Locked,
    /// There is no identity, and something else is there: never formatted over.
    #[error("the disk has no identity and is not empty: found {found:?}")]
    NotBlank {
        /// One of the names found.
        found: String,
    },
    /// The identity was written by a version this one does not know.
    #[error("the disk has format version {found}, known is {known}")]
    UnknownFormat {
        /// The version on the disk.
        found: u32,
        /// The one this program writes.
        known: u32,
    },
    /// The identity does not read back as it was written.
    #[error("the identity of the disk is damaged: {reason}")]
    DamagedIdentity {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The disk belongs to another cluster.
    #[error("the disk belongs to cluster {mine}, not to {asked}")]
    ForeignCluster {
        /// The disk's cluster.
        mine: ClusterId,
        /// The cluster that asked.
        asked: ClusterId,
    },
    /// The disk belongs to no cluster yet.
    #[error("the disk belongs to no cluster yet")]
    NotAdopted,
    /// An order of a leader that has been superseded.
    #[error("term {term} is below the fence {fence}")]
    Fenced {
        /// The order's term.
        term: Term,
        /// The highest term the disk knows.
        fence: Term,
    },
    /// The disk took an I/O error on a write and accepts no more.
    #[error("the disk accepts no writes since an I/O error")]
    ReadOnly,
    /// The disk is full, up to its reserve.
    #[error("not enough space: {free_bytes} bytes free, {reserve_bytes} of them in reserve")]
    NoSpace {
        /// Bytes free on the file system.
        free_bytes: u64,
        /// Bytes that chunks may not use.
        reserve_bytes: u64,
    },
    /// Chunks have as many bytes as they may.
    #[error("chunks have {held_bytes} of the {capacity_bytes} bytes that they may")]
    Full {
        /// Bytes of chunk files, those being received included.
        held_bytes: u64,
        /// The most they may have.
        capacity_bytes: u64,
    },
    /// Too many chunks are being received at once.
    #[error("{staged} chunks are being received already")]
    TooManyStaged {
        /// How many.
        staged: usize,
    },
    /// A segment, seal or range that no correct sender sends.
    #[error("chunk {chunk}: {reason}")]
    Invalid {
        /// The chunk.
        chunk: ChunkId,
        /// What is wrong.
        reason: &'static str,
    },
    /// The bytes received do not have the checksum that came with them.
    #[error("chunk {chunk}: the bytes received do not have the announced checksum")]
    ChecksumMismatch {
        /// The chunk.
        chunk: ChunkId,
    },
    /// A seal of another length than was received.
    #[error("chunk {chunk}: sealed with {announced} bytes, received {received} without a gap")]
    LengthMismatch {
        /// The chunk.
        chunk: ChunkId,
        /// What the seal says.
        announced: u64,
        /// Bytes received from the chunk's start.
        received: u64,
    },
    /// Neither staged nor sealed here.
    #[error("chunk {chunk} is not on this disk")]
    ChunkNotFound {
        /// The chunk.
        chunk: ChunkId,
    },
    /// The chunk is sealed already, as something else.
    #[error("chunk {chunk} is sealed already with another content")]
    Conflict {
        /// The chunk.
        chunk: ChunkId,
    },
    /// A block whose checksum does not match its bytes.
    #[error("chunk {chunk}: block {block} is damaged")]
    BadBlock {
        /// The chunk.
        chunk: ChunkId,
        /// The block's number in the chunk.
        block: u64,
    },
    /// A chunk file that is cut, foreign, or does not describe itself: as good as missing.
    #[error("chunk {chunk} is damaged: {reason}")]
    Damaged {
        /// The chunk.
        chunk: ChunkId,
        /// What is wrong with the file.
        reason: &'static str,
    },
    /// The identity says that the disk keeps a metadata log, and it is gone.
    #[error("the metadata log of this disk is gone: {path}")]
    LogMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A record of the metadata log that does not read back.
    #[error("the metadata log of this disk is damaged: {reason}")]
    LogDamaged {
        /// What is wrong.
        reason: String,
    },
    /// The database below the metadata log failed.
    #[error("cannot {operation} the metadata log")]
    Log {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file system failed.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what, below the disk's root.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The stable word for clients, logs and metrics.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked | Self::TooManyStaged { .. } => Code::Busy,
            Self::ForeignCluster { .. } | Self::NotBlank { .. } => Code::ForeignDisk,
            Self::NotAdopted => Code::NotBootstrapped,
            Self::Fenced { .. } => Code::Fenced,
            Self::ReadOnly => Code::ReadOnly,
            Self::NoSpace { .. } | Self::Full { .. } => Code::NoSpace,
            Self::Invalid { .. } => Code::InvalidRequest,
            Self::ChecksumMismatch { .. } => Code::ChecksumMismatch,
            Self::LengthMismatch { .. } => Code::IncompleteBody,
            Self::ChunkNotFound { .. } => Code::ChunkNotFound,
            Self::Conflict { .. } => Code::Conflict,
            Self::BadBlock { .. } | Self::Damaged { .. } => Code::BadBlock,
            Self::Io { source, .. } if out_of_handles(source) => Code::Busy,
            Self::UnknownFormat { .. }
            | Self::DamagedIdentity { .. }
            | Self::LogMissing { .. }
            | Self::LogDamaged { .. }
            | Self::Log { .. }
            | Self::Io { .. } => Code::Internal,
        }
    }

    /// Whether the same call may succeed a little later without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self.code(), Code::Busy)
    }
}

/// Adds to an I/O error what was tried.
pub(crate) fn io_error<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// The file system has no room, or no room for this user.
pub(crate) fn out_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
