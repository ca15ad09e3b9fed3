//! Chunks: how a file's bytes are cut, and which chunk has a given byte.

mod set;

pub use set::ChunkSet;

use crate::id::FileId;
use crate::partition::{Partition, partition_of};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The length of a block, the piece of a chunk that has a checksum of its own.
pub const BLOCK_BYTES: u32 = 64 * 1024;

/// The length of a segment, the piece in which chunks travel between servers.
pub const SEGMENT_BYTES: u32 = 1024 * 1024;

/// One chunk of one version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    /// The version of the file.
    pub file: FileId,
    /// The chunk's number in the file, from zero.
    pub index: u32,
}

impl ChunkId {
    /// The partition that says which disks hold the chunk.
    pub fn partition(self) -> Partition {
        partition_of(self.file, self.index)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.file, self.index)
    }
}

/// The most bytes a chunk of a file has: a power of two from 1 MiB to 1 GiB.
///
/// A power of two, so that each chunk is a whole subtree of the file's BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct ChunkSize(u64);

/// A number that is no chunk size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a chunk size of {0} bytes is not a power of two from 1 MiB to 1 GiB")]
pub struct InvalidChunkSize(u64);

impl ChunkSize {
    /// The smallest: 1 MiB.
    pub const MIN: Self = Self(1 << 20);
    /// The largest: 1 GiB.
    pub const MAX: Self = Self(1 << 30);
    /// What is used when nothing else is said: 64 MiB.
    pub const DEFAULT: Self = Self(64 << 20);

    /// The chunk size of that many bytes.
    ///
    /// # Errors
    /// It is not a power of two from 1 MiB to 1 GiB.
    pub const fn new(bytes: u64) -> Result<Self, InvalidChunkSize> {
        if bytes.is_power_of_two() && bytes >= Self::MIN.0 && bytes <= Self::MAX.0 {
            Ok(Self(bytes))
        } else {
            Err(InvalidChunkSize(bytes))
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for ChunkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A text that is no chunk size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseChunkSizeError {
    /// The text is not a number of bytes.
    #[error("{0:?} is not a number of bytes")]
    NotANumber(String),
    /// The number is no chunk size.
    #[error(transparent)]
    Invalid(#[from] InvalidChunkSize),
}

impl FromStr for ChunkSize {
    type Err = ParseChunkSizeError;

    fn from_str(text: &str) -> Result<Self, ParseChunkSizeError> {
        let refuse = |_| ParseChunkSizeError::NotANumber(text.chars().take(64).collect());
        Ok(Self::new(text.parse().map_err(refuse)?)?)
    }
}

impl TryFrom<u64> for ChunkSize {
    type Error = InvalidChunkSize;

    fn try_from(bytes: u64) -> Result<Self, InvalidChunkSize> {
        Self::new(bytes)
    }
}

impl From<ChunkSize> for u64 {
    fn from(size: ChunkSize) -> Self {
        size.0
    }
}

/// So many chunks in a row of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkRun {
    /// How many chunks; never zero.
    pub count: u32,
    /// The length of each in bytes; never zero.
    pub length: u64,
}

/// The lengths of a file's chunks, kept as runs: a file cut evenly takes at most two.
///
/// Never has an empty run or chunk, more chunks than `u32::MAX` or more bytes than `u64::MAX`;
/// neighbouring runs differ in length. Every look-up takes time by the runs, not by the chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<ChunkRun>", into = "Vec<ChunkRun>")]
pub struct ChunkLayout {
    runs: Vec<ChunkRun>,
}

/// Why lengths make no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLayout {
    /// A chunk has no byte, or a run no chunk.
    #[error("a chunk layout has an empty chunk or run")]
    EmptyChunk,
    /// The chunks do not fit into 32 bits, or their bytes into 64.
    #[error("a chunk layout has too many chunks or bytes")]
    TooLarge,
}

/// Where a byte of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkPosition {
    /// The chunk's number in the file.
    pub index: u32,
    /// The byte's position in the chunk.
    pub offset: u64,
}

impl ChunkLayout {
    /// The layout of a file without chunks, so without bytes.
    pub const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// The layout of a file of that many bytes, all chunks but the last of the full size.
    ///
    /// # Errors
    /// The file would have more than `u32::MAX` chunks.
    pub fn of_file(total_bytes: u64, size: ChunkSize) -> Result<Self, InvalidLayout> {
        let mut layout = Self::new();
        let full = total_bytes / size.bytes();
        let count = u32::try_from(full).map_err(|_| InvalidLayout::TooLarge)?;
        if count > 0 {
            layout.push_run(ChunkRun {
                count,
                length: size.bytes(),
            })?;
        }
        let rest = total_bytes % size.bytes();
        if rest > 0 {
            layout.push(rest)?;
        }
        Ok(layout)
    }

    /// Adds a chunk of that many bytes at the end.
    ///
    /// # Errors
    /// The chunk is empty, or the layout full; then it is unchanged.
    pub fn push(&mut self, length: u64) -> Result<(), InvalidLayout> {
        self.push_run(ChunkRun { count: 1, length })
    }

    fn push_run(&mut self, run: ChunkRun) -> Result<(), InvalidLayout> {
        if run.count == 0 || run.length == 0 {
            return Err(InvalidLayout::EmptyChunk);
        }
        let run_bytes = u64::from(run.count)
            .checked_mul(run.length)
            .ok_or(InvalidLayout::TooLarge)?;
        self.total_bytes()
            .checked_add(run_bytes)
            .ok_or(InvalidLayout::TooLarge)?;
        self.chunk_count()
            .checked_add(run.count)
            .ok_or(InvalidLayout::TooLarge)?;
        match self.runs.last_mut() {
            Some(last) if last.length == run.length => last.count += run.count,
            _ => self.runs.push(run),
        }
        Ok(())
    }

    /// The runs, in order.
    pub fn runs(&self) -> &[ChunkRun] {
        &self.runs
    }

    /// The bytes of all chunks: the file's size.
    pub fn total_bytes(&self) -> u64 {
        self.runs
            .iter()
            .map(|run| u64::from(run.count) * run.length)
            .sum()
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// The length of a chunk in bytes; none if the file has no such chunk.
    pub fn chunk_len(&self, index: u32) -> Option<u64> {
        self.find(index).map(|(_, length)| length)
    }

    /// The position in the file of a chunk's first byte; none if the file has no such chunk.
    pub fn offset_of(&self, index: u32) -> Option<u64> {
        self.find(index).map(|(offset, _)| offset)
    }

    /// The chunk that has a byte of the file; none at or beyond the end.
    pub fn locate(&self, offset: u64) -> Option<ChunkPosition> {
        let (mut first_index, mut rest) = (0, offset);
        for run in &self.runs {
            let in_run = rest / run.length;
            match u32::try_from(in_run) {
                Ok(chunks) if chunks < run.count => {
                    let index = first_index + chunks;
                    return Some(ChunkPosition {
                        index,
                        offset: rest % run.length,
                    });
                }
                _ => {
                    rest -= u64::from(run.count) * run.length;
                    first_index += run.count;
                }
            }
        }
        None
    }

    /// The chunk's position in the file and its length.
    fn find(&self, index: u32) -> Option<(u64, u64)> {
        let (mut rest, mut offset) = (index, 0);
        for run in &self.runs {
            if rest < run.count {
                return Some((offset + u64::from(rest) * run.length, run.length));
            }
            rest -= run.count;
            offset += u64::from(run.count) * run.length;
        }
        None
    }
}

impl TryFrom<Vec<ChunkRun>> for ChunkLayout {
    type Error = InvalidLayout;

    fn try_from(runs: Vec<ChunkRun>) -> Result<Self, InvalidLayout> {
        let mut layout = Self::new();
        for run in runs {
            layout.push_run(run)?;
        }
        Ok(layout)
    }
}

impl From<ChunkLayout> for Vec<ChunkRun> {
    fn from(layout: ChunkLayout) -> Self {
        layout.runs
    }
}

#[cfg(test)]
mod tests;
