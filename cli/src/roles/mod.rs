//! `mdfs master`, `mdfs worker` and `mdfs operator`: one server role each, until a signal stops it.

mod args;

pub use args::{
    FailureArgs, FileArgs, GatewayArgs, HttpArgs, MasterArgs, OperatorArgs, ServerArgs, ServerLog,
    WorkerArgs,
};

use anyhow::{Context, Result, anyhow};
use mdfs_protocol::access::Secret;
use mdfs_protocol::link::LinkKey;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Runs a master until SIGINT or SIGTERM.
///
/// # Errors
/// If the configuration is refused, the address cannot be listened on, or the master fails.
pub async fn run_master(args: MasterArgs) -> Result<()> {
    let stop = stop_signal(args.server.file.exit_with_parent)?;
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
    let stop = stop_signal(args.server.file.exit_with_parent)?;
    let config = worker_config(&args)?;
    let listener = listen(args.listen).await?;
    Ok(mdfs_worker::run(config, listener, stop).await?)
}

/// Runs an operator until SIGINT or SIGTERM.
///
/// # Errors
/// If the configuration is refused, the address cannot be listened on, the Kubernetes API cannot be
/// found, or another operator takes the lease.
pub async fn run_operator(args: OperatorArgs) -> Result<()> {
    if let Some(url) = &args.probe {
        let client = mdfs_client::Client::new(mdfs_client::ClientConfig::new(url))?;
        return Ok(client.ready().await?);
    }
    let stop = stop_signal(args.file.exit_with_parent)?;
    let config = operator_config(&args)?;
    let listener = listen(args.listen).await?;
    Ok(mdfs_operator::run(config, listener, stop).await?)
}

/// What an operator is told, checked.
///
/// # Errors
/// Names each setting that cannot work.
pub fn operator_config(args: &OperatorArgs) -> Result<mdfs_operator::Config> {
    let drawn = || format!("operator-{:016x}", mdfs_service::chance::random_u64());
    let usual = mdfs_operator::Config::new(args.identity.clone().unwrap_or_else(drawn));
    let config = mdfs_operator::Config {
        namespaces: args.namespace.clone(),
        lease_namespace: args.lease_namespace.clone(),
        lease_name: args.lease_name.clone(),
        lease: args.election_lease.0,
        poll: args.poll.0,
        concurrency: args.concurrency,
        masters: match args.masters_url.clone() {
            Some(url) => mdfs_operator::MastersAt::new(move |name, namespace| {
                url.replace("{namespace}", namespace)
                    .replace("{name}", name)
            }),
            None => usual.masters,
        },
        http: args.http.limits(args.grace.0, &usual.http),
        ..usual
    };
    config.check()?;
    Ok(config)
}

/// What a master is told, checked.
///
/// # Errors
/// Names the file, or each setting that cannot work.
pub fn master_config(args: &MasterArgs) -> Result<mdfs_master::Config> {
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
    let usual = mdfs_master::Config::new(args.server.cluster_key()?, token.clone(), link.clone());
    let config = mdfs_master::Config {
        url: args.server.advertise_url.clone(),
        seeds: args.seed.clone(),
        cluster: args.cluster_id,
        root_tokens,
        link_keys,
        limits: args.limits(),
        gateway: args.gateway.limits(),
        console: mdfs_master::config::Console {
            enabled: args.console,
            cluster_name: args.cluster_name.clone(),
            grafana: args.grafana_url.clone(),
        },
        http: mdfs_service::Limits {
            connections_of_one: args.max_connections_of_one,
            proxies: args.trusted_proxy.clone().into(),
            shutdown_delay: args.shutdown_delay.0,
            ..args.server.http.limits(args.grace.0, &usual.http)
        },
        ..usual
    };
    config.check()?;
    Ok(config)
}

/// What a worker is told, checked.
///
/// # Errors
/// Names the file, or each setting that cannot work.
pub fn worker_config(args: &WorkerArgs) -> Result<mdfs_worker::Config> {
    let usual = mdfs_worker::Config::new(
        args.data_dir.clone(),
        args.name.clone(),
        args.master.clone(),
        args.server.cluster_key()?,
    );
    let config = mdfs_worker::Config {
        url: args.server.advertise_url.clone(),
        // A variable that is there and empty stands for a machine without a zone.
        zone: args.zone.clone().filter(|zone| !zone.is_empty()),
        heartbeat_interval: args.server.heartbeat.0,
        reserve_bytes: args.reserve.map(|size| size.0),
        capacity_bytes: args.capacity.map(|size| size.0),
        witness: args.witness,
        copy_rate: args.copy_rate.map(|size| size.0),
        scrub_every: args.scrub_every.0,
        lease: args.server.lease.0,
        limits: args.limits(),
        http: args.server.http.limits(args.grace.0, &usual.http),
        ..usual
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
