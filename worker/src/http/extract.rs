//! What a request carries, parsed once at the border.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::node::Node;
use crate::worker::Worker;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, header::HeaderName};
use http_body_util::BodyExt;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// The longest JSON body, in bytes: a seal with a name of 1 KiB fits many times.
const JSON_MAX_BYTES: u64 = 64 << 10;

/// The longest chain: a chunk has at most 7 copies.
pub(crate) const CHAIN_MAX: usize = 6;

/// The open disk; refuses the request while there is none.
pub(crate) struct Open(pub(crate) Arc<Node>);

impl FromRequestParts<Worker> for Open {
    type Rejection = HttpError;

    async fn from_request_parts(_: &mut Parts, worker: &Worker) -> Result<Self, HttpError> {
        Ok(Self(worker.node()?))
    }
}

/// The open disk, where others may have it changed; refuses the request if masters refuse the disk.
pub(crate) struct Writable(pub(crate) Arc<Node>);

impl FromRequestParts<Worker> for Writable {
    type Rejection = HttpError;

    async fn from_request_parts(_: &mut Parts, worker: &Worker) -> Result<Self, HttpError> {
        let node = worker.node()?;
        node.verdict.check_writable()?;
        Ok(Self(node))
    }
}

/// The chunk that the path names.
pub(crate) struct OfChunk(pub(crate) ChunkId);

impl<S: Send + Sync> FromRequestParts<S> for OfChunk {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Path((file, index)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|why| invalid("path", &why))?;
        let file = file.parse().map_err(|why| invalid("file", &why))?;
        let index = index.parse().map_err(|why| invalid("index", &why))?;
        Ok(Self(ChunkId { file, index }))
    }
}

/// The file id that the path names.
pub(crate) struct OfFile(pub(crate) FileId);

impl<S: Send + Sync> FromRequestParts<S> for OfFile {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let Path(file) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|why| invalid("path", &why))?;
        Ok(Self(file.parse().map_err(|why| invalid("file", &why))?))
    }
}

/// The parameters behind the `?`.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let query = Query::try_from_uri(&parts.uri).map_err(|why| invalid("query", &why))?;
        Ok(Self(query.0))
    }
}

/// A JSON body of bounded length.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Document<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        let bytes = read_all(&parts.headers, body, JSON_MAX_BYTES).await?;
        let value = serde_json::from_slice(&bytes).map_err(|why| invalid("body", &why))?;
        Ok(Self(value))
    }
}

/// An answer in postcard.
///
/// # Errors
/// If it does not encode: a defect of its type.
pub(crate) fn compact<T: Serialize>(value: &T) -> Result<Response, Error> {
    let bytes = postcard::to_stdvec(value).map_err(Error::Message)?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Reads a whole body of at most `most` bytes.
///
/// # Errors
/// If it is longer, ends early, or the connection breaks.
pub(crate) async fn read_all(headers: &HeaderMap, body: Body, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    receive(headers, body, most, |data| {
        bytes.extend_from_slice(data);
        data.len()
    })
    .await?;
    Ok(bytes)
}

/// Hands a body of at most `most` bytes to `take`, piece by piece, and returns its length. `take`
/// says how many bytes of a piece it took; fewer than all means that it is full.
///
/// # Errors
/// If the body is longer, ends before its announced length, or the connection breaks.
pub(crate) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    most: u64,
    mut take: impl FnMut(&[u8]) -> usize,
) -> Result<u64, Error> {
    let announced: Option<u64> = header(headers, CONTENT_LENGTH, "content-length")?;
    if announced.is_some_and(|announced| announced > most) {
        return Err(Error::TooLarge { most });
    }
    let mut received: u64 = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Error::BodyBroken)?.into_data() else {
            continue;
        };
        received += u64::try_from(data.len()).unwrap_or(u64::MAX);
        if received > most || take(&data) < data.len() {
            return Err(Error::TooLarge { most });
        }
    }
    match announced {
        Some(announced) if announced != received => Err(Error::IncompleteBody {
            received,
            announced,
        }),
        Some(_) | None => Ok(received),
    }
}

/// The value of a header, if it is there.
///
/// # Errors
/// If it does not parse.
pub(crate) fn header<T: FromStr<Err: Display>>(
    headers: &HeaderMap,
    name: HeaderName,
    what: &'static str,
) -> Result<Option<T>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|why| Error::Invalid {
        what,
        why: why.to_string(),
    })?;
    text.parse()
        .map(Some)
        .map_err(|why: T::Err| Error::Invalid {
            what,
            why: why.to_string(),
        })
}

/// The disks of a chain, as `next` lists them: none twice, not `ours`, few enough.
///
/// # Errors
/// If it is no such list.
pub(crate) fn parse_chain(next: &str, ours: DiskId) -> Result<Vec<DiskId>, Error> {
    let disks = next
        .split(',')
        .filter(|text| !text.is_empty())
        .map(str::parse::<DiskId>);
    let disks: Vec<_> = disks
        .collect::<Result<_, _>>()
        .map_err(|why| Error::Invalid {
            what: "next",
            why: why.to_string(),
        })?;
    check_chain(&disks, ours)?;
    Ok(disks)
}

/// Refuses a chain that meets a disk twice or is too long: it would never end.
///
/// # Errors
/// If it is such a chain.
pub(crate) fn check_chain(next: &[DiskId], ours: DiskId) -> Result<(), Error> {
    let refuse = |why: &str| {
        Err(Error::Invalid {
            what: "next",
            why: why.to_owned(),
        })
    };
    let distinct: BTreeSet<_> = next.iter().chain([&ours]).collect();
    if distinct.len() != next.len() + 1 {
        return refuse("a disk is named twice");
    }
    if next.len() > CHAIN_MAX {
        return refuse("too many disks");
    }
    Ok(())
}

fn invalid(what: &'static str, why: &dyn Display) -> HttpError {
    Error::Invalid {
        what,
        why: why.to_string(),
    }
    .into()
}
