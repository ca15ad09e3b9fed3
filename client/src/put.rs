//! Storing a file.

use crate::answer::document;
use crate::client::Client;
use crate::error::Error;
use crate::retry::Retry;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::public::{CRC_HEADER, FileInfo, file_path};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// Bytes that are read and sent at a time.
const PIECE_BYTES: usize = 1024 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Where the bytes of an upload come from.
pub struct PutBody(Source);

enum Source {
    Bytes(Bytes),
    File(PathBuf),
    Stream(Pieces, Option<u64>),
}

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
    /// Is told how many bytes of the body went out so far; less than before when the upload starts
    /// again.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl PutBody {
    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// A local file, read as it is sent. If it grows or shrinks meanwhile, the upload fails.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// Anything that can be read, such as a pipe, and its length if that is known. Cannot be sent
    /// twice, so an upload of it is not tried again.
    pub fn reader(reader: impl AsyncRead + Send + 'static, length: Option<u64>) -> Self {
        Self::stream(ReaderStream::with_capacity(reader, PIECE_BYTES), length)
    }

    /// Pieces of bytes, and their length in all if that is known. As [`PutBody::reader`].
    pub fn stream(
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Self(Source::Stream(Box::pin(pieces), length))
    }
}

impl Client {
    /// Stores a file; when this returns, all its copies are durable. An existing file of the name is
    /// replaced.
    ///
    /// Bytes and files are sent again, for up to [`crate::ClientConfig::retry_for`], after failures
    /// that surely changed nothing.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Broken`] the file is stored whole or not at all.
    ///
    /// # Cancel safety
    /// When the future is dropped, the file is stored whole or not at all; most likely not.
    pub async fn put(
        &self,
        name: &str,
        body: PutBody,
        options: &PutOptions,
    ) -> Result<FileInfo, Error> {
        let mut retry = Retry::new(self.config.retry_for);
        let mut source = Some(body.0);
        loop {
            let (again, pieces, length) = open(source.take()).await?;
            let sent = Sent::default();
            let result = self.put_once(name, pieces, length, options, &sent).await;
            match result {
                Err(error) if error.did_nothing() && again.is_some() => {
                    if !retry.pause().await {
                        return Err(error);
                    }
                    tracing::debug!(%error, "trying again");
                    source = again;
                }
                Err(error) => return Err(error),
                Ok(info) => {
                    let got = sent.get().crc;
                    if info.crc32 == got {
                        return Ok(info);
                    }
                    let subject = name.to_owned();
                    return Err(Error::ChecksumMismatch {
                        subject,
                        want: got,
                        got: info.crc32,
                    });
                }
            }
        }
    }

    async fn put_once(
        &self,
        name: &str,
        pieces: Pieces,
        length: Option<u64>,
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
        let counted = counted(pieces, sent.clone(), options.progress.clone());
        let response = self.send(name, |url| {
            let mut request = self.http.put(format!("{url}{}", file_path(name)));
            if !query.is_empty() {
                request = request.query(&query);
            }
            if let Some(length) = length {
                request = request.header(CONTENT_LENGTH, length);
            }
            if let Some(kind) = &options.content_type {
                request = request.header(CONTENT_TYPE, kind);
            }
            if options.if_absent {
                request = request.header(IF_NONE_MATCH, "*");
            }
            if let Some(crc) = options.crc32 {
                request = request.header(CRC_HEADER, crc.to_string());
            }
            request.body(reqwest::Body::wrap_stream(counted))
        });
        document(name, response.await?).await
    }
}

/// What went out, as seen from both sides of the request.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Count>>);

#[derive(Clone, Copy, Default)]
struct Count {
    bytes: u64,
    crc: Crc32,
}

impl Sent {
    fn get(&self) -> Count {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: &[u8]) -> u64 {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        count.crc = count.crc.then(bytes);
        count.bytes
    }
}

fn counted(
    pieces: Pieces,
    sent: Sent,
    progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    pieces.map(move |piece| {
        let bytes = piece?;
        let total = sent.add(&bytes);
        if let Some(progress) = &progress {
            progress(total);
        }
        Ok(bytes)
    })
}

/// Opens a source: what to open again if it can be, its bytes, and their number.
async fn open(source: Option<Source>) -> Result<(Option<Source>, Pieces, Option<u64>), Error> {
    match source {
        Some(Source::Bytes(bytes)) => {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let again = Source::Bytes(bytes.clone());
            let pieces = futures_util::stream::iter([Ok(bytes)]).boxed();
            Ok((Some(again), pieces, Some(length)))
        }
        Some(Source::File(path)) => {
            let (file, length) = open_file(&path).await.map_err(|source| Error::Source {
                path: path.clone(),
                source,
            })?;
            let pieces = ReaderStream::with_capacity(file, PIECE_BYTES).boxed();
            Ok((Some(Source::File(path)), pieces, Some(length)))
        }
        Some(Source::Stream(pieces, length)) => Ok((None, pieces, length)),
        None => Err(Error::Config("the bytes were sent already".to_owned())),
    }
}

async fn open_file(path: &Path) -> io::Result<(tokio::fs::File, u64)> {
    let mut file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    file.set_max_buf_size(PIECE_BYTES);
    Ok((file, metadata.len()))
}
