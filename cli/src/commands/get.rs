//! `mdfs get`

use super::cat::pour;
use super::part::{LeftOver, Part, failed};
use super::{Context, last_part};
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use crate::progress;
use clap::Args;
use indicatif::ProgressBar;
use mdfs_client::{Client, Download, Error as ClientError, FileHead, GetOptions};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::problem::Code;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use tokio::fs;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Fetch a file; goes on where an earlier try broke off
///
/// Bytes are gathered in FILE.part, which becomes FILE when all have come and the checksum matches.
#[derive(Debug, Args)]
pub struct Get {
    /// The file to fetch
    name: String,
    /// Where to put it: a file, a folder, or `-` for standard output [default: the last part of the
    /// name, here]
    file: Option<PathBuf>,
}

impl Get {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        if self.file.as_deref() == Some(Path::new("-")) {
            let download = client.get(&self.name).await?;
            let bar = progress::bar(&self.name, Some(download.left()), context.global.quiet);
            let result = pour(download, |bytes| bar.inc(bytes)).await;
            bar.finish_and_clear();
            return result.map(|()| Exit::Ok);
        }
        let path = destination(&self.name, self.file)?;
        let head = fetch(&client, &self.name, &path, context.global.quiet).await?;
        let file = path.to_string_lossy();
        let table = || {
            fields(&[
                ("file", shown(&file).into_owned()),
                ("size", format!("{} ({} bytes)", size(head.size), head.size)),
                ("crc32", head.crc32.to_string()),
                ("blake3", head.blake3.to_string()),
            ])
        };
        print(context.global.output, &head, table, [&*file])?;
        Ok(Exit::Ok)
    }
}

/// Where a file goes. A name from the cluster decides at most the last part of the path.
fn destination(name: &str, file: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let own = last_part(name);
    let path = match file {
        Some(path) if path.is_dir() => path.join(own),
        Some(path) => path,
        None => PathBuf::from(own),
    };
    match path.file_name() {
        Some(last) if last != ".." && last != "." => Ok(path),
        _ => Err(CliError::Usage(format!(
            "{} cannot be a file",
            shown(&path.to_string_lossy())
        ))),
    }
}

async fn fetch(
    client: &Client,
    name: &str,
    path: &Path,
    quiet: bool,
) -> Result<FileHead, CliError> {
    let part = Part::lock(path)?;
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
    let bar = progress::bar(name, Some(download.head().size), quiet);
    bar.set_position(at);
    bar.reset_eta();
    let result = receive(&mut download, &mut file, &mut crc, &bar).await;
    bar.finish_and_clear();
    match result {
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
    part.finish()?;
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
    bar: &ProgressBar,
) -> Result<(), Failure> {
    while let Some(bytes) = download.next().await.map_err(Failure::Client)? {
        file.write_all(&bytes).await.map_err(Failure::File)?;
        *crc = crc.then(&bytes);
        bar.inc(u64::try_from(bytes.len()).unwrap_or(0));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_cluster_decides_the_last_part_alone() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_owned();
        let check = |name: &str, file: Option<PathBuf>| destination(name, file).ok();
        assert_eq!(check("a/b.mkv", None), Some("b.mkv".into()));
        assert_eq!(
            check("a/b.mkv", Some(here.clone())),
            Some(here.join("b.mkv"))
        );
        assert_eq!(check("a/b.mkv", Some(here.join("c"))), Some(here.join("c")));
        assert_eq!(check("a/..", None), None);
        assert_eq!(check("a/", None), None);
    }
}
