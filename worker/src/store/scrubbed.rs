//! How far a scrub has come, kept on the disk so that a restart goes on from there.

use super::error::{Result, io_error};
use super::identity::{FORMAT_VERSION, Fields};
use super::layout::{SCRUBBED, SCRUBBED_STAGED};
use super::{ChunkStore, OpenChunk};
use crate::disk::Writes;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use mdfs_core::time::LogTime;
use mdfs_protocol::internal::ScrubProgress;
use std::io;
use std::path::Path;

const MAGIC: [u8; 8] = *b"MDFSSCRB";
const BYTES: usize = 80;
const HAS_POSITION: u32 = 1;
const HAS_WHOLE_SINCE: u32 = 2;
const ORDERED: u32 = 4;
const FINISHED: u32 = 8;
const MISSED: u32 = 16;

/// How far a scrub has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScrubNote {
    /// The chunk that was read last in the pass under way; none at its beginning.
    pub(crate) position: Option<ChunkId>,
    /// When that pass began, by the wall clock.
    pub(crate) began: LogTime,
    /// Whether a chunk could not be read in that pass, though nothing says that it is damaged.
    pub(crate) missed: bool,
    /// When the last pass began that came to its end and read everything: each chunk was read since, or came since. None
    /// if that is not known.
    pub(crate) whole_since: Option<LogTime>,
    /// What is told of it.
    pub(crate) progress: ScrubProgress,
}

impl ChunkStore {
    /// How far the scrub is, if one had begun. A file that does not say is as good as none: the scrub
    /// begins anew.
    pub(crate) fn scrubbed(&self) -> Option<ScrubNote> {
        let file = self.disk().open(Path::new(SCRUBBED), false).ok()?;
        let mut bytes = [0; BYTES + 1];
        let count = file.read_at(&mut bytes, 0).ok()?;
        ScrubNote::decode(bytes.get(..count)?)
    }

    /// Notes, durably, how far the scrub is.
    ///
    /// # Errors
    /// `ReadOnly`; otherwise what the disk says.
    pub(crate) fn note_scrubbed(&self, note: ScrubNote) -> Result<()> {
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
        file.write_at(&note.encode(), 0)
            .map_err(io_error("write", staged))?;
        file.sync_data().map_err(io_error("sync", staged))?;
        disk.rename(staged, path)
            .map_err(io_error("rename", staged))?;
        let root = Path::new("");
        // Its failure may speak of another name there, and is told once.
        disk.sync_dir(root).map_err(self.sync_dir_failed(root))
    }

    /// Opens a chunk as it is on the disk now, for reading it once: past the page cache where that can
    /// be, so that what is read there is what the disk has, and what clients read stays in memory.
    ///
    /// # Errors
    /// As `open_chunk`.
    pub(crate) fn open_once(&self, chunk: ChunkId) -> Result<OpenChunk> {
        self.open_from(chunk, |path| self.disk().open_bulk(path))
    }
}

impl ScrubNote {
    fn encode(&self) -> Vec<u8> {
        let Self {
            position,
            began,
            missed,
            whole_since,
            progress,
        } = *self;
        let ScrubProgress {
            ordered,
            finished,
            // Counted from the worker's start.
            millis: _,
            chunks,
            bytes: read,
            bad_blocks,
        } = progress;
        let flags = [
            (position.is_some(), HAS_POSITION),
            (whole_since.is_some(), HAS_WHOLE_SINCE),
            (ordered, ORDERED),
            (finished, FINISHED),
            (missed, MISSED),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set);
        let flags: u32 = flags.map(|(_, flag)| flag).sum();
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(position.map_or([0; 16], |chunk| chunk.file.to_bytes()));
        bytes.extend(position.map_or(0, |chunk| chunk.index).to_le_bytes());
        let whole_since = whole_since.map_or(0, LogTime::as_millis);
        for number in [began.as_millis(), whole_since, chunks, read, bad_blocks] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(Crc32::of(&bytes).0.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(BYTES - 4)?;
        if checksum != Crc32::of(body).0.to_le_bytes() {
            return None;
        }
        let mut fields = Fields { rest: body };
        let known = fields.take()? == MAGIC && fields.take()? == FORMAT_VERSION.to_le_bytes();
        known.then_some(())?;
        let flags = u32::from_le_bytes(fields.take()?);
        let is_set = |flag| flags & flag != 0;
        let chunk = ChunkId {
            file: FileId::from_bytes(fields.take()?),
            index: u32::from_le_bytes(fields.take()?),
        };
        let mut number = || fields.take().map(u64::from_le_bytes);
        let (began, whole_since) = (number()?, LogTime::from_millis(number()?));
        Some(Self {
            position: is_set(HAS_POSITION).then_some(chunk),
            began: LogTime::from_millis(began),
            missed: is_set(MISSED),
            whole_since: is_set(HAS_WHOLE_SINCE).then_some(whole_since),
            progress: ScrubProgress {
                ordered: is_set(ORDERED),
                finished: is_set(FINISHED),
                millis: 0,
                chunks: number()?,
                bytes: number()?,
                bad_blocks: number()?,
            },
        })
    }
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
        let note = ScrubNote {
            position: Some(chunk),
            began: LogTime::from_millis(11),
            missed: true,
            whole_since: Some(LogTime::from_millis(12)),
            progress: ScrubProgress {
                ordered: true,
                finished: false,
                millis: 0,
                chunks: 13,
                bytes: 14,
                bad_blocks: 15,
            },
        };
        let blank = ScrubNote {
            position: None,
            began: LogTime::from_millis(11),
            missed: false,
            whole_since: None,
            progress: ScrubProgress::default(),
        };
        assert_eq!(ScrubNote::decode(&blank.encode()), Some(blank));
        let bytes = note.encode();
        assert_eq!(
            (bytes.len(), ScrubNote::decode(&bytes)),
            (BYTES, Some(note))
        );
        for bit in 0..BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ScrubNote::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(ScrubNote::decode(&bytes[..9]), None);
        assert_eq!(ScrubNote::decode(&[&bytes[..], b"x"].concat()), None);
    }
}
