//! The route by which a leader learns what is written behind the chunks on the disk.

use super::holdings::question;
use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{Writable, compact};
use crate::store::{self, ChunkStore};
use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use mdfs_protocol::footers::{Footer, Footers, FootersRequest, MOST_FOOTERS};

/// `POST`: a page of footers, for the leader of a term. The fence is raised first, durably: no earlier
/// leader has any of it dropped after the answer. A disk that accepts no writes drops nothing, and needs
/// none.
pub(crate) async fn footers(
    Writable(node): Writable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let request: FootersRequest = question(&headers, body).await?;
    let store = node.store.clone();
    let raised = node
        .write_threads
        .run(move || store.raise_fence(request.term));
    match raised.await? {
        Ok(()) | Err(store::Error::ReadOnly) => {}
        Err(error) => return Err(error.into()),
    }
    let store = node.store.clone();
    let page = node.read_threads.run(move || page(&store, &request));
    Ok(compact(&page.await??)?)
}

fn page(store: &ChunkStore, request: &FootersRequest) -> Result<Footers, Error> {
    let limit = request.limit.clamp(1, MOST_FOOTERS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut page = Footers::default();
    let chunks = store.held_in_order(request.after, limit)?;
    page.more = chunks.len() > limit;
    for chunk in chunks.into_iter().take(limit) {
        let seal = match store.open_once(chunk) {
            Ok(open) => Some(open.seal().clone()),
            // Dropped just now.
            Err(store::Error::ChunkNotFound { .. }) => continue,
            Err(error) => {
                tracing::warn!(%chunk, %error, "what is written behind a chunk cannot be read");
                None
            }
        };
        page.footers.push(Footer { chunk, seal });
    }
    Ok(page)
}
