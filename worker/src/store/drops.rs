//! Dropping chunks, durably, as leaders order it.

use super::error::{Result, io_error};
use super::footer::{chunk_length, tail_length};
use super::layout;
use super::{ChunkStore, Inner, lock};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{FileId, Term};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl ChunkStore {
    /// Carries out a leader's order to drop a file: raises the fence to its term, durably, then does
    /// as [`ChunkStore::drop_file`]. No order of a later leader is answered in between.
    ///
    /// # Errors
    /// `Fenced` if a later leader was heard of; otherwise as `drop_file`.
    pub fn drop_for(&self, term: Term, file: FileId) -> Result<u64> {
        self.obey(term, || self.drop_file(file))
    }

    /// Carries out a leader's order to drop chunks, as [`ChunkStore::drop_for`] does for a file.
    ///
    /// # Errors
    /// `Fenced` if a later leader was heard of; otherwise as `drop_chunks`.
    pub fn drop_chunks_for(&self, term: Term, chunks: &[ChunkId]) -> Result<u64> {
        self.obey(term, || self.drop_chunks(chunks))
    }

    fn obey<T>(&self, term: Term, order: impl FnOnce() -> Result<T>) -> Result<T> {
        self.raise_fence(term)?;
        let _running = self
            .inner
            .orders
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        self.check_fence(term)?;
        order()
    }

    /// Removes all chunks of a file, sealed and staged, durably. How many were sealed.
    ///
    /// # Errors
    /// `ReadOnly`; otherwise what the disk says; then some may be gone and some not.
    pub fn drop_file(&self, file: FileId) -> Result<u64> {
        self.check_writable()?;
        let staged: Vec<_> = lock(&self.inner.staged)
            .keys()
            .filter(|chunk| chunk.file == file)
            .copied()
            .collect();
        for chunk in staged {
            self.discard_staged(chunk)?;
        }
        let disk = &self.inner.disk;
        let dir = layout::chunk_dir(file);
        let entries = match disk.list(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let marked = self.inner.held().marks_of(file);
                marked.into_iter().for_each(|chunk| self.unmark(chunk));
                return Ok(0);
            }
            Err(error) => return Err(io_error("list", &dir)(error)),
        };
        let mut removed = 0;
        let removing = self.removing(file);
        for entry in entries {
            let chunk = layout::parse_chunk_name(&entry.name).filter(|chunk| chunk.file == file);
            let Some(chunk) = chunk else { continue };
            removed += self.remove(chunk, &dir.join(&entry.name), entry.metadata.len)?;
        }
        drop(removing);
        let settled = lock(&self.inner.dirs).settled.contains(&dir);
        let marked = self.inner.held().marks_of(file);
        // Whoever removed what is marked may not have got so far, and no mark goes before that.
        if removed > 0 || !settled || !marked.is_empty() {
            self.sync_names(&dir)?;
        }
        marked.into_iter().for_each(|chunk| self.unmark(chunk));
        Ok(removed)
    }

    /// Removes these chunks, sealed and staged, durably; those that are not there are no error. How
    /// many were sealed.
    ///
    /// # Errors
    /// As `drop_file`.
    pub fn drop_chunks(&self, chunks: &[ChunkId]) -> Result<u64> {
        self.check_writable()?;
        let mut by_dir = BTreeMap::<_, Vec<_>>::new();
        for &chunk in chunks {
            self.discard_staged(chunk)?;
            let here = by_dir.entry(layout::chunk_dir(chunk.file)).or_default();
            here.push(chunk);
        }
        let mut removed = 0;
        for (dir, chunks) in by_dir {
            for &chunk in &chunks {
                let coming = self.inner.coming(chunk);
                let path = layout::chunk_path(chunk);
                let removing = self.removing(chunk.file);
                match self.file_bytes(&path)? {
                    Some(file_bytes) => removed += self.remove(chunk, &path, file_bytes)?,
                    None => coming.found_absent(),
                }
                drop(removing);
            }
            // Also if nothing was there: whoever removed it may not have got so far.
            if self.file_bytes(&dir)?.is_some() {
                self.sync_names(&dir)?;
            }
            chunks.into_iter().for_each(|chunk| self.unmark(chunk));
        }
        Ok(removed)
    }

    /// Bytes in what has this name; none if nothing has.
    pub(super) fn file_bytes(&self, path: &Path) -> Result<Option<u64>> {
        match self.inner.disk.metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("look at", path)(error)),
        }
    }

    /// Removes the file of a sealed chunk. How many it was: none if another one was faster.
    fn remove(&self, chunk: ChunkId, path: &Path, file_bytes: u64) -> Result<u64> {
        match self.inner.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.write_failed("remove", path)(error)),
            Ok(()) => {
                self.uncount(file_bytes);
                self.inner.gone(chunk);
                Ok(1)
            }
        }
    }

    /// To be held while files of sealed chunks of a file go or are replaced.
    pub(super) fn removing(&self, file: FileId) -> Removing<'_> {
        self.inner.removals.fetch_add(1, Ordering::SeqCst);
        Removing {
            inner: &self.inner,
            file,
        }
    }

    pub(super) fn uncount(&self, file_bytes: u64) {
        self.uncount_bytes(chunk_length(file_bytes).unwrap_or(0), file_bytes);
    }

    /// A chunk of that many bytes is not there any more.
    pub(super) fn uncount_chunk(&self, length: u64) {
        self.uncount_bytes(length, length + tail_length(length));
    }

    fn uncount_bytes(&self, length: u64, file_bytes: u64) {
        self.inner.held_bytes.gone(file_bytes);
        // One that vanishes while it is dropped may be counted twice: a figure too low by one, never
        // one below zero.
        let less = |by: u64| move |count: u64| Some(count.saturating_sub(by));
        let (relaxed, inner) = (Ordering::Relaxed, &self.inner);
        let _ = inner.chunks.fetch_update(relaxed, relaxed, less(1));
        let _ = inner
            .chunk_bytes
            .fetch_update(relaxed, relaxed, less(length));
    }
}

/// While it is held, nobody who opened one of the file's chunks keeps it open for others; those kept
/// are closed at the end, also of an attempt that failed.
pub(super) struct Removing<'a> {
    inner: &'a Inner,
    file: FileId,
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.inner.removals.fetch_add(1, Ordering::SeqCst);
        lock(&self.inner.open).remove_file(self.file);
    }
}
