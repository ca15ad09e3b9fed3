//! What stands behind a chunk's bytes, so that a chunk file describes itself.
//!
//! `docs/format.md` draws it. The footer of a chunk is as long as every other of its size, so that
//! a mount computes the bytes of all chunks from the lengths of their files.

use super::identity::{FORMAT_VERSION, Fields};
use mdfs_core::checksum::{ChunkHash, Crc32};
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, ChunkSize};
use mdfs_core::id::{ClusterId, FileId};
use mdfs_core::name::MAX_NAME_BYTES;
use mdfs_protocol::internal::Seal;

const MAGIC: [u8; 8] = *b"MDFSFOOT";
const TRAILER_MAGIC: [u8; 8] = *b"MDFSTAIL";
const TRAILER_BYTES: usize = 16;
/// The footer without block checksums.
const HEAD_BYTES: usize = 128 + MAX_NAME_BYTES;
const HAS_FILE_BYTES: u32 = 1;

/// Footer and trailer of a chunk without blocks.
const FIXED_BYTES: u64 = (HEAD_BYTES + TRAILER_BYTES) as u64;

/// How many blocks a chunk of that many bytes has.
pub(crate) fn block_count(length: u64) -> u64 {
    length.div_ceil(u64::from(BLOCK_BYTES))
}

/// The bytes behind a chunk of that many bytes: footer and trailer.
pub(crate) fn tail_length(length: u64) -> u64 {
    FIXED_BYTES + 4 * block_count(length)
}

/// The length of the chunk in a file of that many bytes; none if no chunk file has that length.
pub(crate) fn chunk_length(file_bytes: u64) -> Option<u64> {
    let rest = file_bytes.checked_sub(FIXED_BYTES)?;
    let blocks = rest.div_ceil(u64::from(BLOCK_BYTES) + 4);
    let length = rest.checked_sub(4 * blocks)?;
    (length > 0 && block_count(length) == blocks && length <= ChunkSize::MAX.bytes())
        .then_some(length)
}

/// Everything a chunk file says about its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The cluster that wrote it.
    pub(crate) cluster: ClusterId,
    /// Which chunk this is.
    pub(crate) chunk: ChunkId,
    /// What the upload said of it.
    pub(crate) seal: Seal,
    /// One checksum a block, in order.
    pub(crate) blocks: Vec<Crc32>,
}

impl Footer {
    /// Footer and trailer as bytes. The name must not be longer than a name may be.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let seal = &self.seal;
        let name = seal.name.as_bytes();
        let padding = MAX_NAME_BYTES.checked_sub(name.len())?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 4 * self.blocks.len() + TRAILER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend(BLOCK_BYTES.to_le_bytes());
        bytes.extend(self.cluster.to_bytes());
        bytes.extend(self.chunk.file.to_bytes());
        bytes.extend(self.chunk.index.to_le_bytes());
        bytes.extend(
            if seal.file_bytes.is_some() {
                HAS_FILE_BYTES
            } else {
                0
            }
            .to_le_bytes(),
        );
        bytes.extend(seal.length.to_le_bytes());
        bytes.extend(seal.chunk_size.bytes().to_le_bytes());
        bytes.extend(seal.begun_at.to_le_bytes());
        bytes.extend(seal.file_bytes.unwrap_or(0).to_le_bytes());
        bytes.extend(seal.hash.0);
        bytes.extend(seal.crc32.0.to_le_bytes());
        bytes.extend(u32::try_from(name.len()).ok()?.to_le_bytes());
        bytes.extend(name);
        bytes.extend(std::iter::repeat_n(0, padding));
        for block in &self.blocks {
            bytes.extend(block.0.to_le_bytes());
        }
        let footer_len = u32::try_from(bytes.len()).ok()?;
        let footer_crc = Crc32::of(&bytes);
        bytes.extend(footer_len.to_le_bytes());
        bytes.extend(footer_crc.0.to_le_bytes());
        bytes.extend(TRAILER_MAGIC);
        Some(bytes)
    }

    /// Reads what stands behind a chunk's bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const CUT: &str = "its footer is cut";
        let split = bytes.len().checked_sub(TRAILER_BYTES).ok_or(CUT)?;
        let (footer, trailer) = bytes.split_at_checked(split).ok_or(CUT)?;
        let mut trailer = Fields { rest: trailer };
        let footer_len = u32::from_le_bytes(trailer.take().ok_or(CUT)?);
        let footer_crc = u32::from_le_bytes(trailer.take().ok_or(CUT)?);
        if trailer.take() != Some(TRAILER_MAGIC) || usize::try_from(footer_len) != Ok(footer.len())
        {
            return Err("it does not end as a chunk");
        }
        if Crc32::of(footer).0 != footer_crc {
            return Err("the checksum of its footer does not match");
        }
        let mut fields = Fields { rest: footer };
        if fields.take() != Some(MAGIC) {
            return Err("its footer does not start as one");
        }
        if fields.take().map(u32::from_le_bytes) != Some(FORMAT_VERSION) {
            return Err("its format version is unknown");
        }
        if fields.take().map(u32::from_le_bytes) != Some(BLOCK_BYTES) {
            return Err("its blocks have an unknown length");
        }
        Self::decode_fields(&mut fields).ok_or("its footer contradicts itself")
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let cluster = ClusterId::from_bytes(fields.take()?);
        let file = FileId::from_bytes(fields.take()?);
        let index = u32::from_le_bytes(fields.take()?);
        let flags = u32::from_le_bytes(fields.take()?);
        let length = u64::from_le_bytes(fields.take()?);
        let chunk_size = ChunkSize::new(u64::from_le_bytes(fields.take()?)).ok()?;
        let begun_at = u64::from_le_bytes(fields.take()?);
        let file_bytes = u64::from_le_bytes(fields.take()?);
        let hash = ChunkHash(fields.take()?);
        let crc32 = Crc32(u32::from_le_bytes(fields.take()?));
        let name_len = usize::try_from(u32::from_le_bytes(fields.take()?)).ok()?;
        let name_area: [u8; MAX_NAME_BYTES] = fields.take()?;
        let name = std::str::from_utf8(name_area.get(..name_len)?)
            .ok()?
            .to_owned();
        let (blocks, rest) = fields.rest.as_chunks::<4>();
        let blocks: Vec<_> = blocks
            .iter()
            .map(|block| Crc32(u32::from_le_bytes(*block)))
            .collect();
        let file_bytes = (flags & HAS_FILE_BYTES != 0).then_some(file_bytes);
        (rest.is_empty() && blocks.len() as u64 == block_count(length)).then_some(Self {
            cluster,
            chunk: ChunkId { file, index },
            seal: Seal {
                length,
                crc32,
                hash,
                chunk_size,
                name,
                begun_at,
                file_bytes,
            },
            blocks,
        })
    }
}

/// Reads what stands behind a chunk's bytes, and writes it again. For whoever checks that nothing can
/// stand there that does harm.
///
/// # Errors
/// What is wrong with it.
pub fn footer_read_again(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let footer = Footer::decode(bytes)?;
    footer.encode().ok_or("its name is too long")
}

/// A sound footer, of a chunk of two blocks.
pub fn sample_footer() -> Vec<u8> {
    let length = u64::from(BLOCK_BYTES) + 1;
    let footer = Footer {
        cluster: ClusterId::from_u128(1),
        chunk: ChunkId {
            file: FileId::from_u128(2),
            index: 0,
        },
        seal: Seal {
            length,
            crc32: Crc32(3),
            hash: ChunkHash([4; 32]),
            chunk_size: ChunkSize::default(),
            name: "films/a.mkv".to_owned(),
            begun_at: 5,
            file_bytes: Some(length),
        },
        blocks: vec![Crc32(6), Crc32(7)],
    };
    footer.encode().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_chunk_follows_from_that_of_its_file() {
        let block = u64::from(BLOCK_BYTES);
        let most = ChunkSize::MAX.bytes();
        for length in [
            1,
            2,
            block - 1,
            block,
            block + 1,
            64 * block,
            most - 1,
            most,
        ] {
            assert_eq!(
                chunk_length(length + tail_length(length)),
                Some(length),
                "{length}"
            );
        }
        for nonsense in [
            0,
            5,
            FIXED_BYTES,
            FIXED_BYTES + 4,
            most + 1 + tail_length(most + 1),
        ] {
            assert_eq!(chunk_length(nonsense), None, "{nonsense}");
        }
        // One more byte than one block has, but no room for a second checksum.
        assert_eq!(chunk_length(FIXED_BYTES + block + 4 + 1), None);
    }
}
