//! An upload's body, cut into segments and hashed on the way.

use super::store::{Expected, StoreError};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use mdfs_client::link::Pieces;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32, FileHasher};
use mdfs_core::chunk::{ChunkSize, SEGMENT_BYTES};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Shorter pieces of a body are put together, so that many small ones do not keep large buffers of
/// the connection in memory; longer ones go on as they came.
const LEAST_PIECE_BYTES: usize = 64 * 1024;

/// A piece of a file, at most [`SEGMENT_BYTES`] long; only the last one is shorter.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) bytes: Pieces,
    pub(super) crc32: Crc32,
}

impl Segment {
    pub(super) fn length(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}

/// The pieces of a segment that have come so far.
#[derive(Default)]
struct Gathered {
    pieces: Vec<Bytes>,
    /// Short pieces, which follow the others.
    short: BytesMut,
    length: usize,
}

impl Gathered {
    fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if piece.len() < LEAST_PIECE_BYTES {
            self.short.extend_from_slice(&piece);
        } else {
            self.close();
            self.pieces.push(piece);
        }
    }

    fn close(&mut self) {
        self.pieces.push(self.short.split().freeze());
    }

    fn finish(mut self) -> Pieces {
        self.close();
        self.pieces.into_iter().collect()
    }
}

/// What all bytes of a body hash to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) crc32: Crc32,
    pub(super) blake3: Blake3,
    /// What the last chunk adds to a file that has others; none of no byte.
    pub(super) last: Option<ChunkHash>,
}

/// Reads a body segment by segment.
pub(super) struct Segments {
    body: Body,
    /// What came beyond the last segment.
    rest: Bytes,
    announced: Option<u64>,
    expected: Expected,
    received: u64,
    crc32: Crc32,
    blake3: Option<FileHasher>,
    sha256: Option<Sha256>,
    /// Hashes of complete chunks, in order, not yet taken.
    chunks: VecDeque<ChunkHash>,
    sums: Option<Sums>,
}

impl Segments {
    /// The length of every segment but the last, in bytes.
    pub(super) const FULL: u64 = SEGMENT_BYTES as u64;

    pub(super) fn new(
        body: Body,
        announced: Option<u64>,
        expected: Expected,
        chunk_size: ChunkSize,
    ) -> Self {
        Self::of_chunk(body, announced, expected, 0, chunk_size)
    }

    /// Reads the chunk of this number of a file. Of any but the first, there is no BLAKE3 of the
    /// whole.
    pub(super) fn of_chunk(
        body: Body,
        announced: Option<u64>,
        expected: Expected,
        index: u32,
        chunk_size: ChunkSize,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            announced,
            expected,
            received: 0,
            crc32: Crc32::default(),
            blake3: Some(FileHasher::at(index, chunk_size)),
            sha256: expected.sha256.map(|_| Sha256::new()),
            chunks: VecDeque::new(),
            sums: None,
        }
    }

    /// Bytes read so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that the client said are still to come, if it did.
    pub(super) fn to_come(&self) -> Option<u64> {
        self.announced
            .map(|announced| announced.saturating_sub(self.received))
    }

    /// What all bytes hash to, once [`Segments::next`] has said that there are no more.
    pub(super) fn sums(&self) -> Option<Sums> {
        self.sums
    }

    /// The hash of the next chunk in order, if it is known: it is once a segment of the chunk
    /// after it was read, or the body has ended.
    pub(super) fn take_chunk_hash(&mut self) -> Option<ChunkHash> {
        self.chunks.pop_front()
    }

    /// The next segment; none at the end, and then the checksums are those the client expects.
    ///
    /// # Errors
    /// If the body breaks off, is not as long as announced, or has other checksums.
    pub(super) async fn next(&mut self) -> Result<Option<Segment>, StoreError> {
        if self.sums.is_some() {
            return Ok(None);
        }
        let full = usize::try_from(SEGMENT_BYTES).unwrap_or(usize::MAX);
        let mut gathered = Gathered::default();
        while gathered.length < full {
            if self.rest.is_empty() && !self.read_frame().await? {
                break;
            }
            let most = full - gathered.length;
            gathered.push(self.rest.split_to(self.rest.len().min(most)));
        }
        if gathered.length == 0 {
            self.end()?;
            return Ok(None);
        }
        Ok(Some(self.hash(gathered.finish())))
    }

    /// Reads into `rest`; false at the end of the body.
    async fn read_frame(&mut self) -> Result<bool, StoreError> {
        while let Some(frame) = self.body.frame().await {
            let broke = |error: axum::Error| StoreError::IncompleteBody {
                received: self.received,
                why: error.to_string(),
            };
            // Trailers say nothing that counts here.
            if let Ok(data) = frame.map_err(broke)?.into_data()
                && !data.is_empty()
            {
                self.rest = data;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn hash(&mut self, bytes: Pieces) -> Segment {
        let mut crc32 = Crc32::default();
        for piece in bytes.iter() {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            crc32 = Crc32::combine(crc32, Crc32::of(piece), length);
            if let Some(blake3) = &mut self.blake3 {
                blake3.update(piece);
            }
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(piece);
            }
        }
        if let Some(blake3) = &mut self.blake3 {
            self.chunks.extend(blake3.take_chunks());
        }
        let segment = Segment { bytes, crc32 };
        self.crc32 = Crc32::combine(self.crc32, segment.crc32, segment.length());
        self.received += segment.length();
        segment
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let received = self.received;
        if let Some(announced) = self.announced
            && announced != received
        {
            let why = format!("{announced} bytes were announced");
            return Err(StoreError::IncompleteBody { received, why });
        }
        let Some(hasher) = self.blake3.take() else {
            return Ok(());
        };
        let last = hasher.last_chunk();
        let hash = hasher.finish();
        self.chunks.extend(hash.chunks);
        let sums = Sums {
            crc32: self.crc32,
            blake3: hash.whole,
            last,
        };
        let sha256: Option<[u8; 32]> = self.sha256.take().map(|sha256| sha256.finalize().into());
        self.compare(&sums, sha256)?;
        self.sums = Some(sums);
        Ok(())
    }

    fn compare(&self, sums: &Sums, sha256: Option<[u8; 32]>) -> Result<(), StoreError> {
        let Expected {
            crc32,
            blake3,
            sha256: wanted,
        } = self.expected;
        let differs = |name, wanted: String, got: String| {
            Err(StoreError::ChecksumMismatch { name, wanted, got })
        };
        match (crc32, blake3, wanted, sha256) {
            (Some(wanted), ..) if wanted != sums.crc32 => {
                differs("CRC-32", wanted.to_string(), sums.crc32.to_string())
            }
            (_, Some(wanted), ..) if wanted != sums.blake3 => {
                differs("BLAKE3", wanted.to_string(), sums.blake3.to_string())
            }
            (.., Some(wanted), Some(got)) if wanted != got => differs(
                "SHA-256",
                Blake3(wanted).to_string(),
                Blake3(got).to_string(),
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
