//! How far a scrub has come, kept on the disk so that a restart goes on from there.

use super::error::{Result, io_error};
use super::identity::{FORMAT_VERSION, Fields};
use super::layout::{SCRUBBED, SCRUBBED_STAGED};
use super::{ChunkStore, OpenChunk};
use crate::disk::Writes;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use std::io;
use std::path::Path;

const MAGIC: [u8; 8] = *b"MDFSSCRB";
const BYTES: usize = 36;

impl ChunkStore {
    /// The chunk that was scrubbed last, if a scrub had begun. A file that does not say is as good as
    /// none: the scrub begins anew.
    pub(crate) fn scrubbed(&self) -> Option<ChunkId> {
        let file = self.disk().open(Path::new(SCRUBBED), false).ok()?;
        let mut bytes = [0; BYTES + 1];
        let count = file.read_at(&mut bytes, 0).ok()?;
        decode(bytes.get(..count)?)
    }

    /// Notes, durably, which chunk was scrubbed last.
    ///
    /// # Errors
    /// `ReadOnly`; otherwise what the disk says.
    pub(crate) fn note_scrubbed(&self, chunk: ChunkId) -> Result<()> {
        self.check_writable()?;
        let (disk, path, staged) = (self.disk(), Path::new(SCRUBBED), Path::new(SCRUBBED_STAGED));
        match disk.remove(staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", staged)(error));
            }
            _ => {}
        }
        let file = disk
            .create(staged, Writes::Cached)
            .map_err(io_error("create", staged))?;
        file.write_at(&encode(chunk), 0)
            .map_err(io_error("write", staged))?;
        file.sync_data().map_err(io_error("sync", staged))?;
        disk.rename(staged, path)
            .map_err(io_error("rename", staged))?;
        let root = Path::new("");
        // Its failure may speak of another name there, and is told once.
        disk.sync_dir(root).map_err(self.sync_dir_failed(root))
    }

    /// Opens a chunk as it is on the disk now, for reading it once.
    ///
    /// # Errors
    /// As `open_chunk`.
    pub(crate) fn open_once(&self, chunk: ChunkId) -> Result<OpenChunk> {
        self.open_anew(chunk)
    }
}

fn encode(chunk: ChunkId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend(MAGIC);
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend(chunk.file.to_bytes());
    bytes.extend(chunk.index.to_le_bytes());
    bytes.extend(Crc32::of(&bytes).0.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<ChunkId> {
    let (body, checksum) = bytes.split_at_checked(BYTES - 4)?;
    if checksum != Crc32::of(body).0.to_le_bytes() {
        return None;
    }
    let mut fields = Fields { rest: body };
    let known = fields.take()? == MAGIC && fields.take()? == FORMAT_VERSION.to_le_bytes();
    known.then_some(())?;
    Some(ChunkId {
        file: FileId::from_bytes(fields.take()?),
        index: u32::from_le_bytes(fields.take()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_a_flip_of_any_bit_is_found() {
        let chunk = ChunkId {
            file: FileId::from_u128(7),
            index: 9,
        };
        let bytes = encode(chunk);
        assert_eq!((bytes.len(), decode(&bytes)), (BYTES, Some(chunk)));
        for bit in 0..BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(decode(&bytes[..9]), None);
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
    }
}
