//! What is left after a disaster.

use crate::answer::{Answer, document};
use crate::client::Client;
use crate::error::Error;
use bytes::{Buf, BytesMut};
use mdfs_protocol::public::{self, Recover, Recovered};
use mdfs_protocol::recovery::{LINE_MAX_BYTES, Line};
use std::time::Duration;

/// What a search for the remains of files finds, as it finds it.
#[derive(Debug)]
pub struct Search {
    answer: Answer,
    buffer: BytesMut,
    stall: Duration,
    ended: bool,
}

impl Search {
    /// The next line; none after the last one, which is a [`Line::End`].
    ///
    /// # Errors
    /// [`Error`]; also if the search broke off before its last line.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Line>, Error> {
        let path = public::RECOVER_SCAN;
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                // A sign of life.
                if line.is_empty() {
                    continue;
                }
                let line: Line =
                    serde_json::from_slice(&line).map_err(|why| Error::protocol(path, why))?;
                self.ended = matches!(line, Line::End(_));
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_MAX_BYTES {
                return Err(Error::protocol(path, "a line is too long"));
            }
            match self.answer.chunk_within(self.stall, path).await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Err(Error::protocol(path, "the search broke off")),
            }
        }
    }
}

impl Client {
    /// Rebuilds the metadata log without voters that are lost for ever, when so few are left that nobody
    /// can lead; or says what would come of it. The caller vouches that no process runs with any of their
    /// disks, now and ever after.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if a leader can write or be elected, a lost disk answers, or a voter neither
    /// answers nor is named.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn recover(&self, order: &Recover) -> Result<Recovered, Error> {
        let path = public::RECOVER;
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(order);
        document(path, self.repeat(path, request).await?).await
    }

    /// Looks for what is left of files on all disks, during a recovery: files of which only chunks are
    /// left come back below `recovered/`. Takes as long as disks need to read a little of each chunk.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if no recovery is under way, `busy` while others export or import.
    ///
    /// # Cancel safety
    /// When the future is dropped, some files may have come back; searching again finds the same.
    pub async fn search_remains(&self) -> Result<Search, Error> {
        let path = public::RECOVER_SCAN;
        let stall = self.config.long_stall;
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}"));
        Ok(Search {
            answer: self.repeat_within(stall, path, request).await?,
            buffer: BytesMut::new(),
            stall,
            ended: false,
        })
    }

    /// Ends a recovery: chunks that no file has are dropped from then on. What only a search would bring
    /// back is given up only with `unsearched`.
    ///
    /// # Errors
    /// [`Error`]; `not_searched` if no search has ended that the present leader knows of and that read every
    /// disk that is not retired, and `unsearched` is false: search again, it finds the same.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn finish_recovery(&self, unsearched: bool) -> Result<(), Error> {
        let path = public::RECOVER_FINISH;
        let flag = u8::from(unsearched);
        let query = format!("{}={flag}", public::UNSEARCHED);
        let request = |client: &Self, url: &str| client.http.post(format!("{url}{path}?{query}"));
        self.repeat(path, request).await.map(|_| ())
    }
}
