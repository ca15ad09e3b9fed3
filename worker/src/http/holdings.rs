//! The routes by which a leader learns what the disk holds.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{OfChunk, Open, Writable, compact, read_all};
use axum::Json;
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use mdfs_protocol::holdings::{DigestsRequest, ListRequest, MOST_PARTITIONS};
use mdfs_protocol::internal::Seal;
use serde::de::DeserializeOwned;

/// The longest list of partitions, in bytes: all of them fit many times.
const MOST_BYTES: u64 = 64 << 10;

/// `POST`: one digest for each partition, for the leader of a term.
pub(crate) async fn digests(
    Writable(node): Writable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let DigestsRequest { term } = question(&headers, body).await?;
    let store = node.store.clone();
    let digests = node.write_threads.run(move || -> Result<_, Error> {
        store.raise_fence(term)?;
        Ok(store.digests())
    });
    Ok(compact(&digests.await??)?)
}

/// `POST` of a list of partitions: the chunks in them, all as of one moment.
pub(crate) async fn list(
    Writable(node): Writable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let ListRequest { term, partitions } = question(&headers, body).await?;
    if partitions.len() > MOST_PARTITIONS {
        return Err(refused(format!("at most {MOST_PARTITIONS} may be asked for")).into());
    }
    let store = node.store.clone();
    let listing = node.write_threads.run(move || -> Result<_, Error> {
        store.raise_fence(term)?;
        Ok(store.list(&partitions))
    });
    Ok(compact(&listing.await??)?)
}

pub(super) async fn question<Q: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<Q, Error> {
    let bytes = read_all(headers, body, MOST_BYTES).await?;
    postcard::from_bytes(&bytes).map_err(|why| refused(why.to_string()))
}

fn refused(why: String) -> Error {
    Error::Invalid { what: "body", why }
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
