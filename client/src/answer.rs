//! What the answers of a master say.

use crate::client::{Client, FileHead};
use crate::error::Error;
use crate::silence::within;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use mdfs_protocol::public::{
    ATTRIBUTE_HEADER_PREFIX, BLAKE3_HEADER, CRC_HEADER, REPLICAS_HEADER, SOURCE_MODIFIED_HEADER,
    VERSION_HEADER,
};
use reqwest::Response;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    client: Client,
    /// The place of the master it is from.
    asked: usize,
    response: Response,
}

impl Answer {
    pub(crate) fn new(client: Client, asked: usize, response: Response) -> Self {
        Self {
            client,
            asked,
            response,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next bytes of the body; none after the last ones. After a failure, the next request goes to
    /// another master.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn chunk(&mut self, subject: &str) -> Result<Option<Bytes>, Error> {
        self.chunk_within(self.client.config.stall, subject).await
    }

    /// The same of a master that may be silent for as long as `stall`.
    pub(crate) async fn chunk_within(
        &mut self,
        stall: Duration,
        subject: &str,
    ) -> Result<Option<Bytes>, Error> {
        let piece = match within(stall, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|source| Error::Broken {
                subject: subject.to_owned(),
                source: source.without_url(),
            }),
            Err(silent) => Err(Error::silent(subject, silent)),
        };
        if piece.is_err() {
            self.client.prefer_another(self.asked);
        }
        piece
    }

    /// The whole body.
    pub(crate) async fn bytes(mut self, subject: &str) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.chunk(subject).await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }
}

pub(crate) async fn document<A: DeserializeOwned>(
    subject: &str,
    answer: Answer,
) -> Result<A, Error> {
    let body = answer.bytes(subject).await?;
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
