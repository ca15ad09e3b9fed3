//! What a development cluster leaves in files for programs that want to find it.

use anyhow::{Context, Result};
use mdfs_core::id::ClusterId;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A running development cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DevState {
    /// Where the API answers: the first of the masters.
    pub(crate) url: String,
    /// All masters, the first included; the next run gives them the same addresses.
    #[serde(default)]
    pub(crate) urls: Vec<String>,
    /// The file that holds the root token.
    pub(crate) token_file: PathBuf,
    /// The cluster.
    pub(crate) cluster_id: Option<ClusterId>,
    /// Who does what.
    pub(crate) processes: Vec<ProcessState>,
}

/// One role of a development cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProcessState {
    /// `master` or `worker`.
    pub(crate) role: String,
    /// Such as `worker-0`.
    pub(crate) name: String,
    /// The process it runs in.
    pub(crate) pid: u32,
    /// A worker's disk; a master has none.
    pub(crate) data_dir: Option<PathBuf>,
    /// Where it answers.
    pub(crate) url: String,
}

impl DevState {
    /// Reads a state file; none if it does not exist.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        serde_json::from_slice(&text)
            .map(Some)
            .with_context(|| format!("{} is not the state of a cluster", file.display()))
    }

    /// Writes a state file, whole or not at all.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("the state does not encode")?;
        let mut staged = file.as_os_str().to_owned();
        staged.push(".staged");
        let staged = PathBuf::from(staged);
        let write = || {
            let mut out = std::fs::File::create(&staged)?;
            out.write_all(&text)?;
            out.write_all(b"\n")?;
            std::fs::rename(&staged, file)
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }
}
