//! The good blocks of a chunk, from all disks that may have some.
//!
//! One disk is read from until it has trouble. Then the block reached is asked for alone, from the
//! next disk first and from the one in trouble last: a disk breaks off before the bad block, at the
//! start of a longer piece. Whoever has the block goes on from there.

use crate::blocking::Share;
use crate::disk::AlignedBuffer;
use crate::error::Error;
use crate::node::Node;
use crate::store::OpenChunk;
use crate::transfer::peers::failed;
use bytes::{Bytes, BytesMut};
use mdfs_client::link::ChunkStream;
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, SEGMENT_BYTES};
use mdfs_core::id::DiskId;
use mdfs_protocol::problem::Code;
use std::sync::Arc;

const BLOCK: u64 = BLOCK_BYTES as u64;
const SEGMENT: u64 = SEGMENT_BYTES as u64;

/// Where blocks of a chunk may be.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// On another disk.
    Disk(DiskId),
    /// Here, in a copy that is damaged elsewhere.
    Own(Arc<OpenChunk>),
}

/// How often in a row a disk may not be reached before it is given up: a connection may be closed
/// already when it is used again.
const MOST_STRIKES: u8 = 3;

/// An origin, and what it said so far.
struct Candidate {
    origin: Origin,
    /// How often in a row it was not reached.
    strikes: u8,
    /// Where the block begins that it cannot read.
    bad_at: Option<u64>,
}

/// The bytes of a chunk in order, each verified by the disk it comes from.
pub(crate) struct Sources<'a> {
    node: &'a Node,
    chunk: ChunkId,
    length: u64,
    /// Those not given up.
    candidates: Vec<Candidate>,
    /// Whose turn it is.
    current: usize,
    reading: Option<Reading>,
    /// Where the next piece begins.
    reached: u64,
    /// What came and did not fit into the segment before.
    left: Option<Bytes>,
    trouble: Option<Error>,
}

/// An origin that is being read from where the last piece ended.
enum Reading {
    Stream(DiskId, ChunkStream),
    Own(Arc<OpenChunk>),
}

impl<'a> Sources<'a> {
    /// The `length` bytes of a chunk, from the first of `origins` as long as it has them.
    pub(crate) fn new(node: &'a Node, chunk: ChunkId, length: u64, origins: Vec<Origin>) -> Self {
        let candidates = origins.into_iter().map(|origin| Candidate {
            origin,
            strikes: 0,
            bad_at: None,
        });
        Self {
            node,
            chunk,
            length,
            candidates: candidates.collect(),
            current: 0,
            reading: None,
            reached: 0,
            left: None,
            trouble: None,
        }
    }

    /// The next whole segment, or what is left before the end; none at the end.
    ///
    /// # Errors
    /// `NoGoodCopy` if nobody has the next block; `Busy` if there is no memory.
    pub(crate) async fn segment(&mut self) -> Result<Option<(AlignedBuffer, Share)>, Error> {
        let memory = self.node.write_memory.with_behind(0);
        let share = memory.take(SEGMENT).await?;
        let mut buffer = self.node.buffers.get();
        while buffer.room() > 0 {
            let mut piece = match self.left.take() {
                Some(piece) => piece,
                None if self.reached == self.length => break,
                None => self.piece().await?,
            };
            let taken = buffer.extend(&piece);
            if taken < piece.len() {
                self.left = Some(piece.split_off(taken));
            }
        }
        Ok((!buffer.is_empty()).then_some((buffer, share)))
    }

    async fn piece(&mut self) -> Result<Bytes, Error> {
        let piece = match self.go_on().await {
            Some(piece) => piece,
            None => self.block().await?,
        };
        self.reached += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        Ok(piece)
    }

    /// What comes next from the origin whose turn it is; none if it has trouble.
    async fn go_on(&mut self) -> Option<Bytes> {
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.begin(self.reached, self.length).await {
                Ok(reading) => reading,
                Err(error) => {
                    self.turn(error);
                    return None;
                }
            },
        };
        match self.next(reading, self.length).await {
            Ok(piece) => Some(piece),
            Err(error) => {
                // It may have broken off because of a bad block.
                tracing::debug!(chunk = %self.chunk, at = self.reached, %error, "a source broke off");
                self.trouble = Some(error);
                self.current += 1;
                None
            }
        }
    }

    /// The rest of the block that was reached, from whoever has it.
    async fn block(&mut self) -> Result<Bytes, Error> {
        let end = ((self.reached / BLOCK + 1) * BLOCK).min(self.length);
        let start = self.reached - self.reached % BLOCK;
        while self.find_turn(start) {
            match self.read_to(end).await {
                Ok(bytes) => {
                    if let Some(candidate) = self.candidates.get_mut(self.current) {
                        candidate.strikes = 0;
                    }
                    return Ok(bytes);
                }
                Err(error) => {
                    let candidate = self.candidates.get_mut(self.current);
                    if let Some(candidate) = candidate.filter(|_| is_damage(error.code())) {
                        candidate.bad_at = Some(start);
                    }
                    self.turn(error);
                }
            }
        }
        let bad = self.candidates.iter().any(|one| one.bad_at == Some(start));
        let trouble = self.trouble.take().map(Box::new);
        let code = match &trouble {
            _ if bad => Code::BadBlock,
            Some(trouble) => trouble.code(),
            None => Code::Unavailable,
        };
        Err(Error::NoGoodCopy {
            chunk: self.chunk,
            from: self.reached,
            to: end,
            code,
            source: trouble,
        })
    }

    async fn read_to(&mut self, end: u64) -> Result<Bytes, Error> {
        let at = self.reached;
        let mut reading = self.begin(at, end).await?;
        let mut bytes = BytesMut::new();
        let length = usize::try_from(end - at).unwrap_or(usize::MAX);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_of(&mut reading, end).await?);
        }
        Ok(bytes.freeze())
    }

    /// Begins to read from the origin whose turn it is.
    async fn begin(&mut self, from: u64, end: u64) -> Result<Reading, Error> {
        self.current = if self.current < self.candidates.len() {
            self.current
        } else {
            0
        };
        let candidate = self.candidates.get(self.current);
        match candidate.map(|candidate| &candidate.origin) {
            Some(Origin::Own(open)) => Ok(Reading::Own(Arc::clone(open))),
            Some(&Origin::Disk(disk)) => {
                let peers = &self.node.peers;
                let stream = peers.read_chunk(disk, self.chunk, from, end - from).await?;
                Ok(Reading::Stream(disk, stream))
            }
            None => Err(Error::Invalid {
                what: "sources",
                why: "there is none".to_owned(),
            }),
        }
    }

    /// Finds whose turn it is to be asked for the block that starts there: nobody, if all said that
    /// they cannot read it, or were given up.
    fn find_turn(&mut self, start: u64) -> bool {
        let count = self.candidates.len();
        let may = |index: &usize| {
            let candidate = self.candidates.get(*index);
            candidate.is_some_and(|candidate| candidate.bad_at != Some(start))
        };
        let next = (0..count)
            .map(|step| (self.current + step) % count)
            .find(may);
        self.current = next.unwrap_or(0);
        next.is_some()
    }

    async fn next(&mut self, mut reading: Reading, end: u64) -> Result<Bytes, Error> {
        let piece = self.next_of(&mut reading, end).await?;
        self.reading = Some(reading);
        Ok(piece)
    }

    /// At least a byte, verified.
    async fn next_of(&self, reading: &mut Reading, end: u64) -> Result<Bytes, Error> {
        match reading {
            Reading::Stream(disk, stream) => loop {
                match stream.frame().await.map_err(failed(*disk))? {
                    Some(piece) if piece.is_empty() => {}
                    Some(piece) => return Ok(piece),
                    None => {
                        return Err(Error::PeerDiffers {
                            disk: *disk,
                            found: self.reached,
                            announced: end,
                        });
                    }
                }
            },
            Reading::Own(open) => {
                let (open, at) = (Arc::clone(open), self.reached);
                let length = (SEGMENT - at % BLOCK).min(end - at);
                let read = self.node.read_threads.run(move || open.read(at, length));
                Ok(read.await??)
            }
        }
    }

    /// Goes on to the next origin. One that has no such chunk, or is not reached, is given up.
    fn turn(&mut self, error: Error) {
        let (chunk, at) = (self.chunk, self.reached);
        if let Some(candidate) = self.candidates.get_mut(self.current) {
            candidate.strikes += 1;
            let may_be_back = error.code() == Code::Unavailable
                && !matches!(error, Error::UnknownDisk { .. })
                && candidate.strikes < MOST_STRIKES;
            if is_damage(error.code()) {
                tracing::warn!(%chunk, at, %error, "a source has a damaged block");
                candidate.strikes = 0;
                self.current += 1;
            } else if may_be_back {
                self.current += 1;
            } else {
                tracing::warn!(%chunk, at, %error, "a source is given up");
                self.candidates.remove(self.current);
            }
        }
        self.trouble = Some(error);
    }
}

/// Whether a disk has the chunk, but cannot read these bytes of it.
fn is_damage(code: Code) -> bool {
    matches!(code, Code::BadBlock | Code::Internal)
}
