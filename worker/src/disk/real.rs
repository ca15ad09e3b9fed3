//! A directory of a file system.

use super::out_of_handles;
use super::{ALIGNMENT, DirEntry, Disk, DiskFile, DiskLock, Metadata, Space, Writes};
use rustix::fs::{Advice, FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::io::{ReadWriteFlags, preadv2};
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shorter writes go through the page cache: a device write of their own is slower.
const LEAST_DIRECT_BYTES: usize = 64 * 1024;

/// A disk that is a directory of a file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    direct: bool,
}

impl RealDisk {
    /// The disk rooted at `root`, which exists. Bulk writes go past the page cache where the file
    /// system lets them, unless `direct` is false.
    pub fn new(root: impl Into<PathBuf>, direct: bool) -> Self {
        Self {
            root: root.into(),
            direct,
        }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// A handle past the page cache. File systems that have none refuse the flag; the cached handle
    /// serves as well.
    fn open_direct(&self, path: &Path, options: &mut OpenOptions) -> Option<File> {
        let flag = i32::try_from(OFlags::DIRECT.bits()).ok()?;
        let opened = self.direct.then(|| options.custom_flags(flag).open(path));
        opened?.ok()
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path, writes: Writes) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.at(path);
        let cached = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let direct = match writes {
            Writes::Bulk => self.open_direct(&path, OpenOptions::new().write(true)),
            Writes::Cached => None,
        };
        Ok(Arc::new(RealFile {
            use_direct: AtomicBool::new(direct.is_some()),
            cached,
            direct,
            reads_direct: false,
        }))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let cached = OpenOptions::new()
            .read(true)
            .write(write)
            .open(self.at(path))?;
        Ok(Arc::new(RealFile {
            cached,
            direct: None,
            use_direct: AtomicBool::new(false),
            reads_direct: false,
        }))
    }

    fn open_bulk(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.at(path);
        let cached = File::open(&path)?;
        // What is not aligned, the end, is read through the page cache: that page and no further.
        let _ = rustix::fs::fadvise(&cached, 0, None, Advice::Random);
        let direct = self.open_direct(&path, OpenOptions::new().read(true));
        Ok(Arc::new(RealFile {
            use_direct: AtomicBool::new(direct.is_some()),
            cached,
            direct,
            reads_direct: true,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.at(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(self.at(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let synced = File::open(self.at(path))?.sync_all();
        // Of a sync that was begun nothing is known, whatever it failed for.
        synced.map_err(|error| match out_of_handles(&error) {
            true => io::Error::other(error),
            false => error,
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.at(path))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => Metadata {
                    is_dir: metadata.is_dir(),
                    len: metadata.len(),
                },
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(DirEntry {
                name: entry.file_name(),
                metadata,
            });
        }
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = std::fs::metadata(self.at(path))?;
        Ok(Metadata {
            is_dir: metadata.is_dir(),
            len: metadata.len(),
        })
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let path = self.at(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

/// An open file, with a second handle past the page cache if it is written or read in bulk.
#[derive(Debug)]
struct RealFile {
    cached: File,
    direct: Option<File>,
    /// Cleared when the device refuses a direct call as misaligned.
    use_direct: AtomicBool,
    /// Whether `direct` is for reading; otherwise it is for writing.
    reads_direct: bool,
}

impl RealFile {
    /// Writes the aligned front of `bytes` past the page cache; how many bytes that were.
    fn write_direct(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let Some(direct) = &self.direct else {
            return Ok(0);
        };
        let front_len = bytes.len() - bytes.len() % ALIGNMENT;
        let aligned =
            bytes.as_ptr().align_offset(ALIGNMENT) == 0 && offset.is_multiple_of(ALIGNMENT as u64);
        if front_len < LEAST_DIRECT_BYTES || !aligned || !self.use_direct.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let front = bytes.get(..front_len).unwrap_or_default();
        match direct.write_all_at(front, offset) {
            Ok(()) => Ok(front_len),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                self.use_direct.store(false, Ordering::Relaxed);
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}

impl RealFile {
    /// Reads the aligned front of `buffer` past the page cache; how many bytes that were.
    fn read_direct(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(direct) = self.direct.as_ref().filter(|_| self.reads_direct) else {
            return Ok(0);
        };
        let front_len = buffer.len() - buffer.len() % ALIGNMENT;
        let aligned =
            buffer.as_ptr().align_offset(ALIGNMENT) == 0 && offset.is_multiple_of(ALIGNMENT as u64);
        if !aligned || !self.use_direct.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let mut done = 0;
        // A short read ends where the file does, or leaves a rest that is not aligned any more.
        while done < front_len && done.is_multiple_of(ALIGNMENT) {
            let Some(rest) = buffer.get_mut(done..front_len) else {
                break;
            };
            match direct.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    self.use_direct.store(false, Ordering::Relaxed);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = self.read_direct(buffer, offset)?;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.cached.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let mut buffers = [io::IoSliceMut::new(buffer)];
        preadv2(&self.cached, &mut buffers, offset, ReadWriteFlags::NOWAIT).ok()
    }

    fn prefetch(&self, offset: u64, length: u64) {
        // Bytes that are in memory need no fetching, and asking for it would cost as much as a read.
        let mut probe = [0];
        let mut probe = [io::IoSliceMut::new(&mut probe)];
        let cached = preadv2(&self.cached, &mut probe, offset, ReadWriteFlags::NOWAIT);
        if cached.is_ok_and(|count| count > 0) {
            return;
        }
        let length = NonZeroU64::new(length);
        // A hint that is not taken costs only time.
        let _ = rustix::fs::fadvise(&self.cached, offset, length, Advice::WillNeed);
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let done = self.write_direct(bytes, offset)?;
        let rest = bytes.get(done..).unwrap_or_default();
        if rest.is_empty() {
            Ok(())
        } else {
            self.cached.write_all_at(rest, offset + done as u64)
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cached.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.cached.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.cached.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.cached, FallocateFlags::KEEP_SIZE, 0, len) {
            Ok(()) => Ok(true),
            // These tell of the disk; all others only that the hint was not taken.
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS)) => {
                Err(error.into())
            }
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::BufferPool;

    #[test]
    fn what_is_read_in_bulk_is_what_was_written_also_at_the_end_and_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..300_001_u32)
            .map(|n| (n % 251).to_le_bytes()[0])
            .collect();
        for direct in [true, false] {
            let disk = RealDisk::new(dir.path(), direct);
            let path = Path::new("file");
            // Not synced: what is in the page cache alone is read as well.
            std::fs::write(dir.path().join(path), &bytes).unwrap();
            let file = disk.open_bulk(path).unwrap();
            for (from, most) in [(0, 262_144), (262_144, 37_857), (65_536, 500_000), (5, 9)] {
                let mut buffer = BufferPool::new(0).get();
                let read = |room: &mut [u8]| file.read_at(room, from as u64);
                let count = buffer.fill_with(most, read).unwrap();
                let want = &bytes[from..bytes.len().min(from + most)];
                assert_eq!((count, &*buffer), (want.len(), want), "{direct} {from}");
            }
        }
        let missing = RealDisk::new(dir.path(), true).open_bulk(Path::new("other"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
