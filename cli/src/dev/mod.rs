//! `mdfs dev`: a whole cluster on this machine, with one command.

mod children;
mod folder;
mod inside;
mod ready;
mod state;

use crate::roles::{ServerLog, listen, stop_signal};
use anyhow::{Context, Result, bail};
use clap::Args;
use folder::Folder;
use state::{DevState, ProcessState};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;

/// Most workers that one machine is asked to run.
const MAX_WORKERS: u16 = 64;

/// Most masters: more only wait for one another.
const MAX_MASTERS: u16 = 8;

/// How long a dead worker is waited for: who tries this out wants to see it heal.
const REPAIR_DELAY: Duration = Duration::from_secs(15);

/// What a development cluster is started with.
#[derive(Args, Clone, Debug)]
pub struct DevArgs {
    /// Workers to run; one more than last time is a blank disk that joins
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    pub workers: u16,
    /// Masters to run: one leads, any of them serves, another leads when that one dies
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_MASTERS)))]
    pub masters: u16,
    /// Folder that keeps the cluster's data and secrets over restarts
    #[arg(long, value_name = "DIR", default_value = folder::DEFAULT)]
    pub data: PathBuf,
    /// Port of the API on this machine, at the first master; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Run each role as a process of its own, started again one second after it dies
    #[arg(long)]
    pub processes: bool,
    /// Leave a process that died dead
    #[arg(long, requires = "processes")]
    pub no_restart: bool,
    /// File to write once the cluster is ready: its URL, token file, cluster id and processes, as
    /// JSON
    #[arg(long, value_name = "FILE")]
    pub state_file: Option<PathBuf>,
    /// How the servers log
    #[command(flatten)]
    pub log: ServerLog,
}

/// What the parts of a development cluster have in common.
#[derive(Clone, Debug)]
struct Plan {
    folder: Folder,
    workers: u16,
    /// Where the masters listen, at least one.
    masters: Vec<SocketAddr>,
    /// The cluster, if it is known.
    cluster: Option<mdfs_core::id::ClusterId>,
    /// Whether it began in an earlier run.
    began: bool,
    /// What the servers log.
    log: String,
    log_json: bool,
}

impl Plan {
    /// The masters, the first of which is where people are sent.
    fn urls(&self) -> Vec<String> {
        let urls = self.masters.iter();
        urls.map(|address| format!("http://{address}")).collect()
    }
}

/// Runs a cluster until SIGINT or SIGTERM, then stops it cleanly.
///
/// # Errors
/// If the folder, the port or a disk cannot be used, or a part of the cluster fails.
pub async fn run(args: DevArgs) -> Result<()> {
    let stop = stop_signal(None)?;
    let folder = Folder::open(&args.data)?;
    let workers = args.workers.max(folder.known_workers()?);
    if workers > MAX_WORKERS {
        bail!(
            "{} holds the disks of {workers} workers",
            folder.root().display()
        );
    }
    let before = folder.read_state()?;
    let ports = before
        .iter()
        .flat_map(|state| &state.urls)
        .map(|url| port_of(url));
    let listeners = listen_all(&args, &ports.collect::<Vec<_>>()).await?;
    let masters = listeners.iter().map(TcpListener::local_addr);
    let masters = masters.collect::<std::io::Result<_>>();
    let before = before.and_then(|state| state.cluster_id);
    let plan = Plan {
        cluster: match before {
            Some(cluster) => Some(cluster),
            None => folder.cluster_id()?,
        },
        began: before.is_some(),
        folder,
        workers,
        masters: masters.context("the listening address")?,
        log: args.log.filter(ServerLog::DEV, 0),
        log_json: args.log.log_json,
    };
    let report = Report {
        plan: plan.clone(),
        state_file: args.state_file,
    };
    if args.processes {
        // The children listen there themselves.
        drop(listeners);
        children::run(plan, report, !args.no_restart, stop).await
    } else {
        inside::run(plan, report, listeners, stop).await
    }
}

/// Listens for each master: for the first where the arguments say, for the others where they were in
/// the last run, on `ports`, unless another program has taken that.
async fn listen_all(args: &DevArgs, ports: &[Option<u16>]) -> Result<Vec<TcpListener>> {
    let on = |port| listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut listeners = vec![on(args.port).await?];
    for number in 1..usize::from(args.masters) {
        let before = ports.get(number).copied().flatten();
        let again = match before {
            Some(port) => on(port).await.ok(),
            None => None,
        };
        let listener = match again {
            Some(listener) => listener,
            None => on(0).await?,
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

fn port_of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.parse().ok()
}

/// Tells people and programs how the cluster is reached.
#[derive(Clone, Debug)]
struct Report {
    plan: Plan,
    state_file: Option<PathBuf>,
}

impl Report {
    /// Writes the state files.
    fn write(&self, cluster: mdfs_core::id::ClusterId, processes: Vec<ProcessState>) -> Result<()> {
        let urls = self.plan.urls();
        let state = DevState {
            url: urls.first().cloned().context("there is a master")?,
            urls,
            token_file: self.plan.folder.root_token(),
            cluster_id: Some(cluster),
            processes,
        };
        self.plan.folder.write_state(&state)?;
        match &self.state_file {
            Some(file) => state.write(file),
            None => Ok(()),
        }
    }

    /// Greets who started it.
    fn greet(&self, ready: &ready::Ready) {
        let folder = &self.plan.folder;
        let (urls, token) = (self.plan.urls(), folder.root_token());
        let root = if folder.is_default() {
            String::new()
        } else {
            let token = token.display();
            let urls = urls.join(",");
            format!("  export MDFS_URL={urls} MDFS_TOKEN_FILE={token}\n")
        };
        let counted = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let masters = u64::try_from(urls.len()).unwrap_or(u64::MAX);
        let (masters, workers) = (
            counted(masters, "master"),
            counted(ready.live_workers, "worker"),
        );
        let console = urls
            .first()
            .map(|url| format!("{url}/"))
            .unwrap_or_default();
        let urls = urls.join("\n           ");
        // As it was typed, so that the commands below work where this one did.
        let program = std::env::args_os().next().unwrap_or_else(|| "mdfs".into());
        let program = Path::new(&program).display();
        let mut text = format!(
            "\nMDFS is ready: {masters}, {workers}, data in {}\n\n  API      {urls}\n  console  {console} (in a browser; \
             sign in with the token)\n  token    {}\n\n\
             Try, in another terminal:\n\n{root}  {program} put FILM.mp4\n  {program} ls\n  \
             {program} sign FILM.mp4    # prints a link that any player opens\n\n\
             Ctrl-C stops the cluster; the data stays.\n",
            folder.root().display(),
            token.display(),
        );
        for warning in &ready.warnings {
            text.push_str(&format!("\nwarning: {warning}\n"));
        }
        // Who closed standard output does not want to read it.
        let _ = std::io::stdout().write_all(text.as_bytes());
        let _ = std::io::stdout().flush();
    }
}
