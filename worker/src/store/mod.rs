//! Chunks on a disk: staged, sealed, read, dropped; and who the disk is.
//!
//! Nothing counts as stored before it survives a power cut: bytes and footer are written and
//! synced, the file is renamed to its place, its directory is synced, and only then is it said.
//! Every read verifies every block it touches.

mod cache;
mod capacity;
mod drops;
mod error;
mod footer;
mod held;
mod identity;
mod in_order;
mod layout;
mod marks;
mod mount;
mod read;
mod receiving;
mod scrubbed;
mod seal;
mod staged;

pub use error::{Error, Result};
pub use footer::{footer_read_again, sample_footer};
pub use identity::DiskIdentity;
pub use read::{OpenChunk, Verification};

pub(crate) use layout::{LOG, LOG_STAGED};
pub(crate) use scrubbed::ScrubNote;

use error::io_error;

use crate::disk::{BufferPool, Disk, DiskLock, Space, out_of_handles};
use cache::OpenChunks;
use capacity::HeldBytes;
use error::out_of_space;
use held::Held;
use mdfs_core::chunk::ChunkId;
use mdfs_core::fence;
use mdfs_core::id::{ClusterId, Generation, MountId, Term};
use mdfs_protocol::internal::DiskState;
use receiving::Receiving;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Bytes of the file system that chunks may not use, so that deletes and the metadata log
    /// always find room. None: 5 % of the file system, at least 1 GiB or 10 %, whichever is less.
    pub reserve_bytes: Option<u64>,
    /// Bytes that chunk files may have in all, footers included. None: what the file system has.
    pub capacity_bytes: Option<u64>,
    /// How many chunks may be staged at once.
    pub most_staged: usize,
    /// How long a staged chunk is kept without a new segment.
    pub staged_idle: Duration,
    /// How many sealed chunks are kept open.
    pub most_open: usize,
    /// How many buffers of 1 MiB are kept while nobody uses them.
    pub idle_buffers: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            reserve_bytes: None,
            capacity_bytes: None,
            most_staged: 1024,
            staged_idle: Duration::from_secs(600),
            most_open: 512,
            idle_buffers: 32,
        }
    }
}

/// What a disk has and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What chunks may have in all, in bytes: the file system, or less if that was said.
    pub capacity_bytes: u64,
    /// What chunks may still use: free bytes less the reserve, or less if that was said.
    pub free_bytes: u64,
    /// Sealed chunks, without those known to be damaged as a whole.
    pub chunks: u64,
    /// Bytes in all chunk files, without footers.
    pub chunk_bytes: u64,
    /// Different bad blocks found since the disk was mounted.
    pub bad_blocks: u64,
    /// Chunk files found cut or unreadable since the disk was mounted: as good as missing.
    pub damaged_chunks: u64,
    /// Files on the disk that are none of ours. They are left alone.
    pub foreign_files: u64,
    /// Chunks being received.
    pub staged: u64,
    /// Whether the disk accepts writes.
    pub state: DiskState,
}

/// The chunks of one disk. Cheap to clone; the disk is unlocked when the last clone is dropped.
///
/// All calls block: on an async runtime they belong on a blocking thread. Calls for different
/// chunks run side by side, and so do writes of different segments of one.
#[derive(Clone, Debug)]
pub struct ChunkStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    settings: StoreSettings,
    reserve_bytes: u64,
    mount: MountId,
    identity: Mutex<DiskIdentity>,
    /// Held while the identity is replaced on the disk, so that `identity` need not be.
    identity_change: Mutex<()>,
    failed: AtomicBool,
    staged: Mutex<HashMap<ChunkId, Arc<Receiving>>>,
    open: Mutex<OpenChunks>,
    /// Rises before and after files of sealed chunks go: what was opened across a change is not
    /// kept in `open`.
    removals: AtomicU64,
    /// Read while an order is carried out, written while the fence rises: whoever is answered under
    /// a new fence finds no earlier order still at work.
    orders: RwLock<()>,
    held: Mutex<Held>,
    /// Held while a mark is made or goes, so that `held` need not be.
    marking: Mutex<()>,
    /// It was said that there are as many marks as may be.
    marks_full: AtomicBool,
    dirs: Mutex<Dirs>,
    chunks: AtomicU64,
    chunk_bytes: AtomicU64,
    held_bytes: HeldBytes,
    foreign_files: u64,
    /// Bytes let through that the file system does not count as used yet.
    room_taken: Mutex<u64>,
    pool: BufferPool,
    /// Held for its drop.
    _lock: DiskLock,
}

/// Which directories need no more syncing.
#[derive(Debug, Default)]
struct Dirs {
    /// Those whose own name is durable.
    named: HashSet<PathBuf>,
    /// Those whose names from before the mount are durable: an earlier run may have been killed
    /// between a rename and its sync, and a retry must not be answered from what it sees alone.
    settled: HashSet<PathBuf>,
    /// How often a directory could not be synced although its names had changed.
    missed: u64,
    /// Chunks renamed to their place whose directory then failed to sync: never answered for.
    doubtful: HashSet<ChunkId>,
}

impl ChunkStore {
    /// Who the disk is.
    pub fn identity(&self) -> DiskIdentity {
        *lock(&self.inner.identity)
    }

    /// Names this mount among all of all disks.
    pub fn mount(&self) -> MountId {
        self.inner.mount
    }

    /// Raises the generation, durably, so that a copy of the disk that was taken before shows less.
    ///
    /// # Errors
    /// What the disk says; then it shows what it did.
    pub fn raise_generation(&self) -> Result<()> {
        self.change_identity(|identity| {
            identity.generation = Generation(identity.generation.0.saturating_add(1));
            Ok(())
        })
    }

    /// The disk below.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.inner.disk
    }

    /// Buffers that this store writes without copying.
    pub fn buffers(&self) -> &BufferPool {
        &self.inner.pool
    }

    /// Makes the disk one of `cluster`, durably. Does nothing if it is already.
    ///
    /// # Errors
    /// `ForeignCluster` if it belongs to another one; otherwise what the disk says.
    pub fn adopt(&self, cluster: ClusterId) -> Result<()> {
        self.change_identity(|identity| match identity.cluster {
            Some(mine) if mine != cluster => Err(Error::ForeignCluster {
                mine,
                asked: cluster,
            }),
            _ => {
                identity.cluster = Some(cluster);
                Ok(())
            }
        })
    }

    /// Lets an order of a leader in: raises the fence to its term, durably, before the order is
    /// carried out. Waits for orders of earlier terms that are being carried out.
    ///
    /// # Errors
    /// `Fenced` if a later leader was heard of; otherwise what the disk says.
    pub fn raise_fence(&self, term: Term) -> Result<()> {
        self.change_identity(|identity| {
            identity.fence = identity.obey(term)?;
            Ok(())
        })
    }

    /// Whether an order that was let in may still be carried out.
    ///
    /// # Errors
    /// `Fenced` if a later leader was heard of since.
    pub fn check_fence(&self, term: Term) -> Result<()> {
        self.identity().obey(term).map(drop)
    }

    /// Takes note of the term of a write, durably if it is new. Writes of earlier terms are let in
    /// as well: they add what nothing refers to until a leader says so.
    ///
    /// # Errors
    /// What the disk says.
    pub fn admit_write(&self, term: Term) -> Result<()> {
        self.change_identity(|identity| {
            identity.fence = fence::admit_write(identity.fence, term);
            Ok(())
        })
    }

    /// Notes, durably, that this disk keeps a metadata log from now on.
    pub(crate) fn mark_log_made(&self) -> Result<()> {
        self.change_identity(|identity| {
            identity.has_log = true;
            Ok(())
        })
    }

    fn change_identity(&self, change: impl FnOnce(&mut DiskIdentity) -> Result<()>) -> Result<()> {
        let _changing = lock(&self.inner.identity_change);
        let before = self.identity();
        let mut after = before;
        change(&mut after)?;
        if after == before {
            return Ok(());
        }
        self.check_writable()?;
        let _none_running = (after.fence > before.fence).then(|| {
            self.inner
                .orders
                .write()
                .unwrap_or_else(PoisonError::into_inner)
        });
        after
            .store(&*self.inner.disk)
            .map_err(self.write_failed("replace", Path::new(layout::IDENTITY)))?;
        *lock(&self.inner.identity) = after;
        Ok(())
    }

    /// What the disk has and can do.
    ///
    /// # Errors
    /// The file system does not say how large it is.
    pub fn usage(&self) -> Result<Usage> {
        let space = self.inner.disk.space();
        Ok(self.usage_with(space.map_err(io_error("measure", Path::new("")))?))
    }

    /// The same on a disk with so much room. Waits for no disk.
    pub(crate) fn usage_with(&self, space: Space) -> Usage {
        let inner = &*self.inner;
        let held = inner.held();
        let (bad_blocks, damaged) = (held.bad_blocks(), held.damaged_chunks());
        drop(held);
        Usage {
            capacity_bytes: inner.held_bytes.capacity(space.total),
            free_bytes: space
                .free
                .saturating_sub(inner.reserve_bytes)
                .min(inner.held_bytes.left()),
            chunks: inner.chunks.load(Ordering::Relaxed).saturating_sub(damaged),
            chunk_bytes: inner.chunk_bytes.load(Ordering::Relaxed),
            bad_blocks,
            damaged_chunks: damaged,
            foreign_files: inner.foreign_files,
            staged: lock(&inner.staged).len() as u64,
            state: self.state(),
        }
    }

    /// Whether the disk accepts writes.
    pub fn state(&self) -> DiskState {
        if self.inner.failed.load(Ordering::Acquire) {
            DiskState::ReadOnly
        } else {
            DiskState::Healthy
        }
    }

    /// Ends all writing to this disk until it is mounted again: after a failed write or sync nobody
    /// knows what it has, and a second sync that succeeds would prove nothing.
    pub(crate) fn fail_stop(&self) {
        if !self.inner.failed.swap(true, Ordering::AcqRel) {
            tracing::error!("the disk failed a write: it accepts no more");
        }
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.state() {
            DiskState::Healthy => Ok(()),
            DiskState::ReadOnly => Err(Error::ReadOnly),
        }
    }

    /// What a failed write means: no room, a limit of the process, or the end of all writing.
    fn write_failed<'a>(
        &'a self,
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| {
            if out_of_space(&source) {
                let free_bytes = self.inner.disk.space().map_or(0, |space| space.free);
                return Error::NoSpace {
                    free_bytes,
                    reserve_bytes: self.inner.reserve_bytes,
                };
            }
            if !out_of_handles(&source) {
                tracing::error!(operation, path = %path.display(), error = %source, "disk failed");
                self.fail_stop();
            }
            Error::Io {
                operation,
                path: path.to_owned(),
                source,
            }
        }
    }

    /// A failed sync ends all writing; but for want of space, when the file is given up instead.
    fn sync_failed<'a>(&'a self, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |error| {
            if !out_of_space(&error) {
                self.fail_stop();
            }
            self.write_failed("sync", path)(error)
        }
    }
}

/// No lock is held over a call that can panic, and none guards more than one field.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
