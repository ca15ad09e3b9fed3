//! `kubectl`, as one user of one cluster.

use super::programs;
use crate::command::{Output, run, succeed};
use crate::wait::wait_for;
use anyhow::{Context, Result};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Calls `kubectl` and `helm` with one user's rights.
#[derive(Clone, Debug)]
pub struct Kubectl {
    kube: PathBuf,
    config: PathBuf,
}

impl Kubectl {
    /// As the user of this kubeconfig.
    ///
    /// # Errors
    /// If the programs cannot be had.
    pub fn new(config: &Path) -> Result<Self> {
        Ok(Self {
            kube: programs::kube()?,
            config: config.to_owned(),
        })
    }

    /// The file by which this user reaches the API server.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// `kubectl` with these arguments, to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kube);
        command.arg("kubectl").args(arguments);
        command.env("KUBECONFIG", &self.config).stdin(Stdio::null());
        command
    }

    /// Runs `kubectl` and gives what it printed.
    ///
    /// # Errors
    /// If its exit code is not 0.
    pub fn call(&self, arguments: &[&str]) -> Result<String> {
        Ok(succeed(&mut self.command(arguments), CALL_LIMIT)?.text())
    }

    /// Runs `kubectl`, and gives its exit code with all it printed.
    ///
    /// # Errors
    /// If it cannot be started, or is not done in time.
    pub fn attempt(&self, arguments: &[&str]) -> Result<Output> {
        run(&mut self.command(arguments), CALL_LIMIT)
    }

    /// Runs `kubectl ... --output json` and gives what it printed.
    ///
    /// # Errors
    /// If its exit code is not 0.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command(arguments);
        let output = succeed(command.args(["--output", "json"]), CALL_LIMIT)?;
        serde_json::from_slice(&output.stdout).context("kubectl printed no JSON")
    }

    /// Applies this manifest on the server's side, every unknown field refused.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        let arguments = ["apply", "--server-side", "--filename", "-"];
        let output = wait_for("answer to what is applied", CALL_LIMIT, || {
            let output = self.with_input(&arguments, manifest)?;
            // An API server that has just started on a busy machine may be asked once more.
            let in_time = !output.stderr.contains("deadline exceeded");
            Ok(in_time.then_some(output))
        })?;
        anyhow::ensure!(output.code() == 0, "apply: {}", output.stderr.trim());
        Ok(output.text())
    }

    /// Runs `kubectl` with this text as its input.
    ///
    /// # Errors
    /// If it cannot be started, or is not done in time.
    pub fn with_input(&self, arguments: &[&str], input: &str) -> Result<Output> {
        // A pipe would have to be fed while the output is read.
        let mut file = tempfile::tempfile()?;
        file.write_all(input.as_bytes())?;
        std::io::Seek::rewind(&mut file)?;
        run(self.command(arguments).stdin(file), CALL_LIMIT)
    }

    /// Looks at an object until `condition` gives something, for `limit` at most.
    ///
    /// # Errors
    /// If it does not in time, with the condition's last error.
    pub fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        arguments: &[&str],
        condition: impl Fn(&Value) -> Result<Option<T>>,
    ) -> Result<T> {
        wait_for(what, limit, || condition(&self.json(arguments)?))
    }

    /// Helm with these arguments, to be run.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn helm(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(programs::helm()?);
        command.args(arguments).env("KUBECONFIG", &self.config);
        command.stdin(Stdio::null());
        Ok(command)
    }
}
