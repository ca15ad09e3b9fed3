//! Uploads that clients come back to: one chunk, and the commit of all.

mod whole;

pub use whole::Whole;
pub(super) use whole::commit;

use super::Shared;
use super::again::Again;
use super::chunk::Chunks;
use super::commit::TRIES;
use super::segments::Segments;
use super::store::{Expected, StoreError, stream_chunk};
use crate::error::Error;
use crate::leader::command::{FindUpload, FoundUpload, OpenSession, RecordChunk};
use axum::body::Body;
use mdfs_core::checksum::ChunkHash;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use mdfs_core::records::plan::{Refusal, check_length};
use mdfs_core::records::{ChunkRecord, UploadRecord};
use mdfs_protocol::internal::Seal;
use mdfs_protocol::public::StoredChunk;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A chunk to be stored.
#[derive(Clone, Debug)]
pub struct PutChunk {
    /// Which, of which session.
    pub chunk: ChunkId,
    /// How many bytes the body is said to have.
    pub length: Option<u64>,
    /// What the bytes must hash to.
    pub expected: Expected,
}

/// Chunks that have come whole and are about to be durable. As many as uploads at a time at most.
#[derive(Debug, Default)]
pub(super) struct Storing(Mutex<BTreeMap<ChunkId, usize>>);

/// One of them, until it is dropped.
struct StoringOne<'a> {
    all: &'a Storing,
    chunk: ChunkId,
}

impl Storing {
    fn begin(&self, chunk: ChunkId) -> StoringOne<'_> {
        *self.chunks().entry(chunk).or_default() += 1;
        StoringOne { all: self, chunk }
    }

    /// Those of one file.
    pub(super) fn of(&self, file: FileId) -> Vec<u32> {
        let chunk = |index| ChunkId { file, index };
        let chunks = self.chunks();
        let of_file = chunks.range(chunk(0)..=chunk(u32::MAX));
        of_file.map(|(chunk, _)| chunk.index).collect()
    }

    fn chunks(&self) -> MutexGuard<'_, BTreeMap<ChunkId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StoringOne<'_> {
    fn drop(&mut self) {
        let mut chunks = self.all.chunks();
        if let Entry::Occupied(mut count) = chunks.entry(self.chunk) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Stores one chunk and has it recorded.
pub(super) async fn put_chunk(
    shared: &Shared,
    put: PutChunk,
    body: Body,
) -> Result<StoredChunk, StoreError> {
    let PutChunk {
        chunk,
        length,
        expected,
    } = put;
    let session = find(shared, chunk.file, chunk.index, 1).await?;
    let (open, upload) = (session.open, session.record);
    // Nothing that cannot fit is read.
    let fits = |length| check_length(&upload, chunk, length).map_err(refused);
    length.map_or(Ok(()), fits)?;
    let most = open.chunk_size.bytes();
    let mut segments = Segments::of_chunk(body, length, expected, chunk.index, open.chunk_size);
    let known = session
        .chunks
        .into_iter()
        .find(|it| it.index == chunk.index);
    // One that has lost copies is stored once more: its bytes are settled.
    let copies = usize::from(open.replicas.get());
    if let Some(known) = known.filter(|it| it.live_copies() >= copies) {
        while segments.next().await?.is_some() {
            if segments.received() > most {
                return Err(StoreError::ChunkTooLong { most });
            }
        }
        let record = &known.record;
        let same = segments.received() == record.length
            && segments
                .sums()
                .is_some_and(|it| it.crc32 == record.crc32 && it.last == Some(record.hash));
        return match same {
            true => Ok(stored(&upload, chunk, &known.record)),
            false => Err(refused(Refusal::OtherChunk(chunk)).into()),
        };
    }
    let chunks = Chunks::new(shared, open);
    let Some(first) = segments.next().await? else {
        return Err(refused(Refusal::BadChunk(chunk, "it has no byte")).into());
    };
    let (staged, rest) = stream_chunk(&chunks, chunk.index, first, &mut segments).await?;
    if rest.is_some() {
        return Err(StoreError::ChunkTooLong { most });
    }
    fits(staged.length)?;
    let sums = segments.sums();
    let (alone, hash) = sums
        .and_then(|sums| Some((sums.blake3, sums.last?)))
        .ok_or_else(|| Error::Broken("a body has no sums".to_owned()))?;
    let record = ChunkRecord {
        length: staged.length,
        crc32: staged.crc32,
        hash,
        alone: (chunk.index == 0).then_some(alone),
        disks: Vec::new(),
        term: open.term,
        stored: upload.begun,
    };
    let seal = seal_of(&upload, chunk.index, &record);
    let _storing = shared.storing.begin(chunk);
    // From here on no try with other bytes is let in: a disk may have sealed these although nobody hears
    // of it, and a copy's bytes cannot be told from its length.
    note(shared, chunk, &record).await?;
    let mut sites = chunks.make_durable(staged, seal.clone()).await?.sites;
    let mut rounds = 1..TRIES;
    loop {
        let disks = sites.iter().map(|site| site.disk).collect();
        let record = ChunkRecord {
            disks,
            ..record.clone()
        };
        match note(shared, chunk, &record).await {
            // What others have is copied once more.
            Err(Error::CopyGone { disk }) if sites.len() > 1 && rounds.next().is_some() => {
                sites.retain(|site| site.disk != disk);
                sites = chunks.complete(chunk, &seal, sites).await?;
            }
            outcome => return Ok(outcome.map(|()| stored(&upload, chunk, &record))?),
        }
    }
}

/// Has a chunk recorded. A leader that comes meanwhile records it as well.
async fn note(shared: &Shared, chunk: ChunkId, record: &ChunkRecord) -> Result<(), Error> {
    let mut again = Again::new(shared);
    loop {
        let outcome = shared
            .leader
            .record_chunk(RecordChunk {
                chunk,
                length: record.length,
                crc32: record.crc32,
                hash: record.hash,
                alone: record.alone,
                disks: record.disks.clone(),
                term: record.term,
            })
            .await;
        // Whether it took effect is not known; a repeated one is harmless.
        let is_open = matches!(outcome, Err(Error::NoLeader | Error::NoQuorum));
        if !is_open || !again.wait().await {
            return outcome;
        }
    }
}

async fn find(
    shared: &Shared,
    file: FileId,
    chunks_from: u32,
    most_chunks: usize,
) -> Result<OpenSession, Error> {
    let find = FindUpload {
        file,
        chunks_from,
        most_chunks,
    };
    match shared.leader.find_upload(find).await? {
        FoundUpload::Open(session) => Ok(*session),
        FoundUpload::Ended(_) => Err(Error::UploadNotOpen { file }),
    }
}

/// What is written behind a chunk: the same whenever it is stored, so that storing it again finds
/// what is there.
fn seal_of(upload: &UploadRecord, index: u32, record: &ChunkRecord) -> Seal {
    let full = upload.chunk_size.bytes();
    let end = u64::from(index)
        .saturating_mul(full)
        .saturating_add(record.length);
    let told = upload.session.and_then(|session| session.size);
    // Only the last chunk is shorter; a full one may be the last if no size was told.
    let is_last = told == Some(end) || record.length < full;
    let alone = record.alone.filter(|_| is_last);
    Seal {
        length: record.length,
        crc32: record.crc32,
        hash: alone.map_or(record.hash, |alone| ChunkHash(alone.0)),
        chunk_size: upload.chunk_size,
        name: upload.name.to_string(),
        begun_at: upload.begun_at,
        file_bytes: is_last.then_some(end),
    }
}

fn stored(upload: &UploadRecord, chunk: ChunkId, record: &ChunkRecord) -> StoredChunk {
    StoredChunk {
        index: chunk.index,
        length: record.length,
        crc32: record.crc32,
        blake3: seal_of(upload, chunk.index, record).hash,
    }
}

fn refused(refusal: Refusal) -> Error {
    refusal.into()
}
