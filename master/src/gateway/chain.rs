//! A chunk on its way along a chain of holders, and what happens when a hop fails.

use super::chunk::{Chunks, ROUNDS, Staged};
use super::peers::{Failure, together};
use super::replies::{failure_of, has_received};
use super::segments::Segment;
use crate::error::Error;
use crate::leader::command::{Place, Site};
use mdfs_client::link::Behalf;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::HopsReply;
use mdfs_protocol::problem::Code;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinHandle;

/// In which a worker must say how far it has received a chunk.
const PROBE: Duration = Duration::from_secs(1);
/// How often the leader is told that a slow upload goes on.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A chunk whose bytes are under way.
///
/// Keeps the segments that were not answered yet, and no others: a hop that dies takes nothing
/// along that somebody else does not have.
pub(super) struct Chain<'a> {
    chunks: &'a Chunks<'a>,
    chunk: ChunkId,
    /// Bytes that need room on a new holder.
    bytes: u64,
    /// Who has received everything before the window, in the order of the chain.
    hops: Vec<Site>,
    /// Segments under way, in order.
    window: VecDeque<Sending>,
    length: u64,
    crc32: Crc32,
    /// When the leader last heard of the upload.
    told: Timestamp,
}

/// A segment under way.
struct Sending {
    piece: Piece,
    reply: JoinHandle<Result<HopsReply, Failure>>,
}

/// A segment and where it is in its chunk.
#[derive(Clone)]
struct Piece {
    offset: u64,
    segment: Segment,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset + self.segment.length()
    }
}

impl<'a> Chain<'a> {
    /// A chain of hops that have received nothing yet.
    pub(super) fn new(chunks: &'a Chunks<'a>, chunk: ChunkId, bytes: u64, hops: Vec<Site>) -> Self {
        Self {
            chunks,
            chunk,
            bytes,
            hops,
            window: VecDeque::new(),
            length: 0,
            crc32: Crc32::default(),
            told: chunks.shared().clock.now(),
        }
    }

    /// Bytes sent so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Ends the chunk.
    ///
    /// # Errors
    /// As [`Chain::settle`].
    pub(super) async fn end(mut self) -> Result<Staged, Error> {
        self.settle(0).await?;
        Ok(Staged::on(self.hops, self.chunk, self.length, self.crc32))
    }

    /// Starts to send the next segment along the chain.
    pub(super) fn send(&mut self, segment: Segment) {
        let piece = Piece {
            offset: self.length,
            segment,
        };
        self.crc32 = Crc32::combine(self.crc32, piece.segment.crc32, piece.segment.length());
        self.length = piece.end();
        let Some((first, next)) = self.hops.split_first() else {
            return;
        };
        let next: Vec<DiskId> = next.iter().map(|site| site.disk).collect();
        let (first, sent) = (first.clone(), piece.clone());
        let shared = self.chunks.shared();
        let (peers, within) = (shared.peers.clone(), shared.limits.segment);
        let (at, term) = ((self.chunk, piece.offset), self.chunks.open().term);
        // A task of its own, so that it goes on while the client's next bytes are waited for.
        let sending = Behalf::present().run(async move {
            peers
                .segment(&first, at, term, &sent.segment, &next, within)
                .await
        });
        let reply = shared.tasks.spawn_request("segment", sending);
        self.window.push_back(Sending { piece, reply });
    }

    /// Waits until at most `under_way` segments are not answered. Hops that fail are left out from
    /// then on; at a chunk's beginning they are replaced, later a copy is pulled at its end.
    ///
    /// # Errors
    /// If no hop is left that has the bytes before, or nobody takes the place of one that failed.
    ///
    /// # Cancel safety
    /// None: a chain whose future was dropped has to be given up.
    pub(super) async fn settle(&mut self, under_way: usize) -> Result<(), Error> {
        self.keep_alive().await;
        while self.window.len() > under_way
            && let Some(Sending { piece, reply }) = self.window.pop_front()
        {
            let reply = answered(reply).await;
            if !self.hops.iter().all(|site| has(&reply, site.disk)) {
                self.recover(piece, reply).await?;
            }
        }
        Ok(())
    }

    /// Goes on without the hops that did not answer for a piece and those after it.
    async fn recover(
        &mut self,
        piece: Piece,
        reply: Result<HopsReply, Failure>,
    ) -> Result<(), Error> {
        let at_beginning = piece.offset == 0;
        let mut replies = vec![reply];
        let mut pieces = vec![piece];
        for Sending { piece, reply } in std::mem::take(&mut self.window) {
            replies.push(answered(reply).await);
            pieces.push(piece);
        }
        let first = self.hops.first().map(|site| site.disk);
        let got_all = |site: &Site| replies.iter().all(|reply| has(reply, site.disk));
        let (mut hops, mut behind): (Vec<_>, Vec<_>) = std::mem::take(&mut self.hops)
            .into_iter()
            .partition(got_all);
        // A full disk has given up what it had received: nothing can be sent after it.
        behind.retain(|site| match full(&replies, first, site.disk) {
            Some(failure) => {
                self.chunks.note(self.chunk, site.disk, &failure);
                false
            }
            None => true,
        });
        let mut rounds = 0..ROUNDS;
        loop {
            hops.extend(self.catch_up(behind, &pieces).await);
            if !at_beginning || hops.len() >= self.chunks.copies() {
                break;
            }
            // All that was sent of the chunk is here: a new hop can still get it.
            let (chunks, bytes) = (self.chunks, self.bytes);
            rounds
                .next()
                .ok_or_else(|| chunks.too_few(hops.len(), bytes))?;
            behind = self.chunks.sites(self.chunk, self.bytes, &hops).await?;
            if behind.is_empty() {
                break;
            }
        }
        if hops.is_empty() {
            if self.chunks.is_full() {
                return Err(self.chunks.too_few(0, self.bytes));
            }
            let name = format!("upload {}", self.chunk.file);
            return Err(Error::Unavailable {
                name,
                index: self.chunk.index,
            });
        }
        self.hops = hops;
        Ok(())
    }

    /// Sends pieces directly to hops that the chain did not reach. Those that got them all.
    async fn catch_up(&self, behind: Vec<Site>, pieces: &[Piece]) -> Vec<Site> {
        let sent = behind.into_iter().map(|site| async move {
            let outcome = self.send_missing(&site, pieces).await;
            (outcome, site)
        });
        let mut reached = Vec::new();
        for (outcome, site) in together(sent).await {
            match outcome {
                Ok(()) => reached.push(site),
                Err(failure) => self.chunks.note(self.chunk, site.disk, &failure),
            }
        }
        reached
    }

    async fn send_missing(&self, site: &Site, pieces: &[Piece]) -> Result<(), Failure> {
        let shared = self.chunks.shared();
        let received = match shared.peers.staged(site, self.chunk, PROBE).await {
            Ok(staged) => staged.received,
            Err(failure) if failure.code() == Some(Code::ChunkNotFound) => 0,
            Err(failure) => return Err(failure),
        };
        if pieces.first().is_some_and(|first| received < first.offset) {
            return Err(Failure::new(
                Code::ChunkNotFound,
                "the worker lost what it had received",
            ));
        }
        let (term, within) = (self.chunks.open().term, shared.limits.segment);
        for piece in pieces.iter().filter(|piece| piece.end() > received) {
            let at = (self.chunk, piece.offset);
            let reply = shared
                .peers
                .segment(site, at, term, &piece.segment, &[], within)
                .await?;
            if !has_received(&reply, site.disk) {
                return Err(failure_of(&reply, site.disk));
            }
        }
        Ok(())
    }

    /// Tells the leader that the upload goes on, if it has not heard of it for long.
    async fn keep_alive(&mut self) {
        let now = self.chunks.shared().clock.now();
        if now.since(self.told) < KEEP_ALIVE {
            return;
        }
        self.told = now;
        let (shared, open) = (self.chunks.shared(), self.chunks.open());
        let (chunk, bytes, avoid) = (self.chunk.index, self.bytes, self.chunks.avoid());
        // What it answers does not matter: the chunk has its places.
        let _ = shared
            .leader
            .place(Place {
                file: open.file,
                chunk,
                bytes,
                avoid,
            })
            .await;
    }
}

async fn answered(reply: JoinHandle<Result<HopsReply, Failure>>) -> Result<HopsReply, Failure> {
    // A task that died is as good as a worker that did not answer.
    reply.await.unwrap_or_else(|_| Err(Failure::silent()))
}

fn has(reply: &Result<HopsReply, Failure>, disk: DiskId) -> bool {
    reply.as_ref().is_ok_and(|reply| has_received(reply, disk))
}

/// What a disk said when it had no room for one of the pieces. What refuses a whole request is the
/// first disk of the chain.
fn full(
    replies: &[Result<HopsReply, Failure>],
    first: Option<DiskId>,
    disk: DiskId,
) -> Option<Failure> {
    let no_room = |code: Option<Code>| code == Some(Code::NoSpace);
    replies.iter().find_map(|reply| match reply {
        Ok(reply) if has_received(reply, disk) => None,
        Ok(reply) => Some(failure_of(reply, disk)).filter(|failure| no_room(failure.code())),
        Err(failure) if first == Some(disk) && no_room(failure.code()) => {
            Some(Failure::new(Code::NoSpace, failure.to_string()))
        }
        Err(_) => None,
    })
}
