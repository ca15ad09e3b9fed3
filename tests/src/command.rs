//! Commands with a time limit.

use crate::wait::wait_for;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output as text, without white space at its ends.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The exit code; -1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// Runs `command` for `limit` at most. Its input is empty unless it was set.
///
/// # Errors
/// If it cannot be started, or is not done in time; it is killed then.
pub fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    let shown = show(command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {shown}"))?;
    let stdout = child.stdout.take().map(gather);
    let stderr = child.stderr.take().map(gather);
    let status = finish(&mut child, &shown, limit)?;
    let stderr = String::from_utf8_lossy(&joined(stderr)?).into_owned();
    Ok(Output {
        status,
        stdout: joined(stdout)?,
        stderr,
    })
}

/// Runs `command` as [`run`] does, and gives what it printed.
///
/// # Errors
/// Also if its exit code is not 0.
pub fn succeed(command: &mut Command, limit: Duration) -> Result<Output> {
    let output = run(command, limit)?;
    let code = output.code();
    ensure!(
        code == 0,
        "{} ended with {code}:\n{}",
        show(command),
        output.stderr.trim()
    );
    Ok(output)
}

/// Waits for `child` to end, for `limit` at most.
///
/// # Errors
/// If it is not done in time; it is killed then.
pub fn finish(child: &mut Child, shown: &str, limit: Duration) -> Result<ExitStatus> {
    let what = format!("end of {shown}");
    let ended = wait_for(&what, limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    ended
}

fn show(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn gather(mut from: impl Read + Send + 'static) -> JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

fn joined(reader: Option<JoinHandle<std::io::Result<Vec<u8>>>>) -> Result<Vec<u8>> {
    match reader.map(JoinHandle::join) {
        Some(Ok(bytes)) => Ok(bytes?),
        Some(Err(_)) => bail!("the reader of an output ended badly"),
        None => Ok(Vec::new()),
    }
}
