//! The routes of a worker. Handlers are borders: they parse, call, and answer.

mod access;
mod chunks;
pub(crate) mod error;
mod extract;
mod footers;
mod holdings;
mod local;
mod log;
mod orders;
mod read;
mod status;

pub(crate) use extract::CHAIN_MAX;

use crate::metrics::Route;
use crate::worker::Worker;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};
use error::HttpError;
use mdfs_client::link::Behalf;
use mdfs_protocol::{footers as behind, holdings as held, internal, local as by_name};
use mdfs_service::RequestId;
use tokio::time::Instant;

/// All routes of a worker. May be served before the disk is open: until then it answers probes, and
/// 503 to everything else.
pub fn router(worker: Worker) -> Router {
    Router::new()
        .route("/health", get(status::health))
        .route("/health/live", get(status::health))
        .route("/health/ready", get(status::ready))
        .route("/stats", get(status::stats))
        .route("/metrics", get(status::metrics))
        .route(by_name::CHECKSUM, get(local::checksum))
        .route(by_name::VERIFY, get(local::verify))
        .route(internal::IDENTITY, get(orders::identity))
        .route(internal::ADOPT, post(orders::adopt))
        .route(internal::MASTERS, post(orders::masters))
        .route(internal::LOG, post(log::message))
        .route(internal::CHUNK, get(read::read).put(chunks::whole))
        .route(internal::CHUNK_SEGMENT, put(chunks::segment))
        .route(
            internal::CHUNK_STAGED,
            get(chunks::staged).delete(chunks::discard),
        )
        .route(internal::CHUNK_SEAL, get(holdings::seal).post(chunks::seal))
        .route(internal::CHUNK_PULL, post(orders::pull))
        .route(internal::CHUNK_VERIFY, post(orders::verify))
        .route(internal::FILE_DROP, post(orders::drop_file))
        .route(
            internal::SCRUB,
            get(orders::scrub).post(orders::begin_scrub),
        )
        .route(held::DIGESTS, post(holdings::digests))
        .route(held::LIST, post(holdings::list))
        .route(behind::FOOTERS, post(footers::footers))
        .fallback(async || HttpError::NoRoute)
        .method_not_allowed_fallback(async || HttpError::NoMethod)
        // The last one added sees a request first.
        .layer(from_fn_with_state(worker.clone(), access::admit))
        .layer(from_fn_with_state(worker.clone(), count))
        .layer(from_fn(error::render))
        .with_state(worker)
}

/// Counts requests by route and outcome.
async fn count(State(worker): State<Worker>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|path| Route::of(path.as_str()));
    let started = Instant::now();
    // What it asks of other workers is for the same request.
    let id = request.extensions().get::<RequestId>().cloned();
    let behalf = id.map_or_else(Behalf::default, |id| Behalf::of(id.as_str()));
    let response = behalf.run(next.run(request)).await;
    if let Some(route) = route {
        let span = started.elapsed();
        worker.metrics().count(route, response.status(), span);
    }
    response
}
