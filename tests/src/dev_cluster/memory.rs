//! Clusters whose data is on small file systems in memory.

use super::DevCluster;
use crate::program;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

impl DevCluster {
    /// A path as its processes see it: their data may be on file systems of their own.
    pub fn as_seen_inside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The program, with a file system of so many bytes in memory at each of these places. It has a mount
/// namespace of its own, so that they are gone with its last process, however it ends.
pub(super) fn mounted(mounts: &[(PathBuf, u64)]) -> Result<Command> {
    const MOUNT: &str = "while [ \"$1\" != -- ]; do \
        mkdir -p \"$1\" && mount -t tmpfs -o \"size=$2,mode=700\" mdfs-test \"$1\" || exit; \
        shift 2; done; shift; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        MOUNT,
        "sh",
    ]);
    for (place, bytes) in mounts {
        command.arg(place).arg(bytes.to_string());
    }
    command.arg("--").arg(program::mdfs()?);
    Ok(command)
}

/// Whether a process may have file systems of its own here, which needs root.
pub fn can_mount() -> bool {
    let mut unshare = Command::new("unshare");
    let tried = unshare.args(["--mount", "mount", "-t", "tmpfs", "mdfs-test", "/mnt"]);
    crate::command::succeed(tried, Duration::from_secs(20)).is_ok()
}
