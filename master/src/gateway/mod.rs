//! The gateway: moves file bytes between clients and workers. Decides nothing about metadata.
//!
//! A read goes on at another copy, at the exact byte, when a worker fails. A write replaces a
//! holder that fails. File bytes pass through here and nowhere else in a master.

mod again;
mod chain;
mod chunk;
mod commit;
mod memory;
mod peers;
mod read;
mod replies;
mod scrub;
mod segments;
mod session;
mod source;
mod store;
mod turns;
mod verify;

pub use read::{Piece, ReadBody, ReadError};
pub use session::{PutChunk, Whole};
pub use store::{Expected, StoreError, Upload};

use crate::error::Error;
use crate::leader::command::{FileInfo, FileView};
use crate::leader::handle::LeaderHandle;
use axum::body::Body;
use mdfs_client::link::{Behalf, Links};
use mdfs_core::id::FileId;
use mdfs_core::records::Holder;
use mdfs_protocol::public::{Scrubs, StoredChunk, Task, Verified, VerifiedCopy, Workers};
use mdfs_service::settings::Setting;
use mdfs_service::{Chance, Clock, Machine, Tasks};
use memory::SiteMemory;
use peers::Peers;
use session::Storing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use turns::Turns;

/// How much a gateway bears, and how long it waits for workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Reads at a time, half of them by one holder; each keeps about 1 MiB in memory.
    pub reads: usize,
    /// Uploads at a time, half of them by one holder; each keeps about 3 MiB in memory.
    pub uploads: usize,
    /// Uploads that may keep 2 MiB more, to be faster.
    pub fast_uploads: usize,
    /// How long a request waits for its turn before it is told that the server is busy.
    pub turn: Duration,
    /// Without the first byte of a chunk from a worker, before another copy is asked as well.
    pub first_byte: Duration,
    /// Without a byte in the middle of a chunk while one is waited for, before another copy is
    /// asked as well.
    pub stall: Duration,
    /// In which some copy must give a byte before a read fails: a worker that restarts is waited
    /// for.
    pub patience: Duration,
    /// For how long a worker that failed or was slow is asked after all others.
    pub grudge: Duration,
    /// In which a worker must have taken a segment and passed it on.
    pub segment: Duration,
    /// In which a worker must have made a chunk of 64 MiB durable, or copied it; larger ones get
    /// more, in proportion.
    pub seal: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: 1024,
            uploads: 256,
            fast_uploads: 3,
            turn: Duration::from_secs(10),
            first_byte: Duration::from_millis(300),
            stall: Duration::from_millis(500),
            patience: Duration::from_secs(10),
            grudge: Duration::from_secs(5),
            segment: Duration::from_secs(5),
            seal: Duration::from_secs(30),
        }
    }
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Limits {
    /// What each limit may be.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::count("max_reads", |c| Some(c.reads.into()), 1, 65_536),
        Setting::count("max_writes", |c| Some(c.uploads.into()), 1, 65_536),
        Setting::count("fast_writes", |c| Some(c.fast_uploads.into()), 0, 65_536),
        Setting::span("queue_wait", |c| Some(c.turn.into()), MILLI, HOUR),
        Setting::span(
            "read_first_byte",
            |c| Some(c.first_byte.into()),
            MILLI,
            HOUR,
        ),
        Setting::span("read_stall", |c| Some(c.stall.into()), MILLI, HOUR),
        Setting::span("read_patience", |c| Some(c.patience.into()), SECOND, HOUR),
        Setting::span(
            "worker_avoid",
            |c| Some(c.grudge.into()),
            Duration::ZERO,
            HOUR,
        ),
        Setting::span("segment_within", |c| Some(c.segment.into()), SECOND, HOUR),
        Setting::span("seal_within", |c| Some(c.seal.into()), SECOND, HOUR),
    ];
}

/// Moves file bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// What all reads and uploads share.
#[derive(Debug)]
struct Shared {
    leader: LeaderHandle,
    peers: Peers,
    clock: Clock,
    chance: Chance,
    tasks: Tasks,
    limits: Limits,
    memory: SiteMemory,
    reads: Turns,
    uploads: Turns,
    /// What uploads may have under way beyond their due.
    spare_window: Semaphore,
    /// Chunks of sessions that have come whole and are about to be durable.
    storing: Storing,
}

impl Gateway {
    /// A gateway that asks `leader` where bytes are and moves them over `links`.
    pub fn new(
        leader: LeaderHandle,
        links: Links,
        machine: impl Into<Machine>,
        tasks: Tasks,
        limits: Limits,
    ) -> Self {
        let Machine { clock, chance, .. } = machine.into();
        let shared = Shared {
            leader,
            peers: Peers::new(links),
            memory: SiteMemory::new(limits.grudge),
            clock,
            chance,
            tasks,
            limits,
            reads: Turns::new(limits.reads, limits.turn),
            uploads: Turns::new(limits.uploads, limits.turn),
            spare_window: Semaphore::new(limits.fast_uploads * store::WINDOW_SPARE as usize),
            storing: Storing::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sends pieces of a file, and texts between them, in order. Returns when the first byte of
    /// the file is at hand, so that what goes wrong before has a status of its own.
    ///
    /// # Errors
    /// [`Error::DataDamaged`] if every copy of the first bytes is damaged, [`Error::Unavailable`]
    /// if none can be reached for as long as [`Limits::patience`], [`Error::Busy`] at the limit.
    ///
    /// # Cancel safety
    /// Dropping the future or the body ends the requests to workers.
    pub async fn read(
        &self,
        view: FileView,
        pieces: Vec<Piece>,
        holder: Holder,
    ) -> Result<ReadBody, Error> {
        let turn = self.shared.reads.take(holder).await?;
        ReadBody::start(Arc::clone(&self.shared), view, pieces, turn).await
    }

    /// Stores a file from a request's body. All copies are durable when it returns.
    ///
    /// # Errors
    /// See [`StoreError`]. Nothing of the upload is visible then, and its space is given back.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the upload running in a task of its own, until it is committed
    /// or the body breaks off; in the latter case it is aborted.
    pub async fn store(
        &self,
        upload: Upload,
        body: Body,
        holder: Holder,
    ) -> Result<FileInfo, StoreError> {
        let turn = self.shared.uploads.take(holder).await?;
        let shared = Arc::clone(&self.shared);
        let work = Behalf::present().run(async move {
            let _turn = turn;
            store::run(&shared, upload, body).await
        });
        let running = self.shared.tasks.spawn_request("upload", work);
        running.await.map_err(|error| ended("upload", &error))?
    }

    /// Stores a chunk of a session. All its copies are durable, and it is recorded, when it returns.
    ///
    /// # Errors
    /// See [`StoreError`]. What was received of the chunk is of no use then, and in no way.
    ///
    /// # Cancel safety
    /// As [`Gateway::store`]: a chunk that has come whole is stored.
    pub async fn put_chunk(
        &self,
        put: PutChunk,
        body: Body,
        holder: Holder,
    ) -> Result<StoredChunk, StoreError> {
        let turn = self.shared.uploads.take(holder).await?;
        let shared = Arc::clone(&self.shared);
        let work = Behalf::present().run(async move {
            let _turn = turn;
            session::put_chunk(&shared, put, body).await
        });
        let running = self.shared.tasks.spawn_request("chunk", work);
        running.await.map_err(|error| ended("chunk", &error))?
    }

    /// The chunks of a session that have come whole here and are about to be durable.
    pub fn storing(&self, file: FileId) -> Vec<u32> {
        self.shared.storing.of(file)
    }

    /// Makes a session a file, if it is `whole`. Makes sure before that all copies of all chunks are
    /// there, and has those made that are not. Repeated, it gives the first answer.
    ///
    /// # Errors
    /// See [`StoreError`]; the session is open still.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the commit running in a task of its own.
    pub async fn commit(
        &self,
        file: FileId,
        whole: Whole,
        holder: Holder,
    ) -> Result<FileInfo, StoreError> {
        let turn = self.shared.uploads.take(holder).await?;
        let shared = Arc::clone(&self.shared);
        let work = Behalf::present().run(async move {
            let _turn = turn;
            session::commit(&shared, file, whole).await
        });
        let running = self.shared.tasks.spawn_request("commit", work);
        running.await.map_err(|error| ended("commit", &error))?
    }

    /// Has every worker read its copies of a file, and says what they found. A copy found damaged
    /// is mended by and by.
    ///
    /// # Errors
    /// [`Error::Busy`] at the limit of reads.
    pub async fn verify(&self, view: &FileView, holder: Holder) -> Result<Verified, Error> {
        let _turn = self.shared.reads.take(holder).await?;
        Ok(verify::verify(&self.shared, view, None).await)
    }

    /// As [`verify`](Self::verify), and says of each copy what its worker found: in the order of chunks, and
    /// then of those that were looked for once more.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    ///
    /// # Cancel safety
    /// May be dropped: nothing more is read then.
    pub async fn verify_aloud(
        &self,
        view: &FileView,
        holder: Holder,
        lines: mpsc::Sender<VerifiedCopy>,
    ) -> Result<Verified, Error> {
        let _turn = self.shared.reads.take(holder).await?;
        Ok(verify::verify(&self.shared, view, Some(&lines)).await)
    }

    /// Has these workers read everything they hold, or with `begin` false says how far they are.
    pub async fn scrub(&self, workers: Workers, begin: bool) -> Scrubs {
        scrub::scrub(&self.shared, workers, begin).await
    }

    /// The way to workers and other masters.
    pub(crate) fn links(&self) -> &Links {
        self.shared.peers.links()
    }

    /// The scrubs that are under way.
    pub async fn scrub_tasks(&self, workers: Workers) -> Vec<Task> {
        scrub::tasks(&self.shared, workers).await
    }
}

fn ended(name: &'static str, error: &tokio::task::JoinError) -> Error {
    Error::TaskEnded {
        name,
        reason: error.to_string(),
    }
}
