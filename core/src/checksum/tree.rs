//! BLAKE3 as a tree: chunks hashed apart, perhaps on different workers, join to the file's hash.

use super::{Blake3, InvalidChecksum, hash256, parse_hex};
use crate::chunk::ChunkSize;
use blake3::hazmat::{ChainingValue, HasherExt, Mode};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

hash256! {
    /// What a chunk adds to the BLAKE3 of its file: the chaining value of its subtree.
    ///
    /// When the chunk is the whole file, it is the file's BLAKE3 itself.
    ChunkHash
}

/// The chaining value of a part of a file: what it adds to the BLAKE3 of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree(ChainingValue);

impl Subtree {
    /// The chaining value.
    pub const fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

/// The subtree of the part of a file that starts at `offset`.
///
/// None unless the tree has such a subtree below its root: the part has bytes, `offset` is a
/// multiple of the part's length rounded up to a power of two, and that is at least 1 KiB. A part
/// that is not followed by another may be shorter; the caller knows that it is the last one.
pub fn subtree_of(bytes: &[u8], offset: u64) -> Option<Subtree> {
    let len = u64::try_from(bytes.len()).ok()?;
    let span = len.checked_next_power_of_two()?.max(1024);
    if len == 0 || !offset.is_multiple_of(span) {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    Some(Subtree(hasher.finalize_non_root()))
}

/// Joins the subtrees of parts that follow each other, all but the last of one length, a power of
/// two of at least 1 KiB; the last may be shorter.
///
/// Keeps as many values as the tree is high, whatever the number of parts.
#[derive(Clone, Debug, Default)]
pub struct TreeJoin {
    // The subtrees complete so far, the largest first; as many as `count` has bits set, but that
    // the two of a pair wait until a part follows, because the root is merged otherwise.
    stack: Vec<ChainingValue>,
    count: u64,
}

impl TreeJoin {
    /// A join of no part yet.
    pub const fn new() -> Self {
        Self {
            stack: Vec::new(),
            count: 0,
        }
    }

    /// How many parts were added.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds the next part.
    pub fn push(&mut self, part: Subtree) {
        let wanted = usize::try_from(self.count.count_ones()).unwrap_or(usize::MAX);
        while self.stack.len() > wanted {
            self.merge_last();
        }
        self.stack.push(part.0);
        self.count += 1;
    }

    fn merge_last(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            self.stack
                .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    /// The BLAKE3 of all parts together; none unless there are at least two, since the root is
    /// not known from the chaining value of one.
    pub fn root(mut self) -> Option<Blake3> {
        while self.stack.len() > 2 {
            self.merge_last();
        }
        match self.stack.as_slice() {
            [left, right] => Some(Blake3(
                *merge_subtrees_root(left, right, Mode::Hash).as_bytes(),
            )),
            _ => None,
        }
    }

    /// The subtree of all parts together, for a part of something larger; none of no part.
    pub fn subtree(mut self) -> Option<Subtree> {
        while self.stack.len() > 1 {
            self.merge_last();
        }
        self.stack.pop().map(Subtree)
    }
}

/// The BLAKE3 of a file from the hashes of all its chunks, in order; an empty file has none.
///
/// A single chunk's hash is the file's. Nothing tells hashes of other chunks apart: what comes out
/// is then the hash of no file.
pub fn join(chunks: &[ChunkHash]) -> Blake3 {
    let mut tree = TreeJoin::new();
    for chunk in chunks {
        tree.push(Subtree(chunk.0));
    }
    let single = || {
        chunks
            .first()
            .map_or_else(|| Blake3::of(&[]), |only| Blake3(only.0))
    };
    tree.root().unwrap_or_else(single)
}

/// Hashes one chunk, given its bytes in order in pieces of any size.
#[derive(Clone, Debug)]
pub struct ChunkHasher {
    hasher: blake3::Hasher,
    index: u32,
}

impl ChunkHasher {
    /// Begins the chunk with this number, in a file whose chunks have this size.
    pub fn new(index: u32, size: ChunkSize) -> Self {
        let mut hasher = blake3::Hasher::new();
        // At most 2^32 chunks of 2^30 bytes: no overflow.
        hasher.set_input_offset(u64::from(index) * size.bytes());
        Self { hasher, index }
    }

    /// Takes the next bytes: at most the chunk size in all, and pieces of 64 KiB or more are fast.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The chunk's hash. `whole_file` says that no other chunk is in the file.
    pub fn finish(&self, whole_file: bool) -> ChunkHash {
        if whole_file && self.index == 0 {
            ChunkHash(*self.hasher.finalize().as_bytes())
        } else {
            ChunkHash(self.hasher.finalize_non_root())
        }
    }
}

/// Hashes a file, given its bytes in order in pieces of any size: the whole and each chunk.
#[derive(Clone, Debug)]
pub struct FileHasher {
    size: ChunkSize,
    chunk: ChunkHasher,
    room: u64,
    tree: TreeJoin,
    done: Vec<ChunkHash>,
}

/// What a [`FileHasher`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHash {
    /// The BLAKE3 of the whole file.
    pub whole: Blake3,
    /// The hashes of the chunks that were not taken before, in order; an empty file has none.
    pub chunks: Vec<ChunkHash>,
}

impl FileHasher {
    /// Begins a file whose chunks, but the last, have this size.
    pub fn new(size: ChunkSize) -> Self {
        Self::at(0, size)
    }

    /// Begins with the chunk of this number: what is hashed is a part of the file, and a `whole` of it
    /// there is only from the first chunk on.
    pub fn at(index: u32, size: ChunkSize) -> Self {
        Self {
            size,
            chunk: ChunkHasher::new(index, size),
            room: size.bytes(),
            tree: TreeJoin::new(),
            done: Vec::new(),
        }
    }

    /// What the last chunk so far adds to a file that has others; none while it has no byte.
    pub fn last_chunk(&self) -> Option<ChunkHash> {
        (self.room < self.size.bytes()).then(|| self.chunk.finish(false))
    }

    /// Takes the next bytes; pieces of 64 KiB or more are fast.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room == 0 {
                self.close_chunk();
            }
            let take = usize::try_from(self.room).map_or(bytes.len(), |room| room.min(bytes.len()));
            let (now, later) = bytes.split_at(take);
            self.chunk.update(now);
            self.room -= u64::try_from(take).unwrap_or(u64::MAX).min(self.room);
            bytes = later;
        }
    }

    /// A full chunk is closed only when a byte follows: the last one may be the whole file.
    fn close_chunk(&mut self) {
        let hash = self.chunk.finish(false);
        self.tree.push(Subtree(hash.0));
        self.done.push(hash);
        self.chunk = ChunkHasher::new(self.chunk.index.saturating_add(1), self.size);
        self.room = self.size.bytes();
    }

    /// Takes the hashes of the chunks that are complete and followed by another, each once.
    pub fn take_chunks(&mut self) -> Vec<ChunkHash> {
        std::mem::take(&mut self.done)
    }

    /// Ends the file.
    pub fn finish(mut self) -> FileHash {
        if self.tree.count() == 0 && self.room == self.size.bytes() {
            return FileHash {
                whole: Blake3::of(&[]),
                chunks: Vec::new(),
            };
        }
        if self.tree.count() == 0 {
            let hash = self.chunk.finish(true);
            return FileHash {
                whole: Blake3(hash.0),
                chunks: vec![hash],
            };
        }
        let hash = self.chunk.finish(false);
        self.done.push(hash);
        self.tree.push(Subtree(hash.0));
        // With at least two chunks there is a root, so the other value is never used.
        let whole = self.tree.root().unwrap_or(Blake3(hash.0));
        FileHash {
            whole,
            chunks: self.done,
        }
    }
}
