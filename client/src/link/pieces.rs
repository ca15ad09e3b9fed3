//! Bytes in several pieces, sent without putting them together.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes in several pieces, in order. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    pieces: Arc<[Bytes]>,
}

impl Pieces {
    /// How many bytes these are in all.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self::from_iter([bytes])
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self {
            pieces: pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
        }
    }
}

/// A body of these bytes, one frame for each piece.
#[derive(Debug, Default)]
pub(super) struct PiecesBody {
    pieces: Pieces,
    /// The first piece that was not given yet.
    next: usize,
    left: u64,
}

impl PiecesBody {
    /// The bytes, of which none was given yet.
    pub(super) fn into_pieces(self) -> Pieces {
        self.pieces
    }
}

impl From<Pieces> for PiecesBody {
    fn from(pieces: Pieces) -> Self {
        let left = u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        Self {
            pieces,
            next: 0,
            left,
        }
    }
}

impl Body for PiecesBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.pieces.pieces.get(this.next).cloned();
        Poll::Ready(piece.map(|piece| {
            this.next += 1;
            this.left -= u64::try_from(piece.len())
                .unwrap_or(this.left)
                .min(this.left);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
