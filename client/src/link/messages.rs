//! Messages behind their length, on a connection that has left HTTP.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a length, the least significant first.
const LENGTH_BYTES: usize = 4;

/// What is read at a time at least: an idle heartbeat and much more.
const READ_BYTES: usize = 4096;

/// One end of such a connection.
#[derive(Debug)]
pub struct Messages {
    stream: TcpStream,
    /// What came and was not taken yet.
    buffer: BytesMut,
}

impl Messages {
    /// On a socket that brought these bytes already.
    pub fn new(stream: TcpStream, early: &[u8]) -> Self {
        Self {
            stream,
            buffer: BytesMut::from(early),
        }
    }

    /// Sends a message in postcard. Gives the bytes on the wire.
    ///
    /// # Errors
    /// `InvalidData` if it cannot be written down; as the connection.
    ///
    /// # Cancel safety
    /// Dropped before its end, the connection is of no more use.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> io::Result<usize> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let bytes = postcard::to_extend(message, vec![0; LENGTH_BYTES]);
        let mut bytes = bytes.map_err(|why| invalid(why.to_string()))?;
        let length = u32::try_from(bytes.len() - LENGTH_BYTES);
        let length = length.map_err(|why| invalid(why.to_string()))?;
        if let Some(place) = bytes.first_chunk_mut::<LENGTH_BYTES>() {
            *place = length.to_le_bytes();
        }
        self.stream.write_all(&bytes).await?;
        Ok(bytes.len())
    }

    /// The next message; none at the end of the connection. On the wire it has [`Messages::HEAD_BYTES`]
    /// more.
    ///
    /// # Errors
    /// `InvalidData` if it has more than `most` bytes, `UnexpectedEof` if the connection ends within one;
    /// as the connection.
    ///
    /// # Cancel safety
    /// May be dropped: what came stays.
    pub async fn next(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<LENGTH_BYTES>() {
                let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
                if length > most {
                    let why = format!("a message of {length} bytes is too long");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                if self.buffer.len() >= LENGTH_BYTES + length {
                    self.buffer.advance(LENGTH_BYTES);
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Bytes that a message has on the wire besides its own.
    pub const HEAD_BYTES: usize = LENGTH_BYTES;

    /// Whether the other end is still there, as far as was heard, and says nothing unasked.
    pub(super) fn is_silent(&self) -> bool {
        let unasked = self.stream.try_read(&mut [0; 1]);
        let silent = matches!(unasked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        silent && self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (there, here) = tokio::join!(there, listener.accept());
        (there.unwrap(), here.unwrap().0)
    }

    #[tokio::test]
    async fn messages_come_whole_in_whatever_parts_their_bytes_come() {
        let (mut there, here) = pair().await;
        let mut here = Messages::new(here, &[3, 0, 0]);
        for part in [
            &[0, b'a'][..],
            b"b",
            &[b'c', 0, 0, 0, 0, 1],
            &[0, 0, 0, b'd'],
        ] {
            there.write_all(part).await.unwrap();
        }
        for want in ["abc", "", "d"] {
            let came = here.next(3).await.unwrap();
            assert_eq!(came.as_deref(), Some(want.as_bytes()));
        }
        assert!(here.is_silent());
        drop(there);
        assert_eq!(here.next(3).await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_that_is_too_long_or_ends_early_is_refused() {
        let (mut there, here) = pair().await;
        let mut here = Messages::new(here, &[]);
        there.write_all(&[4, 0, 0, 0, b'a']).await.unwrap();
        let error = here.next(3).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(there);
        let error = here.next(4).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_sent_comes() {
        let (there, here) = pair().await;
        let (mut there, mut here) = (Messages::new(there, &[]), Messages::new(here, &[]));
        let sent = there.send(&"hello").await.unwrap();
        let came = here.next(100).await.unwrap().unwrap();
        assert_eq!(came.len() + Messages::HEAD_BYTES, sent);
        assert_eq!(postcard::from_bytes::<&str>(&came).unwrap(), "hello");
    }
}
