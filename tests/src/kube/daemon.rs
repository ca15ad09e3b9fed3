//! A process that runs until it is ended, with its log in a file.

use crate::process::{Fault, inflict};
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How many lines of a log an error shows.
const TAIL_LINES: usize = 15;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts `command`; what it prints is added to the file `NAME.log` in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn spawn(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?);
        let child = command.stderr(file).spawn();
        Ok(Self {
            name: name.to_owned(),
            child: child.with_context(|| format!("start {name}"))?,
            log,
        })
    }

    /// What it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id: of the program itself, also where another one started it in a machine and waits
    /// for it.
    ///
    /// # Errors
    /// If it has ended.
    pub(super) fn pid(&self) -> Result<i32> {
        let outer = i32::try_from(self.child.id())?;
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"))?;
        let name = fs::read_to_string(format!("/proc/{outer}/comm"))?;
        let inner = children.split_whitespace().next();
        match inner.filter(|_| name.trim() == "nsenter") {
            Some(inner) => Ok(inner.parse()?),
            None => Ok(outer),
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// If it does not in time; it is killed then.
    pub(super) fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        crate::command::finish(&mut self.child, &self.name, limit)?;
        Ok(())
    }

    /// Waits until `condition` gives something, for `limit` at most.
    ///
    /// # Errors
    /// If it does not in time, or the process ends before; with the end of its log.
    pub(super) fn wait_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let mut ended = None;
        let found = wait_for(what, limit, || {
            ended = self.child.try_wait()?;
            if ended.is_some() {
                return Ok(Some(None));
            }
            Ok(condition()?.map(Some))
        });
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!(
                "{} ended ({}) before there was {what}:\n{}",
                self.name,
                ended.map(|status| status.to_string()).unwrap_or_default(),
                self.log_tail()
            ),
            Err(error) => Err(error.context(format!(
                "the log of {} ends with:\n{}",
                self.name,
                self.log_tail()
            ))),
        }
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        if let Ok(pid) = self.pid() {
            inflict(Fault::Kill, pid).ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
