//! The operator's own port: probes and metrics.

use crate::controller::Context;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

/// The routes. Ready is an operator that answers: those that wait for the lease are ready to work.
pub(crate) fn router(ctx: Arc<Context>) -> Router {
    Router::new()
        .route("/health", get(|| async { "OK" }))
        .route("/health/live", get(|| async { "OK" }))
        .route("/health/ready", get(|| async { "OK" }))
        .route("/metrics", get(metrics))
        .with_state(ctx)
}

async fn metrics(State(ctx): State<Arc<Context>>) -> impl IntoResponse {
    let (kind, text) = ctx.metrics.render(&ctx.seen());
    ([(CONTENT_TYPE, kind)], text)
}
