//! Where an [`Error`] becomes an answer: status, problem document, one line in the log.

use crate::error::{self, Error};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri};
use mdfs_protocol::problem::Code;
use mdfs_service::RequestId;
use mdfs_service::serve::problem_response;
use std::sync::Arc;

/// An [`Error`] on its way to the caller. [`render`] writes the body: it knows the request's id.
#[derive(Clone, Debug)]
pub(crate) enum HttpError {
    /// A request that went wrong.
    Failed(Arc<Error>),
    /// A path that no route has.
    NoRoute,
    /// A route without this method.
    NoMethod,
}

impl<E: Into<Error>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self::Failed(Arc::new(error.into()))
    }
}

impl HttpError {
    fn code(&self) -> Code {
        match self {
            Self::Failed(error) => error.code(),
            Self::NoRoute => Code::RouteNotFound,
            Self::NoMethod => Code::MethodNotAllowed,
        }
    }

    /// What the caller is told. An internal error stays in the log.
    fn detail(&self) -> String {
        match self {
            Self::Failed(error) if error.code() != Code::Internal => error.to_string(),
            Self::Failed(_) | Self::NoRoute | Self::NoMethod => self.code().title().to_owned(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code().status());
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives every error its problem document, and the log what the caller is not told.
pub(crate) async fn render(id: RequestId, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    match response.extensions().get::<HttpError>() {
        None => response,
        Some(error) => {
            log(error, &id, &method, &uri);
            problem_response(error.code(), error.detail(), &id)
        }
    }
}

fn log(error: &HttpError, id: &RequestId, method: &Method, uri: &Uri) {
    let (code, request_id, path) = (error.code().as_str(), id.as_str(), uri.path());
    match error {
        // Busy asks to come again, such as while the disk is being opened: nothing failed.
        HttpError::Failed(error) if error.code().status() >= 500 && error.code() != Code::Busy => {
            let cause = error::chain(error.as_ref());
            tracing::warn!(code, request_id, %method, path, %error, cause, "request failed");
        }
        HttpError::Failed(error) => {
            tracing::debug!(code, request_id, %method, path, %error, "request refused");
        }
        HttpError::NoRoute | HttpError::NoMethod => {
            tracing::debug!(code, request_id, %method, path, "no such route");
        }
    }
}
