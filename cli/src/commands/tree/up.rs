//! `mdfs put -r`

use super::stamp::{ATTRIBUTE, Stamp, is_same};
use super::tally::{Outcome, Tally, Words};
use super::walk::{Found, walk};
use super::{TreeArgs, Trouble, as_prefix};
use crate::commands::Context;
use crate::commands::part::failed;
use crate::commands::put::state_file;
use crate::error::{CliError, Exit};
use futures_util::stream::{self, StreamExt};
use indicatif::ProgressBar;
use mdfs_client::{
    Client, Error as ClientError, ListOptions, Pager, PutBody, PutFileOptions, PutOptions,
};
use mdfs_core::name::FileName;
use mdfs_protocol::public::FileInfo;
use std::collections::VecDeque;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// How often a file is sent that changes each time.
const TRIES: u32 = 3;
/// How many files are found ahead of those that are under way.
const AHEAD: usize = 1024;

/// A folder that is to be stored.
pub(crate) struct PutTree {
    pub(crate) folder: PathBuf,
    /// The folder of names; the local folder's own name if none.
    pub(crate) prefix: Option<String>,
    pub(crate) tree: TreeArgs,
    pub(crate) follow: bool,
    /// For each file, its time of change aside.
    pub(crate) put: PutOptions,
    /// Files of more bytes are sent chunk by chunk, `streams` at a time.
    pub(crate) chunk_size: u64,
    pub(crate) streams: usize,
    pub(crate) state_dir: Option<PathBuf>,
}

/// Stores every file of a folder that is not there already.
///
/// # Errors
/// If the folder or the names in the cluster cannot be listed, or nothing more can be stored.
pub(crate) async fn put_tree(
    context: &Context,
    client: &Client,
    put: PutTree,
) -> Result<Exit, CliError> {
    let prefix = put.prefix()?;
    let words = Words {
        done: "sent",
        would: "send",
    };
    let mut tally = Tally::new(context, words, &prefix, put.tree.dry_run);
    let (sender, found) = mpsc::channel(AHEAD);
    let (folder, begin, follow) = (put.folder.clone(), prefix.clone(), put.follow);
    // It ends when nobody takes what it finds.
    let walking = tokio::task::spawn_blocking(move || {
        walk(&folder, &begin, follow, &mut |found| {
            sender.blocking_send(found).is_ok()
        });
    });
    let remote = Remote {
        pages: client.pages(ListOptions {
            prefix,
            ..ListOptions::default()
        }),
        page: VecDeque::new(),
    };
    let both = stream::unfold((found, remote), async |(mut found, mut remote)| {
        let one = found.recv().await?;
        let known = match &one {
            Found::File { name, .. } => remote.find(name.as_str()).await,
            Found::Left { .. } | Found::Failed { .. } => Ok(None),
        };
        Some(((one, known), (found, remote)))
    });
    let bar = tally.bar();
    let outcomes = both
        .map(|(found, known)| one(client, &put, found, known, &bar))
        .buffer_unordered(usize::from(put.tree.jobs));
    let mut outcomes = pin!(outcomes);
    while let Some(outcome) = outcomes.next().await {
        if !tally.add(outcome)? {
            break;
        }
    }
    drop(walking);
    tally.finish()
}

impl PutTree {
    fn prefix(&self) -> Result<String, CliError> {
        let real = self.folder.canonicalize();
        let real = real.map_err(failed("read", &self.folder))?;
        if !real.is_dir() {
            let folder = self.folder.display();
            return Err(CliError::Usage(format!("{folder} is no folder")));
        }
        let own = || {
            let name = real.file_name()?.to_str()?;
            Some(name.to_owned())
        };
        let unnamed = || CliError::Usage("give the folder a name: mdfs put -r DIR NAME".to_owned());
        let name = self.prefix.clone().or_else(own).ok_or_else(unnamed)?;
        let prefix = as_prefix(&name);
        if let Some(name) = prefix.strip_suffix('/') {
            FileName::parse(name).map_err(|why| CliError::Usage(why.to_string()))?;
        }
        Ok(prefix)
    }
}

/// The names in the cluster, page by page, in their order.
struct Remote {
    pages: Pager,
    page: VecDeque<FileInfo>,
}

impl Remote {
    /// The file of this name, which comes behind all that were asked for before.
    async fn find(&mut self, name: &str) -> Result<Option<FileInfo>, ClientError> {
        loop {
            while let Some(next) = self.page.front() {
                match next.name.as_str().cmp(name) {
                    std::cmp::Ordering::Less => drop(self.page.pop_front()),
                    std::cmp::Ordering::Equal => return Ok(self.page.pop_front()),
                    std::cmp::Ordering::Greater => return Ok(None),
                }
            }
            match self.pages.next().await? {
                Some(page) => self.page = page.files.into(),
                None => return Ok(None),
            }
        }
    }
}

async fn one(
    client: &Client,
    put: &PutTree,
    found: Found,
    known: Result<Option<FileInfo>, ClientError>,
    bar: &ProgressBar,
) -> Outcome {
    let known = match known {
        Ok(known) => known,
        Err(error) => return Outcome::Stopped(error.into()),
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    match found {
        Found::Left { path, why } => Outcome::Left {
            subject: text(&path),
            why,
        },
        Found::Failed { path, why } => Outcome::Failed {
            subject: text(&path),
            trouble: Trouble::Refused(why),
        },
        Found::File { name, path } => match file(client, put, &name, &path, known, bar).await {
            Ok(Some(bytes)) => Outcome::Moved {
                name: name.as_str().to_owned(),
                bytes,
            },
            Ok(None) => Outcome::Same,
            Err(trouble) => Outcome::Failed {
                subject: text(&path),
                trouble,
            },
        },
    }
}

/// Stores one file unless it is there already; its bytes if it went.
async fn file(
    client: &Client,
    put: &PutTree,
    name: &FileName,
    path: &Path,
    known: Option<FileInfo>,
    bar: &ProgressBar,
) -> Result<Option<u64>, Trouble> {
    let look = || std::fs::metadata(path).map_err(failed("read", path));
    let mut before = look()?;
    if let Some(known) = known {
        let same = is_same(path.to_owned(), &before, &known, put.tree.checksum).await;
        if same.map_err(failed("read", path))? {
            return Ok(None);
        }
    }
    if put.tree.dry_run {
        return Ok(Some(before.len()));
    }
    for _ in 0..TRIES {
        let sent = send(client, put, name, path, &before, bar).await;
        let after = look()?;
        let same = (before.len(), Stamp::of(&before)) == (after.len(), Stamp::of(&after));
        match sent {
            Err(ClientError::SourceChanged { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(info) if same => return Ok(Some(info.size)),
            Ok(_) => {}
        }
        before = after;
    }
    Err(Trouble::Refused(format!(
        "it changed each of the {TRIES} times that it was sent"
    )))
}

async fn send(
    client: &Client,
    put: &PutTree,
    name: &FileName,
    path: &Path,
    metadata: &Metadata,
    bar: &ProgressBar,
) -> Result<FileInfo, ClientError> {
    let mut options = put.put.clone();
    if let Some(stamp) = Stamp::of(metadata) {
        options.source_modified = stamp.millis();
        options
            .attributes
            .insert(ATTRIBUTE.to_owned(), stamp.text());
    }
    options.progress = Some(Arc::new(counted(bar.clone())));
    if metadata.len() <= put.chunk_size {
        let body = PutBody::file(path);
        return client.put(name.as_str(), body, &options).await;
    }
    let options = PutFileOptions {
        put: options,
        streams: put.streams,
        state: state_file(put.state_dir.as_deref(), path, name.as_str()),
        expires_seconds: None,
    };
    client.put_file(name.as_str(), path, &options).await
}

/// Adds what is told of one file to what was told of all.
fn counted(bar: ProgressBar) -> impl Fn(u64) + Send + Sync {
    let told = AtomicU64::new(0);
    move |sent| {
        let before = told.swap(sent, Ordering::Relaxed);
        if sent >= before {
            bar.inc(sent - before);
        } else {
            bar.dec(before - sent);
        }
    }
}
