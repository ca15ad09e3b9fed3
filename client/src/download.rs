//! Reading a file as a stream that goes on where a connection broke off.

use crate::answer::{Answer, file_head};
use crate::client::{Client, FileHead};
use crate::error::Error;
use crate::name::file_path;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use http::StatusCode;
use http::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::problem::Code;
use std::ops::{Bound, RangeBounds};

/// Which part of a file to read, and of which version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// The first byte.
    pub offset: u64,
    /// How many bytes at most; all that follow if none.
    pub length: Option<u64>,
    /// Read the part only of the version with this entity tag; if the file has another one by now,
    /// the whole of that is read. [`Download::offset`] tells which.
    pub if_range: Option<String>,
}

impl GetOptions {
    /// These bytes of a file, or those of them that there are: `0..10`, `5..=9`, `100..`.
    pub fn range(range: impl RangeBounds<u64>) -> Self {
        let offset = match range.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => Some(last.saturating_add(1)),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => None,
        };
        Self {
            offset,
            length: end.map(|end| end.saturating_sub(offset)),
            if_range: None,
        }
    }
}

/// A file's bytes as they arrive.
///
/// When the connection breaks off, the rest of the same version is asked for again, for up to
/// [`crate::ClientConfig::retry_for`] without progress. When a whole file was read, its CRC-32 is
/// compared.
#[derive(Debug)]
pub struct Download {
    client: Client,
    head: FileHead,
    response: Option<Answer>,
    start: u64,
    at: u64,
    end: u64,
    crc: Crc32,
}

impl Client {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if the leader knows that there is none.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn get(&self, name: &str) -> Result<Download, Error> {
        self.get_part(name, &GetOptions::default()).await
    }

    /// Reads a part of a file. An offset at the very end gives no bytes; a length beyond it gives
    /// those that there are.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use mdfs_client::GetOptions;
    ///
    /// let start = GetOptions::range(..1024);
    /// let bytes = client.get_part("films/a.mkv", &start).await?.bytes(1024).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]; `range_not_satisfiable` if the offset is beyond the end.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn get_part(&self, name: &str, options: &GetOptions) -> Result<Download, Error> {
        if options.length == Some(0) {
            let head = self.stat(name).await?;
            return Ok(Download::new(
                self.clone(),
                head,
                None,
                options.offset,
                options.offset,
            ));
        }
        let range = match (options.offset, options.length) {
            (0, None) => None,
            (offset, None) => Some(format!("bytes={offset}-")),
            (offset, Some(length)) => Some(format!(
                "bytes={offset}-{}",
                offset.saturating_add(length - 1)
            )),
        };
        let path = file_path(name)?;
        let answer = self.repeat(name, |client, url| {
            let mut request = client.http.get(format!("{url}{path}"));
            if let Some(range) = &range {
                request = request.header(RANGE, range);
            }
            if let Some(etag) = options.if_range.as_ref().filter(|_| range.is_some()) {
                request = request.header(IF_RANGE, etag);
            }
            request
        });
        let response = match answer.await {
            Err(error) if error.code() == Some(UNSATISFIABLE) => {
                let head = self.stat(name).await?;
                if head.size != options.offset {
                    return Err(error);
                }
                return Ok(Download::new(
                    self.clone(),
                    head,
                    None,
                    options.offset,
                    options.offset,
                ));
            }
            answer => answer?,
        };
        let head = file_head(name, response.headers())?;
        let (start, end) = match response.status() {
            StatusCode::PARTIAL_CONTENT => part_of(name, &response)?,
            _ => (0, head.size),
        };
        Ok(Download::new(
            self.clone(),
            head,
            Some(response),
            start,
            end,
        ))
    }
}

const UNSATISFIABLE: Code = Code::RangeNotSatisfiable;

impl Download {
    fn new(client: Client, head: FileHead, response: Option<Answer>, start: u64, end: u64) -> Self {
        Self {
            client,
            head,
            response,
            start,
            at: start,
            end,
            crc: Crc32::default(),
        }
    }

    /// What is known of the file.
    pub fn head(&self) -> &FileHead {
        &self.head
    }

    /// The first byte's place in the file.
    pub fn offset(&self) -> u64 {
        self.start
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The next bytes; none after the last ones.
    ///
    /// # Errors
    /// [`Error`]; a whole file whose bytes do not match its checksum ends with
    /// [`Error::ChecksumMismatch`] after they were given.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut retry = self.client.retry(self.client.config.retry_for);
        while self.at < self.end {
            match self.piece().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.is_transient() => {
                    self.response = None;
                    if !retry.pause().await {
                        return Err(error);
                    }
                    tracing::debug!(%error, at = self.at, "going on after a break");
                }
                Err(error) => return Err(error),
            }
        }
        self.response = None;
        let whole = self.start == 0 && self.end == self.head.size;
        if whole && self.crc != self.head.crc32 {
            return Err(Error::ChecksumMismatch {
                subject: self.head.name.clone(),
                want: self.head.crc32,
                got: self.crc,
            });
        }
        Ok(None)
    }

    /// The bytes as a stream, such as for the body of an answer. It ends after an error.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut pieces = client.get("films/a.mkv").await?.into_stream();
    /// while let Some(piece) = pieces.try_next().await? {
    ///     println!("{} more bytes", piece.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        stream::try_unfold(self, |mut download| async move {
            let piece = download.next().await?;
            Ok(piece.map(|bytes| (bytes, download)))
        })
        .boxed()
    }

    /// All that is left, at most `most` bytes.
    ///
    /// # Errors
    /// As [`Download::next`]; also if more than `most` bytes are left.
    ///
    /// # Cancel safety
    /// Changes nothing; what had come is dropped with it.
    pub async fn bytes(mut self, most: u64) -> Result<Bytes, Error> {
        if self.left() > most {
            let (subject, size) = (self.head.name.clone(), self.left());
            return Err(Error::TooLarge {
                subject,
                size,
                most,
            });
        }
        let mut all = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    async fn piece(&mut self) -> Result<Bytes, Error> {
        let response = match &mut self.response {
            Some(response) => response,
            none => none.insert(reopen(&self.client, &self.head, self.at, self.end).await?),
        };
        let piece = response.chunk(&self.head.name).await?;
        // hyper fails a body that ends before its announced length.
        let bytes =
            piece.ok_or_else(|| Error::protocol(&self.head.name, "the body ended early"))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > self.end - self.at {
            return Err(Error::protocol(
                &self.head.name,
                "more bytes than announced",
            ));
        }
        self.at += length;
        self.crc = self.crc.then(&bytes);
        Ok(bytes)
    }
}

/// Asks for the rest of the same version.
async fn reopen(client: &Client, head: &FileHead, at: u64, end: u64) -> Result<Answer, Error> {
    let path = file_path(&head.name)?;
    let request = |url: &str| {
        client
            .http
            .get(format!("{url}{path}"))
            .header(RANGE, format!("bytes={at}-{}", end - 1))
            .header(IF_RANGE, &head.etag)
    };
    let response = client.send(&head.name, request).await?;
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT;
    if file_head(&head.name, response.headers())?.etag != head.etag {
        return Err(Error::Changed {
            subject: head.name.clone(),
        });
    }
    let got = if resumed {
        part_of(&head.name, &response)?
    } else {
        (0, head.size)
    };
    if got != (at, end) {
        return Err(Error::protocol(&head.name, "another part than asked for"));
    }
    Ok(response)
}

/// First byte and end of the part in an answer.
fn part_of(name: &str, response: &Answer) -> Result<(u64, u64), Error> {
    let parse = || {
        let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (first, last) = text
            .strip_prefix("bytes ")?
            .split_once('/')?
            .0
            .split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then(|| last.checked_add(1).map(|end| (first, end)))?
    };
    parse().ok_or_else(|| Error::protocol(name, "no valid content-range"))
}
