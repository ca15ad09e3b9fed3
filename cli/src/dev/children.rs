//! A development cluster whose servers are processes of their own, so that one can be killed.

use super::folder::{master_name, worker_name};
use super::state::ProcessState;
use super::{Plan, Report, ready};
use anyhow::{Context, Result, anyhow};
use mdfs_core::id::ClusterId;
use mdfs_service::settings::Span;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a process that died stays dead.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How long a process may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Events of processes that wait to be written down: one for each, and some.
const EVENTS: usize = 256;

/// One server, and how it is started.
#[derive(Clone, Debug)]
struct Role {
    role: &'static str,
    name: String,
    data_dir: Option<PathBuf>,
    address: SocketAddr,
    arguments: Vec<String>,
}

/// A process was started, or has ended.
struct Change {
    number: usize,
    /// None once it has ended.
    pid: Option<u32>,
}

/// Runs masters and workers as children until `stop` fires. Whatever happens to this process, the
/// kernel ends the children with it.
pub(super) async fn run(
    plan: Plan,
    report: Report,
    restart: bool,
    stop: CancellationToken,
) -> Result<()> {
    let program = std::env::current_exe().context("cannot find this program's file")?;
    let roles = roles(&plan)?;
    let tasks = mdfs_service::Tasks::new(CancellationToken::new());
    let (changed, mut changes) = mpsc::channel(EVENTS);
    let mut keepers: Vec<Kept> = Vec::new();
    for (number, role) in roles.iter().enumerate() {
        let stop = CancellationToken::new();
        let keeper = Keeper {
            program: program.clone(),
            role: role.clone(),
            number,
            restart,
            changed: changed.clone(),
            stop: stop.clone(),
        };
        let keeper = tasks.spawn_request("keeper", keeper.keep());
        let name = role.name.clone();
        keepers.push(Kept { name, stop, keeper });
    }
    drop(changed);

    let (ready_tx, mut ready_rx) = watch::channel(None::<ready::Ready>);
    let urls: Vec<String> = roles
        .iter()
        .filter(|role| role.role == "worker")
        .map(|role| format!("http://{}", role.address))
        .collect();
    let mut pids: Vec<Option<u32>> = vec![None; roles.len()];
    let bring_up = async {
        let ready = ready::bring_up(&plan, &urls).await?;
        // The receiver lives as long as this function.
        let _ = ready_tx.send(Some(ready));
        std::future::pending::<Result<()>>().await
    };
    let keep_record = async {
        let mut greeted = false;
        loop {
            tokio::select! {
                Some(Change { number, pid }) = changes.recv() => {
                    if let Some(slot) = pids.get_mut(number) {
                        *slot = pid;
                    }
                }
                Ok(()) = ready_rx.changed() => {}
                else => return Ok(()),
            }
            let ready = ready_rx.borrow().clone();
            if let Some(ready) = ready {
                write_down(&report, ready.cluster, &roles, &pids)?;
                if !std::mem::replace(&mut greeted, true) {
                    report.greet(&ready);
                }
            }
        }
    };
    let served: Result<()> = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = keep_record => result,
        result = bring_up => result,
    };

    let mut workers = keepers.split_off(plan.masters.len());
    let mut results = Vec::new();
    // Workers answer the masters until the last of these, who leads, has stopped.
    for number in ready::stop_order(&plan).await {
        if let Some(master) = keepers.get_mut(number) {
            results.push(master.end().await);
        }
    }
    workers.iter().for_each(|worker| worker.stop.cancel());
    for worker in &mut workers {
        results.push(worker.end().await);
    }
    tasks.shut_down(Duration::from_secs(5)).await;
    served?;
    results.into_iter().collect()
}

/// A process and who keeps it.
struct Kept {
    name: String,
    stop: CancellationToken,
    keeper: JoinHandle<Result<()>>,
}

impl Kept {
    /// Stops it and waits until it has ended.
    async fn end(&mut self) -> Result<()> {
        self.stop.cancel();
        let name = &self.name;
        let kept = (&mut self.keeper).await;
        kept.with_context(|| format!("the keeper of {name} panicked"))?
            .with_context(|| name.clone())
    }
}

fn write_down(
    report: &Report,
    cluster: ClusterId,
    roles: &[Role],
    pids: &[Option<u32>],
) -> Result<()> {
    let processes = roles.iter().zip(pids).filter_map(|(role, pid)| {
        Some(ProcessState {
            role: role.role.to_owned(),
            name: role.name.clone(),
            pid: (*pid)?,
            data_dir: role.data_dir.clone(),
            url: format!("http://{}", role.address),
        })
    });
    report.write(cluster, processes.collect())
}

/// The masters, then the workers, each with an address that stays the same over its restarts.
fn roles(plan: &Plan) -> Result<Vec<Role>> {
    let path = |path: PathBuf| {
        path.into_os_string()
            .into_string()
            .map_err(|_| anyhow!("the data folder is not UTF-8"))
    };
    let key = path(plan.folder.cluster_key())?;
    let parent = std::process::id().to_string();
    let threads = threads_each(usize::from(plan.workers) + plan.masters.len()).to_string();
    let shared = |address: SocketAddr| {
        let flags = [
            ("--listen", address.to_string()),
            ("--cluster-key-file", key.clone()),
            ("--exit-with-parent", parent.clone()),
            ("--threads", threads.clone()),
            ("--log", plan.log.clone()),
        ];
        flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .chain(plan.log_json.then(|| "--log-json".to_owned()))
            .collect::<Vec<_>>()
    };
    let mut roles = Vec::new();
    for (number, &address) in plan.masters.iter().enumerate() {
        let mut arguments = vec!["master".to_owned()];
        arguments.extend(shared(address));
        arguments.extend([
            "--root-token-file".to_owned(),
            path(plan.folder.root_token())?,
        ]);
        let delay = Span(super::REPAIR_DELAY).to_string();
        arguments.extend(["--repair-delay".to_owned(), delay]);
        arguments.extend(["--link-key-file".to_owned(), path(plan.folder.link_key())?]);
        if let Some(cluster) = plan.cluster {
            arguments.extend(["--cluster-id".to_owned(), cluster.to_string()]);
        }
        roles.push(Role {
            role: "master",
            name: master_name(number),
            data_dir: None,
            address,
            arguments,
        });
    }
    let addresses = free_addresses(usize::from(plan.workers))?;
    for (number, address) in (0..plan.workers).zip(addresses) {
        let data_dir = plan.folder.worker(number);
        let mut arguments = vec!["worker".to_owned()];
        arguments.extend(shared(address));
        arguments.extend(["--data-dir".to_owned(), path(data_dir.clone())?]);
        arguments.extend(["--name".to_owned(), worker_name(number)]);
        let masters = plan.urls().into_iter();
        arguments.extend(masters.flat_map(|url| ["--master".to_owned(), url]));
        let name = worker_name(number);
        roles.push(Role {
            role: "worker",
            name,
            data_dir: Some(data_dir),
            address,
            arguments,
        });
    }
    Ok(roles)
}

/// Threads for each of so many servers that share this machine: more than there are processors would
/// only wake each other.
fn threads_each(servers: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / servers).max(1)
}

/// Addresses that nobody listens on now. All are held until the last is found, so none comes twice.
fn free_addresses(wanted: usize) -> Result<Vec<SocketAddr>> {
    let bind = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners: Vec<_> = (0..wanted)
        .map(|_| bind())
        .collect::<std::io::Result<_>>()?;
    let addresses = listeners.iter().map(std::net::TcpListener::local_addr);
    addresses
        .collect::<std::io::Result<_>>()
        .context("no free port")
}

/// Starts one process, again when it dies.
struct Keeper {
    program: PathBuf,
    role: Role,
    number: usize,
    restart: bool,
    changed: mpsc::Sender<Change>,
    stop: CancellationToken,
}

impl Keeper {
    async fn keep(self) -> Result<()> {
        let name = &self.role.name;
        loop {
            match self.start() {
                Ok(mut child) => {
                    self.tell(child.id()).await;
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return stop_child(child).await,
                        status = child.wait() => {
                            let status =
                                status.with_context(|| format!("cannot wait for {name}"))?;
                            tracing::warn!(name, %status, restart = self.restart, "a process ended");
                        }
                    }
                    self.tell(None).await;
                }
                // The machine may be short of something for a while.
                Err(error) if self.restart => {
                    tracing::warn!(name, %error, "a process cannot be started; trying again");
                }
                Err(error) => return Err(error),
            }
            if !self.restart {
                self.stop.cancelled().await;
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(RESTART_AFTER) => {}
            }
        }
    }

    /// Has it written down which process runs now.
    async fn tell(&self, pid: Option<u32>) {
        let number = self.number;
        // The receiver is gone only while everything stops.
        let _ = self.changed.send(Change { number, pid }).await;
    }

    fn start(&self) -> Result<Child> {
        Command::new(&self.program)
            .args(&self.role.arguments)
            // The C library otherwise keeps a heap for each thread, and freed buffers in all of them.
            .env("MALLOC_ARENA_MAX", "2")
            // A file for one role would be refused by the other.
            .env_remove("MDFS_SERVER_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            // Signals from the terminal go to the parent alone, which stops children in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.role.name))
    }
}

/// Asks a child to stop, and kills it when it does not.
async fn stop_child(mut child: Child) -> Result<()> {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = kill_process(pid, Signal::TERM);
        // A child that was stopped by a signal takes no other one.
        let _ = kill_process(pid, Signal::CONT);
    }
    match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        Ok(status) => {
            status.context("cannot wait for a process")?;
            Ok(())
        }
        Err(_) => child.kill().await.context("cannot kill a process"),
    }
}
