//! Files put and got over HTTP, every byte compared while it passes.

use crate::content::Content;
use crate::http::{Answer, Connection};
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::time::Duration;

/// How much of a body is read and compared at once.
const READ_BYTES: usize = 256 * 1024;

/// How a download went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Bytes of body.
    pub bytes: u64,
    /// The longest time without a byte, from the request on.
    pub longest_gap: Duration,
}

/// The path of a file in the API. Names here need no escaping.
pub fn path(name: &str) -> String {
    format!("/v1/files/{name}")
}

/// Puts the first `length` bytes of `content` as the file `name`.
///
/// # Errors
/// If the answer is not 201, or names another size.
pub fn put(connection: &mut Connection, name: &str, content: Content, length: u64) -> Result<()> {
    let body = content.reader(length);
    let answer = connection.upload("PUT", &path(name), &[], body, Some(length))?;
    stored(name, length, &answer)
}

/// Checks the answer to a `PUT` of `length` bytes.
///
/// # Errors
/// If it is not 201, or names another size.
pub fn stored(name: &str, length: u64, answer: &Answer) -> Result<()> {
    ensure!(
        answer.status() == 201,
        "PUT {name} was answered {}",
        answer.text()
    );
    let size = answer
        .json()?
        .get("size")
        .and_then(serde_json::Value::as_u64);
    ensure!(
        size == Some(length),
        "PUT {name} of {length} bytes was answered {}",
        answer.text()
    );
    Ok(())
}

/// Gets the whole file `name` and compares it with the first `length` bytes of `content`. After
/// every piece, `seen` is told how many bytes have come.
///
/// # Errors
/// If the answer is not 200, a byte differs, or the body has another length.
pub fn get(
    connection: &mut Connection,
    name: &str,
    content: Content,
    length: u64,
    mut seen: impl FnMut(u64) -> Result<()>,
) -> Result<Received> {
    let mut last = crate::wait::now();
    let mut download = connection.download("GET", &path(name), &[])?;
    ensure!(download.head.status == 200, "GET {name} was answered {}", {
        let status = download.head.status;
        format!(
            "{status} {}",
            download
                .finish()
                .map(|answer| answer.text())
                .unwrap_or_default()
        )
    });
    let announced = download.head.header("content-length").map(str::parse);
    ensure!(
        announced == Some(Ok(length)),
        "GET {name} announces {announced:?} bytes"
    );
    let mut buffer = vec![0; READ_BYTES];
    let mut received = Received::default();
    loop {
        let count = download
            .read(&mut buffer)
            .with_context(|| format!("GET {name} broke after {} bytes", received.bytes))?;
        // Only waiting for the server counts, not comparing.
        received.longest_gap = received.longest_gap.max(last.elapsed());
        if count == 0 {
            break;
        }
        let piece = buffer.get(..count).unwrap_or_default();
        content
            .check(received.bytes, piece)
            .with_context(|| format!("GET {name}"))?;
        received.bytes += u64::try_from(count)?;
        seen(received.bytes)?;
        last = crate::wait::now();
    }
    ensure!(
        received.bytes == length,
        "GET {name} gave {} bytes",
        received.bytes
    );
    Ok(received)
}

/// Gets `length` bytes at `offset` of the file `name` and compares them.
///
/// # Errors
/// If the answer is not 206, or is anything but these bytes.
pub fn get_range(
    connection: &mut Connection,
    name: &str,
    content: Content,
    offset: u64,
    length: u64,
) -> Result<()> {
    let range = format!("bytes={offset}-{}", offset + length.saturating_sub(1));
    let answer = connection.request("GET", &path(name), &[("range", &range)], &[])?;
    let status = answer.status();
    ensure!(
        status == 206,
        "GET {name} {range} was answered {}",
        answer.problem()
    );
    let bytes = u64::try_from(answer.body.len())?;
    ensure!(bytes == length, "GET {name} {range} gave {bytes} bytes");
    content
        .check(offset, &answer.body)
        .with_context(|| format!("GET {name} {range}"))
}
