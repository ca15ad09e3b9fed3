//! A room of its own for a test that parts networks and mounts disks: a process in new namespaces, which
//! the kernel ends and takes away with whoever asked for it, however that one ends. Nothing is left to
//! be cleaned up, not even after SIGKILL.

use crate::command::{run, succeed};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// In which a room must be made.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes of memory for logs and the like, at most.
const MEMORY: u64 = 512 << 20;
/// What is tried to find out whether there can be a room: all that is done in one.
const TRY: &str = "mount -t tmpfs mdfs-test /run && ip netns add a && \
    ip link add wire type veth peer name wire netns a && ip -n a link set wire up && \
    ip -n a rule add from 198.18.0.1 to 198.18.0.2 blackhole && \
    nsenter --net=/run/netns/a true";

/// Why there can be no room on this machine; none if there can.
///
/// # Errors
/// If nothing can be started at all.
pub fn why_not() -> Result<Option<String>> {
    let mut tried = room();
    tried.args(["sh", "-c", TRY]);
    match run(&mut tried, LIMIT) {
        Ok(output) if output.code() == 0 => Ok(None),
        Ok(output) => Ok(Some(output.stderr.trim().replace('\n', "; "))),
        Err(error) => Ok(Some(format!("{error:#}"))),
    }
}

/// Runs this program again, with these arguments, in a room of its own, to its end.
///
/// # Errors
/// If it cannot be started.
pub fn again_inside(arguments: &[&str]) -> Result<ExitStatus> {
    let mut command = room();
    command.arg(std::env::current_exe()?).args(arguments);
    command.status().context("start a room")
}

/// What the program does first inside: a file system in memory for what it is to leave nowhere else.
/// Gives its place.
///
/// # Errors
/// If they cannot be mounted.
pub fn furnish() -> Result<PathBuf> {
    let place = PathBuf::from("/run");
    mount_memory(&place, MEMORY)?;
    Ok(place)
}

/// A file system of so many bytes in memory at `place`, which is made if it is not there.
///
/// # Errors
/// If it cannot be mounted.
pub fn mount_memory(place: &Path, bytes: u64) -> Result<()> {
    std::fs::create_dir_all(place)?;
    let size = format!("size={bytes},mode=700");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &size, "mdfs-test"]);
    succeed(mount.arg(place), LIMIT)?;
    Ok(())
}

/// A command in namespaces of its own: mounts, networks and processes. The kernel kills it with the
/// thread that starts it, and all of its processes with it.
fn room() -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--net",
        "--pid",
    ]);
    command.args(["--fork", "--kill-child=KILL", "--mount-proc", "--"]);
    command
}
