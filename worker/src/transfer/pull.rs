//! Copies a sealed chunk from another worker.

use crate::blocking::Share;
use crate::disk::AlignedBuffer;
use crate::error::Error;
use crate::node::Node;
use crate::store;
use crate::transfer::peers::failed;
use bytes::Bytes;
use mdfs_client::link::ChunkStream;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, SEGMENT_BYTES};
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{PullRequest, Seal, Stored};
use mdfs_protocol::problem::Code;

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
    let copied = copy(node, chunk, &seal, from).await;
    if copied.is_err() {
        let store = node.store.clone();
        // The error that counts is the first one; the sweep removes what this leaves.
        let _ = node
            .write_threads
            .run(move || store.discard_staged(chunk))
            .await;
    }
    copied
}

async fn copy(node: &Node, chunk: ChunkId, seal: &Seal, from: DiskId) -> Result<Stored, Error> {
    let stream = node.peers.read_chunk(from, chunk, seal.length).await?;
    let mut source = Source {
        from,
        stream,
        left: None,
    };
    let mut offset = 0;
    let mut segment = source.segment(node).await?;
    while let Some((buffer, share)) = segment {
        let store = node.store.clone();
        let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        if offset + length > seal.length {
            let (found, announced) = (offset + length, seal.length);
            return Err(Error::PeerDiffers {
                disk: from,
                found,
                announced,
            });
        }
        let write = node.write_threads.run(move || {
            let written = store.write_segment(chunk, offset, &buffer, Crc32::of(&buffer));
            drop(share);
            written
        });
        // The next segment arrives while this one is written.
        let write = async { Ok::<_, Error>(write.await??) };
        (_, segment) = futures_util::future::try_join(write, source.segment(node)).await?;
        offset += length;
    }
    let (store, seal) = (node.store.clone(), seal.clone());
    let stored = node
        .write_threads
        .run(move || store.seal(chunk, &seal))
        .await??;
    node.metrics.written_bytes.add(stored.length);
    Ok(stored)
}

/// The bytes of a chunk as they come from another worker.
struct Source {
    from: DiskId,
    stream: ChunkStream,
    /// What came and did not fit into the segment before.
    left: Option<Bytes>,
}

impl Source {
    /// The next whole segment, or what is left before the end; none at the end.
    async fn segment(&mut self, node: &Node) -> Result<Option<(AlignedBuffer, Share)>, Error> {
        let memory = node.write_memory.with_behind(0);
        let share = memory.take(u64::from(SEGMENT_BYTES)).await?;
        let mut buffer = node.buffers.get();
        while buffer.room() > 0 {
            let mut piece = match self.left.take() {
                Some(piece) => piece,
                None => match self.stream.frame().await.map_err(failed(self.from))? {
                    Some(piece) => piece,
                    None => break,
                },
            };
            let taken = buffer.extend(&piece);
            if taken < piece.len() {
                self.left = Some(piece.split_off(taken));
            }
        }
        Ok((!buffer.is_empty()).then_some((buffer, share)))
    }
}
