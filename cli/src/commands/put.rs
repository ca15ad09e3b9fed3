//! `mdfs put`

use super::tree::{PutTree, TreeArgs, put_tree};
use super::{Context, last_part};
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use crate::{progress, stdio};
use clap::Args;
use mdfs_client::{PutBody, PutFileOptions, PutOptions};
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::ChunkSize;
use mdfs_protocol::problem::Code;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Store a file or a folder; goes on where an earlier try broke off
#[derive(Debug, Args)]
pub struct Put {
    /// The local file; `-` is standard input
    file: PathBuf,
    /// The name to store it under; ends with `/` for a folder [default: the file's own name]
    name: Option<String>,
    #[command(flatten)]
    tree: TreeArgs,
    /// Send what links lead to, with --recursive
    #[arg(long, requires = "recursive")]
    follow: bool,
    /// Media type [default: that of the name's ending]
    #[arg(long, value_name = "TYPE", conflicts_with = "recursive")]
    content_type: Option<String>,
    /// Fail if there is a file of this name
    #[arg(long, conflicts_with = "recursive")]
    if_absent: bool,
    /// Copies of each chunk [default: the cluster's]
    #[arg(long, value_name = "COUNT")]
    replicas: Option<u8>,
    /// Bytes of a chunk, a power of two [default: the cluster's]
    #[arg(long, value_name = "BYTES")]
    chunk_size: Option<ChunkSize>,
    /// Store nothing if the bytes have another CRC-32 than this, 8 hexadecimal digits
    #[arg(long, value_name = "CRC", conflicts_with = "recursive")]
    crc32: Option<Crc32>,
    /// Attribute of your own, shown by `mdfs stat`; once for each
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// Chunks under way at a time: so many at most are sent twice when it is interrupted
    #[arg(long, value_name = "COUNT", default_value = "2")]
    streams: NonZeroUsize,
    /// Folder where it is kept how far interrupted uploads have come [default: ~/.local/state/mdfs]
    #[arg(long, env = "MDFS_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (name, value) = pair.ok_or_else(|| "not of the form NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Put {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        if self.tree.recursive {
            let client = context.client()?;
            return put_tree(context, &client, self.into_tree()).await;
        }
        self.check_no_folder()?;
        let name = self.name()?;
        let (source, total) = self.source()?;
        let client = context.client()?;
        let bar = progress::bar(&name, total, context.global.quiet);
        let position = bar.clone();
        let state = state_file(self.state_dir.as_deref(), &self.file, &name);
        let if_absent = self.if_absent;
        let options = PutOptions {
            content_type: self.content_type,
            if_absent,
            crc32: self.crc32,
            replicas: self.replicas,
            chunk_size: self.chunk_size.map(u64::from),
            source_modified: source.modified(),
            attributes: self.attributes.into_iter().collect(),
            progress: Some(Arc::new(move |sent| position.set_position(sent))),
        };
        let result = match source {
            Source::Body(body, _) => client.put(&name, body, &options).await,
            Source::Chunks(path) => {
                let options = PutFileOptions {
                    put: options,
                    streams: self.streams.get(),
                    state,
                    expires_seconds: None,
                };
                client.put_file(&name, &path, &options).await
            }
        };
        bar.finish_and_clear();
        let info = result.map_err(|error| match error.code() {
            // There is no other condition.
            Some(Code::PreconditionFailed) if if_absent => CliError::Taken(name),
            _ => error.into(),
        })?;
        if let Some(copies) = info.durability {
            let wanted = info.replicas;
            eprintln!(
                "warning: only {copies} of {wanted} copies for now: too few workers are there"
            );
        }
        let table = || {
            fields(&[
                ("name", shown(&info.name).into_owned()),
                ("size", format!("{} ({} bytes)", size(info.size), info.size)),
                ("crc32", info.crc32.to_string()),
                ("blake3", info.blake3.to_string()),
            ])
        };
        print(context.global.output, &info, table, [info.name.as_str()])?;
        Ok(Exit::Ok)
    }

    fn check_no_folder(&self) -> Result<(), CliError> {
        if self.is_stdin() || !self.file.is_dir() {
            return Ok(());
        }
        let file = self.file.to_string_lossy();
        let what = CliError::Usage(format!("{} is a folder", shown(&file)));
        Err(what.hinted("`mdfs put -r` stores all files of a folder"))
    }

    /// How the bytes are sent, and their number if it is known.
    fn source(&self) -> Result<(Source, Option<u64>), CliError> {
        if self.is_stdin() {
            let stdin = stdio::unbuffered(io::stdin()).map_err(|source| CliError::Stdio {
                action: "read standard input",
                source,
            })?;
            return Ok((Source::Body(PutBody::reader(stdin, None), None), None));
        }
        let metadata = std::fs::metadata(&self.file).map_err(|source| CliError::File {
            action: "read",
            path: self.file.clone(),
            source,
        })?;
        let total = metadata.is_file().then_some(metadata.len());
        let chunk_size = self.chunk_size.unwrap_or_default().bytes();
        if total.is_some_and(|total| total > chunk_size) {
            return Ok((Source::Chunks(self.file.clone()), total));
        }
        let modified = total.and_then(|_| metadata.modified().ok());
        Ok((Source::Body(PutBody::file(&self.file), modified), total))
    }

    fn into_tree(self) -> PutTree {
        PutTree {
            folder: self.file,
            prefix: self.name,
            tree: self.tree,
            follow: self.follow,
            put: PutOptions {
                replicas: self.replicas,
                chunk_size: self.chunk_size.map(u64::from),
                attributes: self.attributes.into_iter().collect(),
                ..PutOptions::default()
            },
            chunk_size: self.chunk_size.unwrap_or_default().bytes(),
            streams: self.streams.get(),
            state_dir: self.state_dir,
        }
    }

    fn is_stdin(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn name(&self) -> Result<String, CliError> {
        let own = || {
            let text = self.file.file_name().and_then(|name| name.to_str());
            text.map(str::to_owned)
                .filter(|_| !self.is_stdin())
                .ok_or_else(|| {
                    CliError::Usage("give a name to store it under: mdfs put FILE NAME".to_owned())
                })
        };
        match &self.name {
            None => own(),
            Some(folder) if last_part(folder).is_empty() => Ok(format!("{folder}{}", own()?)),
            Some(name) => Ok(name.clone()),
        }
    }
}

/// Where it is kept how far the upload of this file to this name has come. Two clusters share it: an id
/// of the other one is not known here, and the upload begins anew.
pub(super) fn state_file(folder: Option<&Path>, file: &Path, name: &str) -> Option<PathBuf> {
    let usual = || Some(std::env::home_dir()?.join(".local/state/mdfs"));
    let folder = folder.map(Path::to_owned).or_else(usual)?;
    let path = file.canonicalize().ok()?;
    let subject = [name.as_bytes(), &[0], path.as_os_str().as_encoded_bytes()].concat();
    let hash = Blake3::of(&subject).to_string();
    Some(folder.join("uploads").join(hash))
}

/// How the bytes of a file are sent.
enum Source {
    /// At once, with the time of the source's change if it has one.
    Body(PutBody, Option<SystemTime>),
    /// Chunk by chunk.
    Chunks(PathBuf),
}

impl Source {
    /// When a source that is sent at once was changed, in milliseconds since the Unix epoch.
    fn modified(&self) -> Option<u64> {
        match self {
            Source::Body(_, modified) => {
                let since = modified.as_ref()?.duration_since(UNIX_EPOCH).ok()?;
                u64::try_from(since.as_millis()).ok()
            }
            Source::Chunks(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    #[track_caller]
    fn check(file: &str, name: Option<&str>, want: Option<&str>) {
        let words = ["put", file].into_iter().chain(name);
        let command = Put::augment_args(clap::Command::new("put"));
        let matches = command.get_matches_from(words);
        let put = Put::from_arg_matches(&matches).unwrap();
        assert_eq!(put.name().ok().as_deref(), want);
    }

    #[test]
    fn a_file_keeps_its_own_name_unless_given_another() {
        check("films/a.mkv", None, Some("a.mkv"));
        check("films/a.mkv", Some("b.mkv"), Some("b.mkv"));
        check("films/a.mkv", Some("new/"), Some("new/a.mkv"));
        check("-", Some("b.mkv"), Some("b.mkv"));
        check("-", None, None);
        check("-", Some("new/"), None);
        check("..", None, None);
    }
}
