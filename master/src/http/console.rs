//! The pages for browsers.

use super::App;
use super::error::HttpError;
use crate::console::{self, Console, File};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use mdfs_protocol::problem::Code;
use std::sync::Arc;

/// `GET`: the page.
pub(super) const PAGE: &str = "/";
/// `GET`: a file that it needs.
pub(super) const FILE: &str = "/console/{*path}";

/// For ever: a URL with the hash of what it stands for never stands for anything else.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Whoever keeps it asks whether it is still the same.
const ASK_ANEW: &str = "no-cache";

/// Answers the page.
pub(super) async fn page(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let console = console_of(&app)?;
    answer(&console, &console.index, ASK_ANEW, &headers)
}

/// Answers a file by its path, for ever if the query has its hash.
pub(super) async fn file(
    State(app): State<App>,
    Path(path): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let console = console_of(&app)?;
    let Some(file) = console.find(&path) else {
        return Err(HttpError::new(
            Code::RouteNotFound,
            "no such file of the console",
        ));
    };
    let asked = uri.query().and_then(|query| query.strip_prefix("h="));
    // Masters of two versions may answer by turns: of another one's file only the name is known here.
    let cache = match asked {
        Some(hash) if hash == file.hash => FOR_EVER,
        Some(_) | None => ASK_ANEW,
    };
    answer(&console, file, cache, &headers)
}

fn console_of(app: &App) -> Result<Arc<Console>, HttpError> {
    let none = |why| HttpError::new(Code::RouteNotFound, why);
    if !app.0.console.enabled {
        return Err(none("the console is turned off on this master"));
    }
    console::current().ok_or_else(|| none("this program has no console"))
}

fn answer(
    console: &Console,
    file: &File,
    cache: &'static str,
    asked: &HeaderMap,
) -> Result<Response, HttpError> {
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let packed = text(ACCEPT_ENCODING).is_some_and(takes_gzip);
    let packed = file.packed().filter(|_| packed);
    let etag = match packed {
        Some(_) => format!("\"{}-gz\"", file.hash),
        None => format!("\"{}\"", file.hash),
    };
    let known = text(IF_NONE_MATCH).is_some_and(|known| has_tag(known, &etag));
    let mut response = Response::new(match (known, packed) {
        (true, _) => Body::empty(),
        (false, Some(packed)) => Body::from(packed.clone()),
        (false, None) => Body::from(file.bytes.clone()),
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let made = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| HttpError::new(Code::Internal, "a header of the console is no text"))
    };
    let own = HeaderName::from_static("cross-origin-opener-policy");
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, HeaderValue::from_static(cache)),
        (CONTENT_SECURITY_POLICY, made(&console.policy)?),
        (CONTENT_TYPE, HeaderValue::from_static(file.media_type)),
        (ETAG, made(&etag)?),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (VARY, HeaderValue::from_static("accept-encoding")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (own, HeaderValue::from_static("same-origin")),
    ] {
        headers.insert(name, value);
    }
    if packed.is_some() && !known {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Whether a browser says that it takes gzip.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|weight| weight.trim_matches(['0', '.', ' ']).is_empty());
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Whether `If-None-Match` names this tag, weak or strong.
fn has_tag(known: &str, etag: &str) -> bool {
    let tag = |tag: &str| tag.trim().strip_prefix("W/").unwrap_or(tag.trim()) == etag;
    known.trim() == "*" || known.split(',').any(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (accepted, want) in [
            ("gzip, deflate, br", true),
            ("br;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, br", false),
            ("identity", false),
            ("x-gzip-like", false),
        ] {
            assert_eq!(takes_gzip(accepted), want, "{accepted}");
        }
    }

    #[test]
    fn what_a_browser_has_is_found_among_its_tags() {
        for (known, want) in [
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("a", false),
        ] {
            assert_eq!(has_tag(known, "\"a\""), want, "{known}");
        }
    }
}
