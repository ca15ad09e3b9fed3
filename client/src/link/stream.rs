//! The bytes of a chunk as they come in.

use super::error::{EndedEarly, LinkError, Silent};
use super::network::Answered;
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;
use http_body_util::BodyExt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Verified bytes of a chunk, in order, in frames of up to 1 MiB.
///
/// A stream that ends without an error gave exactly the bytes that were asked for. After an error
/// it ends; what came before the error is good, so that a reader may go on elsewhere from there.
/// Dropping it ends the connection unless all was read.
#[derive(Debug)]
pub struct ChunkStream {
    url: String,
    body: Answered,
    left: u64,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    failed: bool,
}

impl ChunkStream {
    pub(super) fn new(url: String, body: Answered, length: u64, stall: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(stall));
        Self {
            url,
            body,
            left: length,
            stall,
            timer,
            waiting: false,
            failed: false,
        }
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next frame; none after the last one.
    ///
    /// # Errors
    /// If the server stops sending for longer than the stall time, breaks off, or sends too much.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn frame(&mut self) -> Result<Option<Bytes>, LinkError> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
            .await
            .transpose()
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, LinkError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                if !self.waiting {
                    self.waiting = true;
                    self.timer.as_mut().reset(Instant::now() + self.stall);
                }
                ready!(self.timer.as_mut().poll(cx));
                return self.fail(LinkError::unreachable(&self.url, Silent(self.stall)));
            }
        };
        self.waiting = false;
        let data = match frame {
            // Trailers are not sent between servers; an empty frame does no harm.
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return self.fail(LinkError::unreachable(&self.url, error)),
            None if self.left > 0 => {
                return self.fail(LinkError::unreachable(&self.url, EndedEarly(self.left)));
            }
            None => return Poll::Ready(None),
        };
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return self.fail(LinkError::protocol(&self.url, "more bytes than asked for")),
        }
        Poll::Ready(Some(Ok(data)))
    }

    fn fail(&mut self, error: LinkError) -> Poll<Option<Result<Bytes, LinkError>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error)))
    }
}

/// The bytes of an answer of no known length, as they come in.
///
/// A stream that ends without an error is all that the server sent.
#[derive(Debug)]
pub struct Passed {
    url: String,
    body: Answered,
    stall: Duration,
}

impl Passed {
    pub(super) fn new(url: String, body: Answered, stall: Duration) -> Self {
        Self { url, body, stall }
    }

    /// The next bytes; none after the last ones.
    ///
    /// # Errors
    /// If the server stops sending for longer than the stall time, or breaks off.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LinkError> {
        let url = &self.url;
        let frame = tokio::time::timeout(self.stall, self.body.frame()).await;
        match frame.map_err(|_| LinkError::unreachable(url, Silent(self.stall)))? {
            // Trailers are not sent between servers; an empty frame does no harm.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(LinkError::unreachable(url, error)),
            None => Ok(None),
        }
    }
}

impl Stream for ChunkStream {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        this.poll_data(cx)
    }
}
