//! A cluster of real servers, as `mdfs dev` starts it.

mod by_hand;
mod log;
mod masters;
mod memory;
mod state;

pub use by_hand::Role;
pub use memory::can_mount;
pub use state::{Process, State};

use crate::command::{Output, finish, run};
use crate::http::Connection;
use crate::process::{Fault, inflict, is_running, marked_with};
use crate::program;
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use state::read_state;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a cluster may take until it is ready, also on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a cluster may take until all its processes have ended.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// The variable by which everything that a cluster started is found again.
const MARK: &str = "MDFS_TEST_MARK";

/// How a cluster is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many masters.
    pub masters: u32,
    /// How many workers.
    pub workers: u32,
    /// The program that is started, and again when a process died; none for the one that is built now.
    pub program: Option<PathBuf>,
    /// Whether every role is a process of its own.
    pub processes: bool,
    /// Whether a process that died is started again.
    pub restart: bool,
    /// Where the data is; none makes a folder that goes with the cluster.
    pub data: Option<PathBuf>,
    /// What its servers log; none for what they usually do.
    pub log: Option<&'static str>,
    /// Whether its servers log JSON.
    pub log_json: bool,
    /// Puts the data on a file system in memory of so many bytes, which only the cluster's
    /// processes see, and which is gone with the last of them. Needs root.
    pub memory_bytes: Option<u64>,
    /// The same for each worker's disk alone.
    pub disk_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            masters: 1,
            workers: 3,
            program: None,
            processes: true,
            restart: true,
            data: None,
            log: None,
            log_json: false,
            memory_bytes: None,
            disk_bytes: None,
        }
    }
}

/// A running cluster. Dropping it ends all its processes.
#[derive(Debug)]
pub struct DevCluster {
    child: Child,
    folder: TempDir,
    data: PathBuf,
    mark: String,
    token: String,
    state: State,
    /// Processes that were started beside it.
    by_hand: Vec<Child>,
}

impl DevCluster {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// If it is not ready in time; the error has the end of its log.
    pub fn start(options: &Options) -> Result<Self> {
        let folder = TempDir::with_prefix("mdfs-test-")?;
        let data = options
            .data
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        let mark = folder.path().display().to_string();
        let log = File::create(folder.path().join("log"))?;
        let mut mounts: Vec<(PathBuf, u64)> = Vec::new();
        mounts.extend(options.memory_bytes.map(|bytes| (data.clone(), bytes)));
        for number in 0..options.workers {
            let disk = data.join(format!("worker-{number}"));
            mounts.extend(options.disk_bytes.map(|bytes| (disk, bytes)));
        }
        let mut command = if mounts.is_empty() {
            Command::new(options.program.clone().map_or_else(program::mdfs, Ok)?)
        } else {
            memory::mounted(&mounts)?
        };
        let (masters, workers) = (options.masters.to_string(), options.workers.to_string());
        command.args(["dev", "--port", "0", "--masters", &masters]);
        command.args(["--workers", &workers, "--data"]);
        command
            .arg(&data)
            .arg("--state-file")
            .arg(folder.path().join("state"));
        command.args(options.processes.then_some("--processes"));
        command.args((!options.restart).then_some("--no-restart"));
        command.args(options.log_json.then_some("--log-json"));
        command.env(MARK, &mark).stdin(Stdio::null());
        command.envs(options.log.map(|filter| ("MDFS_LOG", filter)));
        let child = command
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start mdfs")?;
        let state = State {
            url: String::new(),
            urls: Vec::new(),
            token_file: PathBuf::new(),
            cluster_id: String::new(),
            processes: Vec::new(),
        };
        let mut cluster = Self {
            child,
            folder,
            data,
            mark,
            token: String::new(),
            state,
            by_hand: Vec::new(),
        };
        let ready = cluster.wait_until_ready();
        ready.with_context(|| format!("mdfs dev said:\n{}", cluster.log_tail()))?;
        Ok(cluster)
    }

    /// Starts a cluster, does `work` with it, and ends it. If `work` fails, the error has the end
    /// of the cluster's log.
    ///
    /// # Errors
    /// If the cluster does not start, or `work` fails.
    pub fn with<T>(options: &Options, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut cluster = Self::start(options)?;
        let result = work(&mut cluster);
        result.map_err(|error| {
            error.context(format!(
                "the cluster's log ends with:\n{}",
                cluster.log_tail()
            ))
        })
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let path = self.state_file();
        self.state = wait_for("state file", READY_LIMIT, || {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("mdfs dev ended with {status}");
            }
            if path.exists() {
                Ok(Some(read_state(&path)?))
            } else {
                Ok(None)
            }
        })?;
        let token_file = self.as_seen_inside(&self.state.token_file);
        self.token = fs::read_to_string(token_file)?.trim().to_owned();
        Ok(())
    }

    /// The state as it was last read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where the API is.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder that goes with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to the API that carries the token.
    ///
    /// # Errors
    /// If no master listens.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(&self.state.url, Some(&self.token))
    }

    /// Reads the state file again.
    ///
    /// # Errors
    /// If it is not there or does not parse.
    pub fn reload(&mut self) -> Result<()> {
        self.state = read_state(&self.state_file())?;
        Ok(())
    }

    /// The processes of a role, such as `worker`.
    pub fn role(&self, role: &str) -> Vec<Process> {
        self.state
            .processes
            .iter()
            .filter(|process| process.role == role)
            .cloned()
            .collect()
    }

    /// The only process of a role.
    ///
    /// # Errors
    /// If there are none.
    pub fn first(&self, role: &str) -> Result<Process> {
        self.role(role)
            .into_iter()
            .next()
            .with_context(|| format!("no process is a {role}"))
    }

    /// Kills a process and waits until it is gone.
    ///
    /// # Errors
    /// If it was gone before.
    pub fn kill(&self, process: &Process) -> Result<()> {
        inflict(Fault::Kill, process.pid)?;
        wait_for("end of a killed process", STOP_LIMIT, || {
            Ok((!is_running(process.pid)).then_some(()))
        })
    }

    /// Waits until the process that was `old` runs again, and gives what it is now.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn wait_restart(&mut self, old: &Process) -> Result<Process> {
        let path = self.state_file();
        let state = wait_for("restart", READY_LIMIT, || {
            let state = read_state(&path)?;
            let found = state
                .processes
                .iter()
                .find(|process| process.name == old.name);
            let is_new = found.is_some_and(|one| one.pid != old.pid && is_running(one.pid));
            Ok(is_new.then_some(state))
        })?;
        self.state = state;
        let processes = self.state.processes.iter();
        let found = processes.clone().find(|process| process.name == old.name);
        found
            .cloned()
            .context("the restarted process is in the state file")
    }

    /// Waits until the cluster says that it is `ok`.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn wait_healthy(&self) -> Result<()> {
        wait_for("healthy cluster", READY_LIMIT, || {
            let answer = self.connect()?.request("GET", "/v1/status", &[], &[])?;
            let status = answer.json()?;
            ensure!(
                answer.status() == 200,
                "status was answered {}",
                answer.text()
            );
            let healthy = status.get("health").and_then(|health| health.as_str()) == Some("ok");
            ensure!(healthy, "status: {status}");
            Ok(Some(()))
        })
    }

    /// The program as a command of this cluster's user.
    ///
    /// # Errors
    /// If the program does not build.
    pub fn cli(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program::mdfs()?);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir(self.folder());
        command
            .env("MDFS_URL", self.url())
            .env("MDFS_TOKEN_FILE", &self.state.token_file);
        command.env(MARK, &self.mark);
        Ok(command)
    }

    /// Runs the program as this cluster's user and gives what it printed.
    ///
    /// # Errors
    /// If its exit code is not `code`.
    pub fn cli_ends(&self, code: i32, arguments: &[&str]) -> Result<Output> {
        let output = run(&mut self.cli(arguments)?, Duration::from_secs(300))?;
        let (found, said) = (output.code(), output.stderr.trim());
        ensure!(
            found == code,
            "mdfs {} ended with {found}: {said}",
            arguments.join(" ")
        );
        Ok(output)
    }

    /// Ends the cluster as Ctrl-C does, and says how it ended. Nothing of it runs afterwards.
    ///
    /// # Errors
    /// If it does not end in time, or leaves a process behind.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        inflict(Fault::Interrupt, i32::try_from(self.child.id())?)?;
        let status = finish(&mut self.child, "mdfs dev", STOP_LIMIT)?;
        wait_for("end of all processes", STOP_LIMIT, || {
            Ok(marked_with(MARK, &self.mark).is_empty().then_some(()))
        })?;
        Ok(status)
    }

    /// Kills all its processes at once, so that none sees another die first.
    ///
    /// # Errors
    /// If one is still there after a while.
    pub fn kill_all(&mut self) -> Result<()> {
        // Servers that were started by hand may be all that is left.
        if self.child.try_wait()?.is_none() {
            inflict(Fault::Kill, i32::try_from(self.child.id())?)?;
        }
        wait_for("end of all processes", STOP_LIMIT, || {
            let left = marked_with(MARK, &self.mark);
            for pid in &left {
                inflict(Fault::Kill, *pid).ok();
            }
            self.child.try_wait()?;
            Ok(left.is_empty().then_some(()))
        })
    }

    fn state_file(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn end_all(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            // Stopped processes would not hear SIGTERM.
            for pid in marked_with(MARK, &self.mark) {
                inflict(Fault::Continue, pid).ok();
            }
            inflict(Fault::Terminate, i32::try_from(self.child.id())?)?;
            finish(&mut self.child, "mdfs dev", Duration::from_secs(10)).ok();
        }
        for pid in marked_with(MARK, &self.mark) {
            inflict(Fault::Kill, pid).ok();
        }
        for mut child in self.by_hand.drain(..) {
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the cluster's log ends with:\n{}", self.log_tail());
        }
        if let Err(error) = self.end_all() {
            eprintln!("the cluster could not be ended: {error:#}");
        }
    }
}
