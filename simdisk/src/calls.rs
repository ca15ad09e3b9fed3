//! The calls of the disk.

use super::pending::{ByteChange, NameChange, Node, is_in};
use super::{Call, Inode, Kind, SimDisk, State};
use mdfs_worker::disk::{DirEntry, Disk, DiskFile, DiskLock, Metadata, Space, Writes};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Disk for SimDisk {
    fn create(&self, path: &Path, _writes: Writes) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call(Kind::Create, path)?;
        state.check_new(path)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(NameChange::Add(path.to_owned(), Node::File(inode)));
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
        }))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        let inode = state.file(path)?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Kind::Rename, to)?;
        let inode = state.file(from)?;
        if !state.live.contains_key(to) {
            state.check_new(to)?;
        }
        state.change(NameChange::Rename(
            from.to_owned(),
            to.to_owned(),
            Node::File(inode),
        ));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Kind::Remove, path)?;
        state.file(path)?;
        state.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Kind::CreateDir, path)?;
        state.check_new(path)?;
        state.change(NameChange::Add(path.to_owned(), Node::Dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.announce(Kind::SyncDir, dir);
        let mut state = self.lock();
        if state.call(Kind::SyncDir, dir)? {
            return Ok(());
        }
        if dir != Path::new("") && state.live.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.durable.retain(|path, _| !is_in(path, dir));
        let names: Vec<_> = state
            .live
            .iter()
            .filter(|(path, _)| is_in(path, dir))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        state.durable.extend(names);
        let pending = std::mem::take(&mut state.pending);
        state.pending = pending
            .into_iter()
            .filter_map(|change| change.without(dir))
            .collect();
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.lock();
        if dir != Path::new("") && state.live.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entries = state.live.iter().filter(|(path, _)| is_in(path, dir));
        Ok(entries
            .map(|(path, node)| DirEntry {
                name: path.file_name().map(OsStr::to_owned).unwrap(),
                metadata: state.metadata(*node),
            })
            .collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let state = self.lock();
        let node = state.live.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.metadata(*node))
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.lock();
        Ok(Space {
            total: state.total,
            free: state.free(),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let mut state = self.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

impl SimDisk {
    fn announce(&self, kind: Kind, path: &Path) {
        let watch = self.lock().watch.clone();
        if let Some(watch) = watch {
            watch(&Call {
                kind,
                path: path.to_owned(),
                last_change: None,
            });
        }
    }
}

impl State {
    fn metadata(&self, node: Node) -> Metadata {
        match node {
            Node::Dir => Metadata {
                is_dir: true,
                len: 0,
            },
            Node::File(inode) => Metadata {
                is_dir: false,
                len: self.inodes[inode].live.len() as u64,
            },
        }
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    path: PathBuf,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimFile").field(&self.path).finish()
    }
}

impl SimFile {
    fn change(&self, kind: Kind, change: ByteChange) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call(kind, &self.path)?;
        let end = match &change {
            ByteChange::Write(offset, bytes) => offset + bytes.len() as u64,
            ByteChange::SetLen(_) => 0,
        };
        let grown = end.saturating_sub(state.inodes[self.inode].used());
        if grown > state.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut state.inodes[self.inode];
        if let ByteChange::SetLen(_) = &change {
            inode.allocated = 0;
        }
        change.apply(Arc::make_mut(&mut inode.live));
        inode.pending.push(change);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.call(Kind::Read, &self.path)?;
        let bytes = &state.inodes[self.inode].live;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.announce(Kind::Write, &self.path);
        let mut bytes: Arc<[u8]> = bytes.into();
        let spoilt = self.disk.lock().spoilt.clone();
        let middle = bytes.len() / 2;
        if let Some(spoilt) = spoilt
            && spoilt(&Call {
                kind: Kind::Write,
                path: self.path.clone(),
                last_change: None,
            })
            && let Some(byte) = Arc::get_mut(&mut bytes).and_then(|it| it.get_mut(middle))
        {
            *byte ^= 1;
        }
        self.change(Kind::Write, ByteChange::Write(offset, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        if !state.call(Kind::SyncData, &self.path)? {
            let inode = &mut state.inodes[self.inode];
            for change in std::mem::take(&mut inode.pending) {
                change.apply(Arc::make_mut(&mut inode.durable));
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Kind::SetLen, ByteChange::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        Ok(state.inodes[self.inode].live.len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        let mut state = self.disk.lock();
        if len.saturating_sub(state.inodes[self.inode].used()) > state.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut state.inodes[self.inode];
        inode.allocated = inode.allocated.max(len);
        Ok(true)
    }
}
