//! `mdfs cat`

use super::{Context, LIST, perhaps_folder};
use crate::error::{CliError, Exit};
use crate::output::stdout_failed;
use crate::stdio;
use clap::Args;
use mdfs_client::{Download, GetOptions};
use std::io;
use tokio::io::AsyncWriteExt;

/// Write a file to standard output
#[derive(Debug, Args)]
pub struct Cat {
    /// The file
    name: String,
    /// Start at this byte
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// Write at most this many bytes
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
}

impl Cat {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let options = GetOptions {
            offset: self.offset,
            length: self.length,
            if_range: None,
        };
        let download = context.client()?.get_part(&self.name, &options).await;
        let download = download.map_err(|error| perhaps_folder(error.into(), LIST))?;
        pour(download, |_| {}).await?;
        Ok(Exit::Ok)
    }
}

/// Writes all bytes to standard output; tells `progress` how many each time. Ends early, without an
/// error, when the reader has enough.
pub(super) async fn pour(
    mut download: Download,
    mut progress: impl FnMut(u64),
) -> Result<(), CliError> {
    let mut stdout = stdio::unbuffered(io::stdout()).map_err(stdout_failed)?;
    while let Some(bytes) = download.next().await? {
        match stdout.write_all(&bytes).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(stdout_failed)?,
        }
        progress(u64::try_from(bytes.len()).unwrap_or(0));
    }
    match stdout.flush().await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(stdout_failed(error)),
        _ => Ok(()),
    }
}
