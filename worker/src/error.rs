//! Everything that can go wrong in a worker. Knows nothing of HTTP.

use crate::store;
use crate::voter::driver::{VoterEnded, VoterError};
use mdfs_client::link::LinkError;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_protocol::problem::Code;
use mdfs_service::settings::Faults;

/// Why a worker could not do what it was asked, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that cannot work.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// The disk or what is on it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The disk is not open yet, or the worker is stopping.
    #[error("the worker is {doing}")]
    NotReady {
        /// What it is doing instead of serving.
        doing: &'static str,
    },
    /// More requests than threads or buffers, for too long.
    #[error("no {what} became free in time")]
    Busy {
        /// What there is not enough of.
        what: &'static str,
    },
    /// A disk call panicked.
    #[error("a disk call died")]
    CallDied,
    /// The request is meant for another disk.
    #[error("the request is for disk {asked:?}, this is {ours}")]
    WrongDisk {
        /// What the request says.
        asked: Option<String>,
        /// The disk here.
        ours: DiskId,
    },
    /// The request comes from another cluster, or the disk belongs to none.
    #[error("the request is for cluster {asked:?}, the disk belongs to {ours:?}")]
    ForeignCluster {
        /// What the request says.
        asked: Option<String>,
        /// The disk's cluster, if it has one.
        ours: Option<ClusterId>,
    },
    /// Masters refuse the disk.
    #[error("masters refuse this disk: no chunk on it is changed")]
    DiskRefused,
    /// A parameter or header that does not parse or contradicts another.
    #[error("{what}: {why}")]
    Invalid {
        /// Which one.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The caller does not know the cluster key.
    #[error("the request does not show the cluster key")]
    Unauthorized,
    /// The body is longer than this route takes.
    #[error("the body is longer than {most} bytes")]
    TooLarge {
        /// What the route takes.
        most: u64,
    },
    /// The body ended before its announced length.
    #[error("the body ended after {received} of {announced} bytes")]
    IncompleteBody {
        /// Bytes received.
        received: u64,
        /// Bytes announced.
        announced: u64,
    },
    /// The connection broke while the body was received.
    #[error("the body broke off")]
    BodyBroken(#[source] axum::Error),
    /// The asked bytes are not in the chunk.
    #[error("bytes {offset} and {length} after are not in a chunk of {chunk_bytes} bytes")]
    OutOfChunk {
        /// First byte asked for.
        offset: u64,
        /// How many.
        length: u64,
        /// Bytes in the chunk.
        chunk_bytes: u64,
    },
    /// No master has told where this disk is.
    #[error("no address is known for disk {disk}")]
    UnknownDisk {
        /// The disk.
        disk: DiskId,
    },
    /// Another worker did not do its part.
    #[error("disk {disk} did not do its part")]
    Peer {
        /// The other disk.
        disk: DiskId,
        /// What it said; `Unavailable` if it was not reached.
        code: Code,
        /// What became of the call.
        #[source]
        source: LinkError,
    },
    /// Another worker has more or less of a chunk than there should be.
    #[error("disk {disk} has {found} bytes of a chunk of {announced}")]
    PeerDiffers {
        /// The other disk.
        disk: DiskId,
        /// Bytes it has.
        found: u64,
        /// How many there should be.
        announced: u64,
    },
    /// Some bytes of a chunk are good on no disk that was asked.
    #[error("no disk that was asked has good bytes {from} to {to} of chunk {chunk}")]
    NoGoodCopy {
        /// The chunk.
        chunk: ChunkId,
        /// The first of them.
        from: u64,
        /// The first behind them.
        to: u64,
        /// `BadBlock` if they are damaged somewhere; otherwise what the last disk said.
        code: Code,
        /// What was wrong with the last disk.
        #[source]
        source: Option<Box<Error>>,
    },
    /// A master did not answer.
    #[error("master {url} gave no answer that helps")]
    Master {
        /// Its URL.
        url: String,
        /// What it said; `Unavailable` if it was not reached.
        code: Code,
        /// What became of the call.
        #[source]
        source: LinkError,
    },
    /// A master decided against a request that came here.
    #[error("{detail}")]
    Refused {
        /// Its code.
        code: Code,
        /// What it said.
        detail: String,
    },
    /// No master could say what a name stands for.
    #[error("no master can say what this name stands for")]
    NoMaster {
        /// What the last one said.
        #[source]
        source: Option<Box<Error>>,
    },
    /// A stored chunk is not as long as the file's record says.
    #[error("chunk {chunk} has {found} bytes instead of {wanted}")]
    WrongLength {
        /// Which one.
        chunk: ChunkId,
        /// Bytes it has.
        found: u64,
        /// Bytes it should have.
        wanted: u64,
    },
    /// The voter did not answer.
    #[error(transparent)]
    Voter(#[from] VoterError),
    /// The voter stopped because an invariant is broken.
    #[error(transparent)]
    VoterEnded(#[from] VoterEnded),
    /// What the log on the disk holds is not what a voter writes.
    #[error("the metadata log on the disk cannot be used")]
    CorruptLog(#[from] mdfs_core::log::violation::Corrupt),
    /// A message of the log that does not decode or encode.
    #[error("a message of the metadata log does not decode")]
    Message(#[source] postcard::Error),
    /// The listening socket has no address that others could use, and no URL was given.
    #[error("url: needed when listening on every address, as {listening} is")]
    NoUrl {
        /// The socket's address.
        listening: std::net::SocketAddr,
    },
    /// The operating system gave no thread or socket.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A metric is defined twice or wrongly.
    #[error(transparent)]
    Metric(#[from] mdfs_service::metrics::MetricError),
    /// The links to other servers cannot be made.
    #[error("cannot set up connections to other servers")]
    Links(#[source] LinkError),
    /// A task that should run as long as the worker ended by itself.
    #[error("task {name} ended: {reason}")]
    TaskEnded {
        /// Its name.
        name: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Error {
    /// The stable word for clients, logs and metrics.
    pub fn code(&self) -> Code {
        match self {
            Error::Store(error) => error.code(),
            Error::Unauthorized => Code::Unauthorized,
            Error::NotReady { .. } | Error::Busy { .. } => Code::Busy,
            Error::WrongDisk { .. } => Code::WrongDisk,
            Error::ForeignCluster { .. } | Error::DiskRefused => Code::ForeignDisk,
            Error::Invalid { .. } => Code::InvalidRequest,
            Error::Message(_) => Code::InvalidRequest,
            Error::TooLarge { .. } => Code::TooLarge,
            Error::IncompleteBody { .. } | Error::BodyBroken(_) => Code::IncompleteBody,
            Error::OutOfChunk { .. } => Code::RangeNotSatisfiable,
            Error::UnknownDisk { .. } | Error::NoMaster { .. } => Code::Unavailable,
            Error::WrongLength { .. } => Code::DataDamaged,
            Error::PeerDiffers { .. } => Code::Conflict,
            Error::Peer { code, .. }
            | Error::Master { code, .. }
            | Error::Refused { code, .. }
            | Error::NoGoodCopy { code, .. } => *code,
            Error::Voter(VoterError::Busy | VoterError::Stopping) => Code::Busy,
            Error::Voter(VoterError::Failed) => Code::ReadOnly,
            Error::Settings(_)
            | Error::CallDied
            | Error::VoterEnded(_)
            | Error::CorruptLog(_)
            | Error::NoUrl { .. }
            | Error::System { .. }
            | Error::Metric(_)
            | Error::Links(_)
            | Error::TaskEnded { .. } => Code::Internal,
        }
    }
}

/// The causes below an error, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
