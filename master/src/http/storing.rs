//! `PUT` of a file.

use super::App;
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::digest::expected;
use super::error::HttpError;
use super::files::request_id;
use super::query::Query;
use super::wire::stored_info;
use crate::gateway::Upload;
use crate::leader::command::{BeginUpload, FileInfo};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use mdfs_core::labels::{Attributes, Labels, SourceTime};
use mdfs_core::media_type::media_type_of;
use mdfs_protocol::link::LINK_PARAMETERS;
use mdfs_protocol::public::{
    ATTRIBUTE_HEADER_PREFIX, BLAKE3_HEADER, CRC_HEADER, SOURCE_MODIFIED_HEADER, VERSION_HEADER,
    file_path,
};
use std::collections::BTreeMap;

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
        labels: labels(&headers)?,
        precondition: precondition(&headers)?,
        session: None,
        holder: None,
    };
    let upload = Upload {
        begin,
        length: length(&headers)?,
        expected: expected(&headers)?,
    };
    let info = app.0.gateway.store(upload, body, caller.holder()).await?;
    Ok(created(&info))
}

/// The answer that a file was made: `202` if fewer copies than wanted suffice for now.
pub(crate) fn created(info: &FileInfo) -> Response {
    let wire = stored_info(info);
    let status = match wire.durability {
        Some(_) => StatusCode::ACCEPTED,
        None => StatusCode::CREATED,
    };
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
    let mut response = (status, Json(wire)).into_response();
    for (name, text) in answer_headers {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// How many bytes the body is said to have; none if it comes in chunks of unknown number.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
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
    match headers.get(CONTENT_TYPE) {
        None => Ok(media_type_of(name).to_owned()),
        Some(value) => media_type(value.to_str().unwrap_or_default()),
    }
}

/// Checks a media type.
///
/// # Errors
/// If it is none, or too long.
pub(crate) fn media_type(text: &str) -> Result<String, HttpError> {
    let text = text.trim();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+*'`|~%".contains(&b);
        !part.is_empty() && part.bytes().all(allowed)
    };
    let sound = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub));
    let is_text = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !sound || !is_text || text.len() > CONTENT_TYPE_MAX_BYTES {
        return Err(HttpError::invalid(
            "content-type: not a media type of at most 255 bytes",
        ));
    }
    Ok(text.to_owned())
}

/// What the headers say of a file beside its bytes.
fn labels(headers: &HeaderMap) -> Result<Labels, HttpError> {
    let modified = headers.get(SOURCE_MODIFIED_HEADER).map(|value| {
        let millis = value.to_str().ok().and_then(|text| text.parse().ok());
        let refuse = || format!("{SOURCE_MODIFIED_HEADER}: not milliseconds since the Unix epoch");
        millis
            .map(SourceTime)
            .ok_or_else(|| HttpError::invalid(refuse()))
    });
    let mut attributes = BTreeMap::new();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(ATTRIBUTE_HEADER_PREFIX) else {
            continue;
        };
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| HttpError::invalid(format!("{header}: not UTF-8")))?;
        if attributes
            .insert(name.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(HttpError::invalid(format!("{header}: given twice")));
        }
    }
    Ok(Labels {
        modified: modified.transpose()?,
        attributes: checked_attributes(attributes)?,
    })
}

/// Checks attributes.
///
/// # Errors
/// Names the one that breaks a rule.
pub(crate) fn checked_attributes(
    attributes: BTreeMap<String, String>,
) -> Result<Attributes, HttpError> {
    Attributes::new(attributes).map_err(|error| HttpError::invalid(error.to_string()))
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

    #[test]
    fn labels_come_in_headers() {
        let check = |lines: &[(&str, &[u8])]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_bytes(value).unwrap());
            }
            labels(&headers).map_err(|error| error.code().status())
        };
        let told = check(&[
            ("x-mdfs-modified", b"1700000000123"),
            ("x-mdfs-attribute-title", "Größe".as_bytes()),
        ]);
        let told = told.unwrap();
        assert_eq!(told.modified, Some(SourceTime(1_700_000_000_123)));
        assert_eq!(
            told.attributes.iter().collect::<Vec<_>>(),
            [("title", "Größe")]
        );
        assert_eq!(check(&[]), Ok(Labels::default()));
        for bad in [
            ("x-mdfs-modified", &b"yesterday"[..]),
            ("x-mdfs-modified", b"-1"),
            ("x-mdfs-attribute-", b"x"),
            ("x-mdfs-attribute-a", b"\xff"),
            ("x-mdfs-attribute-a", &[b'v'; 2048]),
        ] {
            assert_eq!(check(&[bad]), Err(400), "{bad:?}");
        }
        let twice = [
            ("x-mdfs-attribute-a", &b"1"[..]),
            ("x-mdfs-attribute-a", b"2"),
        ];
        assert_eq!(check(&twice), Err(400));
    }
}
