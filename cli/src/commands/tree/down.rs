//! `mdfs get -r`

use super::clash::{Clashes, tells_cases};
use super::place::{Place, place};
use super::stamp::{Stamp, is_same};
use super::tally::{Outcome, Tally, Words};
use super::{TreeArgs, Trouble, as_prefix};
use crate::commands::fetch::{Watch, fetch};
use crate::commands::part::{Part, failed};
use crate::commands::{Context, last_part};
use crate::error::{CliError, Exit};
use futures_util::stream::{self, StreamExt};
use indicatif::ProgressBar;
use mdfs_client::{Client, Error as ClientError, ListOptions, Pager};
use mdfs_core::name::FileName;
use mdfs_protocol::public::FileInfo;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::pin;

/// Fetches every file of a folder of names that is not there already.
///
/// # Errors
/// If there is none, names cannot be listed, or nothing more can be fetched.
pub(crate) async fn get_tree(
    context: &Context,
    client: &Client,
    folder: &str,
    to: Option<PathBuf>,
    tree: &TreeArgs,
) -> Result<Exit, CliError> {
    let prefix = as_prefix(folder);
    let to = destination(&prefix, to)?;
    let words = Words {
        done: "fetched",
        would: "fetch",
    };
    let mut tally = Tally::new(context, words, &prefix, tree.dry_run);
    let mut names = Names {
        pages: client.pages(ListOptions {
            prefix: prefix.clone(),
            ..ListOptions::default()
        }),
        page: VecDeque::new(),
    };
    let Some(first) = names.next().await? else {
        return Err(CliError::NoFolder(folder.to_owned()));
    };
    let mut clashes = Clashes::new(tree.dry_run || prepare(&to)?);
    let jobs = stream::iter([Ok(first)]).chain(stream::unfold(names, async |mut names| {
        let next = names.next().await.transpose()?;
        Some((next, names))
    }));
    let bar = tally.bar();
    let outcomes = jobs
        .map(|job| job.map(|info| (own_name(&prefix, &info.name, &mut clashes), info)))
        .map(|job| one(client, &to, tree, job, &bar))
        .buffer_unordered(usize::from(tree.jobs));
    let mut outcomes = pin!(outcomes);
    while let Some(outcome) = outcomes.next().await {
        if !tally.add(outcome)? {
            break;
        }
    }
    tally.finish()
}

/// The folder where a folder of names goes.
fn destination(prefix: &str, to: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let own = last_part(prefix.trim_end_matches('/'));
    match to {
        Some(to) if to.as_os_str() == "-" => Err(CliError::Usage(
            "a folder does not go to standard output".to_owned(),
        )),
        Some(to) => Ok(to),
        None if matches!(own, "" | "." | "..") => Err(CliError::Usage(
            "say where it goes: mdfs get -r NAME DIR".to_owned(),
        )),
        None => Ok(own.into()),
    }
}

/// Makes the folder; whether upper and lower case are told apart there.
fn prepare(to: &Path) -> Result<bool, CliError> {
    std::fs::create_dir_all(to).map_err(failed("make the folder", to))?;
    tells_cases(to).map_err(failed("write into", to))
}

/// The names in the cluster, page by page, in their order.
struct Names {
    pages: Pager,
    page: VecDeque<FileInfo>,
}

impl Names {
    async fn next(&mut self) -> Result<Option<FileInfo>, ClientError> {
        loop {
            if let Some(next) = self.page.pop_front() {
                return Ok(Some(next));
            }
            match self.pages.next().await? {
                Some(page) => self.page = page.files.into(),
                None => return Ok(None),
            }
        }
    }
}

/// The part of a name that counts below the folder. What the cluster says is not believed.
fn own_name(prefix: &str, name: &str, clashes: &mut Clashes) -> Result<FileName, String> {
    let own = name
        .strip_prefix(prefix)
        .ok_or("the name is not in the folder")?;
    let own = FileName::parse(own).map_err(|why| why.to_string())?;
    match clashes.next(own.as_str()) {
        Some(why) => Err(why),
        None => Ok(own),
    }
}

async fn one(
    client: &Client,
    to: &Path,
    tree: &TreeArgs,
    job: Result<(Result<FileName, String>, FileInfo), ClientError>,
    bar: &ProgressBar,
) -> Outcome {
    let (own, info) = match job {
        Ok(job) => job,
        Err(error) => return Outcome::Stopped(error.into()),
    };
    let done = match own {
        Ok(own) => file(client, to, tree, &own, &info, bar).await,
        Err(why) => Err(Trouble::Refused(why)),
    };
    match done {
        Ok(Some(bytes)) => Outcome::Moved {
            name: info.name,
            bytes,
        },
        Ok(None) => Outcome::Same,
        Err(trouble) => Outcome::Failed {
            subject: info.name,
            trouble,
        },
    }
}

/// Fetches one file unless it is there already; its bytes if it came.
async fn file(
    client: &Client,
    to: &Path,
    tree: &TreeArgs,
    own: &FileName,
    info: &FileInfo,
    bar: &ProgressBar,
) -> Result<Option<u64>, Trouble> {
    let Place { path, present } = place(to, own, !tree.dry_run)?;
    if let Some(metadata) = present {
        let same = is_same(path.clone(), &metadata, info, tree.checksum).await;
        if same.map_err(failed("read", &path))? {
            return Ok(None);
        }
    }
    if tree.dry_run {
        return Ok(Some(info.size));
    }
    let part = Part::lock(&path)?;
    let watch = Watch {
        begin: &|_, _| {},
        add: &|bytes| bar.inc(bytes),
    };
    let head = fetch(client, &info.name, &part, &watch).await?;
    if let Some(time) = Stamp::of_head(&head).and_then(Stamp::time) {
        part.set_modified(time)?;
    }
    part.finish()?;
    Ok(Some(head.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_no_path() {
        let mut clashes = Clashes::new(true);
        let mut own = |name: &str| own_name("a/", name, &mut clashes);
        assert_eq!(own("a/b/c").unwrap().as_str(), "b/c");
        for hostile in [
            "b/c", "a/", "a/../c", "a//etc", "a/b\\c", "a/./b", "a/\0", "a/b/c/d",
        ] {
            assert!(own(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_folder_goes_to_its_own_name_unless_told_otherwise() {
        let check = |folder: &str, to: Option<&str>| {
            destination(&as_prefix(folder), to.map(Into::into)).ok()
        };
        assert_eq!(check("a/b/", None), Some("b".into()));
        assert_eq!(check("a", Some("c")), Some("c".into()));
        assert_eq!(check("", Some("c")), Some("c".into()));
        for refused in [("", None), ("a/..", None), ("a", Some("-"))] {
            assert_eq!(check(refused.0, refused.1), None);
        }
    }
}
