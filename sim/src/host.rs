//! Hosts: real masters and workers on machines that are not there.

use crate::net::{HostId, Net, url};
use crate::trace::Trace;
use mdfs_client::link::Network;
use mdfs_core::id::ClusterId;
use mdfs_master::{Running, Surroundings};
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use mdfs_service::{Chance, Clock, Machine, Tasks, Threads};
use mdfs_simdisk::{SimDisk, Survives};
use mdfs_tests::chance::Chance as Drawn;
use mdfs_worker::Worker;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The token that may do everything.
pub(crate) const TOKEN: &str = "simulated-root-token-of-32-bytes!";

/// In which each disk is read whole.
pub(crate) const SCRUB_EVERY: Duration = Duration::from_secs(120);

/// After which an upload that nobody goes on with is ended, so that a settled cluster has none.
const UPLOAD_IDLE: Duration = Duration::from_secs(180);

/// After which another disk votes for one that is away.
const VOTER_PATIENCE: Duration = Duration::from_secs(60);

/// After which a chunk is forgotten that nobody goes on with, and how often that is looked for.
const STAGED_IDLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// How long a second process with a disk is looked at.
const SECOND_PROCESS: Duration = Duration::from_secs(30);

/// What a host is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Keeps nothing.
    Master,
    /// Has a disk.
    Worker {
        /// What is on it, as the next process finds it.
        disk: SimDisk,
    },
}

/// A machine with one server.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its number.
    pub(crate) id: HostId,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its clock, which goes on whatever becomes of the server.
    pub(crate) clock: Clock,
    chance: Arc<Mutex<Drawn>>,
    /// The longest time in milliseconds that a disk call takes.
    slowest: Arc<Mutex<u64>>,
    /// The server that runs.
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    tasks: Tasks,
    stop: CancellationToken,
    worker: Option<Worker>,
    master: Option<Running>,
}

/// What hosts are told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Every master.
    pub(crate) masters: Vec<HostId>,
    /// How often workers beat.
    pub(crate) heartbeat: Duration,
    /// How long a lost worker is waited for.
    pub(crate) repair_delay: Duration,
    /// The cluster that masters are told to serve.
    pub(crate) cluster: Option<ClusterId>,
}

impl Host {
    /// A host whose server does not run yet, and whose clock shows `per_thousand` of its milliseconds
    /// for a thousand of everybody else's.
    pub(crate) fn new(id: HostId, kind: Kind, seed: u64, per_thousand: u64) -> Self {
        Self {
            id,
            kind,
            clock: Clock::simulated(1_000_000 * u64::from(id), per_thousand),
            chance: Arc::new(Mutex::new(Drawn::new(seed ^ (u64::from(id) << 40)))),
            slowest: Arc::new(Mutex::new(1)),
            process: None,
        }
    }

    /// Whether its server was started and not ended since.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The worker, if one runs.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.process.as_ref()?.worker.as_ref()
    }

    /// From now on a disk call takes up to so many milliseconds.
    pub(crate) fn set_slowest(&self, millis: u64) {
        *self.slowest.lock().unwrap_or_else(PoisonError::into_inner) = millis;
    }

    /// Starts the server.
    ///
    /// # Errors
    /// If its configuration is refused.
    pub(crate) fn start(
        &mut self,
        settings: &Settings,
        net: &Net,
        trace: &Trace,
    ) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let tasks = Tasks::killable(stop.clone());
        let machine = self.machine(&tasks);
        let network = Network::simulated(net.port(self.id));
        let secret = Secret::new(&[7; 32])?;
        let key = ClusterKey::new(&secret);
        let mut process = Process {
            tasks: tasks.clone(),
            stop: stop.clone(),
            worker: None,
            master: None,
        };
        match &self.kind {
            Kind::Master => {
                let token = Secret::new(TOKEN.as_bytes())?;
                let mut config = mdfs_master::Config::new(key, token, LinkKey::new(secret));
                config.cluster = settings.cluster;
                config.limits.heartbeat = settings.heartbeat;
                config.limits.repair_delay = settings.repair_delay;
                config.limits.drop_after = Duration::from_secs(60);
                config.limits.upload_idle = UPLOAD_IDLE;
                config.limits.voter_patience = VOTER_PATIENCE;
                let surroundings = Surroundings {
                    machine,
                    network,
                    tasks: tasks.clone(),
                };
                let running = Running::start(config, url(self.id), surroundings)?;
                net.come_up(self.id, running.router(), tasks);
                process.master = Some(running);
            }
            Kind::Worker { disk } => {
                let worker = self.make_worker(settings, machine, network)?;
                net.come_up(self.id, mdfs_worker::router(worker.clone()), tasks.clone());
                process.worker = Some(worker.clone());
                let (disk, url) = (Arc::new(disk.clone()), url(self.id));
                let (own, trace, id) = (tasks.clone(), trace.clone(), self.id);
                drop(tasks.spawn_request("worker", async move {
                    let ran = mdfs_worker::serve_disk(&worker, Some(disk), &url, &own, &stop).await;
                    match ran {
                        Ok(()) => trace.note(format_args!("worker {id} ended")),
                        Err(error) => {
                            let text = chain(&error);
                            trace.note(format_args!("worker {id} failed: {text}"));
                            if text.contains("the metadata log is broken") {
                                trace.broken(format!("worker {id}: {text}"));
                            }
                        }
                    }
                }));
            }
        }
        self.process = Some(process);
        Ok(())
    }

    fn make_worker(
        &self,
        settings: &Settings,
        machine: Machine,
        network: Network,
    ) -> anyhow::Result<Worker> {
        let masters = settings.masters.iter().map(|id| url(*id)).collect();
        let key = ClusterKey::new(&Secret::new(&[7; 32])?);
        let (folder, name) = (PathBuf::from("/nowhere"), format!("w{}", self.id));
        let mut config = mdfs_worker::Config::new(folder, name, masters, key);
        config.heartbeat_interval = settings.heartbeat;
        config.reserve_bytes = Some(1 << 20);
        config.scrub_every = SCRUB_EVERY;
        (config.limits.staged_idle, config.limits.sweep_interval) = STAGED_IDLE;
        Ok(Worker::on(config, machine, network)?)
    }

    /// Starts a second process with the worker's disk. Whether it got it; none if it is not known.
    ///
    /// # Errors
    /// If its configuration is refused.
    pub(crate) async fn start_second(
        &self,
        settings: &Settings,
        net: &Net,
    ) -> anyhow::Result<Option<bool>> {
        let Kind::Worker { disk } = &self.kind else {
            return Ok(None);
        };
        let stop = CancellationToken::new();
        let tasks = Tasks::killable(stop.clone());
        let network = Network::simulated(net.port(self.id));
        let worker = self.make_worker(settings, self.machine(&tasks), network)?;
        let disk: Arc<SimDisk> = Arc::new(disk.clone());
        let url = url(self.id);
        let serving = mdfs_worker::serve_disk(&worker, Some(disk), &url, &tasks, &stop);
        let ended = tokio::time::timeout(SECOND_PROCESS, serving).await;
        tasks.kill();
        Ok(match ended {
            _ if worker.disk().is_some() => Some(true),
            Ok(Err(_)) => Some(false),
            Ok(Ok(())) | Err(_) => None,
        })
    }

    /// The disk, if it has one.
    pub(crate) fn disk(&self) -> Option<&SimDisk> {
        match &self.kind {
            Kind::Worker { disk } => Some(disk),
            Kind::Master => None,
        }
    }

    /// Puts another disk in the place of its own, which it gives; only while no server runs.
    pub(crate) fn exchange_disk(&mut self, other: SimDisk) -> Option<SimDisk> {
        match &mut self.kind {
            Kind::Worker { disk } => Some(std::mem::replace(disk, other)),
            Kind::Master => None,
        }
    }

    fn machine(&self, tasks: &Tasks) -> Machine {
        let chance = Arc::clone(&self.chance);
        let drawn = Chance::drawn(move |bytes| {
            let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
            for part in bytes.chunks_mut(8) {
                let word = chance.number().to_le_bytes();
                part.iter_mut().zip(word).for_each(|(to, from)| *to = from);
            }
        });
        let (chance, slowest) = (Arc::clone(&self.chance), Arc::clone(&self.slowest));
        let threads = Threads::inline(tasks.clone(), move || {
            let slowest = *slowest.lock().unwrap_or_else(PoisonError::into_inner);
            let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
            Duration::from_millis(chance.within(0, slowest + 1))
        });
        Machine {
            clock: self.clock.clone(),
            chance: drawn,
            threads,
        }
    }

    /// Ends the server where it is.
    pub(crate) fn kill(&mut self, net: &Net, trace: &Trace) {
        net.go_down(self.id, false);
        self.end(trace);
        if let Kind::Worker { disk } = &mut self.kind {
            *disk = disk.after_kill();
        }
    }

    /// Cuts the machine's power: what was not synced is there in part, or not.
    pub(crate) fn cut_power(&mut self, net: &Net, trace: &Trace, survives: Survives) {
        net.go_down(self.id, true);
        self.end(trace);
        if let Kind::Worker { disk } = &mut self.kind {
            *disk = disk.after_power_cut(survives);
        }
    }

    /// Tells the server to stop, and gives what ends once it has.
    pub(crate) fn stop(&mut self, net: &Net) -> Option<impl Future<Output = ()> + Send + use<>> {
        let process = self.process.as_mut()?;
        process.stop.cancel();
        let (tasks, id, net) = (process.tasks.clone(), self.id, net.clone());
        let master = process.master.take();
        Some(async move {
            if let Some(master) = master {
                // Ends in any case.
                let _ = master.stop().await;
            } else {
                tasks.shut_down(Duration::from_secs(20)).await;
            }
            net.go_down(id, false);
        })
    }

    /// Forgets the server that was told to stop and has.
    pub(crate) fn stopped(&mut self, trace: &Trace) {
        self.end(trace);
        if let Kind::Worker { disk } = &mut self.kind {
            *disk = disk.after_kill();
        }
    }

    /// The server stands still, or goes on.
    pub(crate) fn stand(&self, net: &Net, stands: bool) {
        if let Some(process) = &self.process {
            match stands {
                true => process.tasks.pause(),
                false => process.tasks.resume(),
            }
            net.stand(self.id, stands);
        }
    }

    fn end(&mut self, trace: &Trace) {
        if let Some(process) = self.process.take() {
            if let Some(failed) = process.tasks.failed() {
                trace.broken(format!("host {}: {failed}", self.id));
            }
            process.tasks.kill();
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
