//! Bodies in and out of a server, each with what must hold while it is under way.

use super::Limits;
use super::guarded::InFlight;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a request's body could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client sent nothing for too long while it was waited for.
    #[error("the client sent nothing for {0:?}")]
    Stalled(Duration),
    /// The client sent so little that it would never end.
    #[error("the client sent fewer than {0} bytes a second")]
    TooSlow(u64),
    /// The connection broke, the body ended early, or its chunks are not well formed.
    #[error("cannot read the body")]
    Broken(#[source] hyper::Error),
}

/// Over how much waiting the rate of a body is counted.
const RATE_WINDOW: Duration = Duration::from_secs(30);

/// A request's body. Fails when the client lets its reader wait for too long.
pub(super) struct RequestBody {
    incoming: Incoming,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when its reader waits.
    waiting: Option<Instant>,
    pace: Pace,
    failed: bool,
}

/// How much came while it was waited for. What its reader does meanwhile is not the client's time.
struct Pace {
    least_rate: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Takes what came after a wait; whether that is enough.
    fn take(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.waited < RATE_WINDOW {
            return true;
        }
        let least = self.least_rate.saturating_mul(self.waited.as_secs());
        let enough = self.bytes >= least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, limits: &Limits) -> Self {
        let stall = limits.body_stall;
        Self {
            incoming,
            stall,
            timer: Box::pin(tokio::time::sleep(stall)),
            waiting: None,
            pace: Pace {
                least_rate: limits.body_rate,
                waited: Duration::ZERO,
                bytes: 0,
            },
            failed: false,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            let waited = this
                .waiting
                .take()
                .map_or(Duration::ZERO, |at| at.elapsed());
            this.failed = matches!(frame, Some(Err(_)));
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if !this.pace.take(waited, bytes) {
                    this.failed = true;
                    let slow = BodyError::TooSlow(this.pace.least_rate);
                    return Poll::Ready(Some(Err(slow)));
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        if this.waiting.is_none() {
            let now = Instant::now();
            this.waiting = Some(now);
            this.timer.as_mut().reset(now + this.stall);
        }
        ready!(this.timer.as_mut().poll(cx));
        this.failed = true;
        Poll::Ready(Some(Err(BodyError::Stalled(this.stall))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// An answer's body; its end is the end of the request.
pub(super) struct ResponseBody {
    pub(super) body: axum::body::Body,
    pub(super) _request: InFlight,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
