//! A disk in memory that keeps what the process sees apart from what a power cut leaves.
//!
//! File bytes are durable after `sync_data`, names after `sync_dir` of their directory, nothing
//! else is. It counts the calls that change something, can lose power at any of them, can fail or
//! ignore chosen calls, and says what could be found afterwards.

use mdfs_worker::disk::{DirEntry, Disk, DiskFile, DiskLock, Metadata, Space, Writes};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Create,
    Read,
    Write,
    SetLen,
    SyncData,
    Rename,
    Remove,
    CreateDir,
    SyncDir,
}

/// One call, for those who want to fail or ignore it.
#[derive(Clone, Debug)]
pub struct Call {
    pub kind: Kind,
    /// For a file, the name under which it was opened.
    pub path: PathBuf,
    /// How many calls of this kind on this path came before, on this image of the disk.
    pub before: u64,
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    Nothing,
    /// Every name, no byte: a file renamed before it was synced is empty.
    Names,
    /// Every byte, no name.
    Bytes,
    Everything,
    /// Names and writes by chance, writes also in parts.
    Some(u64),
}

type Fault = Arc<dyn Fn(&Call) -> Option<io::Error> + Send + Sync>;
type Lost = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    pending: Vec<NameChange>,
    calls: u64,
    seen: BTreeMap<(Kind, PathBuf), u64>,
    cut_at: Option<u64>,
    is_cut: bool,
    locks: BTreeSet<PathBuf>,
    total: u64,
    fault: Option<Fault>,
    lost: Option<Lost>,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<ByteChange>,
}

#[derive(Clone)]
enum ByteChange {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// A change of names that a crash keeps as a whole or not at all.
#[derive(Clone)]
enum NameChange {
    Add(PathBuf, Node),
    Rename(PathBuf, PathBuf, Node),
    Remove(PathBuf),
}

impl SimDisk {
    /// An empty disk of 1 GiB.
    pub fn new() -> Self {
        Self::of(State { total: 1 << 30, ..State::default() })
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many changing calls were made.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Loses power at the changing call with this number, counted from 1.
    pub fn cut_at(&self, call: u64) {
        self.lock().cut_at = Some(call);
    }

    /// Whether power was lost.
    pub fn is_cut(&self) -> bool {
        self.lock().is_cut
    }

    /// Fails the calls for which `fault` has an error.
    pub fn fail(&self, fault: impl Fn(&Call) -> Option<io::Error> + Send + Sync + 'static) {
        self.lock().fault = Some(Arc::new(fault));
    }

    /// Says yes to the syncs that `lost` picks, and does nothing.
    pub fn lose(&self, lost: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.lock().lost = Some(Arc::new(lost));
    }

    /// Fails nothing any more.
    pub fn heal(&self) {
        self.lock().fault = None;
    }

    /// Makes the disk so large.
    pub fn set_total(&self, bytes: u64) {
        self.lock().total = bytes;
    }

    /// The disk as the next process finds it when this one is killed: everything it did is there,
    /// and what it did not sync is still not synced.
    pub fn after_kill(&self) -> Self {
        let mut state = self.lock().clone();
        state.restart();
        Self::of(state)
    }

    /// The disk as it is found after a power cut now.
    pub fn after_power_cut(&self, survives: Survives) -> Self {
        let mut state = self.lock().clone();
        let mut chance = Chance(match survives {
            Survives::Some(seed) => seed,
            _ => 0,
        });
        for change in std::mem::take(&mut state.pending) {
            let keep = match survives {
                Survives::Nothing | Survives::Bytes => false,
                Survives::Names | Survives::Everything => true,
                Survives::Some(_) => chance.next().is_multiple_of(2),
            };
            if keep {
                change.apply(&mut state.durable);
            }
        }
        for inode in &mut state.inodes {
            for change in std::mem::take(&mut inode.pending) {
                match survives {
                    Survives::Nothing | Survives::Names => {}
                    Survives::Bytes | Survives::Everything => change.apply(&mut inode.durable),
                    Survives::Some(_) => change.apply_part(&mut inode.durable, &mut chance),
                }
            }
            inode.live.clone_from(&inode.durable);
        }
        // What lies in a directory that is gone cannot be reached.
        let names = state.durable.clone();
        let is_dir = |path: &Path| path == Path::new("") || names.get(path) == Some(&Node::Dir);
        state.durable.retain(|path, _| path.ancestors().skip(1).all(is_dir));
        state.live = state.durable.clone();
        state.restart();
        Self::of(state)
    }

    /// Replaces the bytes of a file, behind the back of whoever uses the disk.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let inode = state.file(path).unwrap();
        let inode = &mut state.inodes[inode];
        change(&mut inode.live);
        inode.durable.clone_from(&inode.live);
        inode.pending.clear();
    }

    /// The files below a directory.
    pub fn files_below(&self, dir: &str) -> Vec<PathBuf> {
        let state = self.lock();
        let files = state.live.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).filter(|path| path.starts_with(dir)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl State {
    fn restart(&mut self) {
        self.calls = 0;
        self.seen.clear();
        self.cut_at = None;
        self.is_cut = false;
        self.locks.clear();
    }

    /// Notes a call. Tells whether it is to be ignored.
    fn call(&mut self, kind: Kind, path: &Path) -> io::Result<bool> {
        self.check_power()?;
        if kind != Kind::Read {
            self.calls += 1;
            if self.cut_at == Some(self.calls) {
                self.is_cut = true;
                return self.check_power().map(|()| false);
            }
        }
        let seen = self.seen.entry((kind, path.to_owned())).or_default();
        let call = Call { kind, path: path.to_owned(), before: *seen };
        *seen += 1;
        if let Some(error) = self.fault.as_ref().and_then(|fault| fault(&call)) {
            return Err(error);
        }
        Ok(self.lost.as_ref().is_some_and(|lost| lost(&call)))
    }

    fn check_power(&self) -> io::Result<()> {
        if self.is_cut { Err(io::Error::other("the power is cut")) } else { Ok(()) }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn check_new(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap();
        if self.live.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match self.live.get(parent) {
            Some(Node::Dir) => Ok(()),
            None if parent == Path::new("") => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn free(&self) -> u64 {
        let files = self.live.values().filter_map(|node| match node {
            Node::File(inode) => Some(self.inodes[*inode].live.len() as u64),
            Node::Dir => None,
        });
        self.total.saturating_sub(files.sum())
    }
}

fn is_in(path: &Path, dir: &Path) -> bool {
    path.parent() == Some(dir)
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }

    /// What is still in doubt once the names in `dir` are durable.
    fn without(self, dir: &Path) -> Option<Self> {
        match self {
            Self::Add(path, _) | Self::Remove(path) if is_in(&path, dir) => None,
            Self::Rename(from, to, node) => match (is_in(&from, dir), is_in(&to, dir)) {
                (true, true) => None,
                (false, true) => Some(Self::Remove(from)),
                (true, false) => Some(Self::Add(to, node)),
                (false, false) => Some(Self::Rename(from, to, node)),
            },
            other => Some(other),
        }
    }
}

impl ByteChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                let from = usize::try_from(*offset).unwrap();
                let to = from + written.len();
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(written);
            }
            Self::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        }
    }

    /// Applies it wholly, not at all, or sector by sector as it comes.
    fn apply_part(&self, bytes: &mut Vec<u8>, chance: &mut Chance) {
        const SECTOR: usize = 512;
        match (chance.next() % 3, self) {
            (0, _) => {}
            (1, Self::Write(offset, written)) => {
                for (number, sector) in written.chunks(SECTOR).enumerate() {
                    if chance.next().is_multiple_of(2) {
                        let offset = *offset + (number * SECTOR) as u64;
                        Self::Write(offset, sector.to_vec()).apply(bytes);
                    }
                }
            }
            _ => self.apply(bytes),
        }
    }
}

/// Splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path, _writes: Writes) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call(Kind::Create, path)?;
        state.check_new(path)?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(NameChange::Add(path.to_owned(), Node::File(inode)));
        Ok(Arc::new(SimFile { disk: self.clone(), inode, path: path.to_owned() }))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        state.check_power()?;
        let inode = state.file(path)?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call(Kind::Rename, to)?;
        let inode = state.file(from)?;
        if !state.live.contains_key(to) {
            state.check_new(to)?;
        }
        state.change(NameChange::Rename(from.to_owned(), to.to_owned(), Node::File(inode)));
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
        state.pending = pending.into_iter().filter_map(|change| change.without(dir)).collect();
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.lock();
        state.check_power()?;
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
        state.check_power()?;
        let node = state.live.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.metadata(*node))
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.lock();
        Ok(Space { total: state.total, free: state.free() })
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let mut state = self.lock();
        state.check_power()?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }
}

impl State {
    fn metadata(&self, node: Node) -> Metadata {
        match node {
            Node::Dir => Metadata { is_dir: true, len: 0 },
            Node::File(inode) => {
                Metadata { is_dir: false, len: self.inodes[inode].live.len() as u64 }
            }
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
        let called = state.call(kind, &self.path);
        if called.is_ok() {
            let grown = match &change {
                ByteChange::Write(offset, bytes) => offset + bytes.len() as u64,
                ByteChange::SetLen(_) => 0,
            };
            let len = state.inodes[self.inode].live.len() as u64;
            if grown.saturating_sub(len) > state.free() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            change.apply(&mut state.inodes[self.inode].live);
        }
        if called.is_ok() || state.is_cut {
            // A call that loses power may have had its effect.
            state.inodes[self.inode].pending.push(change);
        }
        called.map(|_| ())
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
        self.change(Kind::Write, ByteChange::Write(offset, bytes.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        if !state.call(Kind::SyncData, &self.path)? {
            let inode = &mut state.inodes[self.inode];
            for change in std::mem::take(&mut inode.pending) {
                change.apply(&mut inode.durable);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Kind::SetLen, ByteChange::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.check_power()?;
        Ok(state.inodes[self.inode].live.len() as u64)
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
}
