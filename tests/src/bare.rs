//! A cluster as a bare installation has it: `mdfs master` and `mdfs worker`, each started by hand with
//! its flags, and told to begin by the route that an operator uses. On one machine, or each server on a
//! machine of its own of a [`Network`].

mod start;

use crate::api::Api;
use crate::dev_cluster::Process;
use crate::http::{Answer, Connection};
use crate::network::Network;
use crate::process::{Fault, inflict, is_running};
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use start::Server;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take until it is ready, also on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// In which a killed process must be gone.
const GONE_LIMIT: Duration = Duration::from_secs(30);
/// How long a master may say nothing when it is asked how it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How a cluster is installed.
#[derive(Debug, Default)]
pub struct Options {
    /// How many masters: `m0` and so on.
    pub masters: usize,
    /// How many workers: `w0` and so on.
    pub workers: usize,
    /// Each server on a machine of its own; none: all on this one.
    pub network: Option<Network>,
    /// Puts each worker's disk on a file system of so many bytes in memory. Only in a room of
    /// [`crate::isolation`], with which it is gone.
    pub disk_bytes: Option<u64>,
    /// Where their folder is made; none where folders for a time are.
    pub folder: Option<PathBuf>,
    /// Flags of all servers, each with its value.
    pub flags: Vec<(&'static str, &'static str)>,
    /// Those of masters alone.
    pub master_flags: Vec<(&'static str, &'static str)>,
}

/// A cluster whose servers run, or were killed. Dropping it kills all of them.
#[derive(Debug)]
pub struct Bare {
    servers: BTreeMap<String, Server>,
    network: Option<Network>,
    folder: TempDir,
    token: String,
    cluster_id: String,
}

impl Bare {
    /// Starts all servers, has the cluster begin on the first three workers, or the first one if there
    /// are fewer, and waits until all of them serve.
    ///
    /// # Errors
    /// If they do not in time; the error has the end of their log.
    pub fn start(options: Options) -> Result<Self> {
        let mut cluster = Self::install(options)?;
        let names: Vec<String> = cluster.servers.keys().cloned().collect();
        let begun = names
            .iter()
            .try_for_each(|name| cluster.start_server(name))
            .and_then(|()| cluster.begin());
        begun.with_context(|| format!("the servers said:\n{}", cluster.log_tail()))?;
        Ok(cluster)
    }

    /// The servers of a role, such as `worker`, whether they run or not.
    pub fn role(&self, role: &str) -> Vec<Process> {
        let processes = self.servers.values().map(|server| &server.process);
        processes.filter(|it| it.role == role).cloned().collect()
    }

    /// Where all masters answer.
    pub fn urls(&self) -> Vec<String> {
        let masters = self.role("master").into_iter();
        masters.filter_map(|master| master.url).collect()
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The network, if servers have machines of their own.
    ///
    /// # Errors
    /// If they have none.
    pub fn network(&mut self) -> Result<&mut Network> {
        self.network
            .as_mut()
            .context("all servers are on one machine")
    }

    /// The disks of all workers, by name.
    ///
    /// # Errors
    /// If a worker has none.
    pub fn disks(&self) -> Result<BTreeMap<String, PathBuf>> {
        let disk = |worker: Process| {
            let data_dir = worker.data_dir.context("a worker without a data_dir")?;
            Ok((worker.name, data_dir))
        };
        self.role("worker").into_iter().map(disk).collect()
    }

    /// Whether a server was started, was not killed, and is not stopped by a signal.
    pub fn goes(&self, name: &str) -> bool {
        let server = self.servers.get(name);
        server.is_some_and(|server| server.child.is_some() && !server.stopped)
    }

    /// Kills a server, stopped or not, and waits until it is gone.
    ///
    /// # Errors
    /// If it was gone before.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let server = self.server(name)?;
        let child = server.child.take();
        let mut child = child.with_context(|| format!("{name} does not run"))?;
        server.stopped = false;
        child.kill()?;
        let ended = wait_for("end of a killed server", GONE_LIMIT, || {
            Ok(child.try_wait()?)
        });
        ended.with_context(|| name.to_owned())?;
        Ok(())
    }

    /// Stops a server by SIGSTOP, or lets it go on.
    ///
    /// # Errors
    /// If it is gone.
    pub fn stop(&mut self, name: &str, stopped: bool) -> Result<()> {
        let server = self.server(name)?;
        let fault = if stopped {
            Fault::Stop
        } else {
            Fault::Continue
        };
        inflict(fault, server.process.pid)?;
        server.stopped = stopped;
        Ok(())
    }

    /// Lets all stopped servers go on, and starts all that were killed. What ended by itself is an error.
    ///
    /// # Errors
    /// If one had ended by itself, or cannot be started.
    pub fn all_go(&mut self) -> Result<()> {
        self.none_ended()?;
        let names: Vec<String> = self.servers.keys().cloned().collect();
        for name in names {
            let server = self.server(&name)?;
            if server.stopped {
                self.stop(&name, false)?;
            } else if server.child.is_none() {
                self.start_server(&name)?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// If a server ended that nobody killed.
    pub fn none_ended(&self) -> Result<()> {
        for (name, server) in &self.servers {
            let runs = server.child.is_none() || is_running(server.process.pid);
            ensure!(runs, "{name} ended by itself:\n{}", self.log_tail());
        }
        Ok(())
    }

    /// The name of the master that leads and can be reached from here; none if there is none.
    pub fn leader(&self) -> Option<String> {
        let told = |master: &Process| {
            let status = self.status_of(master).ok()?;
            let leads = status.get("term").is_some_and(Value::is_string)
                && status.get("leader_url").and_then(Value::as_str) == master.url.as_deref();
            leads.then(|| master.name.clone())
        };
        let masters = self.role("master");
        masters
            .iter()
            .filter(|it| self.goes(&it.name))
            .find_map(told)
    }

    /// The names of the workers that vote, as the leader says.
    ///
    /// # Errors
    /// If no master tells.
    pub fn voters(&self) -> Result<Vec<String>> {
        let answer = self.ask("GET", "/v1/workers", None)?.json()?;
        let workers = answer.get("workers").and_then(Value::as_array);
        let workers = workers.with_context(|| format!("no workers in {answer}"))?;
        let votes = workers
            .iter()
            .filter(|it| it.get("voter") == Some(&json!(true)));
        let names = votes.filter_map(|it| it.get("name")?.as_str().map(str::to_owned));
        Ok(names.collect())
    }

    /// All that the servers logged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.log_file())?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The last lines that the servers logged.
    pub fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(60)..);
        last.unwrap_or_default().join("\n")
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        let mut connection = Api::connect(self)?;
        connection.request(method, path, &headers, body.as_bytes())
    }

    fn status_of(&self, master: &Process) -> Result<Value> {
        let mut connection = self.connect_to(master)?;
        connection.bear_silence_for(ANSWER_LIMIT)?;
        let answer = connection.request("GET", "/v1/status", &[], &[])?;
        ensure!(answer.status() == 200, "status: {}", answer.problem());
        answer.json()
    }

    /// A connection to this server; requests carry the token.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn connect_to(&self, server: &Process) -> Result<Connection> {
        let url = server
            .url
            .as_deref()
            .context("a server without an address")?;
        Connection::open_within(url, Some(&self.token), ANSWER_LIMIT)
    }

    fn server(&mut self, name: &str) -> Result<&mut Server> {
        let server = self.servers.get_mut(name);
        server.with_context(|| format!("no server is called {name}"))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Api for Bare {
    fn connect(&self) -> Result<Connection> {
        let masters = self.role("master").into_iter();
        let mut going = masters.filter(|master| self.goes(&master.name));
        let answers = |master| self.connect_to(&master).ok();
        going.find_map(answers).context("no master answers")
    }

    fn cluster_id(&self) -> &str {
        &self.cluster_id
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the servers' log ends with:\n{}", self.log_tail());
        }
        for server in self.servers.values_mut() {
            if let Some(mut child) = server.child.take() {
                // It may have ended by itself.
                let _ = (child.kill(), child.wait());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer;

    #[test]
    fn an_installation_begins_and_goes_on_after_its_master_was_killed() {
        let options = Options {
            masters: 2,
            workers: 3,
            ..Options::default()
        };
        let mut cluster = Bare::start(options).unwrap();
        assert_eq!(cluster.voters().unwrap().len(), 3);
        let mut connection = Api::connect(&cluster).unwrap();
        let path = transfer::path("a/film");
        let stored = connection.request("PUT", &path, &[], b"bytes").unwrap();
        assert_eq!(stored.status(), 201, "{}", stored.problem());
        let leader = cluster.leader().unwrap();
        cluster.kill(&leader).unwrap();
        assert!(!cluster.goes(&leader));
        let read = Api::connect(&cluster)
            .unwrap()
            .request("GET", &path, &[], &[]);
        assert_eq!(read.unwrap().body, b"bytes");
        cluster.all_go().unwrap();
        assert!(cluster.goes(&leader));
        cluster.none_ended().unwrap();
    }
}
