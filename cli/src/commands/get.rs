//! `mdfs get`

use super::cat::pour;
use super::fetch::{Watch, fetch};
use super::part::{Part, is_hidden_part};
use super::tree::{TreeArgs, get_tree};
use super::{Context, last_part, perhaps_folder};
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use crate::progress;
use clap::Args;
use mdfs_client::Client;
use std::path::{Path, PathBuf};

const FETCH: &str = "`mdfs get -r` fetches a folder; `mdfs ls` shows what there is, and \
     `mdfs ls --trash` what was deleted";

/// Fetch a file or a folder; goes on where an earlier try broke off
#[derive(Debug, Args)]
pub struct Get {
    /// The file to fetch; with --recursive the folder, or "" for all there is
    name: String,
    /// Where to put it: a file, a folder, or `-` for standard output [default: the last part of the
    /// name, here]
    file: Option<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
}

impl Get {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        if self.tree.recursive {
            return get_tree(context, &client, &self.name, self.file, &self.tree).await;
        }
        let one = self.one(context, &client).await;
        one.map_err(|error| perhaps_folder(error, FETCH))
    }

    /// Fetches one file.
    async fn one(self, context: &Context, client: &Client) -> Result<Exit, CliError> {
        if self.file.as_deref() == Some(Path::new("-")) {
            let download = client.get(&self.name).await?;
            let bar = progress::bar(&self.name, Some(download.left()), context.global.quiet);
            let result = pour(download, |bytes| bar.inc(bytes)).await;
            bar.finish_and_clear();
            return result.map(|()| Exit::Ok);
        }
        let path = destination(&self.name, self.file)?;
        let part = Part::lock(&path)?;
        let bar = progress::bar(&self.name, Some(0), context.global.quiet);
        let begin = |size, at| {
            bar.set_length(size);
            bar.set_position(at);
            bar.reset_eta();
        };
        let watch = Watch {
            begin: &begin,
            add: &|bytes| bar.inc(bytes),
        };
        let fetched = fetch(client, &self.name, &part, &watch).await;
        bar.finish_and_clear();
        let head = fetched?;
        part.finish()?;
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
    if own.is_empty() {
        return Err(CliError::Usage(format!("{name:?} is a folder's name")).hinted(FETCH));
    }
    let path = match file {
        Some(path) if path.is_dir() => path.join(own),
        Some(path) => path,
        None => PathBuf::from(own),
    };
    match path.file_name() {
        Some(last) if is_hidden_part(&last.to_string_lossy()) => Err(CliError::Usage(format!(
            "{} is kept for what is being fetched",
            shown(&path.to_string_lossy())
        ))),
        Some(last) if last != ".." && last != "." => Ok(path),
        _ => Err(CliError::Usage(format!(
            "{} cannot be a file",
            shown(&path.to_string_lossy())
        ))),
    }
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
        for file in [None, Some(here.clone()), Some(here.join("c"))] {
            let folder = destination("films/", file).unwrap_err();
            assert!(folder.text().contains("films/"), "{}", folder.text());
            assert!(folder.hint().is_some_and(|hint| hint.contains("get -r")));
        }
        assert_eq!(check("a/.mdfs-0123456789abcdef.part", None), None);
    }
}
