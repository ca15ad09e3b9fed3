//! What a bed leaves outside its machines: a folder and groups of processes. It removes them when it
//! ends; one that was killed has them removed at the next start.

use crate::command::succeed;
use crate::process::is_running;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How the folders and groups of all beds are called, up to the id of their process.
const PREFIX: &str = "mdfs-bed-";
/// How long removing all files may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What one bed leaves; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Remains {
    name: String,
    folder: PathBuf,
}

impl Remains {
    /// A new folder, known by this process.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn new() -> Result<Self> {
        let name = format!("{PREFIX}{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Self { name, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The group that the processes of its pods are in, below the root of each hierarchy.
    pub(super) fn cgroup(&self) -> &str {
        &self.name
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("something of {} is left: {error:#}", self.name);
        }
    }
}

/// The folder of a bed that runs; none if none does.
///
/// # Errors
/// If the folder of folders cannot be read.
pub(super) fn running() -> Result<Option<PathBuf>> {
    let mut owners = owners()?;
    owners.retain(|owner| is_running(*owner));
    let folder = |owner| std::env::temp_dir().join(format!("{PREFIX}{owner}"));
    Ok(owners.last().map(folder))
}

/// Removes what killed beds have left.
///
/// # Errors
/// If something cannot be removed.
pub(super) fn sweep() -> Result<()> {
    for owner in owners()? {
        if !is_running(owner) {
            remove(&format!("{PREFIX}{owner}"))?;
        }
    }
    Ok(())
}

/// The processes that have or had a bed.
fn owners() -> Result<Vec<i32>> {
    let mut owners = Vec::new();
    for entry in fs::read_dir(std::env::temp_dir())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        owners.extend(
            name.strip_prefix(PREFIX)
                .and_then(|pid| pid.parse::<i32>().ok()),
        );
    }
    owners.sort_unstable();
    Ok(owners)
}

fn remove(name: &str) -> Result<()> {
    // A group goes once its last process has.
    let script = "for top in /sys/fs/cgroup/\"$1\" /sys/fs/cgroup/*/\"$1\"; do \
                  [ -d \"$top\" ] || continue; find \"$top\" -depth -type d -exec rmdir {} +; done; \
                  rm -rf \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-ec", script, "sh", name]);
    succeed(shell.arg(std::env::temp_dir().join(name)), LIMIT).map(drop)
}
