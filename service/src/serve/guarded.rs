//! A connection that gives up on peers that keep it waiting, and looks at what they send.

use super::Limits;
use super::framing::{Expecting, Finding, Framing};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What connection and request handling tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// For each head that was read and not yet handled, in order.
    findings: VecDeque<Finding>,
    /// Requests whose answers are not yet written: one at most.
    in_flight: usize,
    /// Who reads the connection, to be woken when it becomes idle: hyper does not look again.
    reader: Option<Waker>,
}

/// A request from its head to the end of its answer; while it lives, the connection is not idle.
#[derive(Debug)]
pub(super) struct InFlight(Shared);

impl Shared {
    /// What was found in the head of the request that starts now.
    pub(super) fn begin(&self) -> (Finding, InFlight) {
        let mut state = self.lock();
        state.in_flight += 1;
        let finding = state.findings.pop_front();
        // hyper reads a head only from bytes that were looked at before.
        let finding = finding.unwrap_or(Finding::Refused("the head could not be followed"));
        (finding, InFlight(self.clone()))
    }

    fn push(&self, finding: Finding) {
        self.lock().findings.push_back(finding);
    }

    /// Whether nothing is under way. If something is, `cx` is woken when it ends.
    fn poll_idle(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        let idle = state.in_flight == 0 && state.findings.is_empty();
        state.reader = (!idle).then(|| cx.waker().clone());
        idle
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// A byte stream with time limits for idleness, for heads and for writes.
///
/// A head may take `header_timeout` in all, however its bytes trickle in. Bodies have their own
/// limit (`body`), because only whoever reads one knows whether it is waited for.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    shared: Shared,
    framing: Framing,
    limits: Limits,
    waiting: Option<Expecting>,
    read_timer: Pin<Box<Sleep>>,
    write_blocked: bool,
    write_timer: Pin<Box<Sleep>>,
    ended: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, shared: Shared, limits: Limits) -> Self {
        let timer = || Box::pin(tokio::time::sleep(limits.idle_timeout));
        let (read_timer, write_timer) = (timer(), timer());
        Self {
            stream,
            shared,
            framing: Framing::new(),
            limits,
            waiting: None,
            read_timer,
            write_blocked: false,
            write_timer,
            ended: false,
        }
    }

    /// The stream alone.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Whether the peer said that it sends no more, or the connection broke.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn poll_read_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let expecting = self.framing.expecting();
        let limit = match expecting {
            Expecting::Request => self.limits.idle_timeout,
            Expecting::Head => self.limits.header_timeout,
            Expecting::Body => return Poll::Pending,
        };
        if !self.shared.poll_idle(cx) {
            self.waiting = None;
            return Poll::Pending;
        }
        if self.waiting != Some(expecting) {
            self.waiting = Some(expecting);
            self.read_timer.as_mut().reset(Instant::now() + limit);
        }
        ready!(self.read_timer.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Passes on what a write did; an error once writes have been blocked for too long.
    fn guard_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.write_blocked = false;
            return done;
        }
        if !self.write_blocked {
            self.write_blocked = true;
            self.write_timer
                .as_mut()
                .reset(Instant::now() + self.limits.write_stall);
        }
        ready!(self.write_timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let new = buf.filled().get(before..).unwrap_or_default();
                this.ended |= new.is_empty();
                this.framing.feed(new, |finding| {
                    this.shared.push(finding);
                    this.waiting = None;
                });
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                this.ended = true;
                Poll::Ready(Err(error))
            }
            Poll::Pending => this.poll_read_limit(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.guard_write(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.guard_write(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.stream).poll_flush(cx);
        this.guard_write(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
