//! Where the bytes of an upload come from.

use crate::error::Error;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::SystemTime;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

/// Bytes that are read and sent at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// Bytes on their way out.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What ends the reading of a local file that is not what it was.
#[derive(Debug, thiserror::Error)]
#[error("it changed while it was sent")]
struct Changed;

/// The failure of a read, for when the file is not what it was.
pub(crate) fn changed() -> io::Error {
    io::Error::other(Changed)
}

/// Why the local file at `path` could not be sent.
pub(crate) fn failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    if source.get_ref().is_some_and(|why| why.is::<Changed>()) {
        return Error::SourceChanged { path };
    }
    Error::Source { path, source }
}

/// Where the bytes of an upload come from.
pub struct PutBody(Source);

enum Source {
    Bytes(Bytes),
    File(PathBuf),
    Stream(Pieces, Option<u64>),
}

/// A source that can be read.
pub(crate) struct Opened {
    /// The same bytes once more, if they can be had.
    pub(crate) again: Option<PutBody>,
    /// The bytes.
    pub(crate) pieces: Pieces,
    /// Their number, if it is known.
    pub(crate) length: Option<u64>,
    /// The local file they come from.
    pub(crate) path: Option<PathBuf>,
}

impl PutBody {
    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// A local file, read as it is sent. If its length or its time of change differs before the last
    /// byte is given out, the upload fails with [`Error::SourceChanged`] and stores nothing.
    ///
    /// What has no length of its own, such as a named pipe or a device, is read to its end and, as
    /// a [`PutBody::reader`], sent once.
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

    /// Makes the bytes ready to be sent.
    ///
    /// # Errors
    /// [`Error::Source`] if the local file cannot be read.
    pub(crate) async fn open(self) -> Result<Opened, Error> {
        match self.0 {
            Source::Bytes(bytes) => Ok(Opened {
                again: Some(Self::bytes(bytes.clone())),
                length: Some(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
                pieces: stream::iter([Ok(bytes)]).boxed(),
                path: None,
            }),
            Source::File(path) => {
                let opened = open_file(&path).await;
                let (pieces, length) = opened.map_err(|source| Error::Source {
                    path: path.clone(),
                    source,
                })?;
                Ok(Opened {
                    again: length.map(|_| Self::file(&path)),
                    pieces,
                    length,
                    path: Some(path),
                })
            }
            Source::Stream(pieces, length) => Ok(Opened {
                again: None,
                pieces,
                length,
                path: None,
            }),
        }
    }
}

async fn open_file(path: &Path) -> io::Result<(Pieces, Option<u64>)> {
    let mut file = File::open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    file.set_max_buf_size(PIECE_BYTES);
    if metadata.is_file() && metadata.len() > 0 {
        let length = metadata.len();
        let modified = metadata.modified().ok();
        return Ok((exactly(file, length, modified).boxed(), Some(length)));
    }
    if !metadata.is_file() {
        return Ok((ReaderStream::with_capacity(file, PIECE_BYTES).boxed(), None));
    }
    // Files that the kernel makes up as they are read say that they are empty.
    let mut first = BytesMut::with_capacity(PIECE_BYTES);
    if file.read_buf(&mut first).await? == 0 {
        return Ok((stream::empty().boxed(), Some(0)));
    }
    let rest = ReaderStream::with_capacity(file, PIECE_BYTES);
    let pieces = stream::iter([Ok(first.freeze())]).chain(rest);
    Ok((pieces.boxed(), None))
}

/// The `length` bytes of `file`. Whether it is still as long and as old is looked at before the last
/// piece is given out: without that, the server has not the length that was announced and stores
/// nothing.
fn exactly(
    file: File,
    length: u64,
    modified: Option<SystemTime>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, length), move |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let mut piece = BytesMut::with_capacity(most);
        let count = (&mut file).take(left).read_buf(&mut piece).await?;
        if count == 0 {
            return Err(changed());
        }
        let left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        if left == 0 {
            let now = file.metadata().await?;
            if (now.len(), now.modified().ok()) != (length, modified) {
                return Err(changed());
            }
        }
        Ok(Some((piece.freeze(), (file, left))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use std::io::Write;

    async fn open(path: &Path) -> Opened {
        PutBody::file(path).open().await.unwrap()
    }

    async fn read(pieces: Pieces) -> io::Result<usize> {
        pieces
            .try_fold(0, async |sum, piece| Ok(sum + piece.len()))
            .await
    }

    #[tokio::test]
    async fn a_file_is_sent_whole_with_its_length_and_can_be_sent_again() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let empty = open(file.path()).await;
        assert_eq!((empty.length, empty.again.is_some()), (Some(0), true));
        assert_eq!(read(empty.pieces).await.unwrap(), 0);
        file.write_all(&vec![7; 3 * PIECE_BYTES + 5]).unwrap();
        let opened = open(file.path()).await;
        let length = 3 * PIECE_BYTES + 5;
        assert_eq!(opened.length, Some(length as u64));
        assert!(opened.again.is_some());
        assert_eq!(read(opened.pieces).await.unwrap(), length);
    }

    #[tokio::test]
    async fn a_file_that_changes_its_length_meanwhile_is_not_sent_to_its_end() {
        for length in [PIECE_BYTES as u64, 3 * PIECE_BYTES as u64 + 1] {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(2 * PIECE_BYTES as u64).unwrap();
            let mut opened = open(file.path()).await;
            let first = opened.pieces.try_next().await.unwrap().unwrap();
            assert!(first.len() <= PIECE_BYTES);
            file.as_file().set_len(length).unwrap();
            let error = read(opened.pieces).await.unwrap_err();
            assert!(error.to_string().contains("while it was sent"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_written_to_meanwhile_is_not_sent_to_its_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(2 * PIECE_BYTES as u64).unwrap();
        let mut opened = open(file.path()).await;
        opened.pieces.try_next().await.unwrap().unwrap();
        let later = SystemTime::UNIX_EPOCH;
        file.as_file().set_modified(later).unwrap();
        let error = failed(file.path(), read(opened.pieces).await.unwrap_err());
        assert!(matches!(error, Error::SourceChanged { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_has_no_length_of_its_own_is_sent_once_to_its_end() {
        let made_up = open(Path::new("/proc/self/status")).await;
        assert!(made_up.length.is_none() && made_up.again.is_none());
        assert!(read(made_up.pieces).await.unwrap() > 0);
        let device = open(Path::new("/dev/null")).await;
        assert!(device.length.is_none() && device.again.is_none());
        assert_eq!(read(device.pieces).await.unwrap(), 0);
        let folder = PutBody::file("/").open().await;
        assert!(matches!(folder, Err(Error::Source { .. })));
    }
}
