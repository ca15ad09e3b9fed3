//! `mdfs sign`

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::print;
use clap::Args;
use mdfs_protocol::link::LinkMethod;
use mdfs_protocol::public::SignRequest;
use std::time::Duration;

/// Make a link that plays a file without a token, or stores one
#[derive(Debug, Args)]
pub struct Sign {
    /// The file
    name: String,
    /// How long the link works, at most 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = parse_duration)]
    expires: Duration,
    /// Let a browser save the file instead of showing it
    #[arg(long)]
    download: bool,
    /// Let the link store the file, by `PUT`, instead of reading it
    #[arg(long, conflicts_with = "download")]
    put: bool,
    /// The most bytes that the link stores
    #[arg(long, value_name = "BYTES", requires = "put")]
    max_bytes: Option<u64>,
}

#[derive(serde::Serialize)]
struct Link {
    url: String,
    expires: u64,
}

impl Sign {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let request = SignRequest {
            name: self.name,
            expires_in_seconds: self.expires.as_secs(),
            download: self.download,
            method: if self.put {
                LinkMethod::Put
            } else {
                LinkMethod::Get
            },
            max_bytes: self.max_bytes,
        };
        let signed = client.sign(&request).await?;
        let link = Link {
            url: format!("{}{}", client.base_url(), signed.path),
            expires: signed.expires,
        };
        print(
            context.global.output,
            &link,
            || link.url.clone(),
            [link.url.as_str()],
        )?;
        Ok(Exit::Ok)
    }
}
