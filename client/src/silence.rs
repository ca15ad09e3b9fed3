//! How long a master may be silent while it is waited for.
//!
//! reqwest's own limit begins with the request and goes on while the body is sent, so that it ends every
//! upload that takes longer. This one begins anew with each piece that goes out, and does not count
//! while the source of the body has nothing to give.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Request;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bytes of a body that go out at a time: what counts as a sign of life on a slow line, too.
const PIECE_BYTES: usize = 256 * 1024;

/// Nothing came, and nothing more was taken, for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silent(pub(crate) Duration);

/// What a request waits for.
#[derive(Clone, Copy, Debug)]
enum Waits {
    /// For the master, since then.
    ForMaster(Instant),
    /// For the source of its body.
    ForSource,
}

/// The signs of life of one request.
#[derive(Clone, Debug)]
pub(crate) struct Signs(Arc<Mutex<Waits>>);

impl Signs {
    /// From now on.
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Waits::ForMaster(Instant::now()))))
    }

    /// The signs that `request` gives from now on, whose body is watched for them.
    pub(crate) fn of(request: &mut Request) -> Self {
        let signs = Self::new();
        let slot = request.body_mut();
        // What goes out at once needs no watching, and can be sent again by the connections' pool.
        let short = |body: &reqwest::Body| body.as_bytes().is_some_and(|b| b.len() <= PIECE_BYTES);
        *slot = slot.take().map(|body| {
            if short(&body) {
                return body;
            }
            reqwest::Body::wrap(Watched {
                body,
                rest: Bytes::new(),
                signs: signs.clone(),
            })
        });
        signs
    }

    /// Waits for `answer` as long as there are signs of life.
    ///
    /// # Errors
    /// [`Silent`] after `most` without one.
    pub(crate) async fn wait<T>(
        &self,
        most: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<T, Silent> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let until = self.last() + most;
            match timeout_at(until, &mut answer).await {
                Ok(answer) => return Ok(answer),
                Err(_) if self.last() + most > until => {}
                Err(_) => return Err(Silent(most)),
            }
        }
    }

    /// When there was the last one: now, while nobody waits for the master.
    fn last(&self) -> Instant {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Waits::ForMaster(since) => since,
            Waits::ForSource => Instant::now(),
        }
    }

    fn note(&self, waits: Waits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }
}

/// Waits for one piece of an answer.
///
/// # Errors
/// [`Silent`] after `most`.
pub(crate) async fn within<T>(most: Duration, piece: impl Future<Output = T>) -> Result<T, Silent> {
    Signs::new().wait(most, piece).await
}

/// A body that notes when a piece of it is taken.
struct Watched {
    body: reqwest::Body,
    rest: Bytes,
    signs: Signs,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                this.signs.note(Waits::ForSource);
                return Poll::Pending;
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => this.rest = bytes,
                other => {
                    this.signs.note(Waits::ForMaster(Instant::now()));
                    let frame = |frame: Result<Bytes, Frame<Bytes>>| match frame {
                        Ok(bytes) => Frame::data(bytes),
                        Err(frame) => frame,
                    };
                    return Poll::Ready(other.map(|result| result.map(frame)));
                }
            }
        }
        this.signs.note(Waits::ForMaster(Instant::now()));
        let count = this.rest.len().min(PIECE_BYTES);
        let piece = this.rest.split_to(count);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;
    use std::future::pending;
    use tokio::time::sleep;

    const STALL: Duration = Duration::from_secs(60);

    fn watched(body: impl Into<reqwest::Body>) -> (reqwest::Body, Signs) {
        let client = reqwest::Client::new();
        let mut request = client.put("http://a/").body(body).build().unwrap();
        let signs = Signs::of(&mut request);
        (request.body_mut().take().unwrap(), signs)
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_longer_than_a_master_may_be_silent() {
        let (mut body, signs) = watched(vec![7; 8 * PIECE_BYTES]);
        let sent = async {
            let mut total = 0;
            while let Some(frame) = body.frame().await {
                total += frame.unwrap().into_data().unwrap().len();
                sleep(STALL / 2).await;
            }
            total
        };
        assert_eq!(signs.wait(STALL, sent).await, Ok(8 * PIECE_BYTES));
        // The answer has the whole limit, and not more.
        let start = Instant::now();
        assert_eq!(within(STALL, pending::<()>()).await, Err(Silent(STALL)));
        assert_eq!(start.elapsed(), STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_has_nothing_to_give_is_not_the_masters_silence() {
        let slow = stream::iter([1, 2]).then(|byte| async move {
            sleep(STALL * 3).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![byte]))
        });
        let (body, signs) = watched(reqwest::Body::wrap_stream(slow));
        let sent = signs.wait(STALL, body.collect()).await.unwrap();
        assert_eq!(sent.unwrap().to_bytes(), [1, 2][..]);
        // All of it is out: now the master is waited for.
        assert_eq!(signs.wait(STALL, pending::<()>()).await, Err(Silent(STALL)));
    }

    #[test]
    fn a_body_keeps_its_length() {
        let (body, _) = watched(vec![7; 3 * PIECE_BYTES + 1]);
        assert_eq!(body.size_hint().exact(), Some(3 * PIECE_BYTES as u64 + 1));
    }
}
