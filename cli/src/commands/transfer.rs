//! `mdfs admin export` and `mdfs admin import`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, stdout_failed};
use crate::stdio;
use clap::Args;
use mdfs_client::{ImportOptions, PutBody, sync_folder};
use mdfs_protocol::public::Imported;
use mdfs_protocol::transfer::Whole;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes of a local file that are read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Write all records of the cluster to a file
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file, which becomes whole at once; - is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// With the access tokens, of which it has no secrets
    #[arg(long)]
    tokens: bool,
}

/// Take in what is missing of an export
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; - is standard input, which is not looked at before it is sent
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Files whose names other files have take their place; those go to the trash
    #[arg(long)]
    overwrite: bool,
    /// The policy of the export holds from now on
    #[arg(long)]
    policy: bool,
    /// It may be of another cluster
    #[arg(long)]
    from_other_cluster: bool,
    /// With its access tokens: those too that were revoked here since
    #[arg(long)]
    tokens: bool,
}

impl Export {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let mut export = context.client()?.export(self.tokens).await?;
        let mut whole = Whole::default();
        if self.file == Path::new("-") {
            let mut stdout = stdio::unbuffered(io::stdout()).map_err(stdout_failed)?;
            while let Some(bytes) = export.next().await? {
                whole.push(&bytes);
                stdout.write_all(&bytes).await.map_err(stdout_failed)?;
            }
            stdout.flush().await.map_err(stdout_failed)?;
            let broke_off = |error| stdout_failed(io::Error::other(error));
            whole.finish().map_err(broke_off)?;
            return Ok(Exit::Ok);
        }
        let mut name = self.file.clone().into_os_string();
        name.push(".part");
        let part = PathBuf::from(name);
        let failed = |source| failed("write", &part, source);
        let mut options = std::fs::OpenOptions::new();
        // Names, and hashes of tokens: for its owner.
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = File::from_std(options.open(&part).map_err(failed)?);
        while let Some(bytes) = export.next().await? {
            whole.push(&bytes);
            file.write_all(&bytes).await.map_err(failed)?;
        }
        let lines = whole.finish();
        let lines = lines.map_err(|error| failed(io::Error::other(error)))?;
        file.sync_all().await.map_err(failed)?;
        std::fs::rename(&part, &self.file).map_err(failed)?;
        sync_folder(&self.file).map_err(failed)?;
        if !context.global.quiet {
            let name = self.file.to_string_lossy();
            eprintln!("{} has {lines} lines", shown(&name));
        }
        Ok(Exit::Ok)
    }
}

impl Import {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let body = if self.file == Path::new("-") {
            let input = stdio::unbuffered(io::stdin()).map_err(|source| CliError::Stdio {
                action: "read standard input",
                source,
            })?;
            PutBody::reader(input, None)
        } else {
            check(&self.file).await?;
            PutBody::file(&self.file)
        };
        let options = ImportOptions {
            overwrite: self.overwrite,
            policy: self.policy,
            other_cluster: self.from_other_cluster,
            tokens: self.tokens,
        };
        let imported = client.import(body, options).await?;
        let names = imported.conflicting_names.iter().map(String::as_str);
        print(context.global.output, &imported, || text(&imported), names)?;
        let left_out = imported.conflicts > 0;
        Ok(if left_out { Exit::Failed } else { Exit::Ok })
    }
}

/// Reads the whole file: what broke off is not begun with.
async fn check(path: &Path) -> Result<(), CliError> {
    let failed = |source| failed("read", path, source);
    let mut file = File::open(path).await.map_err(failed)?;
    let (mut whole, mut buffer) = (Whole::default(), vec![0; PIECE_BYTES]);
    loop {
        let count = file.read(&mut buffer).await.map_err(failed)?;
        if count == 0 {
            break;
        }
        whole.push(buffer.get(..count).unwrap_or_default());
    }
    let checked = whole.finish();
    checked.map_err(|error| failed(io::Error::other(error)))?;
    Ok(())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CliError {
    CliError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

fn text(imported: &Imported) -> String {
    let mut text = fields(&[
        ("files", imported.files.to_string()),
        ("in the trash", imported.trashed.to_string()),
        ("tokens", imported.tokens.to_string()),
        ("were here", imported.present.to_string()),
        ("left out", imported.conflicts.to_string()),
    ]);
    for name in &imported.conflicting_names {
        text.push_str(&format!("left out: {}\n", shown(name)));
    }
    text
}
