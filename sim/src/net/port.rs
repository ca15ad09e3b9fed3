//! Where requests leave a host, and where they are answered.

use super::body::Part;
use super::{Copy, HostId, Net};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use mdfs_client::link::{CarriedBody, CarryError, Pieces, Route};
use mdfs_protocol::ask::{ASK, Asked};
use mdfs_protocol::internal::{HEARTBEAT, LOG};
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
        if let Some(falsified) = self.look_at(path, request.body()) {
            let request = request.map(|_| whole(falsified));
            return Box::pin(async move { Ok(net.call(from, request, None).await?) });
        }
        let copies = !path.ends_with("/heartbeat") && path.starts_with("/internal/");
        let copy = copies.then(|| Copy {
            is_repeated: path != ASK || is_repeatable(request.body()),
            request: request.clone().map(whole),
        });
        let request = request.map(whole);
        Box::pin(async move { Ok(net.call(from, request, copy).await?) })
    }
}

impl Port {
    /// Looks at what leaves the host. What leaves in its place, if it is to be false.
    fn look_at(&self, path: &str, body: &Pieces) -> Option<Pieces> {
        let parts: Vec<&[u8]> = body.iter().map(|part| part.as_ref()).collect();
        match path {
            LOG => {
                self.net.watch_log(self.from, &parts.concat());
                None
            }
            HEARTBEAT => self.net.falsified(self.from, &parts.concat()),
            _ => None,
        }
    }
}

/// Whether whoever asks may ask again by itself when its answer was lost. Nothing else sends a question
/// twice.
fn is_repeatable(body: &Pieces) -> bool {
    let parts: Vec<&[u8]> = body.iter().map(|part| part.as_ref()).collect();
    let asked: Result<Asked, _> = postcard::from_bytes(&parts.concat());
    asked.is_ok_and(|asked| asked.is_repeatable())
}

fn whole(pieces: Pieces) -> Body {
    let pieces: Vec<Result<Bytes, Infallible>> = pieces.iter().cloned().map(Ok).collect();
    match pieces.len() {
        0 => Body::empty(),
        _ => Body::from_stream(futures_util::stream::iter(pieces)),
    }
}
