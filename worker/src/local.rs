//! What this disk has of a file that somebody asks for by name.
//!
//! A worker knows no names and no users: a master decides who may ask, and says what the name stands
//! for. Nothing is said of a file that no master knows of for certain.

use crate::error::Error;
use crate::node::Node;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, SEGMENT_BYTES};
use mdfs_protocol::internal::Stored;
use mdfs_protocol::local::{LocalChunk, LocalFile, LookUp, LookedUp, MOST_LISTED};
use mdfs_protocol::problem::Code;
use std::sync::Arc;
use std::time::Duration;

/// How long one master may take: the next one is asked after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to leave the disk to clients who wait for it.
const STAND_BACK: Duration = Duration::from_millis(50);

/// Asks the masters, one after the other, until one decides.
///
/// # Errors
/// What the master that decided says; `NoMaster` if none did.
pub(crate) async fn look_up(
    node: &Node,
    masters: &[String],
    asked: &LookUp,
) -> Result<LookedUp, Error> {
    let mut last = None;
    for master in masters {
        match node.peers.look_up(master, asked, PATIENCE).await {
            Ok(found) => return Ok(found),
            Err(error) if decides(error.code()) => return Err(error),
            Err(error) => last = Some(Box::new(error)),
        }
    }
    Err(Error::NoMaster { source: last })
}

/// Whether a master that refuses with this code has decided. One that does not lead has not, nor one
/// that does not know the question.
fn decides(code: Code) -> bool {
    matches!(
        code,
        Code::Unauthorized
            | Code::Forbidden
            | Code::FileNotFound
            | Code::InvalidName
            | Code::InvalidRequest
    )
}

/// What this disk has of a file: by what is written behind its chunks, or after reading every block.
///
/// # Errors
/// If the disk is too busy. What is wrong with a chunk is told of it.
///
/// # Cancel safety
/// May be dropped.
pub(crate) async fn describe(
    node: &Node,
    file: LookedUp,
    verify: bool,
    checksum: Option<Crc32>,
) -> Result<LocalFile, Error> {
    let chunks = file.layout.chunk_count();
    let (mut good, mut found, mut held) = (0, Some(Crc32::default()), Vec::new());
    for index in 0..chunks {
        let chunk = ChunkId {
            file: file.file_id,
            index,
        };
        let length = file.layout.chunk_len(index).unwrap_or(0);
        let stored = match node.store.held(chunk) {
            None if !node.store.is_damaged(chunk) => None,
            _ => Some(look_at(node, chunk, length, verify).await),
        };
        let crc32 = match stored {
            Some(Err(error)) if error.code() == Code::Busy => return Err(error),
            // Dropped meanwhile.
            Some(Err(error)) if error.code() == Code::ChunkNotFound => None,
            None => None,
            Some(outcome) => {
                let crc32 = outcome.as_ref().ok().map(|stored| stored.crc32);
                if held.len() < MOST_LISTED {
                    held.push(LocalChunk {
                        index,
                        length,
                        crc32,
                        trouble: outcome.err().map(|error| error.code()),
                    });
                }
                crc32
            }
        };
        good += u32::from(crc32.is_some());
        found = match (found, crc32) {
            (Some(before), Some(crc32)) => Some(Crc32::combine(before, crc32, length)),
            _ => None,
        };
    }
    let matches = checksum.and_then(|asked| match found {
        _ if asked != file.crc32 => Some(false),
        Some(found) => Some(found == asked),
        None => None,
    });
    Ok(LocalFile {
        name: file.name,
        version: file.version,
        file_id: file.file_id,
        disk_id: node.disk(),
        chunks,
        good,
        complete: good == chunks,
        verified: verify,
        crc32: found,
        recorded_crc32: file.crc32,
        matches,
        held,
    })
}

/// What is stored of a chunk of that many bytes.
async fn look_at(node: &Node, chunk: ChunkId, length: u64, verify: bool) -> Result<Stored, Error> {
    let looked = look(node, chunk, verify).await;
    let stored = looked.inspect_err(|error| node.note_read_error(error))?;
    if stored.length != length {
        return Err(Error::WrongLength {
            chunk,
            found: stored.length,
            wanted: length,
        });
    }
    Ok(stored)
}

async fn look(node: &Node, chunk: ChunkId, verify: bool) -> Result<Stored, Error> {
    let store = node.store.clone();
    let opened = node.read_threads.run(move || store.open_once(chunk));
    let open = Arc::new(opened.await??);
    let mut offset = 0;
    while verify && offset < open.len() {
        while node.is_crowded() {
            tokio::time::sleep(STAND_BACK).await;
        }
        let reader = Arc::clone(&open);
        let read = move || reader.read(offset, u64::from(SEGMENT_BYTES));
        offset += node.read_threads.run(read).await??.len() as u64;
    }
    Ok(open.stored())
}
