//! How a call is put together, sent, and its answer read.

use super::pieces::{Pieces, PiecesBody};
use super::{Behalf, LinkError, Links, Peer};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Uri, request};
use mdfs_core::id::DiskId;
use mdfs_protocol::access::{CLUSTER_HEADER, DISK_HEADER};
use mdfs_protocol::problem::REQUEST_ID_HEADER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;
use std::sync::PoisonError;
use std::time::Duration;

/// What is in postcard, and chunk bytes.
pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Links {
    pub(super) fn request(
        &self,
        method: Method,
        url: &str,
        disk: Option<DiskId>,
        path: &str,
    ) -> Result<request::Builder, LinkError> {
        let uri: Uri = format!("{}{path}", url.trim_end_matches('/'))
            .parse()
            .map_err(|why| LinkError::protocol(url, why))?;
        Ok(self.head(method, uri, disk))
    }

    /// What every call says of itself.
    pub(super) fn head(&self, method: Method, uri: Uri, disk: Option<DiskId>) -> request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(disk) = disk {
            request = request.header(DISK_HEADER, disk.to_string());
        }
        let cluster = *self.cluster.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = cluster {
            request = request.header(CLUSTER_HEADER, cluster.to_string());
        }
        if let Some(id) = Behalf::present().id() {
            request = request.header(REQUEST_ID_HEADER, id);
        }
        request
    }

    pub(super) async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        peer: &Peer,
        path: &str,
        body: &Q,
        within: Duration,
    ) -> Result<A, LinkError> {
        let request = self.request(Method::POST, &peer.url, Some(peer.disk), path)?;
        self.send_json(&peer.url, request, body, within).await
    }

    /// Sends a request in postcard, as is its answer.
    pub(super) async fn compact<Q: Serialize, A: DeserializeOwned>(
        &self,
        peer: &Peer,
        path: &str,
        message: &Q,
        within: Duration,
    ) -> Result<A, LinkError> {
        let url = &peer.url;
        let body = encode(url, message)?;
        let request = self
            .request(Method::POST, url, Some(peer.disk), path)?
            .header(CONTENT_TYPE, OCTETS);
        let answer = self.send(url, request, body.into(), within).await?;
        postcard::from_bytes(&answer).map_err(|why| LinkError::protocol(url, why))
    }

    pub(super) async fn send_json<Q: Serialize, A: DeserializeOwned>(
        &self,
        url: &str,
        request: request::Builder,
        body: &Q,
        within: Duration,
    ) -> Result<A, LinkError> {
        let body = serde_json::to_vec(body).map_err(|why| LinkError::protocol(url, why))?;
        let request = request.header(CONTENT_TYPE, "application/json");
        self.json(url, request, Bytes::from(body).into(), within)
            .await
    }

    pub(super) async fn json<A: DeserializeOwned>(
        &self,
        url: &str,
        request: request::Builder,
        body: Pieces,
        within: Duration,
    ) -> Result<A, LinkError> {
        let answer = self.send(url, request, body, within).await?;
        serde_json::from_slice(&answer).map_err(|why| LinkError::protocol(url, why))
    }

    pub(super) async fn send(
        &self,
        url: &str,
        request: request::Builder,
        body: Pieces,
        within: Duration,
    ) -> Result<Bytes, LinkError> {
        let request = request
            .body(PiecesBody::from(body))
            .map_err(|why| LinkError::protocol(url, why))?;
        self.transport.call(url, request, within).await
    }
}

/// A message in postcard.
pub(super) fn encode<T: Serialize>(url: &str, message: &T) -> Result<Bytes, LinkError> {
    let bytes = postcard::to_stdvec(message).map_err(|why| LinkError::protocol(url, why))?;
    Ok(bytes.into())
}

/// JSON that fits in a header: characters above `~` are escaped, so a name may have any.
pub(super) fn ascii_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(value)?;
    let mut ascii = String::with_capacity(text.len());
    for char in text.chars() {
        if char <= '~' {
            ascii.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    Ok(ascii)
}
