//! A development cluster whose servers all run in this process.

use super::folder::{master_name, worker_name};
use super::state::ProcessState;
use super::{Plan, Report, ready};
use crate::roles::{listen, read_secret};
use anyhow::{Context, Result};
use mdfs_protocol::access::ClusterKey;
use mdfs_protocol::link::LinkKey;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Runs masters and workers until `stop` fires or one of them ends; then stops the others: the
/// masters first, while the workers can still answer them, and of these the leader last.
pub(super) async fn run(
    plan: Plan,
    report: Report,
    listeners: Vec<TcpListener>,
    stop: CancellationToken,
) -> Result<()> {
    let tasks = mdfs_service::Tasks::new(CancellationToken::new());
    let ended = CancellationToken::new();
    let stop_workers = CancellationToken::new();
    let mut servers: Vec<(String, JoinHandle<Result<()>>)> = Vec::new();
    let mut urls = Vec::new();
    for number in 0..plan.workers {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr().context("the listening address")?;
        urls.push(format!("http://{address}"));
        let config = worker_config(&plan, number)?;
        let (stop, ended) = (stop_workers.clone(), ended.clone());
        let server = tasks.spawn_request("worker", async move {
            let result = mdfs_worker::run(config, listener, stop).await;
            ended.cancel();
            Ok(result?)
        });
        servers.push((worker_name(number), server));
    }
    let mut masters: Vec<(CancellationToken, JoinHandle<Result<()>>)> = Vec::new();
    for listener in listeners {
        let config = master_config(&plan)?;
        let stop = CancellationToken::new();
        let (stop_it, end) = (stop.clone(), ended.clone());
        let master = tasks.spawn_request("master", async move {
            let result = mdfs_master::run(config, listener, stop_it).await;
            end.cancel();
            Ok(result?)
        });
        masters.push((stop, master));
    }

    let serve = async {
        let ready = ready::bring_up(&plan, &urls).await?;
        report.write(ready.cluster, states(&plan, &urls))?;
        report.greet(&ready);
        std::future::pending::<Result<()>>().await
    };
    let served = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        () = ended.cancelled() => Ok(()),
        result = serve => result,
    };

    let mut results = Vec::new();
    for number in ready::stop_order(&plan).await {
        if let Some((stop, master)) = masters.get_mut(number) {
            stop.cancel();
            results.push(outcome(&master_name(number), master).await);
        }
    }
    stop_workers.cancel();
    for (name, mut server) in servers {
        results.push(outcome(&name, &mut server).await);
    }
    tasks.shut_down(Duration::from_secs(5)).await;
    results.into_iter().collect::<Result<Vec<()>>>()?;
    served
}

async fn outcome(name: &str, server: &mut JoinHandle<Result<()>>) -> Result<()> {
    server
        .await
        .with_context(|| format!("{name} panicked"))?
        .with_context(|| name.to_owned())
}

fn states(plan: &Plan, worker_urls: &[String]) -> Vec<ProcessState> {
    let pid = std::process::id();
    let masters = plan.urls().into_iter().enumerate();
    let masters = masters.map(|(number, url)| ProcessState {
        role: "master".to_owned(),
        name: master_name(number),
        pid,
        data_dir: None,
        url,
    });
    let workers = (0..plan.workers)
        .zip(worker_urls)
        .map(|(number, url)| ProcessState {
            role: "worker".to_owned(),
            name: worker_name(number),
            pid,
            data_dir: Some(plan.folder.worker(number)),
            url: url.clone(),
        });
    masters.chain(workers).collect()
}

fn master_config(plan: &Plan) -> Result<mdfs_master::Config> {
    let key = ClusterKey::new(&read_secret(&plan.folder.cluster_key())?);
    let token = read_secret(&plan.folder.root_token())?;
    let link = LinkKey::new(read_secret(&plan.folder.link_key())?);
    let usual = mdfs_master::Config::new(key, token, link);
    Ok(mdfs_master::Config {
        cluster: plan.cluster,
        limits: mdfs_master::Limits {
            repair_delay: super::REPAIR_DELAY,
            ..usual.limits
        },
        ..usual
    })
}

fn worker_config(plan: &Plan, number: u16) -> Result<mdfs_worker::Config> {
    Ok(mdfs_worker::Config::new(
        plan.folder.worker(number),
        worker_name(number),
        plan.urls(),
        ClusterKey::new(&read_secret(&plan.folder.cluster_key())?),
    ))
}
