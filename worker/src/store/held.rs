//! Which chunks a disk holds and which of them are damaged, in memory: what its leader is told.
//!
//! A chunk is held from the moment it is durable until its file goes or damage is found in it; then
//! it counts as damaged until its file goes or is replaced, or all of it was read and is good. The
//! next mount knows of it by its mark (`marks`). All is said under one lock, so that no
//! order of events leaves a chunk held that is gone or damaged; at worst a good one is not held, and
//! is again once it is verified.

use super::{ChunkStore, Inner, lock};
use mdfs_core::chunk::ChunkId;
use mdfs_core::holdings::Holdings;
use mdfs_core::id::FileId;
use mdfs_core::partition::Partition;
use mdfs_protocol::holdings::{Digests, Known, Listing, MOST_CHANGES, Report};
use mdfs_service::watch;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

/// How many changes are remembered: a leader may miss a few full heartbeats.
const MOST_RECENT: usize = 4 * MOST_CHANGES;

/// Most bad blocks remembered; beyond that, one of each chunk.
const MOST_BLOCKS: usize = 65_536;

/// The chunks of a disk, as far as is known.
#[derive(Debug)]
pub(super) struct Held {
    /// The good chunks, and the damaged ones as such.
    holdings: Holdings,
    /// Damage found since the mount, each piece once.
    blocks: BTreeSet<(ChunkId, u64)>,
    chunks: BTreeSet<ChunkId>,
    /// Chunks with damage found before the mount, in which nobody found any since.
    believed: BTreeSet<ChunkId>,
    /// Marks that are durable: of chunks that are damaged, and older ones.
    marks: BTreeSet<ChunkId>,
    /// Chunks about to be held.
    coming: HashMap<ChunkId, Watched>,
    /// How many changes there were, for those who wait for the next.
    changes: watch::Sender<u64>,
}

/// A chunk that somebody is about to say to be held.
#[derive(Debug, Default)]
struct Watched {
    /// So many are about to say so.
    by: usize,
    /// How often meanwhile it went, or damage was found in it.
    lost: u64,
}

/// Says that a chunk is about to be held. What is found of it from here on decides whether it is.
#[derive(Debug)]
pub(super) struct Coming {
    inner: Arc<Inner>,
    chunk: ChunkId,
    /// As in [`Watched`], when this began.
    lost: u64,
}

/// What was found of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    /// A block of it is bad.
    Block(u64),
    /// All of it is as good as missing.
    Whole,
}

/// How much of a chunk was looked at before it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its footer: it is held unless damage is known.
    Footer,
    /// Every block: damage found before is gone.
    Whole,
}

impl Held {
    pub(super) fn new() -> Self {
        Self {
            holdings: Holdings::new(MOST_RECENT),
            blocks: BTreeSet::new(),
            chunks: BTreeSet::new(),
            believed: BTreeSet::new(),
            marks: BTreeSet::new(),
            coming: HashMap::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// These marks are on the disk. To be said before chunks are found.
    pub(super) fn marked_before(&mut self, marks: BTreeSet<ChunkId>) {
        self.marks = marks;
    }

    /// A chunk is on the disk, by the length of its file.
    pub(super) fn found_at_mount(&mut self, chunk: ChunkId, length: Option<u64>) {
        match length {
            Some(_) if self.marks.contains(&chunk) => {
                self.believed.insert(chunk);
                self.holdings.add_damaged(chunk);
            }
            Some(length) => self.holdings.add(chunk, length),
            None => {
                self.chunks.insert(chunk);
                self.holdings.add_damaged(chunk);
            }
        }
    }

    /// How many different bad blocks are known.
    pub(super) fn bad_blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// How many chunks are known to be damaged as a whole.
    pub(super) fn damaged_chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// Whether damage of the chunk is known.
    pub(super) fn is_damaged(&self, chunk: ChunkId) -> bool {
        self.chunks.contains(&chunk) || self.is_damaged_inside(chunk)
    }

    /// Whether damage of the chunk is known that leaves some of it readable.
    pub(super) fn is_damaged_inside(&self, chunk: ChunkId) -> bool {
        self.believed.contains(&chunk) || self.has_bad_block(chunk)
    }

    /// How many marks there are.
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Whether a mark is there for damage that is known no longer.
    pub(super) fn has_old_mark(&self, chunk: ChunkId) -> bool {
        self.marks.contains(&chunk) && !self.is_damaged(chunk)
    }

    /// Takes such a mark out; whether there was one.
    pub(super) fn take_old_mark(&mut self, chunk: ChunkId) -> bool {
        self.has_old_mark(chunk) && self.marks.remove(&chunk)
    }

    /// A mark is there.
    pub(super) fn put_mark(&mut self, chunk: ChunkId) {
        self.marks.insert(chunk);
    }

    /// The marked chunks of a file.
    pub(super) fn marks_of(&self, file: FileId) -> Vec<ChunkId> {
        let chunk = |index| ChunkId { file, index };
        let marks = self.marks.range(chunk(0)..=chunk(u32::MAX));
        marks.copied().collect()
    }

    /// The first marked chunk behind one, or of all, in which nobody found damage since the mount; also
    /// one that is gone.
    pub(super) fn unseen_mark_after(&self, chunk: Option<ChunkId>) -> Option<ChunkId> {
        let after = chunk.map_or(Bound::Unbounded, Bound::Excluded);
        let mut marks = self.marks.range((after, Bound::Unbounded)).copied();
        marks.find(|&mark| self.believed.contains(&mark) || !self.is_damaged(mark))
    }

    fn has_bad_block(&self, chunk: ChunkId) -> bool {
        let (first, last) = ((chunk, 0), (chunk, u64::MAX));
        self.blocks.range(first..=last).next().is_some()
    }

    fn forget_damage(&mut self, chunk: ChunkId) {
        self.chunks.remove(&chunk);
        self.believed.remove(&chunk);
        while let Some(&bad) = self.blocks.range((chunk, 0)..=(chunk, u64::MAX)).next() {
            self.blocks.remove(&bad);
        }
        if self.holdings.has_damaged(chunk) {
            self.take_out(chunk);
        }
    }

    fn lose(&mut self, chunk: ChunkId) {
        self.note_loss(chunk);
        self.take_out(chunk);
    }

    /// Damage of a chunk was found. Whether that is news.
    fn spoil(&mut self, chunk: ChunkId, damage: Damage) -> bool {
        self.note_loss(chunk);
        self.holdings.add_damaged(chunk);
        self.tell();
        self.believed.remove(&chunk);
        match damage {
            Damage::Block(block) => {
                (self.blocks.len() < MOST_BLOCKS || !self.has_bad_block(chunk))
                    && self.blocks.insert((chunk, block))
            }
            Damage::Whole => self.chunks.insert(chunk),
        }
    }

    fn note_loss(&mut self, chunk: ChunkId) {
        if let Some(watched) = self.coming.get_mut(&chunk) {
            watched.lost += 1;
        }
    }

    fn take_out(&mut self, chunk: ChunkId) {
        self.holdings.remove(chunk);
        self.tell();
    }

    fn tell(&self) {
        let sequence = self.holdings.sequence();
        self.changes
            .send_if_modified(|told| std::mem::replace(told, sequence) != sequence);
    }
}

impl Inner {
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }

    /// A chunk is about to be looked at, or to get its place, and may be held after that.
    pub(super) fn coming(self: &Arc<Self>, chunk: ChunkId) -> Coming {
        let mut held = self.held();
        let watched = held.coming.entry(chunk).or_default();
        watched.by += 1;
        Coming {
            inner: Arc::clone(self),
            chunk,
            lost: watched.lost,
        }
    }

    /// A chunk's file is gone.
    pub(super) fn gone(&self, chunk: ChunkId) {
        let mut held = self.held();
        held.forget_damage(chunk);
        held.lose(chunk);
    }

    /// The file of a chunk that is held is gone, and nobody here removed it: its length. None if it
    /// is not held.
    pub(super) fn vanished(&self, chunk: ChunkId) -> Option<u64> {
        let mut held = self.held();
        let length = held.holdings.get(chunk)?;
        held.lose(chunk);
        Some(length)
    }

    /// Another file took the place of a chunk's. It is held once that is durable.
    pub(super) fn replaced(&self, chunk: ChunkId) {
        let mut held = self.held();
        held.forget_damage(chunk);
        held.take_out(chunk);
    }

    /// A chunk is damaged; with a durable mark, if it `is_marked`. Whether that is news.
    pub(super) fn spoilt(&self, chunk: ChunkId, damage: Damage, is_marked: bool) -> bool {
        let mut held = self.held();
        if is_marked {
            held.put_mark(chunk);
        }
        held.spoil(chunk, damage)
    }

    /// The same of a chunk that is marked and known to be damaged; none if it is not.
    pub(super) fn spoilt_again(&self, chunk: ChunkId, damage: Damage) -> Option<bool> {
        let mut held = self.held();
        let is_marked = held.marks.contains(&chunk) && held.is_damaged(chunk);
        is_marked.then(|| held.spoil(chunk, damage))
    }
}

impl Coming {
    /// The chunk is durable: it is held from here on, unless it went or damage was found since.
    pub(super) fn arrived(self, length: u64, seen: Seen) {
        let mut held = self.inner.held();
        let watched = held.coming.get(&self.chunk);
        if watched.is_none_or(|watched| watched.lost != self.lost) {
            return;
        }
        if seen == Seen::Whole {
            held.forget_damage(self.chunk);
        }
        if !held.is_damaged(self.chunk) {
            held.holdings.add(self.chunk, length);
            held.tell();
        }
        drop(held);
        let inner = Arc::clone(&self.inner);
        ChunkStore { inner }.unmark(self.chunk);
    }

    /// The chunk has no file: damage of it that is known was told of late, by one who had it open, or
    /// before the mount. What was found since may be of a file that came since.
    pub(super) fn found_absent(self) {
        let mut held = self.inner.held();
        let watched = held.coming.get(&self.chunk);
        if watched.is_some_and(|watched| watched.lost == self.lost) {
            held.forget_damage(self.chunk);
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut held = self.inner.held();
        if let Entry::Occupied(mut watched) = held.coming.entry(self.chunk) {
            watched.get_mut().by -= 1;
            if watched.get().by == 0 {
                watched.remove();
            }
        }
    }
}

impl ChunkStore {
    /// Whether a chunk is durable here and no damage of it is known, and its length.
    pub fn held(&self, chunk: ChunkId) -> Option<u64> {
        self.inner.held().holdings.get(chunk)
    }

    /// The first chunk held, or the first after `chunk`, and its length. No damaged one.
    pub fn held_after(&self, chunk: Option<ChunkId>) -> Option<(ChunkId, u64)> {
        self.inner.held().holdings.chunks_after(chunk).next()
    }

    /// Bytes in all chunks on the disk.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.inner.chunk_bytes.load(Ordering::Relaxed)
    }

    /// Whether damage of a chunk is known.
    pub fn is_damaged(&self, chunk: ChunkId) -> bool {
        self.inner.held().is_damaged(chunk)
    }

    /// What a master is told of the chunks held: changes only if it knows all before them, and they
    /// are remembered; otherwise it has to ask for the digests.
    pub fn report(&self, known: Option<Known>) -> Report {
        let mount = self.mount();
        let mut held = self.inner.held();
        let (sequence, root) = (held.holdings.sequence(), held.holdings.root());
        let known = known.filter(|known| known.mount == mount);
        let (after, changes) = match known.map(|known| known.sequence) {
            None => (0, Vec::new()),
            Some(known) => match held.holdings.since(known, MOST_CHANGES) {
                Some(changes) => (known, changes),
                // No longer remembered: the leader has to ask for everything.
                None => (sequence, Vec::new()),
            },
        };
        Report {
            mount,
            sequence,
            root,
            after,
            changes,
        }
    }

    /// Tells of every change of what is held: how many there were since the mount.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.held().changes.subscribe()
    }

    /// The digests of everything held.
    pub fn digests(&self) -> Digests {
        let held = self.inner.held();
        Digests {
            mount: self.mount(),
            sequence: held.holdings.sequence(),
            digests: held.holdings.digests().as_slice().to_vec(),
        }
    }

    /// The chunks of some partitions, all as of one moment.
    pub fn list(&self, partitions: &[Partition]) -> Listing {
        let partitions: BTreeSet<_> = partitions.iter().copied().collect();
        let held = self.inner.held();
        let Held { holdings, .. } = &*held;
        let partitions = || partitions.iter().copied();
        Listing {
            sequence: holdings.sequence(),
            chunks: partitions().flat_map(|it| holdings.list(it)).collect(),
            damaged: partitions()
                .flat_map(|it| holdings.list_damaged(it))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::store::StoreSettings;
    use mdfs_core::id::DiskId;

    #[test]
    fn what_becomes_of_a_chunk_before_it_is_said_to_be_held_counts() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path(), false));
        let store = ChunkStore::open(disk, StoreSettings::default(), DiskId::from_u128(1)).unwrap();
        let inner = &store.inner;
        let chunk = ChunkId {
            file: FileId::from_u128(9),
            index: 0,
        };
        let bad = Damage::Block(3);
        let meanwhile: [&dyn Fn(); 3] = [
            &|| inner.gone(chunk),
            &|| assert!(store.note_damage(chunk, Damage::Whole)),
            &|| {
                inner.gone(chunk);
                assert!(store.note_damage(chunk, bad));
                assert!(!store.note_damage(chunk, bad));
            },
        ];
        for change in meanwhile {
            let coming = inner.coming(chunk);
            change();
            coming.arrived(5, Seen::Whole);
            assert_eq!(store.held(chunk), None);
        }
        inner.coming(chunk).arrived(5, Seen::Footer);
        assert_eq!(store.held(chunk), None);
        let coming = inner.coming(chunk);
        drop(inner.coming(chunk));
        coming.arrived(5, Seen::Whole);
        assert_eq!(store.held(chunk), Some(5));
        assert_eq!(inner.held().coming.len(), 0);

        // One who has it open finds damage after it is gone: it is told of until a drop finds nothing.
        inner.gone(chunk);
        assert!(store.note_damage(chunk, bad));
        assert_eq!(store.list(&[chunk.partition()]).damaged, [chunk]);
        assert_eq!(store.drop_chunks(&[chunk]).unwrap(), 0);
        assert_eq!(store.list(&[chunk.partition()]).damaged, []);
        assert!(inner.held().holdings.is_empty() && !store.is_damaged(chunk));

        // Between the look for its file and the word that there is none, one came and is damaged.
        let coming = inner.coming(chunk);
        assert!(store.note_damage(chunk, bad));
        coming.found_absent();
        assert!(store.is_damaged(chunk));
        inner.coming(chunk).found_absent();
        assert!(inner.held().holdings.is_empty() && !store.is_damaged(chunk));
    }
}
