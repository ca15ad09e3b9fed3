//! The disk as the worker sees it: few calls, because their order decides what survives a crash.
//!
//! `RealDisk` is a directory of a file system. Tests put a disk in its place that keeps what the
//! process sees apart from what a power cut leaves, and that fails on demand. Everything the worker
//! stores, the metadata log below its database included, goes through here.

mod buffer;
mod real;

pub use buffer::{ALIGNMENT, AlignedBuffer, BufferPool};
pub use real::RealDisk;

use std::any::Any;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a new file will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Small and few: through the page cache.
    Cached,
    /// Large and in sequence: past the page cache where the file system and the alignment allow it,
    /// so that uploads do not evict what is being read.
    Bulk,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name within the directory.
    pub name: OsString,
    /// What it names.
    pub metadata: Metadata,
}

/// What is known of a file or directory without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes in it, for a file.
    pub len: u64,
}

/// Room on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system in bytes.
    pub total: u64,
    /// Bytes that may still be written.
    pub free: u64,
}

/// A lock on the disk, given back when dropped or when the process ends.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// A directory tree with explicit durability. Paths are relative to its root.
///
/// All calls block: on an async runtime they belong on a blocking thread. File bytes are durable
/// once `DiskFile::sync_data` returned; names (made, renamed or removed) once `sync_dir` of their
/// directory returned. Until then a crash may keep them or not.
pub trait Disk: Debug + Send + Sync {
    /// Makes a new file, open for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; otherwise what the file system says.
    fn create(&self, path: &Path, writes: Writes) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file, for reading only unless `write`.
    ///
    /// # Errors
    /// `NotFound` if there is none; otherwise what the file system says.
    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading all of it once: past the page cache where the file system and the
    /// alignment allow it, so that nothing is evicted and the disk itself is read.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn open_bulk(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path, false)
    }

    /// Gives `from` the name `to`, in one step, replacing what had it.
    ///
    /// # Errors
    /// What the file system says; then `to` is what it was.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Those who have it open may go on reading.
    ///
    /// # Errors
    /// `NotFound` if there is none; otherwise what the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory whose parent exists.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; otherwise what the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable as they are. The root is the empty path.
    ///
    /// # Errors
    /// A limit of the process, see [`out_of_handles`], before anything was tried: then a later call
    /// does what this one should have done. Otherwise what the file system says; then nothing is
    /// known about what a crash would leave.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// What `path` names.
    ///
    /// # Errors
    /// `NotFound` if there is nothing; otherwise what the file system says.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Room on the file system.
    ///
    /// # Errors
    /// What the file system says.
    fn space(&self) -> io::Result<Space>;

    /// Takes the lock that `path` stands for, making that file if there is none. Does not wait.
    ///
    /// # Errors
    /// `WouldBlock` if somebody has it, in this process or another.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads from `offset` until `buffer` is full or the file ends; how many bytes that were.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads from `offset` what is in memory already, without waiting for the disk; how many bytes
    /// that were. None where nothing is, or the file system cannot tell.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let _ = (buffer, offset);
        None
    }

    /// Says that these bytes will be read soon, so that the system may fetch them meanwhile. A hint:
    /// does nothing where the file system cannot.
    fn prefetch(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }

    /// Writes all of `bytes` at `offset`, extending the file when needed.
    ///
    /// # Errors
    /// What the file system says; then any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes bytes and length durable, not the name.
    ///
    /// # Errors
    /// What the file system says. The bytes then count as lost, even if a second call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file or extends it with zeros, and gives back what was allocated behind its end.
    ///
    /// # Errors
    /// What the file system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// What the file system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reserves room up to `len` bytes without changing the file's length, and says whether that
    /// was done. A hint: does nothing where the file system cannot.
    ///
    /// # Errors
    /// `StorageFull` or `QuotaExceeded` if there is no room; otherwise what the disk failed with.
    fn allocate(&self, len: u64) -> io::Result<bool>;
}

/// Whether a call failed at a limit of the process or a shortage of memory, which says nothing
/// about the disk.
pub fn out_of_handles(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
