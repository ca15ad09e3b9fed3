//! Fetching a file into a local one, many parts at a time.

use crate::client::{Client, FileHead};
use crate::download::GetOptions;
use crate::error::Error;
use crate::folder::{folder_of, sync_folder};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mdfs_core::checksum::Crc32;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::NamedTempFile;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::task::spawn_blocking;

/// Bytes of a part: enough that asking for it costs nothing beside reading it.
const PART_BYTES: u64 = 16 << 20;

/// How to fetch a file into a local one.
#[derive(Clone, Default)]
pub struct GetFileOptions {
    /// How many parts are under way at a time, each over a connection of its own; one if zero.
    pub streams: usize,
    /// Is told how many bytes are written so far.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Client {
    /// Fetches a file into the local file `path`, in parts at a time, all of the same version. When
    /// this returns, `path` is durable, and its bytes have the checksum that the cluster has; until
    /// then, whatever `path` was is left alone. Each part goes on where its connection broke off, as a
    /// [`crate::Download`] does.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use mdfs_client::GetFileOptions;
    ///
    /// let four = GetFileOptions { streams: 4, ..GetFileOptions::default() };
    /// let head = client.get_file("films/a.mkv", "a.mkv".as_ref(), &four).await?;
    /// println!("{} bytes with CRC-32 {}", head.size, head.crc32);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if the leader knows that there is none, [`Error::Changed`] if the
    /// file was replaced meanwhile, [`Error::ChecksumMismatch`], [`Error::Target`].
    ///
    /// # Cancel safety
    /// When the future is dropped, `path` is what it was, or the whole file; nothing lies beside it.
    pub async fn get_file(
        &self,
        name: &str,
        path: &Path,
        options: &GetFileOptions,
    ) -> Result<FileHead, Error> {
        self.get_file_in_parts(name, path, options, PART_BYTES)
            .await
    }

    pub(crate) async fn get_file_in_parts(
        &self,
        name: &str,
        path: &Path,
        options: &GetFileOptions,
        part_bytes: u64,
    ) -> Result<FileHead, Error> {
        let head = self.stat(name).await?;
        let target = path.to_owned();
        let gathered = blocking(path, move || beside(&target)).await?;
        let written = AtomicU64::new(0);
        let told = |bytes| {
            let total = written.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if let Some(progress) = &options.progress {
                progress(total);
            }
        };
        let part = |index: u64| {
            let offset = index.saturating_mul(part_bytes);
            let length = part_bytes.min(head.size.saturating_sub(offset));
            let (head, into, told) = (&head, &gathered, &told);
            async move {
                let crc32 = self.write_part(head, offset, length, into, told).await?;
                Ok::<_, Error>((index, crc32, length))
            }
        };
        let mut parts = stream::iter(0..head.size.div_ceil(part_bytes))
            .map(part)
            .buffer_unordered(options.streams.max(1));
        let mut sums = BTreeMap::new();
        while let Some((index, crc32, length)) = parts.try_next().await? {
            sums.insert(index, (crc32, length));
        }
        drop(parts);
        let got = sums
            .values()
            .fold(Crc32::default(), |whole, (crc32, length)| {
                Crc32::combine(whole, *crc32, *length)
            });
        if got != head.crc32 {
            return Err(Error::ChecksumMismatch {
                subject: name.to_owned(),
                want: head.crc32,
                got,
            });
        }
        let target = path.to_owned();
        blocking(path, move || publish(gathered, &target)).await?;
        Ok(head)
    }

    /// Writes a part of this version of a file to its place in `into`, and gives its CRC-32.
    async fn write_part(
        &self,
        head: &FileHead,
        offset: u64,
        length: u64,
        into: &NamedTempFile,
        told: &impl Fn(u64),
    ) -> Result<Crc32, Error> {
        let failed = |source| Error::Target {
            path: into.path().to_owned(),
            source,
        };
        let range = GetOptions {
            if_range: Some(head.etag.clone()),
            ..GetOptions::range(offset..offset.saturating_add(length))
        };
        let mut download = self.get_part(&head.name, &range).await?;
        if download.head().etag != head.etag {
            return Err(Error::Changed {
                subject: head.name.clone(),
            });
        }
        if (download.offset(), download.left()) != (offset, length) {
            return Err(Error::protocol(&head.name, "another part than asked for"));
        }
        // Refused if the path leads to another file by now. A handle of its own has a place of its own.
        let mut file = tokio::fs::File::from_std(into.reopen().map_err(failed)?);
        file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
        let mut crc32 = Crc32::default();
        while let Some(bytes) = download.next().await? {
            crc32 = crc32.then(&bytes);
            file.write_all(&bytes).await.map_err(failed)?;
            told(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
        file.flush().await.map_err(failed)?;
        Ok(crc32)
    }
}

/// Does what blocks, off the threads of the runtime. Goes on when it is not waited for any more.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|source| Error::Target {
        path: path.to_owned(),
        source,
    })
}

/// An empty file in the folder of `path`, which goes when it is dropped.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".mdfs-get-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(path))
}

/// Makes `gathered` durable, and `path`.
fn publish(gathered: NamedTempFile, path: &Path) -> io::Result<()> {
    gathered.as_file().sync_all()?;
    gathered.persist(path)?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_has_a_name_that_storing_a_folder_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        let gathered = beside(&folder.path().join("film")).unwrap();
        let name = gathered.path().file_name().unwrap().to_string_lossy();
        assert!(
            name.starts_with(".mdfs-get-") && name.ends_with(".part"),
            "{name}"
        );
    }
}
