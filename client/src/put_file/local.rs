//! A local file that is sent in parts, and must not change meanwhile.

use super::Sent;
use crate::error::Error;
use crate::source::{self, changed};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use mdfs_core::checksum::Crc32;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that are read and sent at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A regular file, as it was when it was opened.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

/// What tells a file from another of its path, length and time of change: that time can be set, and is
/// by whatever copies a file with its times. The time of status cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// The time of status: seconds since the Unix epoch, and nanoseconds.
    status: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            status: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Local {
    /// Looks at a file.
    ///
    /// # Errors
    /// [`Error::Source`] if it is no regular file, or cannot be read.
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let looked_at = async {
            let file = File::open(path).await?;
            let metadata = file.metadata().await?;
            if metadata.is_file() {
                Ok(metadata)
            } else {
                Err(io::Error::other("it is no regular file"))
            }
        };
        let metadata = looked_at.await.map_err(failed(path))?;
        // The same file, wherever a later call is made.
        let path = tokio::fs::canonicalize(path).await.map_err(failed(path))?;
        Ok(Self {
            path,
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity: Identity::of(&metadata),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// When it was changed; none for a time before 1970, or on a file system without such times.
    pub(super) fn modified_millis(&self) -> Option<u64> {
        let since = self.modified?.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok()
    }

    /// The same to the nanosecond, to tell files apart.
    pub(super) fn modified_nanos(&self) -> Option<u64> {
        let since = self.modified?.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    }

    /// # Errors
    /// [`Error::SourceChanged`] if the file is not the same any more, was written to, or is gone; [`Error::Source`] if that cannot be told.
    pub(super) async fn check_unchanged(&self) -> Result<(), Error> {
        let looked_at = tokio::fs::metadata(&self.path).await;
        let metadata = looked_at.map_err(|source| self.failed(source))?;
        let same = (metadata.len(), metadata.modified().ok()) == (self.size, self.modified);
        if same && Identity::of(&metadata) == self.identity {
            return Ok(());
        }
        Err(self.failed(changed()))
    }

    /// Why this file could not be read; what is gone has changed.
    pub(super) fn failed(&self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::NotFound {
            return source::failed(&self.path, changed());
        }
        source::failed(&self.path, source)
    }

    /// The CRC-32 of a part.
    pub(super) async fn hash(&self, offset: u64, length: u64) -> Result<Crc32, Error> {
        let hashed = async {
            let mut file = self.open_at(offset).await?;
            let (mut crc32, mut left) = (Crc32::default(), length);
            let mut buffer = BytesMut::with_capacity(PIECE_BYTES);
            while left > 0 {
                buffer.clear();
                left -= read(&mut file, left, &mut buffer).await?;
                crc32 = crc32.then(&buffer);
            }
            Ok(crc32)
        };
        hashed.await.map_err(|source| self.failed(source))
    }

    /// A part as pieces for a request's body. `turn` is given back with the last of them, or when they
    /// are dropped. Why they end early, if they do, is noted with `sent`.
    pub(super) async fn pieces(
        &self,
        offset: u64,
        length: u64,
        turn: OwnedSemaphorePermit,
        sent: Sent,
    ) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>, Error> {
        let opened = self.open_at(offset).await;
        let file = opened.map_err(|source| self.failed(source))?;
        let start = (file, length, turn, sent);
        Ok(stream::try_unfold(
            Some(start),
            move |state: Option<(File, u64, OwnedSemaphorePermit, Sent)>| async move {
                let Some((mut file, left, turn, sent)) = state else {
                    return Ok(None);
                };
                let mut piece = BytesMut::with_capacity(PIECE_BYTES);
                let count = match read(&mut file, left, &mut piece).await {
                    Ok(count) => count,
                    Err(failure) => return Err(sent.fail(failure)),
                };
                sent.add(offset, count);
                let left = left - count;
                let rest = (left > 0).then_some((file, left, turn, sent));
                Ok(Some((piece.freeze(), rest)))
            },
        ))
    }

    async fn open_at(&self, offset: u64) -> io::Result<File> {
        let mut file = File::open(&self.path).await?;
        file.set_max_buf_size(PIECE_BYTES);
        file.seek(SeekFrom::Start(offset)).await?;
        Ok(file)
    }
}

/// Reads at most `left` bytes, at least one.
async fn read(file: &mut File, left: u64, into: &mut BytesMut) -> io::Result<u64> {
    let count = file.take(left).read_buf(into).await?;
    if count == 0 {
        return Err(changed());
    }
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| source::failed(path, source)
}
