//! `PUT` of a file.

use super::App;
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::digest::expected;
use super::error::HttpError;
use super::files::request_id;
use super::query::Query;
use super::wire::file_info;
use crate::gateway::Upload;
use crate::leader::command::BeginUpload;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use mdfs_core::media_type::media_type_of;
use mdfs_protocol::link::LINK_PARAMETERS;
use mdfs_protocol::public::{BLAKE3_HEADER, CRC_HEADER, VERSION_HEADER, file_path};

/// The longest media type that is kept, in bytes.
const CONTENT_TYPE_MAX_BYTES: usize = 255;

/// Stores a file: the bytes as they come, whatever `Content-Encoding` says of them.
///
/// Everything that can be wrong with the request's head is found before the body is read.
pub(crate) async fn put(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let query = query
        .without(&LINK_PARAMETERS)
        .only(&["chunk_size", "replicas"])?;
    if headers.contains_key(CONTENT_RANGE) {
        return Err(HttpError::invalid(
            "a part of a file cannot be put; send the whole",
        ));
    }
    let begin = BeginUpload {
        request: request_id(&headers)?,
        content_type: content_type(&headers, name.as_str())?,
        name,
        chunk_size: query.value("chunk_size")?,
        replicas: query.value("replicas")?,
        precondition: precondition(&headers)?,
    };
    let upload = Upload {
        begin,
        length: length(&headers)?,
        expected: expected(&headers)?,
    };
    let info = app.0.gateway.store(upload, body, caller.holder()).await?;
    let wire = file_info(&info);
    let answer_headers = [
        (LOCATION, file_path(&wire.name)),
        (ETAG, wire.etag.clone()),
        (
            HeaderName::from_static(VERSION_HEADER),
            wire.version.to_string(),
        ),
        (HeaderName::from_static(CRC_HEADER), wire.crc32.to_string()),
        (
            HeaderName::from_static(BLAKE3_HEADER),
            wire.blake3.to_string(),
        ),
    ];
    let mut response = (StatusCode::CREATED, Json(wire)).into_response();
    for (name, text) in answer_headers {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// How many bytes the body is said to have; none if it comes in chunks of unknown number.
fn length(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length
        .map(Some)
        .ok_or_else(|| HttpError::invalid("content-length: not a number of bytes"))
}

/// The media type that was sent, or the one that goes with the name.
fn content_type(headers: &HeaderMap, name: &str) -> Result<String, HttpError> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(media_type_of(name).to_owned());
    };
    let text = value.to_str().unwrap_or_default().trim();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+*'`|~%".contains(&b);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let sound = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub));
    if !sound || text.len() > CONTENT_TYPE_MAX_BYTES {
        return Err(HttpError::invalid(
            "content-type: not a media type of at most 255 bytes",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_the_clients_or_that_of_the_name() {
        let check = |sent: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(CONTENT_TYPE, sent.parse().unwrap());
            }
            content_type(&headers, "a/film.mp4").map_err(|error| error.code().status())
        };
        assert_eq!(check(None), Ok("video/mp4".to_owned()));
        assert_eq!(
            check(Some("text/plain; charset=utf-8")),
            Ok("text/plain; charset=utf-8".into())
        );
        for bad in [
            "",
            "nonsense",
            "a/b/c",
            "text/ plain",
            "/",
            &format!("a/{}", "b".repeat(255)),
        ] {
            assert_eq!(check(Some(bad)), Err(400), "{bad}");
        }
    }
}
