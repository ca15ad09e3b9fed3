//! A machine within the machine: namespaces that all processes of one node run in.

use super::daemon::Daemon;
use super::programs;
use crate::process::{Fault, inflict, is_running};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long namespaces may take to be made, or to go.
const LIMIT: Duration = Duration::from_secs(30);

/// One machine. It ends, with every process, mount, loop device and link in it, when this is dropped.
#[derive(Debug)]
pub(super) struct Machine {
    holder: Daemon,
    pid: i32,
}

impl Machine {
    /// Starts one that keeps its files in `folder`. It ends with this process, however that ends.
    ///
    /// # Errors
    /// Without root, or if the kernel lacks namespaces.
    pub(super) fn start(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join("pid");
        if file.exists() {
            fs::remove_file(&file)?;
        }
        let mut command = Command::new(programs::kube()?);
        command.arg("node").arg(folder).arg(name);
        command.env("MDFS_ENDS_WITH_PARENT", "yes");
        let mut holder = Daemon::spawn("machine", folder, &mut command)?;
        let pid = holder.wait_until("a machine", LIMIT, || {
            if !file.exists() {
                return Ok(None);
            }
            let pid = fs::read_to_string(&file)?;
            Ok(Some(pid.trim().parse::<i32>()?))
        })?;
        Ok(Self { holder, pid })
    }

    /// Its first process.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// `program`, to be run in the machine whose first process is `pid`.
    pub(super) fn enter(pid: i32, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string()]);
        command.args(["--mount", "--net", "--pid", "--uts", "--"]);
        command.arg(program);
        command
    }

    /// Ends it as a cut of its power does, and waits until everything in it is gone. What it wrote is
    /// in its files.
    ///
    /// # Errors
    /// If it was gone before, or does not go.
    pub(super) fn cut(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        inflict(Fault::Kill, self.pid)?;
        // The first process of a namespace is the last to go.
        self.holder.wait_for_end(LIMIT)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have been cut.
        if is_running(self.pid)
            && let Err(error) = self.end()
        {
            eprintln!("a machine could not be ended: {error:#}");
        }
    }
}
