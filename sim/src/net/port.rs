//! Where requests leave a host, and where they are answered.

use super::body::Part;
use super::{HostId, Net};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use mdfs_client::link::{CarriedBody, CarryError, Pieces, Route};
use std::convert::Infallible;
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt;

/// Frames of a body on their way.
const WINDOW: usize = 4;

/// Has a request answered, and gives on the answer's body for as long as somebody takes it.
pub(super) async fn serve(
    router: Router,
    request: Request<Body>,
    mut answer: oneshot::Sender<Response<mpsc::Receiver<Part>>>,
) {
    let answered: Result<Response<Body>, Infallible> = tokio::select! {
        biased;
        answered = router.oneshot(request) => answered,
        () = answer.closed() => return,
    };
    let Ok(answered) = answered;
    let (head, mut body) = answered.into_parts();
    let (parts, taken) = mpsc::channel(WINDOW);
    if answer.send(Response::from_parts(head, taken)).is_err() {
        return;
    }
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = parts.closed() => return,
        };
        let part = match frame {
            Some(Ok(frame)) => Part::Data(frame.into_data().unwrap_or_default()),
            // The connection breaks.
            Some(Err(_)) => return,
            None => Part::End,
        };
        let last = matches!(part, Part::End);
        if parts.send(part).await.is_err() || last {
            return;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) net: Net,
    pub(super) from: HostId,
}

impl Route for Port {
    fn carry(
        &self,
        request: Request<Pieces>,
    ) -> BoxFuture<'static, Result<Response<CarriedBody>, CarryError>> {
        let (net, from) = (self.net.clone(), self.from);
        let path = request.uri().path();
        let copies = !path.ends_with("/heartbeat") && path.starts_with("/internal/");
        let copy = copies.then(|| request.clone().map(whole));
        let request = request.map(whole);
        Box::pin(async move { Ok(net.call(from, request, copy).await?) })
    }
}

fn whole(pieces: Pieces) -> Body {
    let pieces: Vec<Result<Bytes, Infallible>> = pieces.iter().cloned().map(Ok).collect();
    match pieces.len() {
        0 => Body::empty(),
        _ => Body::from_stream(futures_util::stream::iter(pieces)),
    }
}
