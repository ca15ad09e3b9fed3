//! The routes by which chunks come in: segments, seals, whole small chunks.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{
    Document, OfChunk, Open, Params, Writable, check_chain, header, parse_chain, receive,
};
use crate::node::Node;
use crate::transfer::chain::Onward;
use axum::Json;
use axum::body::Body;
use http::HeaderMap;
use http::header::HeaderName;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::SEGMENT_BYTES;
use mdfs_core::id::Term;
use mdfs_protocol::internal::{
    CRC_HEADER, Hop, HopOutcome, HopsReply, SEAL_HEADER, Seal, SealRequest, Staged, Stored,
};
use serde::Deserialize;

const SEGMENT: u64 = SEGMENT_BYTES as u64;

#[derive(Deserialize)]
pub(crate) struct SegmentParams {
    offset: u64,
    term: String,
    #[serde(default)]
    next: String,
}

/// `PUT` of a segment: writes it and passes it on at the same time.
///
/// A hop behind this one that fails is an outcome in the answer. If this disk fails, the answer is
/// a problem; the rest of the chain may have taken the segment all the same, and says so when
/// asked for what it has staged. Sending a segment again is harmless.
pub(crate) async fn segment(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
    Params(params): Params<SegmentParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HopsReply>, HttpError> {
    let SegmentParams { offset, term, next } = params;
    let term = parse_term(&term)?;
    let next = parse_chain(&next, node.disk())?;
    let crc = announced_crc(&headers)?;
    node.pace.client(node.clock.now());
    let memory = node.write_memory.with_behind(next.len());
    let share = memory.take(SEGMENT).await?;
    let mut buffer = node.buffers.get();
    receive(&headers, body, SEGMENT, |data| buffer.extend(data)).await?;
    let bytes = share.guard(buffer.freeze());
    let onward = Onward {
        node: &node,
        chunk,
        next: &next,
    };
    let own = async {
        let (store, bytes) = (node.store.clone(), bytes.clone());
        let begun = node.clock.now();
        let write = node.write_threads.run(move || {
            store.admit_write(term)?;
            store.write_segment(chunk, offset, &bytes, crc)
        });
        let received = write.await??;
        node.metrics
            .segment_seconds
            .observe_span(node.clock.now().since(begun));
        Ok::<_, Error>(received)
    };
    let rest = onward.segment(offset, term, bytes.clone(), crc);
    // If this disk fails there is no use in waiting for the others.
    let (received, rest) =
        futures_util::future::try_join(own, async { Ok::<_, Error>(rest.await) }).await?;
    node.metrics
        .written_bytes
        .add(u64::try_from(bytes.len()).unwrap_or(0));
    Ok(Json(reply(
        &node,
        HopOutcome::Received(Staged { received }),
        rest,
    )))
}

/// `POST` of a seal: makes the chunk durable here and behind, at the same time.
///
/// As with segments, a problem answer tells of this disk alone.
pub(crate) async fn seal(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
    Document(request): Document<SealRequest>,
) -> Result<Json<HopsReply>, HttpError> {
    check_chain(&request.next, node.disk())?;
    let SealRequest { term, seal, next } = request;
    let onward = Onward {
        node: &node,
        chunk,
        next: &next,
    };
    let own = async {
        let (store, seal) = (node.store.clone(), seal.clone());
        let begun = node.clock.now();
        let sealing = node.write_threads.run(move || {
            store.admit_write(term)?;
            store.seal(chunk, &seal)
        });
        let stored = sealing.await??;
        node.note_seal(begun);
        Ok::<_, Error>(stored)
    };
    let (own, rest) = futures_util::future::join(own, onward.seal(term, &seal)).await;
    Ok(Json(reply(&node, HopOutcome::Durable(own?), rest)))
}

#[derive(Deserialize)]
pub(crate) struct WholeParams {
    term: String,
}

/// `PUT` of a whole small chunk: durable when answered.
pub(crate) async fn whole(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
    Params(params): Params<WholeParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Stored>, HttpError> {
    let term = parse_term(&params.term)?;
    let seal = announced_seal(&headers)?;
    node.pace.client(node.clock.now());
    let share = node.write_memory.with_behind(0).take(SEGMENT).await?;
    let mut buffer = node.buffers.get();
    receive(&headers, body, SEGMENT, |data| buffer.extend(data)).await?;
    let bytes = share.guard(buffer.freeze());
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    let store = node.store.clone();
    let begun = node.clock.now();
    let storing = node.write_threads.run(move || {
        store.admit_write(term)?;
        store.store_whole(chunk, &bytes, seal.crc32, &seal)
    });
    let stored = storing.await??;
    node.note_seal(begun);
    node.metrics.written_bytes.add(length);
    Ok(Json(stored))
}

/// `GET`: how far a chunk has been received; its length once it is sealed, zero if nothing is known
/// of it.
pub(crate) async fn staged(
    Open(node): Open,
    OfChunk(chunk): OfChunk,
) -> Result<Json<Staged>, HttpError> {
    let store = node.store.clone();
    let received = node
        .write_threads
        .run(move || store.received(chunk))
        .await?;
    Ok(Json(Staged {
        received: received.unwrap_or(0),
    }))
}

/// `DELETE`: forgets what was received of a chunk that is not sealed.
pub(crate) async fn discard(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
) -> Result<http::StatusCode, HttpError> {
    let store = node.store.clone();
    node.write_threads
        .run(move || store.discard_staged(chunk))
        .await??;
    Ok(http::StatusCode::NO_CONTENT)
}

fn reply(node: &Node, own: HopOutcome, mut rest: Vec<Hop>) -> HopsReply {
    rest.insert(
        0,
        Hop {
            disk: node.disk(),
            outcome: own,
        },
    );
    HopsReply { hops: rest }
}

fn parse_term(text: &str) -> Result<Term, Error> {
    text.parse()
        .map_err(|why: mdfs_core::id::InvalidTerm| Error::Invalid {
            what: "term",
            why: why.to_string(),
        })
}

fn announced_crc(headers: &HeaderMap) -> Result<Crc32, Error> {
    header(headers, HeaderName::from_static(CRC_HEADER), CRC_HEADER)?.ok_or_else(|| {
        Error::Invalid {
            what: CRC_HEADER,
            why: "is missing".to_owned(),
        }
    })
}

fn announced_seal(headers: &HeaderMap) -> Result<Seal, Error> {
    let refuse = |why: String| Error::Invalid {
        what: SEAL_HEADER,
        why,
    };
    let value = headers
        .get(SEAL_HEADER)
        .ok_or_else(|| refuse("is missing".to_owned()))?;
    serde_json::from_slice(value.as_bytes()).map_err(|why| refuse(why.to_string()))
}
