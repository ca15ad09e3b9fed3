//! Storing a file.

use crate::answer::document;
use crate::client::Client;
use crate::error::Error;
use crate::log_time::new_request_id;
use crate::name::file_path;
use crate::source::{self, Opened, Pieces, PutBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::RequestId;
use mdfs_protocol::public::{
    ATTRIBUTE_HEADER_PREFIX, CRC_HEADER, FileInfo, REQUEST_HEADER, SOURCE_MODIFIED_HEADER,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How to store a file.
#[derive(Clone, Default)]
pub struct PutOptions {
    /// Media type; that of the name's ending if none.
    pub content_type: Option<String>,
    /// Fail with `precondition_failed` if there is a file of this name.
    pub if_absent: bool,
    /// Fail with `checksum_mismatch`, storing nothing, if the bytes that arrive have another CRC-32.
    pub crc32: Option<Crc32>,
    /// Copies of each chunk; the cluster's default if none.
    pub replicas: Option<u8>,
    /// Bytes of a chunk, a power of two; the cluster's default if none.
    pub chunk_size: Option<u64>,
    /// When the file was changed where it comes from, in milliseconds since the Unix epoch.
    pub source_modified: Option<u64>,
    /// Attributes of the user's own, at most 2 KiB.
    pub attributes: BTreeMap<String, String>,
    /// Is told how many bytes of the body went out so far; less than before when the upload starts
    /// again.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Client {
    /// Stores a file; when this returns, all its copies are durable. An existing file of the name is
    /// replaced.
    ///
    /// Bytes and files are sent again, for up to [`crate::ClientConfig::retry_for`] after the first failure
    /// and after each that comes later in the file, after failures that pass: the upload has an id by which the cluster knows it again, so it takes effect once.
    /// If the cluster does not take the id because the clocks differ, and for bodies that can be sent
    /// but once, there is no id, and nothing is repeated unless it surely changed nothing.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use mdfs_client::{PutBody, PutOptions};
    /// use std::sync::Arc;
    ///
    /// let options = PutOptions {
    ///     if_absent: true,
    ///     progress: Some(Arc::new(|bytes| eprintln!("{bytes} bytes sent"))),
    ///     ..PutOptions::default()
    /// };
    /// let film = PutBody::file("a.mkv");
    /// let stored = client.put("films/a.mkv", film, &options).await?;
    /// println!("version {} has BLAKE3 {}", stored.version, stored.blake3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Broken`] and refusals that pass the file is stored whole or not at
    /// all.
    ///
    /// # Cancel safety
    /// When the future is dropped, the file is stored whole or not at all; most likely not.
    pub async fn put(
        &self,
        name: &str,
        body: PutBody,
        options: &PutOptions,
    ) -> Result<FileInfo, Error> {
        let mut retry = self.retry(self.config.retry_for);
        let mut opened = body.open().await?;
        let mut id = match opened.again {
            Some(_) => Some(new_request_id(self.log_clock.now())?),
            None => None,
        };
        loop {
            let Opened {
                again,
                pieces,
                length,
                path,
            } = opened;
            let sent = Sent::default();
            let result = self
                .put_once(name, pieces, length, id, options, &sent)
                .await;
            let error = match result {
                Ok(info) => return as_sent(name, info, &sent),
                Err(error) => error,
            };
            if let (Some(failure), Some(path)) = (sent.take_failure(), path) {
                return Err(source::failed(&path, failure));
            }
            let Some(again) = again else {
                return Err(error);
            };
            retry.reached(sent.bytes());
            if id.is_some() && error.is_old_request_id() {
                id = None;
            } else {
                let repeatable = match id {
                    Some(_) => error.is_transient(),
                    None => error.did_nothing(),
                };
                if !repeatable || !retry.pause().await {
                    return Err(error);
                }
            }
            tracing::debug!(%error, "trying again");
            opened = again.open().await?;
        }
    }

    async fn put_once(
        &self,
        name: &str,
        pieces: Pieces,
        length: Option<u64>,
        id: Option<RequestId>,
        options: &PutOptions,
        sent: &Sent,
    ) -> Result<FileInfo, Error> {
        let mut query = Vec::new();
        query.extend(
            options
                .replicas
                .map(|copies| ("replicas", u64::from(copies))),
        );
        query.extend(options.chunk_size.map(|bytes| ("chunk_size", bytes)));
        let path = file_path(name)?;
        let counted = counted(pieces, sent.clone(), options.progress.clone());
        let response = self.send(name, |url| {
            let mut request = self.http.put(format!("{url}{path}"));
            if !query.is_empty() {
                request = request.query(&query);
            }
            if let Some(length) = length {
                request = request.header(CONTENT_LENGTH, length);
            }
            if let Some(id) = id {
                request = request.header(REQUEST_HEADER, id.to_string());
            }
            if let Some(kind) = &options.content_type {
                request = request.header(CONTENT_TYPE, kind);
            }
            if options.if_absent {
                request = request.header(IF_NONE_MATCH, "*");
            }
            if let Some(millis) = options.source_modified {
                request = request.header(SOURCE_MODIFIED_HEADER, millis);
            }
            for (name, value) in &options.attributes {
                let name = format!("{ATTRIBUTE_HEADER_PREFIX}{name}");
                request = request.header(name, value.as_bytes());
            }
            if let Some(crc) = options.crc32 {
                request = request.header(CRC_HEADER, crc.to_string());
            }
            request.body(reqwest::Body::wrap_stream(counted))
        });
        document(name, response.await?).await
    }
}

/// The answer, if it is about the bytes that went out.
fn as_sent(name: &str, info: FileInfo, sent: &Sent) -> Result<FileInfo, Error> {
    let want = sent.crc();
    if info.crc32 == want {
        return Ok(info);
    }
    Err(Error::ChecksumMismatch {
        subject: name.to_owned(),
        want,
        got: info.crc32,
    })
}

/// What went out, as seen from both sides of the request.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    bytes: u64,
    crc: Crc32,
    failure: Option<io::Error>,
}

impl Sent {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> u64 {
        self.count().bytes
    }

    fn crc(&self) -> Crc32 {
        self.count().crc
    }

    /// Why the source could not be read to its end, if so.
    fn take_failure(&self) -> Option<io::Error> {
        self.count().failure.take()
    }

    fn add(&self, bytes: &[u8]) -> u64 {
        let mut count = self.count();
        count.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        count.crc = count.crc.then(bytes);
        count.bytes
    }

    /// Keeps `failure`; what is given back ends the request's body.
    fn fail(&self, failure: io::Error) -> io::Error {
        let kind = failure.kind();
        self.count().failure = Some(failure);
        kind.into()
    }
}

fn counted(
    pieces: Pieces,
    sent: Sent,
    progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    pieces.map(move |piece| {
        let bytes = piece.map_err(|failure| sent.fail(failure))?;
        let total = sent.add(&bytes);
        if let Some(progress) = &progress {
            progress(total);
        }
        Ok(bytes)
    })
}
