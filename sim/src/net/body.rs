//! The bytes of an answer on their way.

use super::{HostId, Net, NotCarried};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use mdfs_client::link::{CarriedBody, CarryError};
use tokio::sync::mpsc;

/// A piece of a body.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    /// The body is whole.
    End,
}

/// The body that comes from `from` to `to`, as its reader sees it. `refuses` is one that tells a worker
/// that its disk is refused.
pub(super) fn carried(
    net: Net,
    from: HostId,
    to: HostId,
    parts: mpsc::Receiver<Part>,
    refuses: bool,
) -> CarriedBody {
    let stream = futures_util::stream::unfold(Some((net, parts)), move |state| async move {
        let (net, mut parts) = state?;
        let part = parts.recv().await;
        if let Err(error) = net.pass(from, to).await {
            return Some((Err(error.into()), None));
        }
        let broken = {
            let mut state = net.lock();
            let broken = state.weather.broken;
            state.path(from, to).chance.within(0, 1000) < broken
        };
        match part {
            Some(Part::Data(_)) if broken => {
                net.trace.reach("connection broke under an answer");
                Some((Err(NotCarried::Reset.into()), None))
            }
            Some(Part::Data(bytes)) => {
                Some((Ok::<_, CarryError>(Frame::data(bytes)), Some((net, parts))))
            }
            Some(Part::End) => {
                if refuses {
                    net.watch_told(to);
                }
                None
            }
            None => Some((Err(NotCarried::Reset.into()), None)),
        }
    });
    CarriedBody::new(StreamBody::new(stream))
}
