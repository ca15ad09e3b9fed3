//! Reading sealed chunks. Every block that is read is verified, every time.

use super::error::{Error, Result};
use super::footer::{Footer, chunk_length};
use super::held::{Coming, Damage, Seen};
use super::{ChunkStore, Inner, layout, lock};
use crate::disk::{AlignedBuffer, BufferPool, DiskFile, out_of_handles};
use bytes::Bytes;
use mdfs_core::checksum::{Crc32, block_checksum};
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, SEGMENT_BYTES};
use mdfs_protocol::internal::{Seal, Stored};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

const BLOCK: u64 = BLOCK_BYTES as u64;

/// What is read at a time when a whole chunk is verified: little, so that clients who ask the disk
/// for something meanwhile need not wait for much.
const VERIFIED_BYTES: u64 = 4 * BLOCK;

/// A sealed chunk, open for reading. Goes on reading after the chunk was dropped.
#[derive(Debug)]
pub struct OpenChunk {
    chunk: ChunkId,
    file: Arc<dyn DiskFile>,
    footer: Footer,
    store: Weak<Inner>,
}

/// A chunk that is being verified whole, piece by piece.
#[derive(Debug)]
pub struct Verification {
    open: OpenChunk,
    /// None once it has arrived.
    coming: Option<Coming>,
    offset: u64,
}

impl Verification {
    /// Reads and verifies a little more; what is stored, once that was the last of it. Then every
    /// block was good, and the chunk counts as held, whatever was found before.
    ///
    /// # Errors
    /// `BadBlock` for the first damaged block; otherwise what the disk says.
    pub fn next_piece(&mut self) -> Result<Option<Stored>> {
        if self.offset < self.open.len() {
            self.offset += self.open.read(self.offset, VERIFIED_BYTES)?.len() as u64;
        }
        if self.offset < self.open.len() {
            return Ok(None);
        }
        if let Some(coming) = self.coming.take() {
            coming.arrived(self.open.len(), Seen::Whole);
        }
        Ok(Some(self.open.stored()))
    }
}

/// Bytes of a chunk, and the blocks they lie in.
struct Span {
    /// Where the first block starts.
    first: u64,
    /// Bytes in all blocks.
    whole: usize,
    /// The bytes that are wanted, counted from the first block's start.
    wanted: Range<usize>,
}

impl ChunkStore {
    /// A sealed chunk that was read lately and is open still. Never waits for the disk.
    pub fn opened(&self, chunk: ChunkId) -> Option<Arc<OpenChunk>> {
        lock(&self.inner.open).get(chunk)
    }

    /// Opens a sealed chunk, after verifying its footer. Chunks read lately are open already.
    ///
    /// # Errors
    /// `ChunkNotFound`; `Damaged` for a file that is cut, foreign, or whose footer is broken: it is
    /// counted, left alone, and as good as missing; otherwise what the disk says.
    pub fn open_chunk(&self, chunk: ChunkId) -> Result<Arc<OpenChunk>> {
        if let Some(open) = self.opened(chunk) {
            return Ok(open);
        }
        let removals = self.inner.removals.load(Ordering::SeqCst);
        let open = Arc::new(self.open_anew(chunk)?);
        let mut kept = lock(&self.inner.open);
        // Otherwise it may be gone already, and nobody would close it.
        if self.inner.removals.load(Ordering::SeqCst) == removals {
            kept.insert(chunk, Arc::clone(&open));
        }
        Ok(open)
    }

    /// Says what is stored of a sealed chunk, durably so, from the file as it is now. Reads and
    /// verifies all its blocks if `whole`, as the disk has them, otherwise its footer and length. One
    /// whose every block is good counts as held from here on, whatever was found before.
    ///
    /// # Errors
    /// As `open_chunk`; `BadBlock` for the first damaged block.
    pub fn verify(&self, chunk: ChunkId, whole: bool) -> Result<Stored> {
        if whole {
            let mut verification = self.begin_verify(chunk)?;
            loop {
                if let Some(stored) = verification.next_piece()? {
                    return Ok(stored);
                }
            }
        }
        let open = self.open_anew(chunk)?;
        self.settle(chunk)?;
        Ok(open.stored())
    }

    /// Begins to verify a chunk whole, as [`ChunkStore::verify`] does in one go.
    ///
    /// # Errors
    /// As `open_chunk`.
    pub fn begin_verify(&self, chunk: ChunkId) -> Result<Verification> {
        let coming = self.inner.coming(chunk);
        let open = self.open_once(chunk)?;
        self.settle(chunk)?;
        Ok(Verification {
            open,
            coming: Some(coming),
            offset: 0,
        })
    }

    /// A chunk has no file. If it is held, that went behind our back, and whoever counts on it is
    /// told.
    fn note_missing(&self, chunk: ChunkId) {
        // It is held only once its file is there, so one that is held and still has none lost it.
        let lost = self.held(chunk).is_some()
            && matches!(self.file_bytes(&layout::chunk_path(chunk)), Ok(None));
        if lost && let Some(length) = self.inner.vanished(chunk) {
            self.uncount_chunk(length);
            tracing::warn!(%chunk, "the file of a stored chunk is gone");
        }
    }

    pub(super) fn open_anew(&self, chunk: ChunkId) -> Result<OpenChunk> {
        self.open_from(chunk, |path| self.inner.disk.open(path, false))
    }

    pub(super) fn open_from(
        &self,
        chunk: ChunkId,
        open: impl FnOnce(&Path) -> io::Result<Arc<dyn DiskFile>>,
    ) -> Result<OpenChunk> {
        let path = layout::chunk_path(chunk);
        let file = open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                self.note_missing(chunk);
                Error::ChunkNotFound { chunk }
            }
            _ => read_failed(&path)(error),
        })?;
        let footer = self.read_footer(chunk, &*file, &path)?;
        Ok(OpenChunk {
            chunk,
            file,
            footer,
            store: Arc::downgrade(&self.inner),
        })
    }

    fn read_footer(&self, chunk: ChunkId, file: &dyn DiskFile, path: &Path) -> Result<Footer> {
        let damaged = |reason| self.found_damaged(chunk, reason);
        let file_bytes = file.len().map_err(read_failed(path))?;
        let length =
            chunk_length(file_bytes).ok_or_else(|| damaged("no chunk file has its length"))?;
        let tail_bytes = usize::try_from(file_bytes - length)
            .map_err(|_| damaged("no chunk file has its length"))?;
        let mut tail = vec![0; tail_bytes];
        match file.read_at(&mut tail, length) {
            Ok(count) if count == tail_bytes => {}
            Ok(_) => return Err(damaged("its footer is cut")),
            Err(error) if out_of_handles(&error) => return Err(read_failed(path)(error)),
            Err(error) => {
                tracing::warn!(%chunk, %error, "cannot read a footer");
                return Err(damaged("its footer cannot be read"));
            }
        }
        let footer = Footer::decode(&tail).map_err(damaged)?;
        if footer.chunk != chunk {
            return Err(damaged("it is another chunk"));
        }
        if footer.seal.length != length {
            return Err(damaged("it has another length than its footer says"));
        }
        match self.identity().cluster {
            Some(cluster) if cluster == footer.cluster => Ok(footer),
            _ => Err(damaged("it is of another cluster")),
        }
    }

    fn found_damaged(&self, chunk: ChunkId, reason: &'static str) -> Error {
        lock(&self.inner.open).remove(chunk);
        if self.note_damage(chunk, Damage::Whole) {
            tracing::warn!(%chunk, reason, "a stored chunk is damaged");
        }
        Error::Damaged { chunk, reason }
    }
}

impl OpenChunk {
    /// Which chunk this is.
    pub fn chunk(&self) -> ChunkId {
        self.chunk
    }

    /// Bytes in the chunk. Never zero.
    #[expect(clippy::len_without_is_empty, reason = "a chunk is never empty")]
    pub fn len(&self) -> u64 {
        self.footer.seal.length
    }

    /// What the upload said of the chunk.
    pub fn seal(&self) -> &Seal {
        &self.footer.seal
    }

    /// Length and checksum, as a disk answers for them.
    pub fn stored(&self) -> Stored {
        Stored {
            length: self.footer.seal.length,
            crc32: self.footer.seal.crc32,
        }
    }

    /// Says that these bytes will be read soon; what lies behind the end is left out.
    pub fn prefetch(&self, offset: u64, length: u64) {
        let length = length.min(self.len().saturating_sub(offset));
        if length > 0 {
            self.file.prefetch(offset, length);
        }
    }

    /// Reads `length` bytes from `offset`, less at the chunk's end, at most 1 MiB. The blocks they
    /// lie in are read whole and verified.
    ///
    /// # Errors
    /// `Invalid` for more than 1 MiB or an offset at or beyond the end; `BadBlock`; `Damaged` if the
    /// file was cut; otherwise what the disk says. Never wrong bytes.
    pub fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        let span = self.span(offset, length)?;
        let store = self.store();
        let mut buffer = buffer(store.as_ref());
        let read = buffer.fill_with(span.whole, |room| self.file.read_at(room, span.first));
        let count = read.map_err(|error| {
            if let Some(block) = self.unreadable(&span, &mut buffer) {
                self.found_bad(block);
            }
            read_failed(&layout::chunk_path(self.chunk))(error)
        })?;
        if count != span.whole {
            let reason = "it is cut";
            if let Some(store) = &store {
                return Err(store.found_damaged(self.chunk, reason));
            }
            return Err(Error::Damaged {
                chunk: self.chunk,
                reason,
            });
        }
        if let Some(block) = self.bad_block(span.first / BLOCK, &buffer) {
            self.found_bad(block);
            return Err(Error::BadBlock {
                chunk: self.chunk,
                block,
            });
        }
        Ok(buffer.freeze().slice(span.wanted))
    }

    /// What [`OpenChunk::read`] would give, if all of it is in memory and as it should be; otherwise
    /// `read` has to be asked, which may wait for the disk. Never waits itself.
    pub fn read_cached(&self, offset: u64, length: u64) -> Option<Bytes> {
        let span = self.span(offset, length).ok()?;
        let mut buffer = self.store.upgrade()?.pool.get();
        let read = |room: &mut [u8]| self.file.read_cached_at(room, span.first).ok_or(());
        let count = buffer.fill_with(span.whole, read).ok()?;
        let is_right = count == span.whole && self.bad_block(span.first / BLOCK, &buffer).is_none();
        is_right.then(|| buffer.freeze().slice(span.wanted))
    }

    fn span(&self, offset: u64, length: u64) -> Result<Span> {
        let invalid = |reason| Error::Invalid {
            chunk: self.chunk,
            reason,
        };
        if offset >= self.len() || length == 0 {
            return Err(invalid("the range has no byte of the chunk"));
        }
        if length > u64::from(SEGMENT_BYTES) {
            return Err(invalid("the range is longer than a segment"));
        }
        let end = offset.saturating_add(length).min(self.len());
        let first = offset - offset % BLOCK;
        let last = end.next_multiple_of(BLOCK).min(self.len());
        let too_long = |_| invalid("the range is longer than a segment");
        Ok(Span {
            first,
            whole: usize::try_from(last - first).map_err(too_long)?,
            wanted: usize::try_from(offset - first).map_err(too_long)?
                ..usize::try_from(end - first).map_err(too_long)?,
        })
    }

    /// The first block that cannot be read alone, of those that could not be together.
    fn unreadable(&self, span: &Span, buffer: &mut AlignedBuffer) -> Option<u64> {
        let mut rest = span.whole;
        let blocks = (span.first / BLOCK..).take(span.whole.div_ceil(BLOCK_BYTES as usize));
        for block in blocks {
            let len = rest.min(BLOCK_BYTES as usize);
            let read = |room: &mut [u8]| self.file.read_at(room, block * BLOCK);
            if buffer.fill_with(len, read).is_err() {
                return Some(block);
            }
            rest -= len;
        }
        None
    }

    /// Compares blocks in a row, the first of them number `first`, with their checksums. The first
    /// that differs.
    fn bad_block(&self, first: u64, bytes: &[u8]) -> Option<u64> {
        let ChunkId { file, index } = self.chunk;
        let mut blocks = (first..).zip(bytes.chunks(BLOCK_BYTES as usize));
        let differs = |(block, bytes): &(u64, &[u8])| {
            let (number, len) = (u32::try_from(*block), u32::try_from(bytes.len()));
            let want = usize::try_from(*block)
                .ok()
                .and_then(|block| self.footer.blocks.get(block));
            match (want, number, len) {
                (Some(want), Ok(number), Ok(len)) => {
                    *want != block_checksum(file, index, number, Crc32::of(bytes), len)
                }
                _ => true,
            }
        };
        blocks.find(differs).map(|(block, _)| block)
    }

    /// Whether a block of it is damaged, as far as is known.
    pub(super) fn is_damaged(&self) -> bool {
        let store = self.store.upgrade();
        store.is_some_and(|store| store.held().is_damaged_inside(self.chunk))
    }

    fn found_bad(&self, block: u64) {
        let Some(store) = self.store() else {
            return;
        };
        if store.note_damage(self.chunk, Damage::Block(block)) {
            tracing::warn!(chunk = %self.chunk, block, "a stored block is damaged");
        }
    }

    /// None once the disk was given back.
    fn store(&self) -> Option<ChunkStore> {
        let inner = self.store.upgrade()?;
        Some(ChunkStore { inner })
    }
}

fn buffer(store: Option<&ChunkStore>) -> AlignedBuffer {
    match store {
        Some(store) => store.buffers().get(),
        None => BufferPool::new(0).get(),
    }
}

fn read_failed(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    super::error::io_error("read", path)
}
