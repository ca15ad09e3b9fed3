//! What a running cluster says of itself.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// What `--state-file` says.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    /// Where the API is: at the first master.
    pub url: String,
    /// All masters.
    pub urls: Vec<String>,
    /// The file with the token that may do everything.
    pub token_file: PathBuf,
    /// The cluster's identity.
    pub cluster_id: String,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// One process of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Process {
    /// `master`, `worker`, or what the one process of a cluster without `--processes` is called.
    pub role: String,
    /// Its name for people.
    pub name: String,
    /// Its process id.
    pub pid: i32,
    /// Where its data is, if it has any.
    pub data_dir: Option<PathBuf>,
    /// Where it answers.
    pub url: Option<String>,
}

pub(super) fn read_state(path: &Path) -> Result<State> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).context("the state file does not parse")
}
