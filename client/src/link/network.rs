//! What carries calls: the system's network, or something that stands in for it.

use super::names::Resolve;
use super::pieces::{Pieces, PiecesBody};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What carries the calls of one server, and knows what names stand for. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub(super) route: Option<Arc<dyn Route>>,
    pub(super) resolver: Option<Arc<dyn Resolve>>,
}

impl Network {
    /// The system's.
    pub fn real() -> Self {
        Self::default()
    }

    /// What `route` makes of each call: for simulations. A name stands for itself.
    pub fn simulated(route: Arc<dyn Route>) -> Self {
        Self {
            route: Some(route),
            resolver: None,
        }
    }

    /// The same, where [`Links::addresses`] asks `resolver` what a name stands for.
    ///
    /// [`Links::addresses`]: super::Links::addresses
    pub fn resolving(self, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver: Some(resolver),
            ..self
        }
    }
}

/// Carries the calls of one server to others, in place of the system's network.
pub trait Route: Debug + Send + Sync {
    /// Carries a request to the server that its URI names, and the head of the answer back.
    ///
    /// # Errors
    /// If the server was not reached or the connection broke: as when there is no network, nobody
    /// knows whether the request arrived.
    ///
    /// # Cancel safety
    /// Whoever drops the future hangs up.
    fn carry(
        &self,
        request: Request<Pieces>,
    ) -> BoxFuture<'static, Result<Response<CarriedBody>, CarryError>>;
}

/// The bytes of an answer that was carried.
pub type CarriedBody = BoxBody<Bytes, CarryError>;

/// Why something was not carried.
pub type CarryError = Box<dyn StdError + Send + Sync>;

/// The bytes of an answer, whatever carries them.
#[derive(Debug)]
pub(super) enum Answered {
    Real(Incoming),
    Carried(CarriedBody),
}

impl Body for Answered {
    type Data = Bytes;
    type Error = CarryError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CarryError>>> {
        match self.get_mut() {
            Self::Real(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| Box::new(error) as CarryError),
            Self::Carried(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Real(body) => body.is_end_stream(),
            Self::Carried(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Real(body) => body.size_hint(),
            Self::Carried(body) => body.size_hint(),
        }
    }
}

/// A request as it is carried, with its body as a whole.
pub(super) fn whole(request: Request<PiecesBody>) -> Request<Pieces> {
    request.map(PiecesBody::into_pieces)
}
