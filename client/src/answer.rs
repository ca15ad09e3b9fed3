//! What the answers of a master say.

use crate::client::FileHead;
use crate::error::Error;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::header::{HeaderName, HeaderValue};
use mdfs_protocol::public::{
    ATTRIBUTE_HEADER_PREFIX, BLAKE3_HEADER, CRC_HEADER, REPLICAS_HEADER, SOURCE_MODIFIED_HEADER,
    VERSION_HEADER,
};
use reqwest::Response;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::str::FromStr;

pub(crate) async fn document<A: DeserializeOwned>(
    subject: &str,
    response: Response,
) -> Result<A, Error> {
    let body = response.bytes().await.map_err(|source| Error::Broken {
        subject: subject.to_owned(),
        source: source.without_url(),
    })?;
    serde_json::from_slice(&body).map_err(|why| Error::protocol(subject, why))
}

pub(crate) fn file_head(name: &str, headers: &HeaderMap) -> Result<FileHead, Error> {
    let text = |header: &str| parsed::<String>(name, headers, header);
    let size = match content_range_total(headers) {
        Some(total) => total,
        None => parsed(name, headers, CONTENT_LENGTH.as_str())?,
    };
    Ok(FileHead {
        name: name.to_owned(),
        size,
        etag: text(ETAG.as_str())?,
        version: parsed(name, headers, VERSION_HEADER)?,
        crc32: parsed(name, headers, CRC_HEADER)?,
        blake3: parsed(name, headers, BLAKE3_HEADER)?,
        content_type: text(CONTENT_TYPE.as_str()).unwrap_or_default(),
        replicas: parsed(name, headers, REPLICAS_HEADER)?,
        modified: text(LAST_MODIFIED.as_str()).unwrap_or_default(),
        source_modified: parsed(name, headers, SOURCE_MODIFIED_HEADER).ok(),
        attributes: attributes(headers),
    })
}

fn attributes(headers: &HeaderMap) -> BTreeMap<String, String> {
    let attribute = |(header, value): (&HeaderName, &HeaderValue)| {
        let name = header.as_str().strip_prefix(ATTRIBUTE_HEADER_PREFIX)?;
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.to_owned(), value.to_owned()))
    };
    headers.iter().filter_map(attribute).collect()
}

/// The size of the whole file in the answer to a range.
fn content_range_total(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(http::header::CONTENT_RANGE)?
        .to_str()
        .ok()?
        .rsplit('/')
        .next()?
        .parse()
        .ok()
}

pub(crate) fn parsed<T: FromStr>(
    subject: &str,
    headers: &HeaderMap,
    header: &str,
) -> Result<T, Error> {
    headers
        .get(header)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or_else(|| Error::protocol(subject, format!("no valid {header}")))
}
