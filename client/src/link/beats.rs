//! A connection that has left HTTP for heartbeats alone: messages behind their length, by turns.

use super::LinkError;
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use mdfs_protocol::internal::{
    HEARTBEAT_ANSWER_MAX_BYTES, Heartbeat, HeartbeatAnswer, HeartbeatReply,
};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// What is read at a time at least: an idle answer and much more.
const READ_BYTES: usize = 4096;

/// One end of such a connection.
#[derive(Debug)]
pub(super) struct Beats {
    stream: TcpStream,
    /// What came and was not taken yet.
    buffer: BytesMut,
}

impl Beats {
    /// On a socket that brought these bytes already.
    pub(super) fn new(stream: TcpStream, early: &Bytes) -> Self {
        Self {
            stream,
            buffer: BytesMut::from(&early[..]),
        }
    }

    /// Whether the other end is still there, as far as was heard, and says nothing unasked.
    pub(super) fn is_usable(&self) -> bool {
        let unasked = self.stream.try_read(&mut [0; 1]);
        let silent = matches!(unasked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        silent && self.buffer.is_empty()
    }

    /// Beats once.
    ///
    /// # Cancel safety
    /// Dropped before its end, the connection is of no more use.
    pub(super) async fn exchange(
        &mut self,
        url: &str,
        beat: &Heartbeat,
    ) -> Result<HeartbeatReply, LinkError> {
        let wrong = |why: &dyn std::fmt::Display| LinkError::protocol(url, why);
        let message = postcard::to_extend(beat, vec![0; LENGTH_BYTES]);
        let mut message = message.map_err(|why| wrong(&why))?;
        let length = u32::try_from(message.len() - LENGTH_BYTES).map_err(|why| wrong(&why))?;
        if let Some(place) = message.first_chunk_mut::<LENGTH_BYTES>() {
            *place = length.to_le_bytes();
        }
        let sent = self.stream.write_all(&message).await;
        sent.map_err(|error| LinkError::unreachable(url, error))?;
        let answer = self.answer(url).await?;
        match postcard::from_bytes(&answer).map_err(|why| wrong(&why))? {
            HeartbeatAnswer::Heard(reply) => Ok(reply),
            HeartbeatAnswer::Refused { status, problem } => {
                let status = StatusCode::from_u16(status).map_err(|why| wrong(&why))?;
                Err(LinkError::refused(url, status, &problem))
            }
        }
    }

    async fn answer(&mut self, url: &str) -> Result<Bytes, LinkError> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<LENGTH_BYTES>() {
                let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
                if length > HEARTBEAT_ANSWER_MAX_BYTES {
                    return Err(LinkError::protocol(url, "the answer is too long"));
                }
                if self.buffer.len() >= LENGTH_BYTES + length {
                    self.buffer.advance(LENGTH_BYTES);
                    return Ok(self.buffer.split_to(length).freeze());
                }
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.buffer).await;
            match read.map_err(|error| LinkError::unreachable(url, error))? {
                0 => {
                    let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(LinkError::unreachable(url, ended));
                }
                _ => continue,
            }
        }
    }
}
