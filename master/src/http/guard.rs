//! What happens around every request: access first, then the handler, then errors and counters.

use super::error::{HttpError, render};
use super::routes::Rules;
use super::{App, Inner};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mdfs_service::RequestId;
use std::sync::Arc;
use tokio::time::Instant;

/// What the guard knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: App,
    pub(crate) rules: Arc<Rules>,
}

/// Lets a request through if its rule says so, before a byte of its body is read: a client that
/// waits for `100 Continue` does not get one with a wrong token.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Inner {
        access,
        clock,
        metrics,
        ..
    } = &*guard.app.0;
    let started = Instant::now();
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_else(RequestId::random);
    let matched = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let (label, rule) = guard.rules.find(matched);
    let allowed = access.check(
        rule,
        request.method(),
        request.uri().path(),
        request.uri().query().unwrap_or_default(),
        request.headers(),
        clock.wall(),
    );
    let response = match allowed {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let response = match response.extensions().get::<HttpError>() {
        Some(error) => render(error, id.as_str(), response.headers()),
        None => response,
    };
    metrics.count(label, response.status().as_u16(), started.elapsed());
    response
}
