//! Getting the bytes of one file into its part, from where an earlier try broke off.

use super::part::{LeftOver, Part, failed};
use crate::error::CliError;
use mdfs_client::{Client, Download, Error as ClientError, FileHead, GetOptions};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::problem::Code;
use std::io::{self, SeekFrom};
use tokio::fs;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Is told how a fetch goes.
pub(super) struct Watch<'a> {
    /// The size of the file, and how much of it an earlier try left.
    pub(super) begin: &'a (dyn Fn(u64, u64) + Sync),
    /// How many bytes came.
    pub(super) add: &'a (dyn Fn(u64) + Sync),
}

/// Gathers all bytes of the file `name` in `part`, and compares their checksum.
///
/// # Errors
/// If they do not come, cannot be written, or are not what they should be; then nothing of them is
/// kept.
pub(super) async fn fetch(
    client: &Client,
    name: &str,
    part: &Part,
    watch: &Watch<'_>,
) -> Result<FileHead, CliError> {
    let left_over = part.left_over().await;
    let (mut download, left_over) = match open(client, name, left_over).await {
        Ok(opened) => opened,
        Err(error) => {
            part.discard_if_empty();
            return Err(error);
        }
    };
    let (at, mut crc) = left_over.map_or((0, Crc32::default()), |left| (left.bytes, left.crc));
    part.begin(at, &download.head().etag)?;
    let mut file = fs::File::from_std(part.file()?);
    file.set_max_buf_size(1 << 20);
    file.seek(SeekFrom::Start(at))
        .await
        .map_err(failed("write", part.path()))?;
    (watch.begin)(download.head().size, at);
    match receive(&mut download, &mut file, &mut crc, watch).await {
        Ok(()) => {}
        Err(Failure::Client(error)) => return Err(error.into()),
        Err(Failure::File(source)) => return Err(failed("write", part.path())(source)),
    }
    let head = download.head().clone();
    if crc != head.crc32 {
        // Wrong bytes are no start for another try.
        part.discard();
        let (want, got) = (head.crc32, crc);
        return Err(ClientError::ChecksumMismatch {
            subject: head.name,
            want,
            got,
        }
        .into());
    }
    Ok(head)
}

enum Failure {
    Client(ClientError),
    File(io::Error),
}

async fn receive(
    download: &mut Download,
    file: &mut fs::File,
    crc: &mut Crc32,
    watch: &Watch<'_>,
) -> Result<(), Failure> {
    while let Some(bytes) = download.next().await.map_err(Failure::Client)? {
        file.write_all(&bytes).await.map_err(Failure::File)?;
        *crc = crc.then(&bytes);
        (watch.add)(u64::try_from(bytes.len()).unwrap_or(0));
    }
    file.flush().await.map_err(Failure::File)
}

/// Starts a download behind `part`; without it if there is another version by now.
async fn open(
    client: &Client,
    name: &str,
    part: Option<LeftOver>,
) -> Result<(Download, Option<LeftOver>), CliError> {
    if let Some(part) = part {
        let if_range = Some(part.etag.clone());
        let options = GetOptions {
            offset: part.bytes,
            length: None,
            if_range,
        };
        match client.get_part(name, &options).await {
            Ok(download)
                if download.head().etag == part.etag && download.offset() == part.bytes =>
            {
                return Ok((download, Some(part)));
            }
            Ok(download) if download.offset() == 0 => return Ok((download, None)),
            // More than the file has: a part of something else.
            Ok(_) => {}
            Err(error) if error.code() == Some(Code::RangeNotSatisfiable) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((client.get(name).await?, None))
}
