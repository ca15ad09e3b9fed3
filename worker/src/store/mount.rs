//! Taking a disk into use.

use super::cache::OpenChunks;
use super::capacity::HeldBytes;
use super::error::{Error, Result, io_error};
use super::footer::chunk_length;
use super::held::Held;
use super::identity::DiskIdentity;
use super::layout::{self, CHUNKS, DAMAGED, LOCK, STAGING};
use super::{ChunkStore, Dirs, Inner, StoreSettings, marks};
use crate::disk::{BufferPool, Disk, Space};
use mdfs_core::id::{DiskId, Generation, MountId, Term};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};

impl ChunkStore {
    /// Mounts a disk: locks it, reads who it is, removes what an earlier run had staged (it was never
    /// acknowledged), and counts its chunks. `fresh` is a random id that the caller drew for this
    /// call: a blank disk becomes it, and the mount is known by it.
    ///
    /// The generation stays: a mount that raised it would let an old copy of the disk, mounted often
    /// enough, catch up with what is remembered. See [`ChunkStore::raise_generation`].
    ///
    /// # Errors
    /// `Locked` if another process has the disk; `NotBlank` if it has content but no identity;
    /// `UnknownFormat`, `DamagedIdentity`; otherwise what the disk says. Nothing is changed on a
    /// disk that is refused.
    pub fn open(disk: Arc<dyn Disk>, settings: StoreSettings, fresh: DiskId) -> Result<Self> {
        let lock_path = Path::new(LOCK);
        let lock = disk.lock(lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::Locked,
            _ => io_error("lock", lock_path)(error),
        })?;
        let identity = match DiskIdentity::load(&*disk)? {
            Some(identity) => {
                // A run that was killed may have renamed it and not yet made that durable.
                let root = Path::new("");
                disk.sync_dir(root).map_err(io_error("sync", root))?;
                identity
            }
            None => {
                let blank = blank_identity(&*disk, fresh)?;
                blank
                    .store(&*disk)
                    .map_err(io_error("replace", Path::new(layout::IDENTITY)))?;
                blank
            }
        };
        for dir in [STAGING, CHUNKS].map(Path::new) {
            match disk.create_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io_error("create", dir)(error));
                }
                _ => {}
            }
        }
        // Their names are durable with the adoption, without which no chunk is written.
        remove_staged(&*disk)?;
        let scan = Scan::run(&*disk)?;
        let space = disk.space().map_err(io_error("measure", Path::new("")))?;
        let reserve_bytes = settings
            .reserve_bytes
            .unwrap_or_else(|| default_reserve(space));
        let capacity_bytes = settings.capacity_bytes;
        Ok(Self {
            inner: Arc::new(Inner {
                pool: BufferPool::new(settings.idle_buffers),
                open: Mutex::new(OpenChunks::new(settings.most_open)),
                removals: AtomicU64::new(0),
                orders: RwLock::new(()),
                disk,
                settings,
                reserve_bytes,
                held_bytes: HeldBytes::new(capacity_bytes, scan.file_bytes),
                mount: MountId::from_u128(fresh.as_u128()),
                identity: Mutex::new(identity),
                identity_change: Mutex::new(()),
                failed: AtomicBool::new(false),
                staged: Mutex::new(HashMap::new()),
                held: Mutex::new(scan.held),
                marking: Mutex::new(()),
                marks_full: AtomicBool::new(false),
                dirs: Mutex::new(scan.dirs),
                chunks: AtomicU64::new(scan.chunks),
                chunk_bytes: AtomicU64::new(scan.chunk_bytes),
                foreign_files: scan.foreign_files,
                room_taken: Mutex::new(0),
                _lock: lock,
            }),
        })
    }
}

/// The identity of a disk that has none yet, if nothing else is on it.
fn blank_identity(disk: &dyn Disk, fresh: DiskId) -> Result<DiskIdentity> {
    let root = Path::new("");
    let entries = disk.list(root).map_err(io_error("list", root))?;
    match entries
        .iter()
        .find(|entry| !layout::is_known_when_blank(&entry.name))
    {
        Some(entry) => Err(Error::NotBlank {
            found: entry.name.to_string_lossy().chars().take(64).collect(),
        }),
        None => Ok(DiskIdentity {
            disk: fresh,
            cluster: None,
            generation: Generation(1),
            fence: Term::default(),
            has_log: false,
        }),
    }
}

/// 5 % of the file system, at least 1 GiB or 10 % of it, whichever is less.
fn default_reserve(space: Space) -> u64 {
    const LEAST: u64 = 1 << 30;
    (space.total / 20).max(LEAST.min(space.total / 10))
}

fn remove_staged(disk: &dyn Disk) -> Result<()> {
    let staging = Path::new(STAGING);
    for entry in disk.list(staging).map_err(io_error("list", staging))? {
        if layout::parse_chunk_name(&entry.name).is_some() && !entry.metadata.is_dir {
            let path = staging.join(&entry.name);
            disk.remove(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

/// What is on a disk, by names and lengths alone: a mount does not read every chunk.
#[derive(Debug)]
struct Scan {
    chunks: u64,
    chunk_bytes: u64,
    /// With footers.
    file_bytes: u64,
    foreign_files: u64,
    dirs: Dirs,
    held: Held,
}

impl Scan {
    fn run(disk: &dyn Disk) -> Result<Self> {
        let mut scan = Self {
            chunks: 0,
            chunk_bytes: 0,
            file_bytes: 0,
            foreign_files: 0,
            dirs: Dirs::default(),
            held: Held::new(),
        };
        let (root, chunks) = (Path::new(""), Path::new(CHUNKS));
        for entry in disk.list(root).map_err(io_error("list", root))? {
            if !layout::is_known_at_root(&entry.name) {
                scan.foreign(Path::new(&entry.name));
            }
        }
        let found = marks::find(disk)?;
        found.foreign.iter().for_each(|path| scan.foreign(path));
        scan.held.marked_before(found.marks);
        if found.has_dir {
            // That of its directory is since the identity was read.
            scan.dirs.named.insert(DAMAGED.into());
        }
        // An earlier run may have made directories and ended before it made their names durable.
        disk.sync_dir(chunks).map_err(io_error("sync", chunks))?;
        for entry in disk.list(chunks).map_err(io_error("list", chunks))? {
            let dir = chunks.join(&entry.name);
            if entry.metadata.is_dir && layout::is_chunk_dir(&entry.name) {
                scan.count_chunks(disk, &dir)?;
                scan.dirs.named.insert(dir);
            } else {
                scan.foreign(&dir);
            }
        }
        Ok(scan)
    }

    fn count_chunks(&mut self, disk: &dyn Disk, dir: &PathBuf) -> Result<()> {
        for entry in disk.list(dir).map_err(io_error("list", dir))? {
            let chunk = layout::parse_chunk_name(&entry.name).filter(|_| !entry.metadata.is_dir);
            match chunk.map(|chunk| (chunk, layout::chunk_dir(chunk.file))) {
                Some((chunk, home)) if home == *dir => {
                    let length = chunk_length(entry.metadata.len);
                    if length.is_none() {
                        tracing::warn!(%chunk, "no chunk file has its length: it is damaged");
                    }
                    self.chunks += 1;
                    self.chunk_bytes += length.unwrap_or(0);
                    self.file_bytes += entry.metadata.len;
                    self.held.found_at_mount(chunk, length);
                }
                _ => self.foreign(&dir.join(&entry.name)),
            }
        }
        Ok(())
    }

    fn foreign(&mut self, path: &Path) {
        self.foreign_files += 1;
        tracing::warn!(path = %path.display(), "a foreign file is on the disk and is left alone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_twentieth_but_a_small_disk_keeps_a_tenth() {
        let reserve = |total| default_reserve(Space { total, free: 0 });
        assert_eq!(reserve(1 << 40), (1 << 40) / 20);
        assert_eq!(reserve(15 << 30), 1 << 30);
        assert_eq!(reserve(5 << 30), (5 << 30) / 10);
    }
}
