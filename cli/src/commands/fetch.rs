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

/// Gathers all bytes of the file `name` in `part`, and compares their checksum. If they are wrong behind
/// what an earlier try left, all of them are fetched once more.
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
    let went_on = left_over.is_some();
    let mut gathered = gather(client, name, part, left_over, watch).await;
    if went_on && gathered.as_ref().is_err_and(is_mismatch) {
        gathered = gather(client, name, part, None, watch).await;
    }
    if gathered.as_ref().is_err_and(is_mismatch) {
        // Wrong bytes are no start for another try.
        part.discard();
    }
    gathered
}

/// Gathers what is missing behind `left_over`, or all.
async fn gather(
    client: &Client,
    name: &str,
    part: &Part,
    left_over: Option<LeftOver>,
    watch: &Watch<'_>,
) -> Result<FileHead, CliError> {
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

/// Whether the bytes came and are wrong.
fn is_mismatch(error: &CliError) -> bool {
    matches!(
        error,
        CliError::Client(ClientError::ChecksumMismatch { .. })
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_client::ClientConfig;
    use mdfs_protocol::public::{BLAKE3_HEADER, CRC_HEADER, REPLICAS_HEADER, VERSION_HEADER};
    use mdfs_service::Tasks;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    const FILE: &[u8] = b"hello world";

    fn etag() -> String {
        format!("\"{}\"", "0".repeat(64))
    }

    /// The answer to a request for the file, whose checksum is said to be `crc32`.
    fn answer(request: &str, crc32: Crc32) -> Vec<u8> {
        let first = request.split_once("bytes=").map(|(_, range)| {
            let (first, _) = range.split_once('-').unwrap();
            first.parse::<usize>().unwrap()
        });
        let body = &FILE[first.unwrap_or(0)..];
        let (size, last, length) = (FILE.len(), FILE.len() - 1, body.len());
        let status = match first {
            Some(first) => format!("206 Partial\r\ncontent-range: bytes {first}-{last}/{size}"),
            None => "200 OK".to_owned(),
        };
        let (etag, blake3) = (etag(), "0".repeat(64));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: {etag}\r\n\
             connection: close\r\n{VERSION_HEADER}: 5\r\n{CRC_HEADER}: {crc32}\r\n\
             {BLAKE3_HEADER}: {blake3}\r\n{REPLICAS_HEADER}: 2\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    /// A client of a cluster that has the file, and how often that was asked.
    async fn cluster(crc32: Crc32) -> (Client, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let serving = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                count.fetch_add(1, Ordering::SeqCst);
                let request = String::from_utf8(request).unwrap();
                stream.write_all(&answer(&request, crc32)).await.unwrap();
            }
        };
        Tasks::new(CancellationToken::new()).spawn_request("serve", serving);
        (Client::new(ClientConfig::new(url)).unwrap(), asked)
    }

    /// Fetches behind what an earlier try `left`: whether it went well, how often the cluster was
    /// asked, what lies in the folder then.
    async fn check(left: &[u8], crc32: Crc32) -> (bool, usize, Vec<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let (client, asked) = cluster(crc32).await;
        let part = Part::lock(&target).unwrap();
        if !left.is_empty() {
            part.begin(0, &etag()).unwrap();
            std::fs::write(part.path(), left).unwrap();
        }
        let watch = Watch {
            begin: &|_, _| {},
            add: &|_| {},
        };
        let fetched = fetch(&client, "a", &part, &watch).await;
        if fetched.is_ok() {
            part.finish().unwrap();
        }
        let files = std::fs::read_dir(folder.path()).unwrap();
        let files = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        (
            fetched.is_ok(),
            asked.load(Ordering::SeqCst),
            files.collect(),
        )
    }

    #[tokio::test]
    async fn wrong_bytes_of_an_earlier_try_are_fetched_once_more() {
        let good = Crc32::of(FILE);
        let whole = vec![FILE.to_vec()];
        assert_eq!(check(b"", good).await, (true, 1, whole.clone()));
        assert_eq!(check(b"hello", good).await, (true, 1, whole.clone()));
        assert_eq!(check(b"jelly", good).await, (true, 2, whole));
    }

    #[tokio::test]
    async fn of_wrong_bytes_nothing_is_kept() {
        let wrong = Crc32(7);
        assert_eq!(check(b"", wrong).await, (false, 1, vec![]));
        assert_eq!(check(b"hello", wrong).await, (false, 2, vec![]));
    }
}
