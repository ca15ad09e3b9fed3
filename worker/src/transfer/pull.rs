//! Copies a sealed chunk from other workers.

use crate::blocking::DiskThreads;
use crate::error::Error;
use crate::node::Node;
use crate::pace::{Pace, Turn};
use crate::store::{self, ChunkStore, OpenChunk};
use crate::transfer::sources::{Origin, Sources};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, SEGMENT_BYTES};
use mdfs_core::id::{DiskId, Term};
use mdfs_protocol::internal::{PullRequest, Seal, Stored};
use mdfs_protocol::problem::Code;

/// Pieces of a new copy that are read back in a turn: a segment.
const PIECES_READ_BACK: usize = 4;

/// Copies a chunk and makes it durable. What was staged of it before is thrown away; a chunk sealed
/// already as the same is read whole and answered for without copying, or replaced if it is damaged:
/// the damaged one stays, with its good blocks, until the new one is durable.
///
/// The source verifies every block it sends. What arrives is compared whole with the seal before it
/// counts, so neither the source nor the way can slip in another byte.
///
/// # Errors
/// If the source is unknown or breaks off, what it sends is not what the seal says, or this disk
/// fails. Then nothing is sealed, and what was staged is thrown away.
///
/// # Cancel safety
/// Dropped, part of the chunk may stay staged; the next pull throws it away.
pub(crate) async fn pull_chunk(
    node: &Node,
    chunk: ChunkId,
    request: PullRequest,
) -> Result<Stored, Error> {
    let PullRequest { term, seal, from } = request;
    let (store, wanted) = (node.store.clone(), seal.clone());
    let begun = node.write_threads.run(move || -> Result<_, Error> {
        store.admit_write(term)?;
        store.discard_staged(chunk)?;
        // Says so only once that is durable; refuses if it is sealed as something else.
        let stored = match store.seal(chunk, &wanted) {
            Err(store::Error::ChunkNotFound { .. }) => return Ok(None),
            sealed => sealed?,
        };
        match store.verify(chunk, true) {
            Ok(_) => Ok(Some(stored)),
            Err(error) if error.code() == Code::BadBlock => {
                tracing::warn!(%chunk, %error, "a damaged chunk is copied anew");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    });
    if let Some(stored) = begun.await?? {
        return Ok(stored);
    }
    let mut sources = Sources::new(node, chunk, seal.length, vec![Origin::Disk(from)]);
    // A client's upload waits for it.
    let threads = &node.write_threads;
    let copied = receive(node, threads, chunk, &mut sources, None).await;
    let sealed = finish(node, threads, chunk, copied, move |store| {
        store.seal(chunk, &seal)
    });
    let stored = sealed.await?;
    node.metrics.written_bytes.add(stored.length);
    Ok(stored)
}

/// Carries out an order to have a good copy of a chunk. The fence is raised first, durably. A copy
/// that is good already is read whole and answered for; a damaged one is replaced, its own good
/// blocks used where no source has them, and stays until the new one is durable.
///
/// # Errors
/// `Fenced` if a later leader was heard of. `NoGoodCopy`, if some block is good nowhere. Otherwise as
/// [`pull_chunk`].
///
/// # Cancel safety
/// As [`pull_chunk`].
pub(crate) async fn copy_chunk(
    node: &Node,
    term: Term,
    chunk: ChunkId,
    length: u64,
    sources: &[DiskId],
) -> Result<Stored, Error> {
    let threads = &node.yielding_threads;
    let store = node.store.clone();
    let raised = threads.run(move || store.raise_fence(term)).await;
    raised??;
    let store = node.store.clone();
    let own = match read_back(node, chunk).await? {
        Ok(stored) if stored.length == length => return Ok(stored),
        Ok(_) => return Err(store::Error::Conflict { chunk }.into()),
        Err(store::Error::ChunkNotFound { .. }) => None,
        // With a footer that is good it may have good blocks.
        Err(error) if store.is_damaged(chunk) => {
            tracing::warn!(%chunk, %error, "a damaged chunk is copied anew");
            let open = threads.run(move || store.open_chunk(chunk)).await;
            open?.ok()
        }
        Err(error) => return Err(error.into()),
    };
    let store = node.store.clone();
    let discarded = threads.run(move || store.discard_staged(chunk)).await;
    discarded??;
    let ours = node.disk();
    let disks: Vec<_> = sources
        .iter()
        .copied()
        .filter(|disk| *disk != ours)
        .collect();
    let seal = find_seal(node, chunk, length, &disks, own.as_deref()).await?;
    let own = own.filter(|open| *open.seal() == seal).map(Origin::Own);
    let origins = disks.into_iter().map(Origin::Disk).chain(own).collect();
    let mut sources = Sources::new(node, chunk, length, origins);
    let copied = receive(node, threads, chunk, &mut sources, Some(&node.pace)).await;
    // It counts once it was read back.
    let sealed = finish(node, threads, chunk, copied, move |store| {
        store.check_fence(term)?;
        store.seal_unread(chunk, &seal)
    });
    sealed.await?;
    node.metrics.written_bytes.add(length);
    node.metrics.copied_bytes.add(length);
    Ok(read_back(node, chunk).await??)
}

/// Reads a chunk as the disk has it, in turns; one that is good counts as held.
async fn read_back(node: &Node, chunk: ChunkId) -> Result<store::Result<Stored>, Error> {
    let (store, threads) = (node.store.clone(), &node.yielding_threads);
    let mut verification = match threads.run(move || store.begin_verify(chunk)).await? {
        Ok(verification) => verification,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let turn = node.pace.turn(0, node.clock.now()).await;
        let read = threads.run(move || {
            for _ in 0..PIECES_READ_BACK {
                if let Some(stored) = verification.next_piece()? {
                    return Ok((verification, Some(stored)));
                }
            }
            Ok::<_, store::Error>((verification, None))
        });
        let read = read.await?;
        drop(turn);
        match read {
            Ok((_, Some(stored))) => return Ok(Ok(stored)),
            Ok((rest, None)) => verification = rest,
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// What is written behind the chunk on the first disk that says so.
async fn find_seal(
    node: &Node,
    chunk: ChunkId,
    length: u64,
    disks: &[DiskId],
    own: Option<&OpenChunk>,
) -> Result<Seal, Error> {
    let mut trouble = Error::Invalid {
        what: "sources",
        why: "there is none".to_owned(),
    };
    // Twice: the first may meet a connection that is closed already.
    for &disk in disks.iter().chain(disks) {
        trouble = match node.peers.seal_of(disk, chunk).await {
            Ok(seal) if seal.length == length => return Ok(seal),
            Ok(seal) => Error::PeerDiffers {
                disk,
                found: seal.length,
                announced: length,
            },
            Err(error) => error,
        };
        tracing::warn!(%chunk, error = %trouble, "a source does not say what the chunk is");
    }
    let own = own.map(OpenChunk::seal);
    own.filter(|seal| seal.length == length)
        .cloned()
        .ok_or(trouble)
}

/// Stages a chunk, segment by segment.
async fn receive(
    node: &Node,
    threads: &DiskThreads,
    chunk: ChunkId,
    sources: &mut Sources<'_>,
    pace: Option<&Pace>,
) -> Result<(), Error> {
    let mut offset = 0;
    let turn = async |bytes| match pace {
        Some(pace) => Some(pace.turn(bytes, node.clock.now()).await),
        None => None,
    };
    let mine = turn(u64::from(SEGMENT_BYTES)).await;
    let (mut mine, first) = wait_for(mine, sources.segment()).await;
    let mut segment = first?;
    while let Some((buffer, share)) = segment {
        drop(mine);
        let store = node.store.clone();
        let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let write = async {
            let _mine = turn(0).await;
            let write = threads.run(move || {
                let written = store.write_segment(chunk, offset, &buffer, Crc32::of(&buffer));
                drop(share);
                written
            });
            write.await
        };
        let next = async {
            let mine = turn(length).await;
            let (mine, segment) = wait_for(mine, sources.segment()).await;
            Ok::<_, Error>((mine, segment?))
        };
        // The next segment arrives while this one is written. A write is waited for in any case: one
        // that ended behind the failure would leave what is thrown away by then.
        let (written, next) = futures_util::future::join(write, next).await;
        written??;
        (mine, segment) = next?;
        offset += length;
    }
    Ok(())
}

/// Waits for bytes of another disk, in a turn if there is one.
async fn wait_for<'a, T>(
    mine: Option<Turn<'a>>,
    work: impl Future<Output = T>,
) -> (Option<Turn<'a>>, T) {
    match mine {
        Some(mine) => mine.wait_for(work).await,
        None => (None, work.await),
    }
}

/// Seals what was received, or throws it away.
async fn finish<T: Send + 'static>(
    node: &Node,
    threads: &DiskThreads,
    chunk: ChunkId,
    received: Result<(), Error>,
    seal: impl FnOnce(&ChunkStore) -> store::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let sealed = match received {
        Ok(()) => {
            let store = node.store.clone();
            let sealing = threads.run(move || seal(&store)).await;
            sealing.and_then(|sealed| Ok(sealed?))
        }
        Err(error) => Err(error),
    };
    match sealed {
        Ok(stored) => Ok(stored),
        Err(error) => {
            let store = node.store.clone();
            // The error that counts is the first one; the sweep removes what this leaves.
            let _ = threads.run(move || store.discard_staged(chunk)).await;
            Err(error)
        }
    }
}
