//! Bodies in and out of a server, each with what must hold while it is under way.

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
    /// The connection broke, the body ended early, or its chunks are not well formed.
    #[error("cannot read the body")]
    Broken(#[source] hyper::Error),
}

/// A request's body. Fails when the client lets its reader wait for too long.
pub(super) struct RequestBody {
    incoming: Incoming,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    failed: bool,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, stall: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(stall));
        Self {
            incoming,
            stall,
            timer,
            waiting: false,
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
            this.waiting = false;
            this.failed = matches!(frame, Some(Err(_)));
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        if !this.waiting {
            this.waiting = true;
            this.timer.as_mut().reset(Instant::now() + this.stall);
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
