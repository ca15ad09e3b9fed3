//! `mdfs uploads`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Format, print, shown, size, table};
use clap::{Args, Subcommand};
use mdfs_core::id::FileId;
use mdfs_protocol::public::{UploadInfo, UploadState, Uploads as Page};

/// List the uploads that are open, or end one
#[derive(Debug, Args)]
pub struct Uploads {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// End an upload without a file; harmless when it has become one
    Abort {
        /// The upload's id
        id: FileId,
    },
}

impl Uploads {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let format = context.global.output;
        if let Some(Action::Abort { id }) = self.action {
            let info = client.abort_upload(id).await?;
            let table = || format!("upload {id} {}\n", ended(&info));
            print(format, &info, table, [id.to_string().as_str()])?;
            return Ok(Exit::Ok);
        }
        let mut all = Page {
            uploads: Vec::new(),
            next: None,
        };
        let mut after = None;
        loop {
            let mut page = client.uploads(after, None).await?;
            after = page.next.take();
            match format {
                // A page at a time, so that the first one shows at once.
                Format::Table | Format::Name => show(format, &page)?,
                Format::Json | Format::Yaml => all.uploads.append(&mut page.uploads),
            }
            if after.is_none() {
                break;
            }
        }
        if matches!(format, Format::Json | Format::Yaml) {
            show(format, &all)?;
        }
        Ok(Exit::Ok)
    }
}

fn ended(info: &UploadInfo) -> String {
    match info.state {
        UploadState::Open => "is open still".to_owned(),
        UploadState::Aborted => "was ended".to_owned(),
        UploadState::Expired => "had expired".to_owned(),
        UploadState::Committed => {
            let name = info.name.as_deref().unwrap_or_default();
            format!("had become {}: nothing was ended", shown(name))
        }
    }
}

fn show(format: Format, page: &Page) -> Result<(), CliError> {
    let ids: Vec<String> = page.uploads.iter().map(|it| it.id.to_string()).collect();
    print(format, page, || rows(page), ids.iter().map(String::as_str))
}

fn rows(page: &Page) -> String {
    if page.uploads.is_empty() {
        return String::new();
    }
    let row = |upload: &UploadInfo| {
        vec![
            upload.id.to_string(),
            size(upload.stored_bytes),
            upload.size.map_or("?".to_owned(), size),
            upload.expires.clone().unwrap_or_default(),
            shown(upload.name.as_deref().unwrap_or_default()).into_owned(),
        ]
    };
    let columns = ["ID", ">STORED", ">OF", "EXPIRES", "NAME"];
    table(&columns, page.uploads.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_of_unknown_size_is_listed_too() {
        let mut page = Page {
            uploads: Vec::new(),
            next: None,
        };
        assert_eq!(rows(&page), "");
        page.uploads.push(UploadInfo {
            id: FileId::from_u128(7),
            state: UploadState::Open,
            name: Some("a".to_owned()),
            size: None,
            chunk_size: Some(1 << 20),
            replicas: Some(2),
            begun: None,
            expires: Some("2026-01-01T00:00:00.000Z".to_owned()),
            stored_bytes: 0,
            chunks: Vec::new(),
            storing: Vec::new(),
            file: None,
        });
        let shown = rows(&page);
        assert!(shown.lines().nth(1).unwrap().contains("?"), "{shown}");
    }
}
