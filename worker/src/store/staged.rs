//! Chunks being received, segment by segment.

use super::error::{Error, Result, io_error};
use super::receiving::{Receiving, Writing};
use super::{ChunkStore, layout, lock};
use crate::disk::{DiskFile, Writes};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, ChunkSize, SEGMENT_BYTES};
use mdfs_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

const SEGMENT: u64 = SEGMENT_BYTES as u64;

/// How much of a chunk of more than one segment is allocated at once.
const ALLOCATED: u64 = 16 * SEGMENT;

/// A chunk being received. What it says it received is in the file, though not durable.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Made with the first segment.
    pub(super) file: Option<Arc<dyn DiskFile>>,
    /// What was received, by the segment's number.
    pub(super) segments: BTreeMap<u64, Segment>,
    /// The numbers of segments on their way to the disk: of these it has neither the old bytes nor
    /// the new ones.
    pub(super) writing: BTreeSet<u64>,
    /// Up to here the file system has set room apart for the file.
    granted: u64,
    /// What each segment is counted as among all that chunks may have.
    pub(super) counted: BTreeMap<u64, u64>,
    /// Sealed or discarded: whoever waited for it must look again.
    pub(super) closed: bool,
    /// Got a segment since the last sweep.
    touched: bool,
    /// When a sweep first found it without a new segment.
    idle_since: Option<Timestamp>,
}

/// Room on the file system for bytes that it does not count yet; given back when dropped.
struct Room<'a> {
    taken: &'a Mutex<u64>,
    length: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut taken = lock(self.taken);
        *taken = taken.saturating_sub(self.length);
    }
}

/// A received segment, whose bytes were hashed once, when they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Bytes in it.
    pub(super) length: u64,
    /// Their checksum.
    pub(super) crc32: Crc32,
    /// The checksum of each of its blocks, of the bytes alone.
    pub(super) blocks: Vec<Crc32>,
}

impl Segment {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut crc32 = Crc32::default();
        let mut blocks = Vec::with_capacity(bytes.len().div_ceil(BLOCK_BYTES as usize));
        for block in bytes.chunks(BLOCK_BYTES as usize) {
            let block_crc = Crc32::of(block);
            crc32 = Crc32::combine(crc32, block_crc, block.len() as u64);
            blocks.push(block_crc);
        }
        Self {
            length: bytes.len() as u64,
            crc32,
            blocks,
        }
    }
}

impl Staged {
    /// Bytes received from the chunk's start without a gap.
    pub(super) fn received(&self) -> u64 {
        self.received_before(u64::MAX)
    }

    /// The same of the segments before number `end` alone.
    pub(super) fn received_before(&self, end: u64) -> u64 {
        let mut received = 0;
        for (number, segment) in self.segments.range(..end) {
            if received != number * SEGMENT {
                break;
            }
            received += segment.length;
        }
        received
    }
}

impl ChunkStore {
    /// Stores one segment of a chunk and says how many bytes of the chunk were received from its
    /// start without a gap. Not durable before `seal`.
    ///
    /// Segments start at multiples of `SEGMENT_BYTES`, come in any order and may come twice; a
    /// later one replaces an earlier one. A chunk sealed already takes nothing and answers with its
    /// length; but one with a damaged block, as far as is known, is received anew, and replaced once
    /// the new one is sealed. Bytes from `buffers` are written without copying.
    ///
    /// # Errors
    /// `Invalid` for an offset or length that no segment has; `ChecksumMismatch`, then nothing was
    /// stored; `NoSpace` or `Full`, then the chunk's staged bytes are given back; `TooManyStaged`,
    /// `NotAdopted`, `ReadOnly`; otherwise what the disk says.
    pub fn write_segment(
        &self,
        chunk: ChunkId,
        offset: u64,
        bytes: &[u8],
        crc32: Crc32,
    ) -> Result<u64> {
        let invalid = |reason| Error::Invalid { chunk, reason };
        let length = bytes.len() as u64;
        if !offset.is_multiple_of(SEGMENT) {
            return Err(invalid("a segment starts at a multiple of 1 MiB"));
        }
        if length == 0 || length > SEGMENT {
            return Err(invalid("a segment has 1 byte to 1 MiB"));
        }
        if offset
            .checked_add(length)
            .is_none_or(|end| end > ChunkSize::MAX.bytes())
        {
            return Err(invalid("a chunk has at most 1 GiB"));
        }
        self.check_writable()?;
        if self.identity().cluster.is_none() {
            return Err(Error::NotAdopted);
        }
        let segment = Segment::of(bytes);
        if segment.crc32 != crc32 {
            return Err(Error::ChecksumMismatch { chunk });
        }
        loop {
            let Some(receiving) = self.staged_or_new(chunk)? else {
                return Ok(self.open_chunk(chunk)?.len());
            };
            let put = self.put_segment(chunk, &receiving, offset, bytes, &segment);
            let mut staged = receiving.lock();
            if staged.closed {
                // What was written went with it.
                continue;
            }
            if let Err(error) = put {
                let is_empty = staged.segments.is_empty() && staged.writing.is_empty();
                if is_empty || matches!(error, Error::NoSpace { .. } | Error::Full { .. }) {
                    // The error that counts is the first one.
                    let _ = self.close(chunk, &mut staged);
                }
                return Err(error);
            }
            return Ok(staged.received());
        }
    }

    /// The entry of a chunk that is not sealed, made if need be.
    fn staged_or_new(&self, chunk: ChunkId) -> Result<Option<Arc<Receiving>>> {
        if let Some(entry) = lock(&self.inner.staged).get(&chunk) {
            return Ok(Some(Arc::clone(entry)));
        }
        match self.open_chunk(chunk) {
            Ok(open) if !open.is_damaged() => return Ok(None),
            Ok(_) => {}
            // A damaged chunk is as good as missing: a good one may take its place.
            Err(Error::ChunkNotFound { .. } | Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut map = lock(&self.inner.staged);
        let count = map.len();
        if count >= self.inner.settings.most_staged && !map.contains_key(&chunk) {
            return Err(Error::TooManyStaged { staged: count });
        }
        Ok(Some(Arc::clone(map.entry(chunk).or_default())))
    }

    /// Writes one segment and takes note of it; does nothing for a chunk closed meanwhile.
    fn put_segment(
        &self,
        chunk: ChunkId,
        receiving: &Receiving,
        offset: u64,
        bytes: &[u8],
        segment: &Segment,
    ) -> Result<()> {
        let number = offset / SEGMENT;
        let mut staged = receiving.wait_while(|staged| staged.writing.contains(&number));
        if staged.closed {
            return Ok(());
        }
        staged.touched = true;
        if staged.segments.get(&number) == Some(segment) {
            return Ok(());
        }
        self.count_staged(&mut staged, number, segment.length)?;
        let path = layout::staged_path(chunk);
        let end = offset + segment.length;
        // Held until the file system counts the bytes itself.
        let _room = if end > staged.granted {
            Some(self.take_room(segment.length)?)
        } else {
            None
        };
        let file = match &staged.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(staged.file.insert(self.create_staged(&path)?)),
        };
        if offset % ALLOCATED == SEGMENT {
            let up_to = offset - SEGMENT + ALLOCATED;
            staged.granted = self.allocate(&*file, &path, &staged, segment.length, up_to)?;
        }
        staged.segments.remove(&number);
        staged.writing.insert(number);
        drop(staged);
        let _writing = Writing::new(receiving, number);
        file.write_at(bytes, offset)
            .map_err(self.write_failed("write", &path))?;
        receiving.lock().segments.insert(number, segment.clone());
        Ok(())
    }

    fn create_staged(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let disk = &self.inner.disk;
        match disk.create(path, Writes::Bulk) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a chunk that could not be discarded.
                disk.remove(path)
                    .map_err(self.write_failed("remove", path))?;
                disk.create(path, Writes::Bulk)
            }
            created => created,
        }
        .map_err(self.write_failed("create", path))
    }

    /// Has the file system give a file its room up to `up_to`, so that it lies in few pieces; sealing
    /// gives back what was too much. Left out where it would use what is kept in reserve. Up to
    /// where the file has its room; `length` bytes of it are taken already.
    fn allocate(
        &self,
        file: &dyn DiskFile,
        path: &Path,
        staged: &Staged,
        length: u64,
        up_to: u64,
    ) -> Result<u64> {
        let written: u64 = staged.segments.values().map(|segment| segment.length).sum();
        let has = written.max(staged.granted).saturating_add(length);
        if up_to.saturating_sub(has) > self.inner.held_bytes.left() {
            return Ok(staged.granted);
        }
        let _room = match self.take_room(up_to.saturating_sub(has)) {
            Ok(room) => room,
            Err(Error::NoSpace { .. }) => return Ok(staged.granted),
            Err(error) => return Err(error),
        };
        let granted = file
            .allocate(up_to)
            .map_err(self.write_failed("allocate", path))?;
        Ok(if granted {
            up_to.max(staged.granted)
        } else {
            staged.granted
        })
    }

    /// Sets room apart for bytes about to be written, so that those who write at the same time do
    /// not use the reserve together.
    fn take_room(&self, length: u64) -> Result<Room<'_>> {
        let reserve_bytes = self.inner.reserve_bytes;
        let mut taken = lock(&self.inner.room_taken);
        let free_bytes = self
            .inner
            .disk
            .space()
            .map_err(io_error("measure", Path::new("")))?
            .free
            .saturating_sub(*taken);
        if free_bytes.saturating_sub(length) < reserve_bytes {
            return Err(Error::NoSpace {
                free_bytes,
                reserve_bytes,
            });
        }
        *taken += length;
        Ok(Room {
            taken: &self.inner.room_taken,
            length,
        })
    }

    /// How many bytes of a chunk were received from its start without a gap; its length if it is
    /// sealed; none if nothing is known of it.
    pub fn received(&self, chunk: ChunkId) -> Option<u64> {
        let entry = lock(&self.inner.staged).get(&chunk).map(Arc::clone);
        if let Some(receiving) = entry {
            let staged = receiving.lock();
            if !staged.closed {
                return Some(staged.received());
            }
        }
        self.open_chunk(chunk).ok().map(|open| open.len())
    }

    /// Forgets a chunk being received and gives its space back. Sealed chunks stay.
    ///
    /// # Errors
    /// What the disk says.
    pub fn discard_staged(&self, chunk: ChunkId) -> Result<()> {
        let entry = lock(&self.inner.staged).get(&chunk).map(Arc::clone);
        let Some(entry) = entry else { return Ok(()) };
        let mut staged = entry.lock();
        if staged.closed {
            Ok(())
        } else {
            self.close(chunk, &mut staged)
        }
    }

    /// Ends a staged chunk whose lock is held: removes its file and forgets it.
    pub(super) fn close(&self, chunk: ChunkId, staged: &mut Staged) -> Result<()> {
        let removed = match staged.file.take() {
            Some(_) if self.check_writable().is_ok() => {
                let path = layout::staged_path(chunk);
                self.inner
                    .disk
                    .remove(&path)
                    .map_err(self.write_failed("remove", &path))
            }
            _ => Ok(()),
        };
        self.forget(chunk, staged);
        removed
    }

    /// Takes a staged chunk whose lock is held out of the table, whatever became of its file.
    pub(super) fn forget(&self, chunk: ChunkId, staged: &mut Staged) {
        staged.closed = true;
        self.inner.held_bytes.closed(staged);
        lock(&self.inner.staged).remove(&chunk);
    }

    /// Discards chunks that got no segment for the idle time. To be called every minute or so, with
    /// the monotonic time.
    pub fn sweep(&self, now: Timestamp) {
        let entries: Vec<_> = lock(&self.inner.staged)
            .iter()
            .map(|(chunk, entry)| (*chunk, Arc::clone(entry)))
            .collect();
        for (chunk, entry) in entries {
            // One that is being written to or sealed is not idle.
            let Some(mut staged) = entry.try_lock() else {
                continue;
            };
            if std::mem::take(&mut staged.touched) || !staged.writing.is_empty() {
                staged.idle_since = Some(now);
            }
            let idle_since = *staged.idle_since.get_or_insert(now);
            if now.since(idle_since) < self.inner.settings.staged_idle || staged.closed {
                continue;
            }
            tracing::info!(%chunk, "discarding a chunk that is no longer being received");
            if let Err(error) = self.close(chunk, &mut staged) {
                tracing::warn!(%chunk, %error, "cannot discard a staged chunk");
            }
        }
    }
}
