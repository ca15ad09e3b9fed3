//! `mdfs stat`

use super::{Context, LIST, perhaps_folder};
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use clap::Args;
use mdfs_core::time::LogTime;
use mdfs_protocol::date::rfc3339;

/// Show what is known of a file
#[derive(Debug, Args)]
pub struct Stat {
    /// The file
    name: String,
}

impl Stat {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let head = context.client()?.stat(&self.name).await;
        let head = head.map_err(|error| perhaps_folder(error.into(), LIST))?;
        let table = || {
            let mut lines = vec![
                ("name", shown(&head.name).into_owned()),
                ("size", format!("{} ({} bytes)", size(head.size), head.size)),
                ("type", shown(&head.content_type).into_owned()),
                ("modified", head.modified.clone()),
                ("replicas", head.replicas.to_string()),
                ("version", head.version.to_string()),
                ("etag", head.etag.clone()),
                ("crc32", head.crc32.to_string()),
                ("blake3", head.blake3.to_string()),
            ];
            if let Some(millis) = head.source_modified {
                lines.push(("source modified", rfc3339(LogTime::from_millis(millis))));
            }
            let attributes = head.attributes.iter();
            let attribute = |(name, value): (&String, &String)| {
                let pair = format!("{name}={value}");
                ("attribute", shown(&pair).into_owned())
            };
            lines.extend(attributes.map(attribute));
            fields(&lines)
        };
        print(context.global.output, &head, table, [head.name.as_str()])?;
        Ok(Exit::Ok)
    }
}
