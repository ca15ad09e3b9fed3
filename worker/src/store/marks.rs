//! Which chunks were found damaged, kept on the disk so that a mount does not take them for good.
//!
//! A mark is an empty file named as the chunk. One more costs a name, however many there are, and
//! none can be torn. A mark is durable before the leader hears of the damage, and goes only after
//! what it speaks of went durably: a crash may leave one that is too old, never one too few. So what
//! was marked before the mount counts as damaged, and is looked at once more.

use super::error::{Error, Result, io_error, out_of_space};
use super::held::Damage;
use super::layout::{self, DAMAGED};
use super::{ChunkStore, lock};
use crate::disk::{Disk, Writes};
use mdfs_core::chunk::ChunkId;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Most marks on a disk, as for bad blocks remembered: a disk with so many is beyond help. What is
/// found damaged beyond that is told, and forgotten by the next mount.
pub(super) const MOST_MARKS: usize = 65_536;

/// What a mount finds of marks.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) marks: BTreeSet<ChunkId>,
    pub(super) foreign: Vec<PathBuf>,
    /// Whether there is a directory of them.
    pub(super) has_dir: bool,
}

/// Finds the marks of earlier mounts, and makes them durable.
///
/// # Errors
/// If they cannot be listed, as chunks of which nothing is known must not count as good, or not be made
/// durable.
pub(super) fn find(disk: &dyn Disk) -> Result<Found> {
    let dir = Path::new(DAMAGED);
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        // Somebody put it there: no mark was ever in it.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(Found {
                foreign: vec![dir.to_owned()],
                ..Found::default()
            });
        }
        Err(error) => return Err(io_error("list", dir)(error)),
    };
    let mut found = Found {
        has_dir: true,
        ..Found::default()
    };
    let mut left_out = 0_u64;
    for entry in entries {
        match layout::parse_chunk_name(&entry.name).filter(|_| !entry.metadata.is_dir) {
            Some(chunk) if found.marks.len() < MOST_MARKS => {
                found.marks.insert(chunk);
            }
            Some(_) => left_out += 1,
            None => found.foreign.push(dir.join(&entry.name)),
        }
    }
    if left_out > 0 {
        tracing::warn!(left_out, "more chunks are marked as damaged than can be");
    }
    if !found.marks.is_empty() {
        tracing::warn!(chunks = found.marks.len(), "chunks are marked as damaged");
        // The run that made the last of them may have been killed before it could.
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
    }
    Ok(found)
}

impl ChunkStore {
    /// Damage of a chunk was found. Marks it, durably, and then lets the leader hear of it; also if it
    /// cannot be marked. Whether that is news.
    pub(super) fn note_damage(&self, chunk: ChunkId, damage: Damage) -> bool {
        if let Some(is_news) = self.inner.spoilt_again(chunk, damage) {
            return is_news;
        }
        // Held until it is told, so that a mark does not go between the two.
        let _marking = lock(&self.inner.marking);
        let has_room = self.inner.held().marks() < MOST_MARKS;
        let marked = match has_room {
            true => self.mark(chunk).map(|()| true),
            false => Ok(false),
        };
        let is_marked = matches!(marked, Ok(true));
        let is_news = self.inner.spoilt(chunk, damage, is_marked);
        match marked {
            Err(error) if is_news => {
                tracing::warn!(%chunk, %error, "the next mount will not know of this damage");
            }
            Ok(false) if !self.inner.marks_full.swap(true, Ordering::Relaxed) => {
                tracing::error!(
                    most = MOST_MARKS,
                    "so many chunks are damaged that the next mount will not know of more"
                );
            }
            _ => {}
        }
        is_news
    }

    fn mark(&self, chunk: ChunkId) -> Result<()> {
        self.check_writable()?;
        self.ensure_marks_dir()?;
        let (dir, path) = (Path::new(DAMAGED), layout::mark_path(chunk));
        if let Err(error) = self.disk().create(&path, Writes::Cached) {
            match error.kind() {
                // One that was not durable, or more than could be remembered; it is, in any case.
                io::ErrorKind::AlreadyExists if self.is_file(&path)? => {}
                kind => {
                    if kind == io::ErrorKind::NotFound {
                        // Its directory was removed. The next one makes it anew.
                        lock(&self.inner.dirs).named.remove(dir);
                    }
                    return Err(self.mark_failed("create", &path)(error));
                }
            }
        }
        self.disk().sync_dir(dir).map_err(self.mark_not_synced(dir))
    }

    fn is_file(&self, path: &Path) -> Result<bool> {
        let metadata = self.disk().metadata(path);
        let metadata = metadata.map_err(io_error("look at", path))?;
        Ok(!metadata.is_dir)
    }

    /// As of every failed write, but for what somebody put in the way, which is no fault of the disk.
    fn mark_failed<'a>(
        &'a self,
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |error| match error.kind() {
            io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied => io_error(operation, path)(error),
            _ => self.write_failed(operation, path)(error),
        }
    }

    /// As of every directory, but that a disk without room loses nothing: no answer counts on a mark.
    fn mark_not_synced<'a>(&'a self, dir: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
        move |error| match out_of_space(&error) {
            true => io_error("sync", dir)(error),
            false => self.sync_dir_failed(dir)(error),
        }
    }

    fn ensure_marks_dir(&self) -> Result<()> {
        let (dir, root) = (Path::new(DAMAGED), Path::new(""));
        if lock(&self.inner.dirs).named.contains(dir) {
            return Ok(());
        }
        match self.disk().create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.mark_failed("create", dir)(error));
            }
            _ => {}
        }
        let synced = self.disk().sync_dir(root);
        synced.map_err(self.sync_dir_failed(root))?;
        lock(&self.inner.dirs).named.insert(dir.to_owned());
        Ok(())
    }

    /// What was known of a chunk's damage went, durably: its mark goes, too. Whether that is durable
    /// does not matter, nor whether it can be done: a mark that stays is looked at after the mount.
    pub(super) fn unmark(&self, chunk: ChunkId) {
        if !self.inner.held().has_old_mark(chunk) {
            return;
        }
        let _marking = lock(&self.inner.marking);
        if self.check_writable().is_err() || !self.inner.held().take_old_mark(chunk) {
            return;
        }
        let removed = self.disk().remove(&layout::mark_path(chunk));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%chunk, %error, "the mark of a chunk that is no longer damaged stays");
            self.inner.held().put_mark(chunk);
        }
    }

    /// The first marked chunk, or the first after `chunk`, that nobody looked at since the mount. To be
    /// verified whole: its mark may be too old.
    pub(crate) fn marked_after(&self, chunk: Option<ChunkId>) -> Option<ChunkId> {
        self.inner.held().unseen_mark_after(chunk)
    }

    /// A marked chunk was looked for and has no file. Its mark goes once that is durable.
    ///
    /// # Errors
    /// `ReadOnly`; otherwise what the disk says.
    pub(crate) fn marked_is_absent(&self, chunk: ChunkId) -> Result<()> {
        self.check_writable()?;
        let coming = self.inner.coming(chunk);
        let (path, dir) = (layout::chunk_path(chunk), layout::chunk_dir(chunk.file));
        if self.file_bytes(&path)?.is_some() {
            return Ok(());
        }
        if self.file_bytes(&dir)?.is_some() {
            self.sync_names(&dir)?;
        }
        coming.found_absent();
        self.unmark(chunk);
        Ok(())
    }
}
