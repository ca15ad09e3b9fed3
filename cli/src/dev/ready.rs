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
/// In which a master must tell who leads, when all are stopped.
const LEADER_WITHIN: Duration = Duration::from_millis(500);
/// In which a worker must tell who it is.
const IDENTITY_WITHIN: Duration = Duration::from_secs(2);

/// A cluster that serves.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) cluster: ClusterId,
    pub(super) live_workers: u64,
    pub(super) warnings: Vec<String>,
}

/// Starts the cluster if it was never started, and waits until it serves and every master answers.
///
/// # Errors
/// If it does not serve within a minute.
pub(super) async fn bring_up(plan: &Plan, worker_urls: &[String]) -> Result<Ready> {
    let clock = Clock::real();
    let start = clock.now();
    let masters = clients(plan)?;
    let mut last = String::new();
    let mut serving_since = None;
    loop {
        let now = clock.now();
        match ask(&masters).await {
            Asked::Leads(status) => {
                let since = *serving_since.get_or_insert(now);
                let missing = u64::from(plan.workers).saturating_sub(status.live_workers);
                if let Some(cluster) = status.cluster_id
                    && (missing == 0 || now.since(since) >= JOIN_PATIENCE)
                {
                    return Ok(ready(cluster, &status, missing));
                }
            }
            Asked::NobodyLeads(reasons, first) => {
                last = reasons;
                if !plan.began
                    && let Err(error) = bootstrap(plan, first, worker_urls).await
                {
                    last = format!("{error:#}");
                }
            }
            Asked::Silent(error) => last = error,
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

/// What the masters say, all of whom were asked.
enum Asked<'a> {
    /// One of them leads a cluster that has workers.
    Leads(Box<Status>),
    /// They answer, and say why none does; the order to start goes to this one.
    NobodyLeads(String, &'a Client),
    /// One does not answer.
    Silent(String),
}

async fn ask(masters: &[Client]) -> Asked<'_> {
    let mut found = None;
    for master in masters {
        match master.status().await {
            Err(error) => return Asked::Silent(error.to_string()),
            Ok(status) if status.term.is_some() && status.workers > 0 => {
                found = Some(Asked::Leads(Box::new(status)));
            }
            Ok(status) => {
                let reasons = || Asked::NobodyLeads(status.reasons.join("; "), master);
                found.get_or_insert_with(reasons);
            }
        }
    }
    found.unwrap_or_else(|| Asked::Silent("there is no master".to_owned()))
}

/// The masters in the order in which they are stopped: who leads last, so that nobody else begins to.
pub(super) async fn stop_order(plan: &Plan) -> Vec<usize> {
    let mut order: Vec<usize> = (0..plan.masters.len()).collect();
    // One needs no order, and is not asked: it may hang.
    if order.len() < 2 {
        return order;
    }
    let urls = plan.urls();
    for master in clients(plan).unwrap_or_default() {
        let status = tokio::time::timeout(LEADER_WITHIN, master.status()).await;
        if let Ok(Ok(status)) = status
            && status.term.is_some()
        {
            order.sort_by_key(|&master| urls.get(master) == status.leader_url.as_ref());
            break;
        }
    }
    order
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

/// One for each master, which is asked again and again anyway.
fn clients(plan: &Plan) -> Result<Vec<Client>> {
    let token = std::fs::read_to_string(plan.folder.root_token()).context("the root token")?;
    let client = |url| {
        let mut config = ClientConfig::new(url).with_token(token.trim());
        config.retry_for = Duration::ZERO;
        Client::new(config).context("cannot make a client")
    };
    plan.urls().into_iter().map(client).collect()
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
