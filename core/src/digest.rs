//! Digests: whether two sides hold the same chunks, without listing them.

use crate::chunk::ChunkId;
use crate::partition::Partition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a set of chunks comes to: equal sets have equal digests, others differ.
///
/// The sum, modulo 2^128, of a hash of each chunk's id and length. So it is kept incrementally, in
/// any order, and a chunk added twice does not cancel out. Unequal by accident only: it is no proof
/// against a worker that lies. A damaged chunk has no length: it is told apart from a good one of any.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Digest(u128);

impl Digest {
    /// The digest of no chunk.
    pub const EMPTY: Self = Self(0);

    /// Takes in a chunk that was not in the set.
    pub fn add(&mut self, chunk: ChunkId, len_bytes: impl Into<Option<u64>>) {
        self.0 = self.0.wrapping_add(element(chunk, len_bytes.into()));
    }

    /// Takes out a chunk that was in the set with this length.
    pub fn remove(&mut self, chunk: ChunkId, len_bytes: impl Into<Option<u64>>) {
        self.0 = self.0.wrapping_sub(element(chunk, len_bytes.into()));
    }

    /// Takes in another set, which has no chunk in common with this one.
    pub fn join(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The digest's 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The first 16 bytes of the BLAKE3 of file id, chunk index and length, if there is one.
fn element(chunk: ChunkId, len_bytes: Option<u64>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&chunk.file.to_bytes());
    hasher.update(&chunk.index.to_le_bytes());
    if let Some(len_bytes) = len_bytes {
        hasher.update(&len_bytes.to_le_bytes());
    }
    leading(hasher.finalize())
}

fn leading(hash: blake3::Hash) -> u128 {
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

/// One digest for each partition: what one worker holds, or should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDigests(Box<[Digest]>);

impl PartitionDigests {
    /// The digests of a worker that holds nothing.
    pub fn empty() -> Self {
        Self(vec![Digest::EMPTY; Partition::COUNT].into_boxed_slice())
    }

    /// The digests in the order of their partitions; none if these are not as many.
    pub fn from_list(digests: Vec<Digest>) -> Option<Self> {
        (digests.len() == Partition::COUNT).then(|| Self(digests.into_boxed_slice()))
    }

    /// All digests, in the order of their partitions.
    pub fn as_slice(&self) -> &[Digest] {
        &self.0
    }

    /// Takes in a chunk that was not held.
    pub fn add(&mut self, chunk: ChunkId, len_bytes: impl Into<Option<u64>>) {
        if let Some(digest) = self.0.get_mut(chunk.partition().index()) {
            digest.add(chunk, len_bytes);
        }
    }

    /// Takes out a chunk that was held with this length.
    pub fn remove(&mut self, chunk: ChunkId, len_bytes: impl Into<Option<u64>>) {
        if let Some(digest) = self.0.get_mut(chunk.partition().index()) {
            digest.remove(chunk, len_bytes);
        }
    }

    /// The digest of one partition.
    pub fn get(&self, partition: Partition) -> Digest {
        self.0.get(partition.index()).copied().unwrap_or_default()
    }

    /// One digest over all partitions; costs a hash of 64 KiB.
    pub fn root(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for digest in &self.0 {
            hasher.update(&digest.0.to_le_bytes());
        }
        Digest(leading(hasher.finalize()))
    }

    /// The partitions in which the two sides differ, in order.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Partition> + 'a {
        Partition::all().filter(|&partition| self.get(partition) != other.get(partition))
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
    fn equal_sets_have_equal_digests_in_any_order() {
        let (mut left, mut right) = (PartitionDigests::empty(), PartitionDigests::empty());
        for i in 0..200_u32 {
            left.add(chunk(u128::from(i), i), 64);
            right.add(chunk(u128::from(199 - i), 199 - i), 64);
        }
        assert_eq!(left, right);
        assert_eq!(left.root(), right.root());
        assert_eq!(left.differing(&right).count(), 0);
    }

    #[test]
    fn what_is_added_and_removed_leaves_no_trace() {
        let mut digests = PartitionDigests::empty();
        digests.add(chunk(1, 0), 5);
        digests.add(chunk(2, 0), 5);
        digests.remove(chunk(1, 0), 5);
        digests.remove(chunk(2, 0), 5);
        assert_eq!(digests, PartitionDigests::empty());
    }

    #[test]
    fn one_chunk_more_other_or_of_other_length_is_seen_in_its_partition() {
        let mut base = PartitionDigests::empty();
        base.add(chunk(1, 0), 5);
        let with = |chunk: ChunkId, len: u64| {
            let mut other = PartitionDigests::empty();
            let len = (len > 0).then_some(len);
            other.add(chunk, len);
            other
        };
        for other in [
            with(chunk(1, 0), 6),
            with(chunk(1, 0), 0),
            with(chunk(1, 1), 5),
            with(chunk(2, 0), 5),
        ] {
            assert_ne!(base.root(), other.root());
            assert!(base.differing(&other).any(|p| p == chunk(1, 0).partition()));
        }
    }

    #[test]
    fn a_chunk_counted_twice_does_not_cancel_out() {
        let mut digest = Digest::EMPTY;
        digest.add(chunk(1, 0), 5);
        digest.add(chunk(1, 0), 5);
        assert_ne!(digest, Digest::EMPTY);
    }
}
