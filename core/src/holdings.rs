//! What a disk holds, kept by its worker, and what a leader knows of it without a list.
//!
//! Both sides count the same changes in the same order and compare one digest when they have counted
//! equally far, so an unchanged disk costs nothing, however much it holds.

use crate::chunk::ChunkId;
use crate::digest::{Digest, PartitionDigests};
use crate::partition::Partition;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A chunk that came to a disk or went from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Change {
    /// Whether it came; otherwise it went.
    pub came: bool,
    /// Which chunk.
    pub chunk: ChunkId,
    /// Bytes in it; none if it is damaged. One that is found damaged goes, and comes so.
    pub length: Option<u64>,
}

/// A [`Change`] on the wire: without names of fields, a thousand of them fit in 100 KiB of JSON.
#[derive(Serialize, Deserialize)]
struct Row(bool, crate::id::FileId, u32, Option<u64>);

impl From<Change> for Row {
    fn from(change: Change) -> Self {
        let ChunkId { file, index } = change.chunk;
        Self(change.came, file, index, change.length)
    }
}

impl From<Row> for Change {
    fn from(Row(came, file, index, length): Row) -> Self {
        let chunk = ChunkId { file, index };
        Self {
            came,
            chunk,
            length,
        }
    }
}

/// The chunks of a disk, in memory. One that is known to be damaged counts too, and never as good: so
/// that the leader hears of it also where nobody needs it, and has it dropped.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// Their lengths; none if damaged.
    chunks: BTreeMap<(Partition, ChunkId), Option<u64>>,
    digests: PartitionDigests,
    root: Option<Digest>,
    /// How many changes there were since the disk was mounted.
    sequence: u64,
    /// The last of them.
    recent: VecDeque<Change>,
    most_recent: usize,
}

impl Holdings {
    /// Nothing is held. Remembers the last `most_recent` changes for those who know the rest.
    pub fn new(most_recent: usize) -> Self {
        Self {
            chunks: BTreeMap::new(),
            digests: PartitionDigests::empty(),
            root: None,
            sequence: 0,
            recent: VecDeque::new(),
            most_recent,
        }
    }

    /// Takes in a good chunk. One of the same length that is held already changes nothing; one of
    /// another length, or damaged, is replaced.
    pub fn add(&mut self, chunk: ChunkId, length: u64) {
        self.put(chunk, Some(length));
    }

    /// Takes in a damaged chunk, in place of a good one if that is held.
    pub fn add_damaged(&mut self, chunk: ChunkId) {
        self.put(chunk, None);
    }

    fn put(&mut self, chunk: ChunkId, length: Option<u64>) {
        match self.chunks.get(&(chunk.partition(), chunk)) {
            Some(held) if *held == length => return,
            Some(_) => self.remove(chunk),
            None => {}
        }
        self.chunks.insert((chunk.partition(), chunk), length);
        self.digests.add(chunk, length);
        self.note(Change {
            came: true,
            chunk,
            length,
        });
    }

    /// Takes out a chunk, good or damaged, if it is held.
    pub fn remove(&mut self, chunk: ChunkId) {
        let Some(length) = self.chunks.remove(&(chunk.partition(), chunk)) else {
            return;
        };
        self.digests.remove(chunk, length);
        self.note(Change {
            came: false,
            chunk,
            length,
        });
    }

    fn note(&mut self, change: Change) {
        self.root = None;
        self.sequence += 1;
        self.recent.push_back(change);
        while self.recent.len() > self.most_recent {
            self.recent.pop_front();
        }
    }

    /// The length of a good chunk that is held.
    pub fn get(&self, chunk: ChunkId) -> Option<u64> {
        self.chunks
            .get(&(chunk.partition(), chunk))
            .copied()
            .flatten()
    }

    /// Whether a damaged chunk is held.
    pub fn has_damaged(&self, chunk: ChunkId) -> bool {
        self.chunks.get(&(chunk.partition(), chunk)) == Some(&None)
    }

    /// How many chunks are held, good or damaged.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether no chunk is held.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many changes there were since the disk was mounted.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// One digest over everything that is held.
    pub fn root(&mut self) -> Digest {
        *self.root.get_or_insert_with(|| self.digests.root())
    }

    /// The digest of each partition.
    pub fn digests(&self) -> &PartitionDigests {
        &self.digests
    }

    /// The changes after the first `sequence` ones, at most `most` of them; none if they are not
    /// remembered that far back, or there were never so many.
    pub fn since(&self, sequence: u64, most: usize) -> Option<Vec<Change>> {
        let missing = self.sequence.checked_sub(sequence)?;
        let from = self
            .recent
            .len()
            .checked_sub(usize::try_from(missing).ok()?)?;
        Some(self.recent.iter().skip(from).take(most).copied().collect())
    }

    /// The good chunks of a partition and their lengths, in order.
    pub fn list(&self, partition: Partition) -> impl Iterator<Item = (ChunkId, u64)> + '_ {
        self.all_of(partition)
            .filter_map(|(chunk, length)| Some((chunk, length?)))
    }

    /// The damaged chunks of a partition, in order.
    pub fn list_damaged(&self, partition: Partition) -> impl Iterator<Item = ChunkId> + '_ {
        self.all_of(partition)
            .filter_map(|(chunk, length)| length.is_none().then_some(chunk))
    }

    /// All good chunks in the order of their partitions, those after `chunk` if one is given.
    pub fn chunks_after(
        &self,
        chunk: Option<ChunkId>,
    ) -> impl Iterator<Item = (ChunkId, u64)> + '_ {
        self.after(None, chunk)
            .filter_map(|(chunk, length)| Some((chunk, length?)))
    }

    fn all_of(&self, partition: Partition) -> impl Iterator<Item = (ChunkId, Option<u64>)> + '_ {
        self.after(Some(partition), None)
            .take_while(move |(chunk, _)| chunk.partition() == partition)
    }

    fn after(
        &self,
        partition: Option<Partition>,
        chunk: Option<ChunkId>,
    ) -> impl Iterator<Item = (ChunkId, Option<u64>)> + '_ {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let first = ChunkId {
            file: crate::id::FileId::from_u128(0),
            index: 0,
        };
        let from = match (partition, chunk) {
            (_, Some(chunk)) => Excluded((chunk.partition(), chunk)),
            (Some(partition), None) => Included((partition, first)),
            (None, None) => Unbounded,
        };
        self.chunks
            .range((from, Unbounded))
            .map(|(&(_, chunk), &length)| (chunk, length))
    }
}

/// What a leader knows of a disk's holdings: a digest for each partition, as of some change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    sequence: u64,
    digests: PartitionDigests,
    /// What the root was compared with last.
    proven: Option<(u64, Digest)>,
}

/// Why a mirror cannot go on: the disk has to be asked for all its digests again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Changes in between are not known.
    #[error("changes {from} to {to} are not known")]
    Gap {
        /// The first that is not known.
        from: u64,
        /// The first that is.
        to: u64,
    },
    /// Both sides counted equally far and have different digests.
    #[error("the digests differ at change {0}")]
    Differs(u64),
}

impl Mirror {
    /// What a disk said of itself.
    pub fn new(sequence: u64, digests: PartitionDigests) -> Self {
        Self {
            sequence,
            digests,
            proven: None,
        }
    }

    /// How many changes are taken in.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The digest of a partition.
    pub fn get(&self, partition: Partition) -> Digest {
        self.digests.get(partition)
    }

    /// Takes in changes, the first of which follows the first `after` ones; gives those that were
    /// new. Then compares the root if both sides have counted equally far. A disk that does not
    /// remember so far back says so by an `after` that lies ahead.
    ///
    /// # Errors
    /// If the mirror is no longer what the disk holds.
    pub fn take<'a>(
        &mut self,
        after: u64,
        changes: &'a [Change],
        sequence: u64,
        root: Digest,
    ) -> Result<&'a [Change], Lost> {
        let gap = Lost::Gap {
            from: self.sequence,
            to: after,
        };
        if after > self.sequence {
            return Err(gap);
        }
        let known = usize::try_from(self.sequence.saturating_sub(after)).unwrap_or(usize::MAX);
        let new = changes.get(known..).unwrap_or_default();
        for change in new {
            if change.came {
                self.digests.add(change.chunk, change.length);
            } else {
                self.digests.remove(change.chunk, change.length);
            }
        }
        // Whoever counts so far does not tell the truth, and is found out by its root.
        self.sequence = self.sequence.saturating_add(new.len() as u64);
        if sequence < self.sequence {
            // It counts anew, or answers late.
            return Err(Lost::Gap {
                from: self.sequence,
                to: sequence,
            });
        }
        if sequence == self.sequence && self.proven != Some((sequence, root)) {
            if self.digests.root() != root {
                return Err(Lost::Differs(sequence));
            }
            self.proven = Some((sequence, root));
        }
        Ok(new)
    }

    /// Whether this is what the disk holds as of `sequence`, shown by its root.
    pub fn is_proven_at(&self, sequence: u64) -> bool {
        self.proven.is_some_and(|(proven, _)| proven == sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FileId;

    fn chunk(file: u128, index: u32) -> ChunkId {
        ChunkId {
            file: FileId::from_u128(file),
            index,
        }
    }

    #[test]
    fn a_mirror_follows_changes_and_notices_what_it_was_not_told() {
        let mut held = Holdings::new(8);
        held.add(chunk(1, 0), 5);
        held.add(chunk(2, 0), 5);
        let mut mirror = Mirror::new(held.sequence(), held.digests().clone());
        held.add(chunk(3, 0), 7);
        held.remove(chunk(1, 0));
        held.remove(chunk(1, 0));
        let changes = held.since(1, 100).unwrap();
        assert_eq!(changes.len(), 3);
        let (sequence, root) = (held.sequence(), held.root());
        let new = mirror.take(1, &changes, sequence, root).unwrap();
        assert_eq!(new, &changes[1..]);
        assert!(mirror.is_proven_at(4));
        // The same once more changes nothing.
        assert_eq!(mirror.take(1, &changes, sequence, root), Ok(&[][..]));
        assert!(mirror.take(9, &[], 9, root).is_err());
        let other = Holdings::new(8).root();
        assert_eq!(mirror.clone().take(4, &[], 4, other), Err(Lost::Differs(4)));
        // A disk that counts anew.
        assert!(mirror.take(0, &[], 2, root).is_err());
    }

    #[test]
    fn a_damaged_chunk_is_told_of_and_counted_until_it_goes() {
        let mut held = Holdings::new(8);
        held.add(chunk(1, 0), 5);
        let mut mirror = Mirror::new(held.sequence(), held.digests().clone());
        let good = held.root();
        held.add_damaged(chunk(1, 0));
        held.add_damaged(chunk(1, 0));
        held.add_damaged(chunk(2, 0));
        assert_eq!((held.len(), held.get(chunk(1, 0))), (2, None));
        assert!(held.has_damaged(chunk(1, 0)) && held.has_damaged(chunk(2, 0)));
        assert_eq!(held.chunks_after(None).count(), 0);
        let partition = chunk(2, 0).partition();
        let damaged: Vec<_> = held.list_damaged(partition).collect();
        assert!(damaged.contains(&chunk(2, 0)) && held.list(partition).next().is_none());
        assert_ne!(held.root(), good);
        held.add(chunk(1, 0), 5);
        assert_ne!(held.root(), good);
        held.remove(chunk(2, 0));
        assert_eq!(held.root(), good);
        let (changes, sequence) = (held.since(1, 9).unwrap(), held.sequence());
        assert_eq!((changes.len(), sequence), (6, 7));
        mirror.take(1, &changes, sequence, good).unwrap();
        assert!(mirror.is_proven_at(sequence));
    }

    #[test]
    fn changes_are_remembered_so_far_back_and_no_further() {
        let mut held = Holdings::new(2);
        for index in 0..3 {
            held.add(chunk(1, index), 1);
        }
        assert_eq!(held.since(0, 9), None);
        assert_eq!(held.since(1, 9).unwrap().len(), 2);
        assert_eq!(held.since(1, 1).unwrap().len(), 1);
        assert_eq!(held.since(3, 9), Some(vec![]));
        assert_eq!(held.since(4, 9), None);
    }

    #[test]
    fn a_partition_lists_its_own_chunks_and_all_are_met_once() {
        let mut held = Holdings::new(0);
        for file in 0..50 {
            held.add(chunk(file, 0), 1);
            held.add(chunk(file, 70), 2);
        }
        held.add(chunk(1, 0), 3);
        assert_eq!((held.len(), held.get(chunk(1, 0))), (100, Some(3)));
        let listed: usize = Partition::all().map(|p| held.list(p).count()).sum();
        assert_eq!(listed, 100);
        let mut met = 0;
        let mut last = None;
        while let Some((next, _)) = held.chunks_after(last).next() {
            (met, last) = (met + 1, Some(next));
        }
        assert_eq!(met, 100);
    }
}
