//! Making chunks durable.

use super::error::{Error, Result, io_error};
use super::footer::{Footer, tail_length};
use super::held::{Coming, Seen};
use super::layout::{self, CHUNKS};
use super::staged::Staged;
use super::{ChunkStore, lock};
use crate::disk::{DiskFile, out_of_handles};
use mdfs_core::checksum::{Crc32, block_checksum};
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, SEGMENT_BYTES};
use mdfs_core::name::MAX_NAME_BYTES;
use mdfs_protocol::internal::{Seal, Stored};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl ChunkStore {
    /// Makes a staged chunk durable, if what was received is what the seal says. Once it returns,
    /// the chunk survives a power cut. A chunk sealed already with the same seal gets the same
    /// answer.
    ///
    /// # Errors
    /// `LengthMismatch`, then the staged bytes stay and more may come; `ChecksumMismatch`, then they
    /// are discarded; `Conflict` if it is sealed as something else; `ChunkNotFound` if nothing was
    /// received; `Invalid` for a seal that no chunk has; `NoSpace`, then the staged bytes are given
    /// back; `Damaged` if the disk does not give back what was written; `NotAdopted`, `ReadOnly`;
    /// otherwise what the disk says. In no such case is anything sealed or acknowledged.
    pub fn seal(&self, chunk: ChunkId, seal: &Seal) -> Result<Stored> {
        let (stored, coming) = self.seal_uncounted(chunk, seal)?;
        coming.arrived(seal.length, Seen::Footer);
        Ok(stored)
    }

    /// As [`ChunkStore::seal`], of a chunk that does not count as held before it was verified whole. A
    /// mount counts it as every other.
    pub(crate) fn seal_unread(&self, chunk: ChunkId, seal: &Seal) -> Result<()> {
        self.seal_uncounted(chunk, seal).map(drop)
    }

    fn seal_uncounted(&self, chunk: ChunkId, seal: &Seal) -> Result<(Stored, Coming)> {
        let invalid = |reason| Error::Invalid { chunk, reason };
        if seal.length == 0 || seal.length > seal.chunk_size.bytes() {
            return Err(invalid("a chunk has 1 byte up to the chunk size"));
        }
        if seal.name.len() > MAX_NAME_BYTES {
            return Err(invalid("the name is too long"));
        }
        self.check_writable()?;
        let entry = lock(&self.inner.staged).get(&chunk).map(Arc::clone);
        if let Some(entry) = entry {
            let mut staged = entry.settled();
            if !staged.closed {
                return self.seal_staged(chunk, &mut staged, seal);
            }
        }
        // From the file as it is now: what is kept open may be dropped already.
        let coming = self.inner.coming(chunk);
        let open = match self.open_anew(chunk) {
            Err(Error::Damaged { .. }) => return Err(Error::ChunkNotFound { chunk }),
            open => open?,
        };
        if open.seal() != seal {
            return Err(Error::Conflict { chunk });
        }
        self.settle(chunk)?;
        Ok((open.stored(), coming))
    }

    /// Stores a small chunk at once: one segment, sealed.
    ///
    /// # Errors
    /// As `write_segment` and `seal`; nothing stays behind.
    pub fn store_whole(
        &self,
        chunk: ChunkId,
        bytes: &[u8],
        crc32: Crc32,
        seal: &Seal,
    ) -> Result<Stored> {
        self.write_segment(chunk, 0, bytes, crc32)?;
        let sealed = self.seal(chunk, seal);
        if sealed.is_err() {
            // The error that counts is the first one; the mount removes what this may leave.
            let _ = self.discard_staged(chunk);
        }
        sealed
    }

    fn seal_staged(
        &self,
        chunk: ChunkId,
        staged: &mut Staged,
        seal: &Seal,
    ) -> Result<(Stored, Coming)> {
        // What lies behind is left of a longer try: the seal says what bytes the chunk has.
        let end = seal.length.div_ceil(u64::from(SEGMENT_BYTES));
        if staged.received_before(end) == seal.length {
            staged.segments.split_off(&end);
        }
        let received = staged.received();
        let all: u64 = staged.segments.values().map(|segment| segment.length).sum();
        let Some(file) = staged
            .file
            .clone()
            .filter(|_| received == seal.length && all == received)
        else {
            return Err(Error::LengthMismatch {
                chunk,
                announced: seal.length,
                received,
            });
        };
        let crc32 = staged
            .segments
            .values()
            .fold(Crc32::default(), |crc32, segment| {
                Crc32::combine(crc32, segment.crc32, segment.length)
            });
        if crc32 != seal.crc32 {
            self.close(chunk, staged)?;
            return Err(Error::ChecksumMismatch { chunk });
        }
        let footer = self.footer(chunk, staged, seal)?;
        let replaced = self.file_bytes(&layout::chunk_path(chunk))?;
        if replaced.is_some()
            && let Some(sealed) = self.sealed_before(chunk, staged, seal)?
        {
            return Ok(sealed);
        }
        // Nobody who opened the file that is replaced keeps it open for others.
        let removing = replaced.map(|_| self.removing(chunk.file));
        let coming = self.inner.coming(chunk);
        if let Err(error) = self.put_in_place(chunk, &*file, &footer) {
            if !error.is_transient() {
                // The error that counts is the first one.
                let _ = self.close(chunk, staged);
            }
            return Err(error);
        }
        drop(removing);
        self.inner.replaced(chunk);
        let synced = self.sync_names(&layout::chunk_dir(chunk.file));
        if synced.as_ref().is_err_and(|error| !error.is_transient()) {
            lock(&self.inner.dirs).doubtful.insert(chunk);
        }
        if let Some(file_bytes) = replaced {
            self.uncount(file_bytes);
        }
        self.inner.chunks.fetch_add(1, Ordering::Relaxed);
        self.inner
            .chunk_bytes
            .fetch_add(seal.length, Ordering::Relaxed);
        self.inner.held_bytes.sealed(seal.length);
        // It has its place, whether or not that is durable yet: a retry finds it there, and syncs
        // the directory before it is answered.
        self.forget(chunk, staged);
        synced?;
        let length = seal.length;
        Ok((Stored { length, crc32 }, coming))
    }

    /// What is sealed already of a chunk that was received once more, by one who came at the same time:
    /// it stays, and what was received is thrown away. None if it is damaged, and may be replaced.
    fn sealed_before(
        &self,
        chunk: ChunkId,
        staged: &mut Staged,
        seal: &Seal,
    ) -> Result<Option<(Stored, Coming)>> {
        let coming = self.inner.coming(chunk);
        let open = match self.open_anew(chunk) {
            Ok(_) if self.is_damaged(chunk) => return Ok(None),
            Err(Error::ChunkNotFound { .. } | Error::Damaged { .. }) => return Ok(None),
            open => open?,
        };
        self.close(chunk, staged)?;
        if open.seal() != seal {
            return Err(Error::Conflict { chunk });
        }
        self.settle(chunk)?;
        Ok(Some((open.stored(), coming)))
    }

    fn footer(&self, chunk: ChunkId, staged: &Staged, seal: &Seal) -> Result<Footer> {
        let invalid = |reason| Error::Invalid { chunk, reason };
        let cluster = self.identity().cluster.ok_or(Error::NotAdopted)?;
        let plain: Vec<Crc32> = staged
            .segments
            .values()
            .flat_map(|segment| segment.blocks.iter().copied())
            .collect();
        let mut blocks = Vec::with_capacity(plain.len());
        let mut rest = seal.length;
        for (number, plain) in (0..).zip(plain) {
            let len = u32::try_from(rest.min(u64::from(BLOCK_BYTES)))
                .map_err(|_| invalid("a block is too long"))?;
            blocks.push(block_checksum(chunk.file, chunk.index, number, plain, len));
            rest -= u64::from(len);
        }
        Ok(Footer {
            cluster,
            chunk,
            seal: seal.clone(),
            blocks,
        })
    }

    /// Footer, sync, read-back, rename, and after that the sync of the directory: in this order,
    /// because a crash may come between any two.
    fn put_in_place(&self, chunk: ChunkId, file: &dyn DiskFile, footer: &Footer) -> Result<()> {
        let disk = &self.inner.disk;
        let (staged_path, path) = (layout::staged_path(chunk), layout::chunk_path(chunk));
        let dir = layout::chunk_dir(chunk.file);
        let length = footer.seal.length;
        let tail = footer.encode().ok_or(Error::Invalid {
            chunk,
            reason: "the name is too long",
        })?;
        file.write_at(&tail, length)
            .map_err(self.write_failed("write", &staged_path))?;
        file.set_len(length + tail_length(length))
            .map_err(self.write_failed("cut", &staged_path))?;
        file.sync_data().map_err(self.sync_failed(&staged_path))?;
        self.read_back(chunk, file, footer)?;
        self.ensure_dir(&dir)?;
        disk.rename(&staged_path, &path)
            .map_err(self.write_failed("rename", &staged_path))
    }

    /// Makes the names in a directory for chunks durable.
    pub(super) fn sync_names(&self, dir: &Path) -> Result<()> {
        let missed = lock(&self.inner.dirs).missed;
        if let Err(error) = self.inner.disk.sync_dir(dir) {
            let mut dirs = lock(&self.inner.dirs);
            dirs.missed += 1;
            if out_of_handles(&error) {
                dirs.settled.remove(dir);
            }
            drop(dirs);
            return Err(self.sync_dir_failed(dir)(error));
        }
        // A failed sync is told once: after another one's, this success proves nothing.
        self.check_writable()?;
        let mut dirs = lock(&self.inner.dirs);
        // Otherwise a name may have come behind this sync, whose own did not take place.
        if dirs.missed == missed {
            dirs.settled.insert(dir.to_owned());
        }
        Ok(())
    }

    /// Reads the first block back as the disk has it: what was right in memory may have been
    /// wrong on its way.
    fn read_back(&self, chunk: ChunkId, file: &dyn DiskFile, footer: &Footer) -> Result<()> {
        let path = layout::staged_path(chunk);
        let len = footer.seal.length.min(u64::from(BLOCK_BYTES));
        let Ok(most) = usize::try_from(len) else {
            return Err(Error::ReadOnly);
        };
        let mut buffer = self.inner.pool.get();
        let count = buffer
            .fill_with(most, |room| file.read_at(room, 0))
            .map_err(io_error("read back", &path))?;
        let checksum = u32::try_from(count)
            .map(|len| block_checksum(chunk.file, chunk.index, 0, Crc32::of(&buffer), len));
        if count == most && checksum.ok() == footer.blocks.first().copied() {
            return Ok(());
        }
        tracing::error!(%chunk, "the disk does not give back what was written");
        Err(Error::Damaged {
            chunk,
            reason: "the disk does not give back what was written",
        })
    }

    /// Makes sure that a directory for chunks exists, durably.
    fn ensure_dir(&self, dir: &Path) -> Result<()> {
        let mut dirs = lock(&self.inner.dirs);
        if dirs.named.contains(dir) {
            return Ok(());
        }
        match self.inner.disk.create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.write_failed("create", dir)(error));
            }
            _ => {}
        }
        let parent = Path::new(CHUNKS);
        self.inner
            .disk
            .sync_dir(parent)
            .map_err(self.sync_dir_failed(parent))?;
        dirs.named.insert(dir.to_owned());
        Ok(())
    }

    /// Makes a name that was found on the disk durable, before it is answered for: the run that made
    /// it may have been killed before it could.
    pub(super) fn settle(&self, chunk: ChunkId) -> Result<()> {
        let sealing = lock(&self.inner.staged).get(&chunk).map(Arc::clone);
        if let Some(sealing) = sealing {
            // Its lock is held until its directory is synced.
            drop(sealing.lock());
        }
        let dir = layout::chunk_dir(chunk.file);
        let dirs = lock(&self.inner.dirs);
        if dirs.doubtful.contains(&chunk) {
            return Err(Error::ReadOnly);
        }
        if dirs.settled.contains(&dir) {
            return Ok(());
        }
        drop(dirs);
        self.check_writable()?;
        self.sync_names(&dir)
    }

    /// A directory that cannot be synced ends all writing, even for want of space: its names are in
    /// doubt. One that cannot even be opened, at a limit of the process, is synced by the retry.
    pub(super) fn sync_dir_failed<'a>(
        &'a self,
        dir: &'a Path,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |error| {
            if !out_of_handles(&error) {
                tracing::error!(dir = %dir.display(), %error, "cannot sync a directory");
                self.fail_stop();
            }
            io_error("sync", dir)(error)
        }
    }
}

// A segment's blocks end where blocks of the chunk end, so that they can be counted in a row.
const _: () = assert!(SEGMENT_BYTES.is_multiple_of(BLOCK_BYTES));
