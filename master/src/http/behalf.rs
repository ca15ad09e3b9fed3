//! An answer's body that is made on behalf of its request, to its last byte.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use mdfs_client::link::Behalf;
use std::pin::Pin;
use std::task::{Context, Poll};

struct OnBehalf {
    behalf: Behalf,
    body: Body,
}

/// Has the rest of an answer made on behalf of its request too.
pub(crate) fn to_the_end(behalf: Behalf, response: Response) -> Response {
    response.map(|body| Body::new(OnBehalf { behalf, body }))
}

impl http_body::Body for OnBehalf {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { behalf, body } = self.get_mut();
        behalf.run_now(|| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
