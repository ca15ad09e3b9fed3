//! Chunk bytes on their way out: read, verified and sent piece by piece.
//!
//! A short range is one disk call and one piece. A long one begins with a small piece, for a fast
//! first byte, and grows; one piece is read ahead while the one before is sent. All pieces in
//! flight share one bounded memory: when half of it is in use, pieces get small and nothing is read
//! ahead, so many slow readers cost little and none of them stops the others.

use crate::blocking::{DiskThreads, Memory};
use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{OfChunk, Open, Params};
use crate::node::Node;
use crate::store::OpenChunk;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::{Frame, SizeHint};
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId};
use serde::Deserialize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// The first piece of an answer; ranges up to this length are one piece.
const FIRST_BYTES: u64 = 4 * BLOCK;
/// The largest piece.
const MOST_BYTES: u64 = 8 * BLOCK;
/// The largest piece for whom nobody waits; after each, others have their turn.
const MOST_YIELDING_BYTES: u64 = 2 * BLOCK;
/// How far ahead of a long answer the system is asked to fetch from the disk: uploads leave nothing
/// in the page cache, and the kernel's own read-ahead is too short for the rate of a fast disk.
const AHEAD_BYTES: u64 = 128 * BLOCK;
/// The same where nobody waits: clients' reads queue up behind it.
const YIELDING_AHEAD_BYTES: u64 = 4 * BLOCK;

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Range {
    #[serde(default)]
    offset: u64,
    length: Option<u64>,
    /// Nobody waits for the bytes: other readers go first.
    #[serde(default)]
    yields: bool,
}

/// `GET` of a chunk: verified bytes, from `offset`, `length` of them or to the end.
///
/// A damaged block in the first piece is an error answer; further on it breaks the answer off, and
/// the caller goes on at another copy from the byte it has reached.
pub(crate) async fn read(
    Open(node): Open,
    OfChunk(chunk): OfChunk,
    Params(range): Params<Range>,
) -> Result<Response, HttpError> {
    if !range.yields {
        node.pace.client(node.clock.now());
    }
    let (most, share) = match node.read_memory.try_take_spare(FIRST_BYTES) {
        Some(share) => (FIRST_BYTES, share),
        None => (BLOCK, node.read_memory.take(BLOCK).await?),
    };
    let (first, next, end, open) = match at_hand(&node, chunk, &range, most) {
        Some(opened) => opened,
        None => {
            let store = node.store.clone();
            let opened = node.read_threads.run(move || -> Result<Opened, Error> {
                let open = store.open_chunk(chunk)?;
                let (from, to) = bounds(&range, open.len())?;
                let first = piece(from, to, most);
                if from + first < to {
                    open.prefetch(from, ahead_of(range.yields).min(to - from));
                }
                let bytes = if first == 0 {
                    Bytes::new()
                } else {
                    copy(open.read(from, first)?)
                };
                Ok((bytes, from + first, to, open))
            });
            let opened = opened.await.and_then(|opened| opened);
            opened.inspect_err(|error| node.note_read_error(error))?
        }
    };
    let length = u64::try_from(first.len()).unwrap_or(u64::MAX) + (end - next);
    node.metrics.read_bytes.add(length);
    let first = share.guard(first);
    let body = if next == end {
        Body::from(first)
    } else {
        let source = Source {
            chunk,
            open,
            threads: node.read_threads.clone(),
            memory: node.read_memory.clone(),
            node,
        };
        Body::new(ChunkBody {
            source: Arc::new(source),
            state: Piece::Read(Ok(first)),
            next,
            end,
            left: length,
            size: 2 * FIRST_BYTES,
            cached: true,
            turn: match range.yields {
                true => Turn::Mine,
                false => Turn::Always,
            },
        })
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// The first bytes of an answer, where the next ones begin, where the last one ends, and the chunk.
type Opened = (Bytes, u64, u64, Arc<OpenChunk>);

/// What an answer begins with, if that is in memory.
fn at_hand(node: &Node, chunk: ChunkId, range: &Range, most: u64) -> Option<Opened> {
    let open = node.store.opened(chunk)?;
    let (from, to) = bounds(range, open.len()).ok()?;
    let first = piece(from, to, most);
    let bytes = copy(open.read_cached(from, first)?);
    Some((bytes, from + first, to, open))
}

/// First and end of a range in a chunk of that many bytes.
fn bounds(range: &Range, chunk_bytes: u64) -> Result<(u64, u64), Error> {
    let Range { offset, length, .. } = *range;
    let end = match length {
        Some(length) => offset.checked_add(length),
        None => Some(chunk_bytes),
    };
    match end {
        Some(end) if offset <= end && end <= chunk_bytes => Ok((offset, end)),
        Some(_) | None => Err(Error::OutOfChunk {
            offset,
            length: length.unwrap_or(0),
            chunk_bytes,
        }),
    }
}

/// How many bytes to read at `from`: about `size`, ending at a block's end so that no block is
/// verified twice.
fn piece(from: u64, end: u64, size: u64) -> u64 {
    let aligned = (from + size) / BLOCK * BLOCK;
    aligned.min(end) - from
}

/// How far ahead the disk is asked.
fn ahead_of(yields: bool) -> u64 {
    match yields {
        true => YIELDING_AHEAD_BYTES,
        false => AHEAD_BYTES,
    }
}

/// Moves a short piece into memory of its own size: buffers of the store are 1 MiB each, which a
/// slow reader of little would keep.
fn copy(bytes: Bytes) -> Bytes {
    Bytes::copy_from_slice(&bytes)
}

/// As [`copy`], for pieces that are short.
fn fitted(bytes: Bytes) -> Bytes {
    if bytes.len() as u64 > FIRST_BYTES {
        bytes
    } else {
        copy(bytes)
    }
}

struct Source {
    chunk: ChunkId,
    open: Arc<OpenChunk>,
    threads: DiskThreads,
    memory: Memory,
    node: Arc<Node>,
}

/// The rest of an answer.
struct ChunkBody {
    source: Arc<Source>,
    state: Piece,
    /// Where the next read begins.
    next: u64,
    end: u64,
    /// Bytes not yet handed out.
    left: u64,
    /// How long the next piece may be.
    size: u64,
    /// All pieces so far were in memory. Then the next one is read when it is wanted, on the spot; a
    /// disk is asked ahead.
    cached: bool,
    turn: Turn,
}

/// Whether the next piece may go out at once.
enum Turn {
    /// Always.
    Always,
    /// Now; after it others go first.
    Mine,
    /// Others go first.
    Theirs,
}

enum Piece {
    None,
    Reading(BoxFuture<'static, Result<Bytes, Error>>),
    Read(Result<Bytes, Error>),
}

impl ChunkBody {
    /// Begins the next read if its memory is free; `must` waits for it instead.
    fn begin(&mut self, must: bool) {
        if self.next == self.end || (self.cached && !must) {
            return;
        }
        let size = match self.turn {
            Turn::Always => self.size,
            Turn::Mine | Turn::Theirs => MOST_YIELDING_BYTES,
        };
        let large = piece(self.next, self.end, size);
        let small = piece(self.next, self.end, BLOCK);
        let source = Arc::clone(&self.source);
        let (length, share) = match source.memory.try_take_spare(large) {
            Some(share) => (large, Some(share)),
            None if must => (small, source.memory.try_take(small)),
            None => return,
        };
        let share = match share {
            Some(share) if self.cached => match source.open.read_cached(self.next, length) {
                Some(bytes) => {
                    self.advance(length);
                    self.state = Piece::Read(Ok(share.guard(fitted(bytes))));
                    return;
                }
                None => Some(share),
            },
            share => share,
        };
        let begins = std::mem::replace(&mut self.cached, false);
        let window = ahead_of(!matches!(self.turn, Turn::Always));
        let (from, end) = (self.next, self.end);
        self.advance(length);
        let reading = async move {
            let share = match share {
                Some(share) => share,
                None => source.memory.take(length).await?,
            };
            let open = Arc::clone(&source.open);
            let read = source.threads.run(move || {
                // All of it once, then as much further as is read.
                let (ahead, most) = match begins {
                    true => (from, window),
                    false => (from.saturating_add(window), length),
                };
                open.prefetch(ahead, most.min(end.saturating_sub(ahead)));
                open.read(from, length).map(fitted)
            });
            Ok(share.guard(read.await??))
        };
        self.state = Piece::Reading(reading.boxed());
    }

    fn advance(&mut self, length: u64) {
        self.next += length;
        self.size = (2 * self.size).min(MOST_BYTES);
    }
}

impl http_body::Body for ChunkBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        this.turn = match this.turn {
            Turn::Always => Turn::Always,
            Turn::Mine => Turn::Theirs,
            Turn::Theirs => {
                // What was given so far goes out, and whoever waits for this thread runs first.
                this.turn = Turn::Mine;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        if matches!(this.state, Piece::None) {
            this.begin(true);
        }
        let read = match std::mem::replace(&mut this.state, Piece::None) {
            Piece::Read(read) => read,
            Piece::Reading(mut reading) => match reading.poll_unpin(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    this.state = Piece::Reading(reading);
                    return Poll::Pending;
                }
            },
            // Nothing is left to read although bytes are missing: never, but never a short body.
            Piece::None => Err(Error::CallDied),
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                let chunk = this.source.chunk;
                tracing::warn!(%chunk, at = this.end - this.left, %error, "answer broken off");
                this.source.node.note_read_error(&error);
                this.left = 0;
                return Poll::Ready(Some(Err(error)));
            }
        };
        this.left = this
            .left
            .saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        this.begin(false);
        // Polled once so that the read begins now; it wakes the connection when it is done.
        if let Piece::Reading(reading) = &mut this.state
            && let Poll::Ready(read) = reading.poll_unpin(cx)
        {
            this.state = Piece::Read(read);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offset: u64, length: Option<u64>, want: Option<(u64, u64)>) {
        let range = Range {
            offset,
            length,
            yields: false,
        };
        assert_eq!(bounds(&range, 100).ok(), want);
    }

    #[test]
    fn a_range_lies_in_the_chunk_or_is_refused() {
        check(0, None, Some((0, 100)));
        check(100, None, Some((100, 100)));
        check(10, Some(90), Some((10, 100)));
        check(10, Some(91), None);
        check(101, None, None);
        check(1, Some(u64::MAX), None);
    }

    #[test]
    fn pieces_end_where_blocks_end_and_make_progress() {
        assert_eq!(piece(0, 10 * BLOCK, 4 * BLOCK), 4 * BLOCK);
        assert_eq!(piece(5, 10 * BLOCK, 4 * BLOCK), 4 * BLOCK - 5);
        assert_eq!(piece(BLOCK - 1, 10 * BLOCK, BLOCK), 1);
        assert_eq!(piece(5, 7, 4 * BLOCK), 2);
        assert_eq!(piece(7, 7, 4 * BLOCK), 0);
    }
}
