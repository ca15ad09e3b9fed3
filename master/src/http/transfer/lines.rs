//! The lines of an export as they come.

use crate::http::error::HttpError;
use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use mdfs_core::checksum::Blake3;
use mdfs_protocol::problem::Code;
use mdfs_protocol::transfer::{FORMAT, Head, LINE_MAX_BYTES, Line, WORD};
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// The lines of a body.
pub(super) struct Lines {
    body: Body,
    /// What came and was not read yet: one line, and what the connection read beyond it.
    buffer: BytesMut,
    /// The number of the line that was read last.
    number: u64,
    hasher: blake3::Hasher,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            number: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// The first line.
    ///
    /// # Errors
    /// If it says that this is no export, or one of another form.
    pub(super) async fn head(&mut self) -> Result<Head, HttpError> {
        let Some(line) = self.next().await? else {
            return Err(self.invalid(&"there is nothing"));
        };
        let head: Head = self.parse(&line)?;
        if head.mdfs != WORD || head.format != FORMAT {
            let what = format!("only an {WORD} of format {FORMAT} can be read");
            return Err(self.invalid(&what));
        }
        self.count(&line);
        Ok(head)
    }

    /// The next line and its bytes; none once the last line was read, and is right.
    ///
    /// # Errors
    /// If it is none, the body broke off, or the last line is not of these lines.
    pub(super) async fn line(&mut self) -> Result<Option<(Line, usize)>, HttpError> {
        let Some(line) = self.next().await? else {
            return Err(self.invalid(&"it ends without its last line: something broke off"));
        };
        let parsed: Line = self.parse(&line)?;
        let Line::End(end) = parsed else {
            self.count(&line);
            return Ok(Some((parsed, line.len())));
        };
        if end.lines.saturating_add(1) != self.number {
            let what = format!(
                "it has {} lines, and should have {}",
                self.number - 1,
                end.lines
            );
            return Err(self.invalid(&what));
        }
        if Blake3(*self.hasher.finalize().as_bytes()) != end.blake3 {
            return Err(self.invalid(&"the lines before it are not what they were"));
        }
        if self.next().await?.is_some() {
            return Err(self.invalid(&"something stands behind the last line"));
        }
        Ok(None)
    }

    /// What is wrong with the line that was read last.
    pub(super) fn invalid(&self, what: &impl Display) -> HttpError {
        let detail = format!("line {}: {what}", self.number);
        HttpError::new(Code::InvalidExport, detail)
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, HttpError> {
        serde_json::from_slice(line).map_err(|error| self.invalid(&error))
    }

    fn count(&mut self, line: &[u8]) {
        self.hasher.update(line);
        self.hasher.update(b"\n");
    }

    /// The next line, without its end. What stands behind the last end of a line is one too.
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(searched + end).freeze();
                self.buffer.advance(1);
                self.number += 1;
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > LINE_MAX_BYTES {
                self.number += 1;
                let what = format!("it has more than {LINE_MAX_BYTES} bytes");
                return Err(self.invalid(&what));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.buffer.extend_from_slice(&bytes);
                    }
                }
                Some(Err(_)) => {
                    let detail = format!("the body broke off after line {}", self.number);
                    return Err(HttpError::new(Code::IncompleteBody, detail));
                }
                None if self.buffer.is_empty() => {
                    self.number += 1;
                    return Ok(None);
                }
                None => {
                    self.number += 1;
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }
}
