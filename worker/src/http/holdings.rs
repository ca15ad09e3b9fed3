//! The routes by which a leader learns what the disk holds.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{OfChunk, Open, compact, read_all};
use axum::Json;
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use mdfs_protocol::holdings::{ListRequest, MOST_PARTITIONS};
use mdfs_protocol::internal::Seal;

/// The longest list of partitions, in bytes: all of them fit many times.
const MOST_BYTES: u64 = 64 << 10;

/// `GET`: one digest for each partition.
pub(crate) async fn digests(Open(node): Open) -> Result<Response, HttpError> {
    let store = node.store.clone();
    let digests = node.read_threads.run(move || store.digests()).await?;
    Ok(compact(&digests)?)
}

/// `POST` of a list of partitions: the chunks in them, all as of one moment.
pub(crate) async fn list(
    Open(node): Open,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let refuse = |why: String| Error::Invalid {
        what: "partitions",
        why,
    };
    let bytes = read_all(&headers, body, MOST_BYTES).await?;
    let ListRequest { partitions } =
        postcard::from_bytes(&bytes).map_err(|why| refuse(why.to_string()))?;
    if partitions.len() > MOST_PARTITIONS {
        return Err(refuse(format!("at most {MOST_PARTITIONS} may be asked for")).into());
    }
    let store = node.store.clone();
    let listing = node
        .read_threads
        .run(move || store.list(&partitions))
        .await?;
    Ok(compact(&listing)?)
}

/// `GET`: what is written behind a sealed chunk. Some of its blocks may be damaged.
pub(crate) async fn seal(
    Open(node): Open,
    OfChunk(chunk): OfChunk,
) -> Result<Json<Seal>, HttpError> {
    let store = node.store.clone();
    let opened = node.read_threads.run(move || store.open_chunk(chunk));
    let open = opened
        .await?
        .map_err(Error::from)
        .inspect_err(|error| node.note_read_error(error))?;
    Ok(Json(open.seal().clone()))
}
