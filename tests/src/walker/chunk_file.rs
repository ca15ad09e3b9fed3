//! Chunk files, read as `docs/format.md` draws them.

use super::Depth;
use anyhow::{Context, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const BLOCK_BYTES: u64 = 64 * 1024;
/// Footer without block checksums.
const HEAD_BYTES: u64 = 1152;
const TRAILER_BYTES: u64 = 16;
/// A chunk has at most 1 GiB, so a footer has no more than this.
const FOOTER_MAX: u64 = HEAD_BYTES + 4 * ((1 << 30) / BLOCK_BYTES);

/// Which chunk a file should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) cluster: [u8; 16],
    pub(super) file: [u8; 16],
    pub(super) index: u32,
}

/// A chunk file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// It is what it should be.
    Good {
        /// Bytes of file in it.
        length: u64,
        /// Bytes of each chunk of its file but the last.
        chunk_size: u64,
    },
    /// It is not; why.
    Damaged(&'static str),
}

/// The bytes of a chunk file: on a disk, or in memory.
pub(super) trait Bytes {
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
    /// Those from `at` on, as many as the buffer takes.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }
}

impl Bytes for [u8] {
    fn length(&self) -> io::Result<u64> {
        u64::try_from(self.len()).map_err(io::Error::other)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let there = self.get(at..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Looks at a chunk file; none if there is no such file any more.
///
/// # Errors
/// If the disk cannot be read.
pub(super) fn look(path: &Path, wanted: Wanted, depth: Depth) -> Result<Option<Copy>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let looked = check(&file, wanted, depth);
    looked.map(Some).with_context(|| path.display().to_string())
}

/// Looks at the bytes of a chunk file.
///
/// # Errors
/// If they cannot be read.
pub(super) fn check(file: &(impl Bytes + ?Sized), wanted: Wanted, depth: Depth) -> Result<Copy> {
    let bytes = file.length()?;
    let Some(trailer_at) = bytes.checked_sub(TRAILER_BYTES) else {
        return Ok(Copy::Damaged("shorter than a trailer"));
    };
    let mut trailer = [0; 16];
    file.read_at(&mut trailer, trailer_at)?;
    let footer_bytes = u64::from(number(&trailer, 0));
    if trailer.get(8..) != Some(b"MDFSTAIL".as_slice()) {
        return Ok(Copy::Damaged("no trailer"));
    }
    let Some(length) = trailer_at.checked_sub(footer_bytes) else {
        return Ok(Copy::Damaged("shorter than its footer"));
    };
    if !(HEAD_BYTES..=FOOTER_MAX).contains(&footer_bytes) {
        return Ok(Copy::Damaged("a footer of an impossible length"));
    }
    let mut footer = vec![0; usize::try_from(footer_bytes)?];
    file.read_at(&mut footer, length)?;
    if crc32fast::hash(&footer) != number(&trailer, 4) {
        return Ok(Copy::Damaged("the footer's checksum does not match"));
    }
    if let Err(what) = is_footer_of(&footer, wanted, length) {
        return Ok(Copy::Damaged(what));
    }
    if depth == Depth::Blocks && !blocks_match(file, &footer, wanted, length)? {
        return Ok(Copy::Damaged("a block's checksum does not match"));
    }
    Ok(Copy::Good {
        length,
        chunk_size: long_number(&footer, 64),
    })
}

/// Whether a footer is that of this chunk with this length.
fn is_footer_of(footer: &[u8], wanted: Wanted, length: u64) -> Result<(), &'static str> {
    let blocks = length.div_ceil(BLOCK_BYTES);
    for (right, what) in [
        (footer.get(..8) == Some(b"MDFSFOOT".as_slice()), "no footer"),
        (number(footer, 8) == 1, "another format version"),
        (
            u64::from(number(footer, 12)) == BLOCK_BYTES,
            "another length of blocks",
        ),
        (
            footer.get(16..32) == Some(wanted.cluster.as_slice()),
            "of another cluster",
        ),
        (
            footer.get(32..48) == Some(wanted.file.as_slice()),
            "of another file",
        ),
        (number(footer, 48) == wanted.index, "another chunk"),
        (
            length > 0 && long_number(footer, 56) == length,
            "cut or extended",
        ),
        (
            u64::try_from(footer.len()) == Ok(HEAD_BYTES + 4 * blocks),
            "another number of blocks",
        ),
    ] {
        if !right {
            return Err(what);
        }
    }
    Ok(())
}

fn blocks_match(
    file: &(impl Bytes + ?Sized),
    footer: &[u8],
    wanted: Wanted,
    length: u64,
) -> Result<bool> {
    let checksums = footer.get(usize::try_from(HEAD_BYTES)?..);
    let checksums = checksums.unwrap_or_default().as_chunks::<4>().0;
    let mut buffer = vec![0; usize::try_from(BLOCK_BYTES)?];
    let mut left = length;
    for (block_no, checksum) in (0_u32..).zip(checksums) {
        let count = usize::try_from(left.min(BLOCK_BYTES))?;
        let (block, _) = buffer.split_at_mut(count);
        file.read_at(block, length - left)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&wanted.file);
        hasher.update(&wanted.index.to_le_bytes());
        hasher.update(&block_no.to_le_bytes());
        hasher.update(block);
        if hasher.finalize() != u32::from_le_bytes(*checksum) {
            return Ok(false);
        }
        left -= u64::try_from(count)?;
    }
    Ok(left == 0)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn long_number(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
