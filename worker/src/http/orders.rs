//! The routes by which a leader gives orders: copy, verify, drop; and by which a disk is adopted.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{Document, OfChunk, OfFile, Open, Writable};
use crate::transfer::pull::pull_chunk;
use crate::worker::Worker;
use axum::Json;
use axum::extract::State;
use mdfs_protocol::internal::{
    Adopt, DropRequest, Dropped, Identity, Masters, PullRequest, ScrubProgress, Stored,
    VerifyRequest,
};

/// `GET`: who answers here.
pub(crate) async fn identity(Open(node): Open) -> Json<Identity> {
    Json(node.identity())
}

/// `POST`: makes a blank disk one of the cluster. Durable when answered.
pub(crate) async fn adopt(
    Open(node): Open,
    Document(Adopt { cluster }): Document<Adopt>,
) -> Result<Json<Identity>, HttpError> {
    let store = node.store.clone();
    node.write_threads
        .run(move || store.adopt(cluster))
        .await??;
    node.peers.join(cluster);
    tracing::info!(%cluster, disk = %node.disk(), "the disk belongs to the cluster");
    Ok(Json(node.identity()))
}

/// `POST`: names masters to beat at.
pub(crate) async fn masters(
    State(worker): State<Worker>,
    Open(node): Open,
    Document(Masters { urls }): Document<Masters>,
) -> Result<Json<Identity>, HttpError> {
    worker.masters().call(&urls)?;
    Ok(Json(node.identity()))
}

/// `POST`: copies a chunk from another member. Durable when answered.
pub(crate) async fn pull(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
    Document(request): Document<PullRequest>,
) -> Result<Json<Stored>, HttpError> {
    Ok(Json(pull_chunk(&node, chunk, request).await?))
}

/// `POST`: reads a chunk whole and says what is stored, to the leader of a term. The fence is
/// raised first, durably: no earlier leader changes anything after the answer.
pub(crate) async fn verify(
    Writable(node): Writable,
    OfChunk(chunk): OfChunk,
    Document(VerifyRequest { term }): Document<VerifyRequest>,
) -> Result<Json<Stored>, HttpError> {
    let store = node.store.clone();
    let verified = node.write_threads.run(move || -> Result<_, Error> {
        store.raise_fence(term)?;
        Ok(store.verify(chunk, true)?)
    });
    let verified = verified.await.and_then(|verified| verified);
    Ok(Json(
        verified.inspect_err(|error| node.note_read_error(error))?,
    ))
}

/// `POST`: removes all of a file id. The fence is raised first, as in [`verify`].
pub(crate) async fn drop_file(
    Writable(node): Writable,
    OfFile(file): OfFile,
    Document(DropRequest { term }): Document<DropRequest>,
) -> Result<Json<Dropped>, HttpError> {
    let store = node.store.clone();
    let dropped = node.write_threads.run(move || store.drop_for(term, file));
    let chunks = dropped.await??;
    tracing::info!(%file, %term, chunks, "dropped");
    Ok(Json(Dropped { chunks }))
}

/// `POST`: has every block on the disk read now.
pub(crate) async fn begin_scrub(Open(node): Open) -> Json<ScrubProgress> {
    node.scrub.begin();
    Json(node.scrub.progress())
}

/// `GET`: how far that is.
pub(crate) async fn scrub(Open(node): Open) -> Json<ScrubProgress> {
    Json(node.scrub.progress())
}
