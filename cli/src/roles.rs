//! `mdfs master` and `mdfs worker`: one server role each, until a signal stops it.

use crate::telemetry::Telemetry;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use mdfs_core::detect::DetectSettings;
use mdfs_core::id::ClusterId;
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How a server logs, to standard error.
#[derive(Args, Clone, Debug)]
pub struct ServerLog {
    /// What to log, such as `info` or `warn,mdfs_master=debug` [default: info, `dev`: warn]
    #[arg(long, env = "MDFS_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// One JSON object a line
    #[arg(long, env = "MDFS_LOG_JSON")]
    pub log_json: bool,
}

impl ServerLog {
    /// What is logged when nothing was said: all that a server does.
    pub(crate) const SERVER: &'static str = "info";
    /// For `dev`, whose output people read: what is not as it should be.
    pub(crate) const DEV: &'static str = "warn";

    /// The filter, or `usual` if none was given.
    pub(crate) fn filter(&self, usual: &str, verbose: u8) -> String {
        let usual = if verbose > 0 { "debug" } else { usual };
        self.log.clone().unwrap_or_else(|| usual.to_owned())
    }

    pub(crate) fn telemetry(&self, usual: &str, verbose: u8) -> Telemetry {
        Telemetry {
            filter: self.filter(usual, verbose),
            json: self.log_json,
        }
    }
}

/// What every server is started with.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// URL at which other servers reach this one [default: the listening address]
    #[arg(long, env = "MDFS_ADVERTISE_URL", value_name = "URL")]
    pub advertise_url: Option<String>,
    /// File with the key that the servers of the cluster share, at least 32 bytes
    #[arg(long, env = "MDFS_CLUSTER_KEY_FILE", value_name = "FILE")]
    pub cluster_key_file: PathBuf,
    /// Lease that voters give a leader, in milliseconds; the same for all servers
    #[arg(
        long,
        env = "MDFS_LEASE_MILLIS",
        value_name = "MS",
        default_value_t = 3000
    )]
    pub lease_millis: u64,
    /// How often workers beat, in milliseconds; the same for all servers
    #[arg(
        long,
        env = "MDFS_HEARTBEAT_MILLIS",
        value_name = "MS",
        default_value_t = 1000
    )]
    pub heartbeat_millis: u64,
    /// Threads that move bytes between connections; calls to disks have their own [default: one for
    /// each processor that it may use]
    #[arg(long, env = "MDFS_THREADS", value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// How it logs
    #[command(flatten)]
    pub log: ServerLog,
    /// Stop when the process with this id is no longer the parent
    #[arg(long, hide = true, value_name = "PID")]
    pub exit_with_parent: Option<u32>,
}

impl ServerArgs {
    fn cluster_key(&self) -> Result<ClusterKey> {
        Ok(ClusterKey::new(&read_secret(&self.cluster_key_file)?))
    }

    fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_millis)
    }

    fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_millis)
    }
}

/// What a master is started with.
#[derive(Args, Clone, Debug)]
pub struct MasterArgs {
    /// Address to listen on
    #[arg(
        long,
        env = "MDFS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,
    /// Cluster to serve [default: the one that all disks that beat here agree on]
    #[arg(long, env = "MDFS_CLUSTER_ID", value_name = "ID")]
    pub cluster_id: Option<ClusterId>,
    /// File with the token that may do everything, at least 32 bytes; twice while it is rotated
    #[arg(
        long,
        env = "MDFS_ROOT_TOKEN_FILE",
        value_name = "FILE",
        required = true
    )]
    pub root_token_file: Vec<PathBuf>,
    /// File with the key that links are signed with, at least 32 bytes; twice while it is rotated
    #[arg(long, env = "MDFS_LINK_KEY_FILE", value_name = "FILE", required = true)]
    pub link_key_file: Vec<PathBuf>,
    /// Address or network of a proxy whose `X-Forwarded-For` is believed, such as 10.0.0.0/8; may
    /// be given more than once [default: none]
    #[arg(
        long,
        env = "MDFS_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub trusted_proxy: Vec<mdfs_service::Network>,
    /// Connections at a time of one address that is no trusted proxy; of all, there are at most
    /// 4096
    #[arg(
        long,
        env = "MDFS_MAX_CONNECTIONS_OF_ONE",
        value_name = "N",
        default_value_t = 1024
    )]
    pub max_connections_of_one: usize,
    /// Silence after which a worker is dead, in seconds
    #[arg(
        long,
        env = "MDFS_DEAD_AFTER_SECONDS",
        value_name = "S",
        default_value_t = 15
    )]
    pub dead_after_seconds: u64,
    /// How long a dead worker is waited for before its chunks are copied elsewhere, in seconds, when
    /// the cluster is started; `mdfs policy` changes it
    #[arg(
        long,
        env = "MDFS_REPAIR_DELAY_SECONDS",
        value_name = "S",
        default_value_t = 300
    )]
    pub repair_delay_seconds: u64,
    /// Uploads that clients may come back to, open at a time
    #[arg(
        long,
        env = "MDFS_MAX_UPLOADS",
        value_name = "N",
        default_value_t = mdfs_master::Config::MOST_SESSIONS
    )]
    pub max_uploads: usize,
    /// How long deleted and replaced files stay in the trash, in seconds; a full disk ends the
    /// oldest earlier. When the cluster is started; `mdfs policy` changes it
    #[arg(
        long,
        env = "MDFS_TRASH_KEEP_SECONDS",
        value_name = "S",
        default_value_t = mdfs_master::Config::TRASH_KEEP.as_secs()
    )]
    pub trash_keep_seconds: u64,
    /// What all servers have in common
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What a worker is started with.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// Address to listen on
    #[arg(
        long,
        env = "MDFS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8081"
    )]
    pub listen: SocketAddr,
    /// Folder of the disk; formatted when it is empty, refused when it holds anything else
    #[arg(long, env = "MDFS_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Name shown to people
    #[arg(long, env = "MDFS_NAME", value_name = "NAME")]
    pub name: String,
    /// Failure domain, such as a rack: copies go to different ones when possible
    #[arg(long, env = "MDFS_ZONE", value_name = "ZONE")]
    pub zone: Option<String>,
    /// URL of a master; once for each, or one name that stands for all
    #[arg(
        long,
        env = "MDFS_MASTER",
        value_name = "URL",
        required = true,
        value_delimiter = ','
    )]
    pub master: Vec<String>,
    /// Bytes that chunks leave free for the metadata log [default: 5 % of the file system, at
    /// least 1 GiB or 10 %, whichever is less]
    #[arg(long, env = "MDFS_RESERVE_BYTES", value_name = "BYTES")]
    pub reserve_bytes: Option<u64>,
    /// Bytes a second that are copied from other workers at most, to heal or to move; copies yield to
    /// clients in any case [default: as fast as disks and network are]
    #[arg(long, env = "MDFS_COPY_BYTES_PER_SECOND", value_name = "BYTES")]
    pub copy_bytes_per_second: Option<NonZeroU64>,
    /// What all servers have in common
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Runs a master until SIGINT or SIGTERM.
///
/// # Errors
/// If the configuration is refused, the address cannot be listened on, or the master fails.
pub async fn run_master(args: MasterArgs) -> Result<()> {
    let stop = stop_signal(args.server.exit_with_parent)?;
    let config = master_config(&args)?;
    let listener = listen(args.listen).await?;
    Ok(mdfs_master::run(config, listener, stop).await?)
}

/// Runs a worker until SIGINT or SIGTERM.
///
/// # Errors
/// If the configuration is refused, the disk cannot be opened, the address cannot be listened on,
/// or the worker fails.
pub async fn run_worker(args: WorkerArgs) -> Result<()> {
    let stop = stop_signal(args.server.exit_with_parent)?;
    let config = worker_config(&args)?;
    let listener = listen(args.listen).await?;
    Ok(mdfs_worker::run(config, listener, stop).await?)
}

/// What a master's flags say, checked as far as files and relations go.
///
/// # Errors
/// Names the flag or the file.
pub fn master_config(args: &MasterArgs) -> Result<mdfs_master::Config> {
    let key = args.server.cluster_key()?;
    let root_tokens = args
        .root_token_file
        .iter()
        .map(|file| read_secret(file))
        .collect::<Result<Vec<_>>>()?;
    let link_keys = args
        .link_key_file
        .iter()
        .map(|file| Ok(LinkKey::new(read_secret(file)?)))
        .collect::<Result<Vec<_>>>()?;
    let (token, link) = root_tokens
        .first()
        .zip(link_keys.first())
        .ok_or_else(|| anyhow!("a root token and a link key are needed"))?;
    let beat = args.server.heartbeat();
    let dead_after = Duration::from_secs(args.dead_after_seconds);
    let detect = DetectSettings::new(beat, 3, dead_after)
        .context("--heartbeat-millis and --dead-after-seconds")?;
    let config = mdfs_master::Config {
        url: args.server.advertise_url.clone(),
        cluster: args.cluster_id,
        lease: args.server.lease(),
        detect,
        repair_delay: Duration::from_secs(args.repair_delay_seconds),
        trash_keep: Duration::from_secs(args.trash_keep_seconds),
        most_sessions: args.max_uploads,
        ..mdfs_master::Config::new(key, token.clone(), link.clone())
    };
    Ok(mdfs_master::Config {
        root_tokens,
        link_keys,
        trusted_proxies: args.trusted_proxy.clone(),
        max_connections_of_one: args.max_connections_of_one,
        ..config
    })
}

/// What a worker's flags say, checked as far as files go.
///
/// # Errors
/// Names the file.
pub fn worker_config(args: &WorkerArgs) -> Result<mdfs_worker::Config> {
    let config = mdfs_worker::Config {
        data_dir: args.data_dir.clone(),
        name: args.name.clone(),
        url: args.server.advertise_url.clone(),
        zone: args.zone.clone(),
        masters: args.master.clone(),
        cluster_key: args.server.cluster_key()?,
        other_cluster_key: None,
        heartbeat_interval: args.server.heartbeat(),
        reserve_bytes: args.reserve_bytes,
        copy_rate: args.copy_bytes_per_second,
        scrub_every: mdfs_worker::SCRUB_EVERY,
        lease: args.server.lease(),
        limits: mdfs_worker::Limits::default(),
    };
    config.check()?;
    Ok(config)
}

/// Listens, or says why not in a way that helps.
///
/// # Errors
/// If the address is taken or not this machine's.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    TcpListener::bind(address).await.map_err(|error| {
        let hint = if taken(&error) {
            ": another program listens there"
        } else {
            ""
        };
        anyhow::Error::new(error).context(format!("cannot listen on {address}{hint}"))
    })
}

/// Fires at SIGINT or SIGTERM; with `parent`, also when that process is gone.
///
/// # Errors
/// If the signals cannot be listened for, or the parent is gone already.
pub fn stop_signal(parent: Option<u32>) -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    if let Some(parent) = parent {
        die_with(parent)?;
    }
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = CancellationToken::new();
    let fired = stop.clone();
    let tasks = mdfs_service::Tasks::new(CancellationToken::new());
    drop(tasks.spawn_request("signals", async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        fired.cancel();
    }));
    Ok(stop)
}

/// Has the kernel end this process when its parent ends, however that happens.
fn die_with(parent: u32) -> Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot tie this process to its parent")?;
    // The parent may have gone before the call.
    let actual = getppid().map(|pid| pid.as_raw_nonzero().get());
    if actual.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        return Err(anyhow!("process {parent}, which started this one, is gone"));
    }
    Ok(())
}

/// Reads a secret from its file.
///
/// # Errors
/// If the file cannot be read or holds too little. Never shows what it holds.
pub fn read_secret(file: &Path) -> Result<Secret> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Secret::new(&bytes).with_context(|| format!("{} holds no usable secret", file.display()))
}
