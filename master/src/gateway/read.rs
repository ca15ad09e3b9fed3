//! The body of an answer with file bytes.

use super::Shared;
use super::source::{Open, Source};
use super::turns::Turn;
use crate::error::Error;
use crate::leader::command::FileView;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use mdfs_core::id::DiskId;
use mdfs_core::range::ByteRange;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep};

/// How often in a row workers may break off without giving a byte.
const BREAKS_MAX: u32 = 8;

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Text(Bytes),
    /// These bytes of the file.
    File(ByteRange),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Piece::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Piece::File(range) => range.len(),
        }
    }
}

/// Why an answer was cut off after its head was sent.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut off")]
pub struct ReadError(#[source] Error);

/// Streams pieces of a file from whichever copies work.
///
/// Holds at most what one connection to a worker has read ahead, about 1 MiB, and asks for nothing
/// while the client takes nothing.
pub struct ReadBody {
    source: Arc<Source>,
    pieces: VecDeque<Piece>,
    /// What was opened before the head of the answer went out: the first range.
    first: Option<Open>,
    state: State,
    /// Bytes not yet sent.
    left: u64,
    /// How often a worker broke off since the last byte came.
    breaks: u32,
    /// Runs while a worker is waited for.
    timer: Pin<Box<Sleep>>,
    _turn: Turn,
}

type Opening = BoxFuture<'static, Result<Open, Error>>;

enum State {
    /// Between pieces.
    Next,
    /// No worker gives bytes yet.
    Opening(Span, Opening),
    /// A worker gives bytes.
    Streaming(Span, Streaming),
    /// Sent, or cut off.
    Done,
}

/// What is left of a range.
#[derive(Clone, Copy)]
struct Span {
    position: u64,
    end: u64,
}

struct Streaming {
    open: Open,
    waiting: Waiting,
}

/// How the worker that gives bytes is doing.
enum Waiting {
    /// It gave bytes when it was last asked for some.
    Flows,
    /// It was asked, and the timer runs.
    Waits,
    /// It takes too long; another one may be quicker. The timer runs again.
    Hedges(Opening),
    /// It takes too long, and nobody else could give the bytes. The timer runs again.
    Alone,
}

/// What to do next.
enum Step {
    Give(Bytes),
    Go(State),
    Fail(Error),
}

impl Span {
    fn of(range: &ByteRange) -> Self {
        Self {
            position: range.start(),
            end: range.end_exclusive(),
        }
    }
}

impl ReadBody {
    /// Opens the first bytes of the file that the pieces need.
    pub(super) async fn start(
        shared: Arc<Shared>,
        view: FileView,
        pieces: Vec<Piece>,
        turn: Turn,
    ) -> Result<Self, Error> {
        let timer = Box::pin(tokio::time::sleep(shared.limits.stall));
        let source = Arc::new(Source::new(shared, view));
        let range = pieces.iter().find_map(|piece| match piece {
            Piece::File(range) => Some(Span::of(range)),
            Piece::Text(_) => None,
        });
        let first = match range {
            Some(Span { position, end }) => {
                Some(Arc::clone(&source).open(position, end, None).await?)
            }
            None => None,
        };
        let left = pieces.iter().map(Piece::length).sum();
        let pieces = pieces.into();
        Ok(Self {
            source,
            pieces,
            first,
            state: State::Next,
            left,
            breaks: 0,
            timer,
            _turn: turn,
        })
    }

    /// The state in which the rest of a range is opened; `after` just failed.
    fn opening(&self, span: Span, after: Option<DiskId>) -> State {
        let source = Arc::clone(&self.source);
        State::Opening(span, Box::pin(source.open(span.position, span.end, after)))
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => Poll::Ready(None),
            State::Next => Poll::Ready(self.pieces.pop_front().map(|piece| match piece {
                Piece::Text(text) => {
                    self.state = State::Next;
                    Step::Give(text)
                }
                Piece::File(range) => Step::Go(match self.first.take() {
                    Some(open) => State::Streaming(Span::of(&range), Streaming::new(open)),
                    None => self.opening(Span::of(&range), None),
                }),
            })),
            State::Opening(span, mut opening) => match opening.as_mut().poll(cx) {
                Poll::Pending => {
                    self.state = State::Opening(span, opening);
                    Poll::Pending
                }
                Poll::Ready(Err(error)) => Poll::Ready(Some(Step::Fail(error))),
                Poll::Ready(Ok(open)) => {
                    Poll::Ready(Some(Step::Go(State::Streaming(span, Streaming::new(open)))))
                }
            },
            State::Streaming(span, streaming) => self.poll_streaming(span, streaming, cx).map(Some),
        }
    }

    fn poll_streaming(
        &mut self,
        mut span: Span,
        mut streaming: Streaming,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        let disk = streaming.open.disk;
        match Pin::new(&mut streaming.open.stream).poll_next(cx) {
            Poll::Ready(Some(Ok(mut bytes))) => {
                let left = usize::try_from(streaming.open.length).unwrap_or(usize::MAX);
                // Never more than was asked, whatever the worker sends.
                bytes.truncate(left);
                let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                streaming.open.length -= got.min(streaming.open.length);
                span.position += got;
                if got > 0 {
                    self.breaks = 0;
                }
                streaming.waiting = Waiting::Flows;
                self.state = if span.position >= span.end {
                    State::Next
                } else if streaming.open.length == 0 {
                    self.opening(span, None)
                } else {
                    State::Streaming(span, streaming)
                };
                Poll::Ready(Step::Give(bytes))
            }
            Poll::Ready(ended) => {
                let why = ended
                    .and_then(Result::err)
                    .map(|failure| failure.to_string());
                let why = why.unwrap_or_else(|| "it ended early".to_owned());
                tracing::warn!(%disk, position = span.position, error = why, "a copy broke off");
                self.breaks += 1;
                if self.breaks > BREAKS_MAX {
                    let error = self.source.unavailable(span.position);
                    return Poll::Ready(Step::Fail(error));
                }
                Poll::Ready(Step::Go(self.opening(span, Some(disk))))
            }
            Poll::Pending => self.poll_stalled(span, streaming, cx),
        }
    }

    /// The worker has nothing to give at the moment.
    fn poll_stalled(
        &mut self,
        span: Span,
        mut streaming: Streaming,
        cx: &mut Context<'_>,
    ) -> Poll<Step> {
        let limits = self.source.shared().limits;
        let disk = streaming.open.disk;
        loop {
            let waiting = match streaming.waiting {
                Waiting::Flows => {
                    self.timer.as_mut().reset(Instant::now() + limits.stall);
                    Waiting::Waits
                }
                Waiting::Waits => {
                    if self.timer.as_mut().poll(cx).is_pending() {
                        streaming.waiting = Waiting::Waits;
                        break;
                    }
                    self.timer.as_mut().reset(Instant::now() + limits.patience);
                    if self.source.has_other(span.position, disk) {
                        self.source
                            .shared()
                            .memory
                            .failed(disk, self.source.shared().clock.now());
                        let source = Arc::clone(&self.source);
                        Waiting::Hedges(Box::pin(source.open_elsewhere(
                            span.position,
                            span.end,
                            disk,
                        )))
                    } else {
                        Waiting::Alone
                    }
                }
                Waiting::Hedges(mut opening) => match opening.as_mut().poll(cx) {
                    Poll::Ready(Ok(open)) => {
                        tracing::warn!(%disk, position = span.position, "a copy stalled");
                        return Poll::Ready(Step::Go(State::Streaming(span, Streaming::new(open))));
                    }
                    Poll::Ready(Err(_)) => Waiting::Alone,
                    Poll::Pending => {
                        streaming.waiting = Waiting::Hedges(opening);
                        break;
                    }
                },
                Waiting::Alone => {
                    if self.timer.as_mut().poll(cx).is_ready() {
                        let state = self.opening(span, Some(disk));
                        return Poll::Ready(Step::Go(state));
                    }
                    streaming.waiting = Waiting::Alone;
                    break;
                }
            };
            streaming.waiting = waiting;
        }
        self.state = State::Streaming(span, streaming);
        Poll::Pending
    }
}

impl Streaming {
    fn new(open: Open) -> Self {
        Self {
            open,
            waiting: Waiting::Flows,
        }
    }
}

impl Body for ReadBody {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let this = self.get_mut();
        loop {
            match this.poll_step(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Step::Go(state))) => this.state = state,
                Poll::Ready(Some(Step::Give(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Step::Give(bytes))) => {
                    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    this.left = this.left.saturating_sub(got);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Poll::Ready(Some(Step::Fail(error))) => {
                    tracing::error!(code = error.code().as_str(), %error, "an answer was cut off");
                    return Poll::Ready(Some(Err(ReadError(error))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for ReadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
