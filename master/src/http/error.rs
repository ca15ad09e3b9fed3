//! Errors on the wire: the only place where `Error` meets a status.

use crate::error::Error;
use crate::gateway::StoreError;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mdfs_protocol::problem::{self, Code, Problem};
use mdfs_protocol::public::{FormRefused, FormResult};
use std::sync::Arc;

/// After how many seconds a client may try again when an answer is 503.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// Why a request gets an error as its answer.
///
/// As a response it is a bare status that carries this value; [`render`] makes the body, because
/// only the outermost layer knows the request id.
#[derive(Clone, Debug)]
pub(crate) struct HttpError {
    code: Code,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the log says and the client does not see.
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// Of a form of which nothing is stored: what became of each file.
    files: Vec<FormResult>,
}

impl HttpError {
    /// An error with this code; `detail` goes to the client.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            headers: Vec::new(),
            source: None,
            files: Vec::new(),
        }
    }

    /// A parameter, header or body that makes no sense.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// The same with one more header in its answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, naming what the file is now: for conditions and ranges that do not hold.
    pub(crate) fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with_header(name, value),
            Err(_) => self,
        }
    }

    /// The same, saying what became of each file of a form.
    pub(crate) fn with_files(self, files: Vec<FormResult>) -> Self {
        Self { files, ..self }
    }

    /// The same, saying more.
    pub(crate) fn with_detail(mut self, more: &str) -> Self {
        self.detail = format!("{}; {more}", self.detail);
        self
    }

    /// The stable word.
    pub(crate) fn code(&self) -> Code {
        self.code
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        let code = error.code();
        Self {
            code,
            detail: error.to_string(),
            headers: Vec::new(),
            source: (code.status() >= 500).then(|| Arc::new(error) as Arc<_>),
            files: Vec::new(),
        }
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::IncompleteBody { .. } => Self::new(Code::IncompleteBody, error.to_string()),
            StoreError::TooManyChunks { .. } | StoreError::ChunkTooLong { .. } => {
                Self::new(Code::TooLarge, error.to_string())
            }
            StoreError::ChecksumMismatch { .. } => {
                Self::new(Code::ChecksumMismatch, error.to_string())
            }
            StoreError::Overtaken => Self::new(Code::Busy, error.to_string()),
            StoreError::Master(error) => error.into(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = status_of(self.code);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn status_of(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Makes the body and headers of an error answer, and logs what only the log may know.
pub(crate) fn render(error: &HttpError, request_id: &str, had: &HeaderMap) -> Response {
    let status = status_of(error.code);
    log(error, request_id);
    let problem = FormRefused {
        problem: problem_of(error, request_id),
        files: error.files.clone(),
    };
    // A problem is texts and numbers: it always encodes.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    // What the router knows and this error does not: the methods that are allowed.
    if let Some(allow) = had.get(ALLOW) {
        headers.insert(ALLOW, allow.clone());
    }
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(problem::CONTENT_TYPE),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"mdfs\""),
        );
    }
    for (name, value) in &error.headers {
        headers.insert(name, value.clone());
    }
    response
}

/// What a client sees of an error.
pub(crate) fn problem_of(error: &HttpError, request_id: &str) -> Problem {
    let detail = if error.code == Code::Internal {
        "internal error"
    } else {
        &error.detail
    };
    Problem::new(error.code, detail, request_id)
}

fn log(error: &HttpError, request_id: &str) {
    let chain = match &error.source {
        Some(source) => chain_of(source.as_ref()),
        None if error.code.status() >= 500 => error.detail.clone(),
        None => return,
    };
    if error.code == Code::Internal || error.code == Code::DataDamaged {
        tracing::error!(
            request_id,
            code = error.code.as_str(),
            error = chain,
            "request failed"
        );
    } else {
        tracing::warn!(
            request_id,
            code = error.code.as_str(),
            error = chain,
            "request refused"
        );
    }
}

fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The answer to a range without a byte in the file.
pub(crate) fn range_not_satisfiable(size: u64, etag: &str) -> HttpError {
    HttpError::new(
        Code::RangeNotSatisfiable,
        format!("the file has {size} bytes"),
    )
    .with_text(
        CONTENT_RANGE,
        &mdfs_core::range::content_range_unsatisfied(size),
    )
    .with_text(ETAG, etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_shows_nothing_of_itself() {
        let error = HttpError::from(Error::Broken("the secret path".to_owned()));
        let response = render(&error, "r1", &HeaderMap::new());
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], problem::CONTENT_TYPE);
        let problem = Problem::new(Code::Internal, "internal error", "r1");
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(
            response.into_body(),
            usize::MAX,
        ));
        let body = body.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Problem>(&body).unwrap(), problem);
    }

    #[test]
    fn a_request_id_outside_its_window_has_a_code_of_its_own() {
        let error = HttpError::from(Error::RequestTooOld);
        assert_eq!(error.code(), Code::RequestOutsideWindow);
    }

    #[test]
    fn what_passes_by_itself_says_when_to_try_again() {
        for error in [
            Error::NoLeader,
            Error::NoQuorum,
            Error::Busy,
            Error::NotBootstrapped,
        ] {
            let response = render(&error.into(), "r1", &HeaderMap::new());
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
    }
}
