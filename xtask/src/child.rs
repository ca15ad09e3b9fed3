//! Commands with an end: each has a time limit, and none outlives this process.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long output may still come after the command has ended.
const DRAIN: Duration = Duration::from_secs(3);

/// The exit code of a proof that this machine lacks something for, in part or whole.
pub(crate) const SKIPPED: i32 = 77;

/// What became of a command.
pub(crate) struct Finished {
    /// Whether it ended by itself with exit code 0.
    pub(crate) success: bool,
    /// Whether it ended with [`SKIPPED`].
    pub(crate) skipped: bool,
    /// Whether its time limit ended it.
    pub(crate) timed_out: bool,
    /// Everything it printed, stdout and stderr in the order of arrival.
    pub(crate) output: String,
}

/// A command to be run from the workspace's root.
pub(crate) struct Bounded {
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    minutes: u32,
    quiet: bool,
}

impl Bounded {
    /// `words` is the program and its arguments; after `minutes` it is ended.
    pub(crate) fn new(minutes: u32, words: &[&str]) -> Self {
        let mut words = words.iter().map(|word| (*word).to_owned());
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            environment: Vec::new(),
            minutes,
            quiet: false,
        }
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Keeps what it prints from the terminal.
    pub(crate) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// What a person would type.
    pub(crate) fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end, or to its limit.
    ///
    /// `timeout` leads a process group of its own and ends all of it; `setpriv` has the kernel tell
    /// it when this process is gone, also by Ctrl-C or SIGKILL. Where the two are missing, the
    /// command runs bare.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn run(&self, root: &Path) -> Result<Finished> {
        let seconds = (u64::from(self.minutes) * 60).to_string();
        let mut command = if crate::machine::has("setpriv") && crate::machine::has("timeout") {
            let mut command = Command::new("setpriv");
            command.args([
                "--pdeathsig",
                "TERM",
                "timeout",
                "--kill-after=15",
                &seconds,
            ]);
            command.arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        let mut child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.shown()))?;
        let (lines, arrived) = channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, lines.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, lines);
        }

        let mut output = String::new();
        let mut status = None;
        loop {
            let patience = if status.is_some() {
                DRAIN
            } else {
                Duration::from_millis(200)
            };
            match arrived.recv_timeout(patience) {
                Ok(line) => {
                    if !self.quiet {
                        println!("{line}");
                    }
                    output.push_str(&line);
                    output.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if status.is_some() => break,
                Err(RecvTimeoutError::Timeout) => status = child.try_wait()?,
            }
        }
        let status = match status {
            Some(status) => status,
            None => child.wait()?,
        };
        // 124: ended by SIGTERM at the limit; 137: by SIGKILL after that.
        let timed_out = matches!(status.code(), Some(124 | 137));
        Ok(Finished {
            success: status.success(),
            skipped: status.code() == Some(SKIPPED),
            timed_out,
            output,
        })
    }
}

/// Sends every line of `from` until it ends. Bytes that are no UTF-8 are replaced.
fn forward(from: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_its_output_and_whether_it_succeeded() {
        let good = Bounded::new(1, &["sh", "-c", "echo out; echo err >&2"]).quiet();
        let good = good.run(Path::new(".")).unwrap();
        assert!(good.success && !good.timed_out);
        assert!(good.output.contains("out\n") && good.output.contains("err\n"));

        let bad = Bounded::new(1, &["sh", "-c", "exit 3"])
            .quiet()
            .run(Path::new("."))
            .unwrap();
        assert!(!bad.success && !bad.skipped && !bad.timed_out);

        let skipped = Bounded::new(1, &["sh", "-c", "exit 77"]).quiet();
        let skipped = skipped.run(Path::new(".")).unwrap();
        assert!(!skipped.success && skipped.skipped && !skipped.timed_out);
    }

    #[test]
    fn output_held_open_by_a_grandchild_does_not_hold_the_run() {
        let started = Bounded::new(1, &["sh", "-c", "sleep 9 & echo started"]).quiet();
        let finished = started.run(Path::new(".")).unwrap();
        assert!(finished.success);
        assert_eq!(finished.output, "started\n");
    }
}
