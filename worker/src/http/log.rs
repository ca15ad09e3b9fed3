//! The route of the metadata log: one message in, its answer out.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{Open, compact, read_all};
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use mdfs_core::log::message::Request;

/// The longest message, in bytes: a page of entries or records fits with the largest item behind
/// it.
const MOST_BYTES: u64 = 8 << 20;

/// `POST` of a message. The answer leaves after what it states is durable.
///
/// A blank disk answers PreVote and Prepare, which leave it blank: that is how a cluster is
/// founded. It takes nothing else before it was adopted.
pub(crate) async fn message(
    Open(node): Open,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let bytes = read_all(&headers, body, MOST_BYTES).await?;
    let request: Request = postcard::from_bytes(&bytes).map_err(Error::Message)?;
    let length = bytes.len();
    drop(bytes);
    let identity = node.identity();
    let leaves_blank = matches!(request, Request::PreVote { .. } | Request::Prepare { .. });
    if identity.cluster.is_none() && !leaves_blank {
        return Err(Error::ForeignCluster {
            asked: None,
            ours: None,
        }
        .into());
    }
    let reply = node.voter.ask(request, length).await?;
    Ok(compact(&reply)?)
}
