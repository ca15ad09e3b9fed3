//! A chunk on its way along a chain of holders, and what happens when a hop fails.

use super::chunk::{Chunks, ROUNDS, Staged, together};
use super::peers::Failure;
use super::replies::{failure_of, received_by};
use super::segments::Segment;
use crate::error::Error;
use crate::leader::command::{Place, Site};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::HopsReply;
use mdfs_protocol::problem::Code;
use std::time::Duration;

/// In which a worker must say how far it has received a chunk.
const PROBE: Duration = Duration::from_secs(1);
/// How often the leader is told that a slow upload goes on.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A chunk whose bytes are under way.
pub(super) struct Chain<'a> {
    chunks: &'a Chunks<'a>,
    chunk: ChunkId,
    /// Bytes that need room on a new holder.
    bytes: u64,
    /// Who has received everything so far, in the order of the chain.
    hops: Vec<Site>,
    length: u64,
    crc32: Crc32,
    /// When the leader last heard of the upload.
    told: Timestamp,
}

impl<'a> Chain<'a> {
    /// A chain of hops that have received nothing yet.
    pub(super) fn new(chunks: &'a Chunks<'a>, chunk: ChunkId, bytes: u64, hops: Vec<Site>) -> Self {
        let told = chunks.shared().clock.now();
        Self {
            chunks,
            chunk,
            bytes,
            hops,
            length: 0,
            crc32: Crc32::default(),
            told,
        }
    }

    /// Bytes sent so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Ends the chunk.
    pub(super) fn staged(self) -> Staged {
        let Self {
            chunk,
            length,
            crc32,
            hops,
            ..
        } = self;
        Staged::on(hops, chunk, length, crc32)
    }

    /// Sends the next segment along the chain. Hops that fail are left out from now on; in a
    /// chunk's first segment they are replaced, later a copy is pulled at the chunk's end.
    ///
    /// # Errors
    /// If no hop is left that has the bytes before, or nobody takes the place of one that failed.
    pub(super) async fn send(&mut self, segment: &Segment) -> Result<(), Error> {
        self.keep_alive().await;
        let mut hops = std::mem::take(&mut self.hops);
        let mut behind = self.send_along(&mut hops, segment).await;
        let mut rounds = 0..ROUNDS;
        loop {
            let caught_up = self.catch_up(behind, segment).await;
            hops.extend(caught_up);
            if self.length > 0 || hops.len() >= self.chunks.copies() {
                break;
            }
            // Nothing else of the chunk has been sent: a new hop can still get all of it.
            let (chunks, bytes) = (self.chunks, self.bytes);
            rounds
                .next()
                .ok_or_else(|| chunks.too_few(hops.len(), bytes))?;
            behind = self.chunks.sites(self.chunk, self.bytes, &hops).await?;
        }
        if hops.is_empty() {
            let what = format!("chunk {}", self.chunk);
            return Err(Error::Unavailable {
                name: what,
                index: self.chunk.index,
            });
        }
        self.hops = hops;
        self.crc32 = Crc32::combine(self.crc32, segment.crc32, segment.length());
        self.length += segment.length();
        Ok(())
    }

    /// Sends a segment to the first hop, which passes it on. Takes out of `hops`, and returns,
    /// those that did not get it that way.
    async fn send_along(&self, hops: &mut Vec<Site>, segment: &Segment) -> Vec<Site> {
        let Some((first, next)) = hops.split_first() else {
            return Vec::new();
        };
        let next: Vec<DiskId> = next.iter().map(|site| site.disk).collect();
        let reply = self.send_segment(first, segment, 0, &next).await;
        let end = self.length + segment.length();
        let (got, behind) = std::mem::take(hops).into_iter().partition(|site| {
            reply
                .as_ref()
                .is_ok_and(|reply| received_by(reply, site.disk) == Some(end))
        });
        *hops = got;
        behind
    }

    /// Sends the segment directly to hops that the chain did not reach. Those that got it.
    async fn catch_up(&self, behind: Vec<Site>, segment: &Segment) -> Vec<Site> {
        let sent = behind.into_iter().map(|site| async move {
            let outcome = self.send_directly(&site, segment).await;
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

    async fn send_directly(&self, site: &Site, segment: &Segment) -> Result<(), Failure> {
        let end = self.length + segment.length();
        let received = match self
            .chunks
            .shared()
            .peers
            .staged(site, self.chunk, PROBE)
            .await
        {
            Ok(staged) => staged.received,
            Err(failure) if failure.code() == Some(Code::ChunkNotFound) => 0,
            Err(failure) => return Err(failure),
        };
        if received >= end {
            return Ok(());
        }
        let Some(skip) = received.checked_sub(self.length) else {
            return Err(Failure::new(
                Code::ChunkNotFound,
                "the worker lost what it had received",
            ));
        };
        let reply = self.send_segment(site, segment, skip, &[]).await?;
        match received_by(&reply, site.disk) {
            Some(received) if received == end => Ok(()),
            Some(_) | None => Err(failure_of(&reply, site.disk)),
        }
    }

    /// Sends a segment from its byte `skip` on.
    async fn send_segment(
        &self,
        first: &Site,
        segment: &Segment,
        skip: u64,
        next: &[DiskId],
    ) -> Result<HopsReply, Failure> {
        let (shared, open) = (self.chunks.shared(), self.chunks.open());
        let rest = segment.skip(skip);
        let at = (self.chunk, self.length + skip);
        shared
            .peers
            .segment(first, at, open.term, &rest, next, shared.limits.segment)
            .await
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
