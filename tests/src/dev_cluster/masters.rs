//! Several masters: which of them leads, and talking to one in particular.

use super::{DevCluster, Process};
use crate::http::Connection;
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// In which one of the masters must lead, on a busy machine too.
const LEADER_LIMIT: Duration = Duration::from_secs(60);
/// In which a master must say who leads. One that was stopped by a signal says nothing.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

impl DevCluster {
    /// The process with this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn process(&self, name: &str) -> Result<Process> {
        let mut processes = self.state().processes.iter();
        let found = processes.find(|process| process.name == name);
        found
            .cloned()
            .with_context(|| format!("no process is called {name}"))
    }

    /// A connection to one server; requests carry the token.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn connect_to(&self, process: &Process) -> Result<Connection> {
        let url = process.url.as_deref();
        let url = url.with_context(|| format!("{} has no address", process.name))?;
        Connection::open(url, Some(self.token()))
    }

    /// The master that leads, as it says itself. Waits until one does.
    ///
    /// # Errors
    /// If none does in time.
    pub fn leader(&self) -> Result<Process> {
        wait_for("leader", LEADER_LIMIT, || {
            let leads = |master: &Process| self.leads(master).is_ok_and(|leads| leads);
            Ok(self.role("master").into_iter().find(leads))
        })
    }

    /// The masters that do not lead. Waits until one leads.
    ///
    /// # Errors
    /// If none does in time.
    pub fn followers(&self) -> Result<Vec<Process>> {
        let leader = self.leader()?;
        let mut masters = self.role("master");
        masters.retain(|master| *master != leader);
        Ok(masters)
    }

    /// Whether a master says that it leads.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn leads(&self, master: &Process) -> Result<bool> {
        let mut connection = self.connect_to(master)?;
        connection.bear_silence_for(ANSWER_LIMIT)?;
        let answer = connection.request("GET", "/v1/status", &[], &[])?;
        ensure!(answer.status() == 200, "status: {}", answer.problem());
        let status = answer.json()?;
        let told = |field: &str| status.get(field).and_then(|value| value.as_str());
        Ok(told("term").is_some() && told("leader_url") == master.url.as_deref())
    }
}
