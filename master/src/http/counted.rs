//! Bodies whose bytes are counted.

use crate::board::Moved;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a client.
    Out,
    /// From one.
    In,
}

/// A body, otherwise as it was.
#[derive(Debug)]
pub(super) struct Counted {
    body: Body,
    moved: Moved,
    way: Way,
}

impl Counted {
    pub(super) fn body(body: Body, moved: Moved, way: Way) -> Body {
        Body::new(Self { body, moved, way })
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match self.way {
                Way::Out => self.moved.read(bytes),
                Way::In => self.moved.written(bytes),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
