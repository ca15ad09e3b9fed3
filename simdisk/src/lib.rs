//! A disk in memory that keeps what the process sees apart from what a power cut leaves.
//!
//! File bytes are durable after `sync_data`, names after `sync_dir` of their directory, nothing
//! else is. It keeps an image from before each call that changes something, can fail or ignore
//! chosen calls, and says what could be found after a kill or a power cut.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests use it, and a surprise must end them"
)]

mod calls;
mod pending;

use mdfs_core::checksum::Blake3;
use pending::{ByteChange, Chance, NameChange, Names, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A new file.
    Create,
    /// Bytes of a file.
    Read,
    /// Bytes into a file.
    Write,
    /// A file's length.
    SetLen,
    /// A file's bytes made durable.
    SyncData,
    /// A new name for a file.
    Rename,
    /// A file without a name.
    Remove,
    /// A new directory.
    CreateDir,
    /// A directory's names made durable.
    SyncDir,
}

/// One call, for those who want to fail or ignore it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it does.
    pub kind: Kind,
    /// For a file, the name under which it was opened.
    pub path: PathBuf,
    /// For `SyncDir`, the last change of a name in the directory in this run.
    pub last_change: Option<(Kind, PathBuf)>,
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// Only what was synced.
    Nothing,
    /// Every name, no byte: a file renamed before it was synced is empty.
    Names,
    /// The last change of a name, and no byte: names need not become durable in order.
    LastName,
    /// Every byte, no name.
    Bytes,
    /// All of it.
    Everything,
    /// Names and writes by chance, writes also in parts.
    Some(u64),
}

type Fault = Arc<dyn Fn(&Call) -> Option<io::Error> + Send + Sync>;
type Watch = Arc<dyn Fn(&Call) + Send + Sync>;
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
    last_changes: BTreeMap<PathBuf, (Kind, PathBuf)>,
    trail: Option<Vec<State>>,
    locks: BTreeSet<PathBuf>,
    total: u64,
    fault: Option<Fault>,
    lost: Option<Lost>,
    spoilt: Option<Lost>,
    /// Writes of which a power cut left only some sectors.
    torn: u64,
    watch: Option<Watch>,
}

#[derive(Clone, Default)]
struct Inode {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<ByteChange>,
    /// Room set apart for it, from its start.
    allocated: u64,
}

impl Inode {
    /// Bytes it takes on the disk.
    fn used(&self) -> u64 {
        self.allocated.max(self.live.len() as u64)
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk of 1 GiB.
    pub fn new() -> Self {
        Self::of(State {
            total: 1 << 30,
            ..State::default()
        })
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Keeps an image from before each changing call from here on.
    pub fn keep_trail(&self) {
        self.lock().trail = Some(Vec::new());
    }

    /// The images kept since the last time.
    pub fn take_trail(&self) -> Vec<Self> {
        let mut state = self.lock();
        state
            .trail
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
            .into_iter()
            .map(Self::of)
            .collect()
    }

    /// Two disks with the same fingerprint hold the same, durably.
    pub fn fingerprint(&self) -> u64 {
        let state = self.lock();
        let mut hasher = DefaultHasher::new();
        for (path, node) in &state.durable {
            path.hash(&mut hasher);
            if let Node::File(inode) = node {
                // Not a CRC: that of anything that ends with its own CRC is always the same.
                let bytes = &state.inodes[*inode].durable;
                (bytes.len(), Blake3::of(bytes)).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Fails the calls for which `fault` has an error.
    pub fn fail(&self, fault: impl Fn(&Call) -> Option<io::Error> + Send + Sync + 'static) {
        self.lock().fault = Some(Arc::new(fault));
    }

    /// Says yes to the syncs that `lost` picks, and does nothing.
    pub fn lose(&self, lost: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.lock().lost = Some(Arc::new(lost));
    }

    /// Flips a bit of the writes that `spoilt` picks.
    pub fn spoil(&self, spoilt: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.lock().spoilt = Some(Arc::new(spoilt));
    }

    /// Runs `watch` before every write and sync of a directory, which may wait in it.
    pub fn before(&self, watch: impl Fn(&Call) + Send + Sync + 'static) {
        self.lock().watch = Some(Arc::new(watch));
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
        let mut doubtful = std::mem::take(&mut state.pending).into_iter().peekable();
        while let Some(change) = doubtful.next() {
            let keep = match survives {
                Survives::Nothing | Survives::Bytes => false,
                Survives::LastName => doubtful.peek().is_none(),
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
                    Survives::Nothing | Survives::Names | Survives::LastName => {}
                    Survives::Bytes | Survives::Everything => {
                        change.apply(Arc::make_mut(&mut inode.durable))
                    }
                    Survives::Some(_) => {
                        let bytes = Arc::make_mut(&mut inode.durable);
                        state.torn += u64::from(change.apply_part(bytes, &mut chance));
                    }
                }
            }
            inode.live.clone_from(&inode.durable);
        }
        // What lies in a directory that is gone cannot be reached.
        let names = state.durable.clone();
        let is_dir = |path: &Path| path == Path::new("") || names.get(path) == Some(&Node::Dir);
        state
            .durable
            .retain(|path, _| path.ancestors().skip(1).all(is_dir));
        state.live = state.durable.clone();
        state.restart();
        Self::of(state)
    }

    /// Replaces the bytes of a file, behind the back of whoever uses the disk.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let inode = state.file(path).unwrap();
        let inode = &mut state.inodes[inode];
        change(Arc::make_mut(&mut inode.live));
        inode.durable.clone_from(&inode.live);
        inode.pending.clear();
    }

    /// How much a power cut now would leave to chance: bytes of so many files, and so many names that
    /// files were given.
    pub fn in_doubt(&self) -> (usize, usize) {
        let state = self.lock();
        let files = state.inodes.iter().filter(|it| !it.pending.is_empty());
        let names = state.pending.iter();
        let renamed = names.filter(|it| matches!(it, NameChange::Rename(..)));
        (files.count(), renamed.count())
    }

    /// How many writes power cuts have left in part.
    pub fn torn(&self) -> u64 {
        self.lock().torn
    }

    /// All files and what the process sees in them.
    pub fn contents(&self) -> Vec<(PathBuf, Arc<Vec<u8>>)> {
        let state = self.lock();
        let file = |(path, node): (&PathBuf, &Node)| match node {
            Node::File(inode) => Some((path.clone(), Arc::clone(&state.inodes[*inode].live))),
            Node::Dir => None,
        };
        state.live.iter().filter_map(file).collect()
    }

    /// The files below a directory.
    pub fn files_below(&self, dir: &str) -> Vec<PathBuf> {
        let state = self.lock();
        let files = state
            .live
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)));
        files
            .map(|(path, _)| path.clone())
            .filter(|path| path.starts_with(dir))
            .collect()
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
        self.last_changes.clear();
        self.trail = None;
        self.locks.clear();
    }

    /// Notes a call. Tells whether it is to be ignored.
    fn call(&mut self, kind: Kind, path: &Path) -> io::Result<bool> {
        if let Some(mut trail) = self.trail.take() {
            if kind != Kind::Read {
                trail.push(self.clone());
            }
            self.trail = Some(trail);
        }
        let last_change = self.last_changes.get(path).cloned();
        let call = Call {
            kind,
            path: path.to_owned(),
            last_change,
        };
        if let Some(error) = self.fault.as_ref().and_then(|fault| fault(&call)) {
            return Err(error);
        }
        if matches!(
            kind,
            Kind::Create | Kind::Rename | Kind::Remove | Kind::CreateDir
        ) {
            let dir = path.parent().unwrap().to_owned();
            self.last_changes.insert(dir, (kind, path.to_owned()));
        }
        Ok(self.lost.as_ref().is_some_and(|lost| lost(&call)))
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
            Node::File(inode) => Some(self.inodes[*inode].used()),
            Node::Dir => None,
        });
        self.total.saturating_sub(files.sum())
    }
}
