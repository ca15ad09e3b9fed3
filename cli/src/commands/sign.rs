//! `mdfs sign`

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::print;
use clap::Args;
use std::time::Duration;

/// Make a link that plays a file without a token
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
}

#[derive(serde::Serialize)]
struct Link {
    url: String,
    expires: u64,
}

impl Sign {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let signed = client.sign(&self.name, self.expires, self.download).await?;
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
