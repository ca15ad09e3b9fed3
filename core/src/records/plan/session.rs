//! What is recorded of an upload that clients come back to.

use super::{Planned, Refusal};
use crate::chunk::ChunkId;
use crate::id::FileId;
use crate::records::{ChunkRecord, Key, Lookup, UploadRecord, get, put, remove};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The most chunks of a session: its end is one entry of the log, which names them all.
pub const MOST_CHUNKS: u32 = 65_536;

/// Plans that a chunk is durable, or, if the record names no disk, that these are its bytes. One that is
/// durable already stays as it is, unless other disks answer for it in the same term, because it was stored
/// once more, or any in a later one: then it is these disks that have it. That does not prolong the session.
///
/// # Errors
/// If the session is not open, the chunk cannot be one of its file, or other bytes are recorded.
pub fn plan_chunk(
    records: &impl Lookup,
    chunk: ChunkId,
    record: &ChunkRecord,
) -> Result<Planned<()>, Refusal> {
    let upload: UploadRecord =
        get(records, &Key::Upload(chunk.file))?.ok_or(Refusal::UploadNotOpen(chunk.file))?;
    check_length(&upload, chunk, record.length)?;
    let done = |puts| Planned { puts, answer: () };
    let key = Key::Chunk(chunk);
    let Some(known) = get::<ChunkRecord>(records, &key)? else {
        return Ok(done(vec![put(&key, record)?]));
    };
    let same = |known: &ChunkRecord| (known.length, known.crc32, known.hash);
    if same(&known) != same(record) {
        return Err(Refusal::OtherChunk(chunk));
    }
    let says_more = |known: &ChunkRecord| match known.term.cmp(&record.term) {
        Ordering::Less => true,
        Ordering::Equal => {
            let disks =
                |record: &ChunkRecord| record.disks.iter().copied().collect::<BTreeSet<_>>();
            disks(known) != disks(record)
        }
        Ordering::Greater => false,
    };
    if !record.is_durable() || known.is_durable() && !says_more(&known) {
        return Ok(done(Vec::new()));
    }
    let stored = match known.is_durable() {
        true => known.stored,
        false => record.stored,
    };
    Ok(done(vec![put(
        &key,
        &ChunkRecord {
            stored,
            ..record.clone()
        },
    )?]))
}

/// Checks that a chunk of so many bytes can be one of an upload.
///
/// # Errors
/// If the upload is no session, or the chunk is none of its file.
pub fn check_length(upload: &UploadRecord, chunk: ChunkId, length: u64) -> Result<(), Refusal> {
    let session = upload.session.ok_or(Refusal::NoSession(chunk.file))?;
    let bad = |why| Err(Refusal::BadChunk(chunk, why));
    let full = upload.chunk_size.bytes();
    if chunk.index >= MOST_CHUNKS {
        return bad("a session has at most 65536 chunks; choose larger ones");
    }
    if length == 0 || length > full {
        return bad("it has 1 byte up to the chunk size");
    }
    let Some(size) = session.size else {
        return Ok(());
    };
    let offset = u64::from(chunk.index).saturating_mul(full);
    if length == size.saturating_sub(offset).min(full) {
        Ok(())
    } else {
        bad("it has another length than its place in the file says")
    }
}

/// Plans that it is forgotten how sessions ended.
pub fn plan_forget_ended(sessions: impl Iterator<Item = FileId>) -> Planned<()> {
    Planned {
        puts: sessions.map(|file| remove(&Key::Ended(file))).collect(),
        answer: (),
    }
}
