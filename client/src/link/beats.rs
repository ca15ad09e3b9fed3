//! A connection that has left HTTP for heartbeats alone: messages by turns.

use super::LinkError;
use super::messages::Messages;
use bytes::Bytes;
use http::StatusCode;
use mdfs_protocol::internal::{
    HEARTBEAT_ANSWER_MAX_BYTES, Heartbeat, HeartbeatAnswer, HeartbeatReply,
};
use std::io;
use tokio::net::TcpStream;

/// One end of such a connection.
#[derive(Debug)]
pub(super) struct Beats {
    messages: Messages,
}

impl Beats {
    /// On a socket that brought these bytes already.
    pub(super) fn new(stream: TcpStream, early: &Bytes) -> Self {
        Self {
            messages: Messages::new(stream, early),
        }
    }

    /// Whether the other end is still there, as far as was heard, and says nothing unasked.
    pub(super) fn is_usable(&self) -> bool {
        self.messages.is_silent()
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
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => LinkError::protocol(url, error),
            _ => LinkError::unreachable(url, error),
        };
        let wrong = |why: &dyn std::fmt::Display| LinkError::protocol(url, why);
        self.messages.send(beat).await.map_err(failed)?;
        let answer = self.messages.next(HEARTBEAT_ANSWER_MAX_BYTES).await;
        let ended = || failed(io::ErrorKind::UnexpectedEof.into());
        let answer = answer.map_err(failed)?.ok_or_else(ended)?;
        match postcard::from_bytes(&answer).map_err(|why| wrong(&why))? {
            HeartbeatAnswer::Heard(reply) => Ok(reply),
            HeartbeatAnswer::Refused { status, problem } => {
                let status = StatusCode::from_u16(status).map_err(|why| wrong(&why))?;
                Err(LinkError::refused(url, status, &problem))
            }
        }
    }
}
