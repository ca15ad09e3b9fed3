//! `mdfs ls`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Format, print, shown, size, table};
use clap::Args;
use mdfs_client::{Client, ListOptions};
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{FileInfo, Listing, Trash, TrashedFile};

/// List files
#[derive(Debug, Args)]
pub struct Ls {
    /// Only names that start with this, such as `films/`
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Also what is in folders
    #[arg(short, long)]
    recursive: bool,
    /// List the trash: deleted and replaced files that can be brought back, those first that were
    /// deleted first
    #[arg(long, conflicts_with = "recursive")]
    trash: bool,
    /// List at most this many files and folders
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// The most entries that a page may have.
const PAGE_MAX: usize = 1000;

impl Ls {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let listed = self.list(context).await;
        let hint = "a token for one folder lists that: `mdfs ls FOLDER/`";
        listed.map_err(|error| error.hinted_at(&[Code::Forbidden], hint))
    }

    async fn list(self, context: &Context) -> Result<Exit, CliError> {
        let format = context.global.output;
        let mut left = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        if self.trash {
            return trash(&context.client()?, format, &self.prefix, left).await;
        }
        let mut pages = context.client()?.pages(ListOptions {
            prefix: self.prefix,
            delimiter: (!self.recursive).then_some('/'),
            after: None,
            limit: (left < PAGE_MAX).then_some(left),
        });
        let mut all = Listing {
            files: Vec::new(),
            folders: Vec::new(),
            next: None,
        };
        while left > 0
            && let Some(mut page) = pages.next().await?
        {
            page.folders.truncate(left);
            left -= page.folders.len();
            page.files.truncate(left);
            left -= page.files.len();
            match format {
                // A page at a time, so that the first one shows at once.
                Format::Table | Format::Name => show(format, &page)?,
                Format::Json | Format::Yaml => {
                    all.files.append(&mut page.files);
                    all.folders.append(&mut page.folders);
                }
            }
        }
        if matches!(format, Format::Json | Format::Yaml) {
            show(format, &all)?;
        }
        Ok(Exit::Ok)
    }
}

/// Lists at most `left` files of the trash whose names start with `prefix`.
async fn trash(
    client: &Client,
    format: Format,
    prefix: &str,
    mut left: usize,
) -> Result<Exit, CliError> {
    let mut all = Trash {
        files: Vec::new(),
        next: None,
    };
    let mut after = None;
    while left > 0 {
        let mut page = client.trash(after.as_deref(), None).await?;
        page.files.retain(|file| file.name.starts_with(prefix));
        page.files.truncate(left);
        left -= page.files.len();
        after = page.next.take();
        match format {
            // A page at a time, so that the first one shows at once.
            Format::Table | Format::Name => show_trash(format, &page)?,
            Format::Json | Format::Yaml => all.files.append(&mut page.files),
        }
        if after.is_none() {
            break;
        }
    }
    if matches!(format, Format::Json | Format::Yaml) {
        show_trash(format, &all)?;
    }
    Ok(Exit::Ok)
}

fn show_trash(format: Format, page: &Trash) -> Result<(), CliError> {
    let names = page.files.iter().map(|file| file.name.as_str());
    print(format, page, || trash_rows(page), names)
}

fn trash_rows(page: &Trash) -> String {
    if page.files.is_empty() {
        return String::new();
    }
    let file = |file: &TrashedFile| {
        vec![
            size(file.size),
            file.deleted.clone(),
            shown(&file.name).into_owned(),
        ]
    };
    table(&[">SIZE", "DELETED", "NAME"], page.files.iter().map(file))
}

fn show(format: Format, page: &Listing) -> Result<(), CliError> {
    let folders = page.folders.iter().map(String::as_str);
    let names = folders.chain(page.files.iter().map(|file| file.name.as_str()));
    print(format, page, || rows(page), names)
}

fn rows(page: &Listing) -> String {
    if page.folders.is_empty() && page.files.is_empty() {
        return String::new();
    }
    let folder = |name: &String| vec!["-".to_owned(), "-".to_owned(), shown(name).into_owned()];
    let file = |file: &FileInfo| {
        vec![
            size(file.size),
            file.modified.clone(),
            shown(&file.name).into_owned(),
        ]
    };
    let rows = page
        .folders
        .iter()
        .map(folder)
        .chain(page.files.iter().map(file));
    table(&[">SIZE", "MODIFIED", "NAME"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_files_and_nothing_prints_nothing() {
        let mut page = Listing {
            files: Vec::new(),
            folders: Vec::new(),
            next: None,
        };
        assert_eq!(rows(&page), "");
        page.folders.push("films/".to_owned());
        assert_eq!(
            rows(&page),
            "SIZE  MODIFIED  NAME\n   -  -         films/\n"
        );
    }
}
