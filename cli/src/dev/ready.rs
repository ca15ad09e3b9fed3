//! From servers that were just started to a cluster that serves.

use super::Plan;
use anyhow::{Context, Result, bail};
use mdfs_client::link::{Links, Reads};
use mdfs_client::{Client, ClientConfig};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_protocol::access::ClusterKey;
use mdfs_protocol::public::{Bootstrap, Status};
use mdfs_service::Clock;
use std::time::Duration;

/// In which a cluster must serve.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a worker that does not join is waited for once the others serve.
const JOIN_PATIENCE: Duration = Duration::from_secs(15);
/// How often the cluster is asked how it is.
const POLL: Duration = Duration::from_millis(50);
/// In which a worker must tell who it is.
const IDENTITY_WITHIN: Duration = Duration::from_secs(2);

/// A cluster that serves.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) cluster: ClusterId,
    pub(super) live_workers: u64,
    pub(super) warnings: Vec<String>,
}

/// Starts the cluster if it was never started, and waits until it serves.
///
/// # Errors
/// If it does not serve within a minute.
pub(super) async fn bring_up(plan: &Plan, worker_urls: &[String]) -> Result<Ready> {
    let clock = Clock::real();
    let start = clock.now();
    let client = client(plan)?;
    let mut last = String::from("the master does not answer");
    let mut serving_since = None;
    loop {
        let now = clock.now();
        match client.status().await {
            Ok(status) if status.term.is_some() && status.workers > 0 => {
                let since = *serving_since.get_or_insert(now);
                let missing = u64::from(plan.workers).saturating_sub(status.live_workers);
                if let Some(cluster) = status.cluster_id
                    && (missing == 0 || now.since(since) >= JOIN_PATIENCE)
                {
                    return Ok(ready(cluster, &status, missing));
                }
            }
            Ok(status) => {
                last = status.reasons.join("; ");
                if plan.cluster.is_none()
                    && let Err(error) = bootstrap(plan, &client, worker_urls).await
                {
                    last = format!("{error:#}");
                }
            }
            Err(error) => last = error.to_string(),
        }
        if now.since(start) >= PATIENCE {
            bail!(
                "the cluster does not serve after {} s: {last}",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

fn ready(cluster: ClusterId, status: &Status, missing: u64) -> Ready {
    let mut warnings = Vec::new();
    if missing > 0 {
        let seconds = JOIN_PATIENCE.as_secs();
        warnings.push(format!(
            "{missing} workers did not join within {seconds} s; see the log"
        ));
    }
    if status.replicas < 2 {
        warnings.push("the cluster keeps one copy of each file: a lost disk loses files".into());
    }
    Ready {
        cluster,
        live_workers: status.live_workers,
        warnings,
    }
}

fn client(plan: &Plan) -> Result<Client> {
    let token = std::fs::read_to_string(plan.folder.root_token()).context("the root token")?;
    let config = ClientConfig::new(plan.url()).with_token(token.trim());
    Client::new(config).context("cannot make a client")
}

/// Gives the order to start the cluster: on three workers, or on one if there are fewer.
async fn bootstrap(plan: &Plan, client: &Client, worker_urls: &[String]) -> Result<()> {
    let founders = if worker_urls.len() >= 3 { 3 } else { 1 };
    let key = ClusterKey::new(&crate::roles::read_secret(&plan.folder.cluster_key())?);
    let links = Links::new(&key, None, Reads::Small).context("cannot reach workers")?;
    let mut disks: Vec<DiskId> = Vec::new();
    for url in worker_urls.iter().take(founders) {
        let identity = links.identity(url, IDENTITY_WITHIN).await;
        disks.push(
            identity
                .with_context(|| format!("no worker answers at {url}"))?
                .disk,
        );
    }
    let replicas = u8::try_from(worker_urls.len().min(2)).ok();
    let order = Bootstrap {
        disks,
        replicas,
        chunk_size: None,
    };
    client
        .bootstrap(&order)
        .await
        .context("the cluster was not started")?;
    Ok(())
}
