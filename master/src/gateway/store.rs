//! One upload, from its beginning to its commit or abort.

use super::Shared;
use super::chunk::{ChunkDone, Chunks, Staged};
use super::commit::commit;
use super::segments::{Segment, Segments};
use crate::error::Error;
use crate::leader::command::{BeginUpload, Begun, FileInfo, OpenUpload};
use axum::body::Body;
use futures_util::future::{BoxFuture, try_join};
use http_body_util::BodyExt;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::name::FileName;
use mdfs_protocol::internal::Seal;

/// Segments of one upload that are under way at a time. With the one that is being read, this is
/// the memory that an upload has in any case.
const WINDOW: usize = 2;
/// Further ones, while not many upload: with these, disks and connections need not wait for each
/// other.
pub(super) const WINDOW_SPARE: u32 = 2;

/// A file to be stored.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What the leader has to know.
    pub begin: BeginUpload,
    /// How many bytes the body is said to have.
    pub length: Option<u64>,
    /// What the bytes must hash to.
    pub expected: Expected,
}

/// Checksums that a client sent along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// CRC-32 of all bytes.
    pub crc32: Option<Crc32>,
    /// BLAKE3 of all bytes.
    pub blake3: Option<Blake3>,
    /// SHA-256 of all bytes.
    pub sha256: Option<[u8; 32]>,
}

/// Why a file was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The body broke off, or is not as long as announced.
    #[error("the body ended after {received} bytes: {why}")]
    IncompleteBody {
        /// Bytes that came.
        received: u64,
        /// What was wrong.
        why: String,
    },
    /// The file would have more chunks than can be counted.
    #[error("a file has at most {max} chunks; choose larger ones")]
    TooManyChunks {
        /// The most chunks.
        max: u32,
    },
    /// A chunk is longer than those of its upload.
    #[error("a chunk of this upload has at most {most} bytes")]
    ChunkTooLong {
        /// The chunk size.
        most: u64,
    },
    /// The bytes are not those that the client meant.
    #[error("the {name} of the bytes is {got}, not {wanted}")]
    ChecksumMismatch {
        /// Which checksum.
        name: &'static str,
        /// What the client sent.
        wanted: String,
        /// What came.
        got: String,
    },
    /// A later try of the same request took the upload over, or nothing came of it for long. Whether
    /// the file is stored the next try tells.
    #[error("another try of the same request ended this one")]
    Overtaken,
    /// The cluster could not.
    #[error(transparent)]
    Master(#[from] Error),
}

/// Stores the file, or leaves nothing of it.
pub(super) async fn run(
    shared: &Shared,
    upload: Upload,
    mut body: Body,
) -> Result<FileInfo, StoreError> {
    let Upload {
        begin,
        length,
        expected,
    } = upload;
    let name = begin.name.clone();
    let repeats = begin.request.is_some();
    let open = match shared.leader.begin_upload(begin).await? {
        Begun::Open(open) => open,
        Begun::Already(info) => {
            // The client repeats itself, and reads the answer only after it has sent the body.
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(info);
        }
    };
    let mut segments = Segments::new(body, length, expected, open.chunk_size);
    let stored = store(shared, open, &name, &mut segments).await;
    if let Err(error) = &stored {
        tracing::info!(file = %open.file, %error, "upload ends without a file");
        if let Err(error) = shared.leader.abort_upload(open.file).await {
            // The leader ends abandoned uploads by itself.
            tracing::warn!(file = %open.file, %error, "cannot abort an upload");
        }
    }
    match stored {
        // Tries may reach the leader in another order than they were sent in. Who waits for this one
        // is to ask once more, and not to be told of an upload that it never heard of.
        Err(StoreError::Master(Error::UploadNotOpen { .. })) if repeats => {
            Err(StoreError::Overtaken)
        }
        stored => stored,
    }
}

async fn store(
    shared: &Shared,
    open: OpenUpload,
    name: &FileName,
    segments: &mut Segments,
) -> Result<FileInfo, StoreError> {
    let chunks = Chunks::new(shared, open);
    let mut done: Vec<ChunkDone> = Vec::new();
    // The chunk before the one that is running: made durable while the next one streams, so that
    // the client does not wait for disks.
    let mut sealing: Option<BoxFuture<'_, Result<ChunkDone, Error>>> = None;
    let mut head = segments.next().await?;
    let mut index: u32 = 0;
    while let Some(first) = head {
        let streaming = stream_chunk(&chunks, index, first, segments);
        let (staged, next) = match sealing.take() {
            None => streaming.await?,
            Some(before) => {
                let before = async { before.await.map_err(StoreError::from) };
                let (before, staged) = try_join(before, streaming).await?;
                done.push(before);
                staged
            }
        };
        let hash = segments.take_chunk_hash();
        let hash = hash.ok_or_else(|| Error::Broken("a chunk has no hash".to_owned()))?;
        let seal = Seal {
            length: staged.length,
            crc32: staged.crc32,
            hash,
            chunk_size: open.chunk_size,
            name: name.as_str().to_owned(),
            begun_at: open.begun_at,
            file_bytes: next.is_none().then(|| segments.received()),
        };
        sealing = Some(Box::pin(chunks.make_durable(staged, seal)));
        head = next;
        if head.is_some() {
            index = index
                .checked_add(1)
                .ok_or(StoreError::TooManyChunks { max: u32::MAX })?;
        }
    }
    if let Some(last) = sealing {
        done.push(last.await?);
    }
    let sums = segments
        .sums()
        .ok_or_else(|| Error::Broken("a body has no sums".to_owned()))?;
    Ok(commit(shared, open, name, done, sums).await?)
}

/// Moves one chunk to its holders. The next segment is read while one is on its way; the last one
/// read belongs to the next chunk, if there is one.
pub(super) async fn stream_chunk(
    chunks: &Chunks<'_>,
    index: u32,
    first: Segment,
    segments: &mut Segments,
) -> Result<(Staged, Option<Segment>), StoreError> {
    let chunk_bytes = chunks.open().chunk_size.bytes();
    let is_whole = |length| length < Segments::FULL || chunk_bytes == Segments::FULL;
    if is_whole(first.length()) {
        let staged = chunks.whole(index, first);
        return Ok((staged, segments.next().await?));
    }
    let to_come = segments
        .to_come()
        .map(|rest| rest.saturating_add(first.length()));
    let bytes = to_come.map_or(chunk_bytes, |rest| rest.min(chunk_bytes));
    let spare = chunks.shared().spare_window.try_acquire_many(WINDOW_SPARE);
    let window = spare
        .as_ref()
        .map_or(WINDOW, |_| WINDOW + WINDOW_SPARE as usize);
    let mut chain = chunks.place(index, bytes).await?;
    let mut segment = first;
    loop {
        chain.send(segment);
        let settled = async { chain.settle(window - 1).await.map_err(StoreError::from) };
        let ((), next) = try_join(settled, segments.next()).await?;
        match next {
            Some(next) if chain.length() < chunk_bytes => segment = next,
            next => return Ok((chain.end().await?, next)),
        }
    }
}
