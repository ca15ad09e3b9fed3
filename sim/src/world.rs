//! A cluster: hosts that come and go, and the order that made them one.

use crate::host::{Host, Kind, Settings};
use crate::net::{HostId, Net};
use crate::request::{Answer, PATIENCE, ask, order};
use crate::trace::Trace;
use anyhow::{Result, bail};
use http::{Method, StatusCode};
use mdfs_core::id::ClusterId;
use mdfs_simdisk::{SimDisk, Survives};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The number that orders come from.
pub(crate) const OPERATOR: HostId = 900;
/// The first of the clients' numbers.
pub(crate) const CLIENTS: HostId = 901;
/// The first of the workers' numbers; masters count from 1.
const WORKERS: HostId = 101;

/// Whether that is the number of a master.
pub(crate) fn is_master(id: HostId) -> bool {
    id < WORKERS
}

/// Whether that is the number of a worker.
pub(crate) fn is_worker(id: HostId) -> bool {
    (WORKERS..OPERATOR).contains(&id)
}

/// How long an administrator who is in a hurry waits for an answer.
const HURRY: Duration = Duration::from_secs(8);

/// How large a cluster is, and what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Masters.
    pub masters: u32,
    /// Workers.
    pub workers: u32,
    /// Clients at a time.
    pub clients: u32,
    /// The time that passes with faults, in milliseconds.
    pub millis: u64,
    /// Servers are killed, stand still, lose power, and lose each other.
    pub faults: bool,
    /// How often workers beat, in milliseconds.
    pub heartbeat: u64,
    /// Whether masters are told which cluster they serve, as the operator tells them.
    pub told: bool,
    /// Whether a line is kept for each event.
    pub readable: bool,
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct World {
    /// Its network.
    pub(crate) net: Net,
    /// What happens.
    pub(crate) trace: Trace,
    /// Its hosts.
    pub(crate) hosts: BTreeMap<HostId, Host>,
    /// What they are told.
    pub(crate) settings: Settings,
    /// The worker whose disk may fail: a voter in most clusters.
    pub(crate) bad: HostId,
    /// The bad disk is out of its worker, and what is in there is nobody's to spoil.
    pub(crate) visited: bool,
}

impl World {
    /// A cluster of hosts that do not run yet. Of each, `per_thousand` is how fast its clock goes.
    pub(crate) fn new(
        seed: u64,
        plan: &Plan,
        trace: Trace,
        per_thousand: impl Fn(HostId) -> u64,
    ) -> Self {
        let masters: Vec<HostId> = (1..=plan.masters).collect();
        let mut hosts = BTreeMap::new();
        for &id in &masters {
            let host = Host::new(id, Kind::Master, seed, per_thousand(id));
            hosts.insert(id, host);
        }
        for id in WORKERS..WORKERS + plan.workers {
            let disk = SimDisk::new();
            let host = Host::new(id, Kind::Worker { disk }, seed, per_thousand(id));
            hosts.insert(id, host);
        }
        trace.set("a sync lied", false);
        let index = u32::try_from(seed % u64::from(plan.workers.max(1))).unwrap_or(0);
        Self {
            bad: WORKERS + index,
            visited: false,
            net: Net::new(seed, trace.clone()),
            trace,
            hosts,
            settings: Settings {
                masters,
                heartbeat: Duration::from_millis(plan.heartbeat),
                repair_delay: Duration::from_secs(20),
                cluster: (plan.told).then(|| ClusterId::from_u128(u128::from(seed) << 64 | 0xc1)),
            },
        }
    }

    /// The workers' numbers.
    pub(crate) fn workers(&self) -> Vec<HostId> {
        self.of(|kind| matches!(kind, Kind::Worker { .. }))
    }

    /// The masters' numbers.
    pub(crate) fn masters(&self) -> Vec<HostId> {
        self.of(|kind| matches!(kind, Kind::Master))
    }

    fn of(&self, wanted: impl Fn(&Kind) -> bool) -> Vec<HostId> {
        let hosts = self.hosts.values().filter(|host| wanted(&host.kind));
        hosts.map(|host| host.id).collect()
    }

    /// Starts a host's server, unless it runs.
    ///
    /// # Errors
    /// If its configuration is refused.
    pub(crate) fn start(&mut self, id: HostId) -> Result<()> {
        if let Some(host) = self.hosts.get_mut(&id)
            && !host.runs()
        {
            self.trace.note(format_args!("start {id}"));
            host.start(&self.settings, &self.net, &self.trace)?;
        }
        Ok(())
    }

    /// Kills a host's server.
    pub(crate) fn kill(&mut self, id: HostId) {
        if let Some(host) = self.hosts.get_mut(&id) {
            self.trace.note(format_args!("kill {id}"));
            self.net.watch_kill(id);
            host.kill(&self.net, &self.trace);
        }
    }

    /// Cuts a host's power.
    pub(crate) fn cut_power(&mut self, id: HostId, survives: Survives) {
        if let Some(host) = self.hosts.get_mut(&id) {
            self.trace.note(format_args!("power cut {id}"));
            self.net.watch_kill(id);
            let lied = id == self.bad && self.trace.is("a sync lied");
            let before = host.disk().map(|disk| (disk.in_doubt(), disk.torn()));
            host.cut_power(&self.net, &self.trace, survives);
            if let (Some(((bytes, names), torn)), Some(disk)) = (before, host.disk()) {
                for (reached, mark) in [
                    (lied && bytes > 0, "power cut after a sync that lied"),
                    (bytes > 0, "power cut with bytes in doubt"),
                    (names > 0, "power cut with names in doubt"),
                    (disk.torn() > torn, "write torn by a power cut"),
                ] {
                    if reached {
                        self.trace.reach(mark);
                    }
                }
            }
        }
    }

    /// Stops a host's server as an administrator does, and waits until it has ended.
    pub(crate) async fn stop(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        self.trace.note(format_args!("stop {id}"));
        if let Some(ended) = host.stop(&self.net) {
            ended.await;
            host.stopped(&self.trace);
        }
    }

    /// Lets a host's server stand still, or go on.
    pub(crate) fn stand(&self, id: HostId, stands: bool) {
        if let Some(host) = self.hosts.get(&id) {
            self.trace.note(format_args!("stand {id} {stands}"));
            host.stand(&self.net, stands);
        }
    }

    /// Starts everything, and makes it a cluster whose voters are the first workers, so many.
    ///
    /// # Errors
    /// If there is none after a minute.
    pub(crate) async fn found(&mut self, voters: usize) -> Result<()> {
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.start(id)?;
        }
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let first = self.workers().into_iter().take(voters);
            let disks = first.filter_map(|id| self.hosts.get(&id)?.worker()?.disk());
            let disks: Vec<String> = disks.map(|disk| disk.to_string()).collect();
            let body = json!({"disks": disks, "chunk_size": 1 << 20});
            let path = "/v1/admin/bootstrap";
            let told = self.order(Method::POST, path, Some(body)).await;
            if let Some((StatusCode::OK | StatusCode::CREATED, _)) = told {
                return Ok(());
            }
        }
        bail!("no cluster after a minute")
    }

    /// Puts another disk into a worker that does not run, and gives the one that was there.
    pub(crate) fn exchange_disk(&mut self, id: HostId, disk: SimDisk) -> Option<SimDisk> {
        self.trace.note(format_args!("another disk in {id}"));
        self.hosts.get_mut(&id)?.exchange_disk(disk)
    }

    /// All records as a master gives them out; none if it does not.
    pub(crate) async fn export(&self, master: HostId) -> Option<String> {
        let path = "/v1/admin/export";
        let asked = ask(&self.net, OPERATOR, master, Method::GET, path, None, |it| {
            it
        });
        let answer = tokio::time::timeout(HURRY, asked).await.ok()??;
        let good = answer.status == StatusCode::OK && answer.whole;
        good.then(|| String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Has a master take in what was given out.
    pub(crate) async fn import(
        &self,
        master: HostId,
        lines: String,
    ) -> Option<(StatusCode, Value)> {
        let (path, body) = ("/v1/admin/import", Some(lines.into()));
        let answer = ask(
            &self.net,
            OPERATOR,
            master,
            Method::POST,
            path,
            body,
            |it| it,
        )
        .await?;
        let said = serde_json::from_slice(&answer.body).unwrap_or_default();
        Some((answer.status, said))
    }

    /// Sends a request to the first master, as an administrator.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        range: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Option<Answer> {
        let master = *self.masters().first()?;
        let body = body.map(Into::into);
        let asking = ask(
            &self.net,
            OPERATOR,
            master,
            method,
            path,
            body,
            |it| match range {
                Some(range) => it.header("range", range),
                None => it,
            },
        );
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok()??;
        let status = answer.status.as_u16();
        self.trace.note(format_args!("operator {path}: {status}"));
        Some(answer)
    }

    /// Ends all servers.
    pub(crate) fn end(&mut self) {
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.kill(id);
        }
    }

    /// Asks one master, and does not wait for long.
    pub(crate) async fn ask_one(
        &self,
        master: HostId,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Value)> {
        let asked = order(&self.net, OPERATOR, master, method, path, body);
        let told = tokio::time::timeout(HURRY, asked).await.ok().flatten();
        let status = told.as_ref().map_or(0, |(status, _)| status.as_u16());
        self.trace
            .note(format_args!("operator {master} {path}: {status}"));
        told
    }

    /// Gives an order to each master until one takes it.
    pub(crate) async fn order(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Value)> {
        let mut last = None;
        for master in self.masters() {
            let (method, body) = (method.clone(), body.clone());
            last = order(&self.net, OPERATOR, master, method, path, body).await;
            if last.as_ref().is_some_and(|(status, _)| status.is_success()) {
                break;
            }
        }
        last
    }

    /// The master that leads, if one does, and what it says of the cluster.
    pub(crate) async fn status(&self) -> Option<(HostId, Value)> {
        for master in self.masters() {
            let asked = order(&self.net, OPERATOR, master, Method::GET, "/v1/status", None).await;
            if let Some((StatusCode::OK, said)) = asked
                && said.get("term").is_some_and(|term| !term.is_null())
            {
                return Some((master, said));
            }
        }
        None
    }
}
