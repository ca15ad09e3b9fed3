//! What masters are asked, and told.

use super::observed::{ANSWER_MOST, Leader, Report};
use super::validate::WantedPolicy;
use crate::error::Error;
use mdfs_client::api::{Bootstrap, Health};
use mdfs_client::link::{LinkError, Links, Reads};
use mdfs_client::{Client, ClientConfig, Code, DiskId};
use mdfs_protocol::access::{ClusterKey, Secret};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For a connection: masters are near.
const CONNECT: Duration = Duration::from_secs(2);
/// Without a byte of an answer. With the poll interval, three tries fit into [`ANSWER_MOST`].
const STALL: Duration = Duration::from_secs(4);
/// For an answer that may take the leader a while, such as to count before it retires a disk.
const LONG_STALL: Duration = Duration::from_secs(20);
/// For the identity of a disk.
const IDENTITY: Duration = Duration::from_secs(2);

/// Connections to the masters of all clusters, and what their leaders said last. Bounded by the number
/// of clusters: those that are gone are forgotten.
#[derive(Default)]
pub struct Masters(Mutex<HashMap<String, Known>>);

struct Known {
    client: Client,
    url: String,
    token: String,
    last: Option<(Report, u64)>,
}

impl Masters {
    /// A client for the masters at `url`. It is made once for as long as the token is the same.
    ///
    /// # Errors
    /// If the token cannot be sent.
    pub fn client(&self, cluster: &str, url: &str, token: &str) -> Result<Client, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(cluster)
            && known.token == token
            && known.url == url
        {
            return Ok(known.client.clone());
        }
        let client = client(url, token, STALL)?;
        let entry = Known {
            client: client.clone(),
            url: url.to_owned(),
            token: token.to_owned(),
            last: None,
        };
        known.insert(cluster.to_owned(), entry);
        Ok(client)
    }

    /// Forgets a cluster.
    pub fn forget(&self, cluster: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(cluster);
    }

    #[cfg(test)]
    pub(crate) fn knows(&self, cluster: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains_key(cluster)
    }

    /// Asks the leader how everything is, at `now` in milliseconds. When nobody answers, what was
    /// answered a moment ago stands, with its age.
    pub async fn ask(&self, cluster: &str, client: &Client, now: impl Fn() -> u64) -> Leader {
        let began = now();
        let leader = match fetch(client).await {
            Ok(leader) => leader,
            Err(error) if error.code() == Some(Code::Unauthorized) => Leader::Refused,
            Err(error) => {
                tracing::debug!(cluster, %error, "the masters do not answer");
                Leader::Unknown
            }
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get_mut(cluster) else {
            return leader;
        };
        match leader {
            Leader::Told(report) => {
                known.last = Some((report.as_ref().clone(), began));
                Leader::Told(report)
            }
            // Somebody knows that there is no leader, or who asks: that is news.
            Leader::None | Leader::Refused => {
                known.last = None;
                leader
            }
            Leader::Unknown => match &known.last {
                Some((report, at)) => {
                    let age = Duration::from_millis(now().saturating_sub(*at));
                    let report = Report {
                        age,
                        ..report.clone()
                    };
                    match age <= ANSWER_MOST {
                        true => Leader::Told(Box::new(report)),
                        false => Leader::Unknown,
                    }
                }
                None => Leader::Unknown,
            },
        }
    }
}

/// A client that waits longer: for retirements and the start of a cluster.
///
/// # Errors
/// If the token cannot be sent.
pub fn patient_client(url: &str, token: &str) -> Result<Client, Error> {
    client(url, token, LONG_STALL)
}

fn client(url: &str, token: &str, stall: Duration) -> Result<Client, Error> {
    let mut config = ClientConfig::new(url).with_token(token);
    config.retry_for = Duration::ZERO;
    config.connect_timeout = CONNECT;
    config.stall = stall;
    Client::new(config).map_err(Error::masters("take the token"))
}

async fn fetch(client: &Client) -> Result<Leader, mdfs_client::Error> {
    let status = client.status().await?;
    if status.health == Health::Unknown && status.term.is_none() {
        return Ok(Leader::None);
    }
    let workers = client.workers().await;
    let policy = client.policy().await;
    let (workers, policy) = match (workers, policy) {
        (Ok(workers), Ok(policy)) => (workers.workers, policy),
        // It led a moment ago.
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(Leader::Told(Box::new(Report {
        status,
        workers,
        policy,
        age: Duration::ZERO,
    })))
}

/// The disk of a worker that belongs to no cluster, or to this one.
///
/// # Errors
/// If it does not answer.
pub async fn disk_of(url: &str, key: &str) -> Result<DiskId, LinkError> {
    let secret = Secret::new(key.as_bytes()).map_err(|error| LinkError::Protocol {
        url: url.to_owned(),
        what: error.to_string(),
    })?;
    let links = Links::new(&ClusterKey::new(&secret), None, Reads::Small)?;
    Ok(links.identity(url, IDENTITY).await?.disk)
}

/// The order to start a cluster on these disks.
pub fn bootstrap_order(disks: Vec<DiskId>, wanted: &WantedPolicy) -> Bootstrap {
    Bootstrap {
        disks,
        replicas: Some(wanted.factor),
        chunk_size: Some(wanted.chunk_size),
    }
}
