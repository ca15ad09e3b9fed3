//! The start of a cluster, once.
//!
//! The masters refuse a second start with other disks, and take the same one again; what was recorded in
//! the status is never asked for again. A resource that is made anew over retained volumes finds that
//! its cluster was started.

use super::dereference::Live;
use super::observed::Leader;
use super::reconcile::is_born;
use super::report::{bootstrap_order, disk_of};
use super::validate::ValidatedCluster;
use crate::crd::Bootstrap;
use crate::error::Error;
use crate::names::WORKER_PORT;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use mdfs_client::Client;

/// What is recorded once the cluster was started.
pub(crate) fn completed(live: &Live, now: &Time) -> Option<Bootstrap> {
    let identity = live.identity.as_ref()?;
    is_born(&live.observed.leader).then(|| Bootstrap {
        cluster_id: identity.cluster_id.clone(),
        completed_time: now.clone(),
    })
}

/// How many disks found the cluster.
fn founders(cluster: &ValidatedCluster) -> u32 {
    if cluster.workers.replicas >= 3 && cluster.voters >= 3 {
        3
    } else {
        1
    }
}

/// Starts the cluster, once masters answer and the first workers have disks.
///
/// # Errors
/// If the masters refuse it for a reason that does not pass.
pub(crate) async fn begin(
    cluster: &ValidatedCluster,
    client: &Client,
    live: &Live,
) -> Result<(), Error> {
    let (Leader::None, Some(identity)) = (&live.observed.leader, &live.identity) else {
        return Ok(());
    };
    let mut disks = Vec::new();
    for ordinal in 0..founders(cluster) {
        let pod = live
            .observed
            .workers
            .get(&ordinal)
            .and_then(|worker| worker.pod.as_ref());
        let Some(ip) = pod.filter(|pod| pod.ready).and_then(|pod| pod.ip.as_ref()) else {
            return Ok(());
        };
        let url = format!("http://{ip}:{WORKER_PORT}");
        match disk_of(&url, &identity.cluster_key).await {
            Ok(disk) => disks.push(disk),
            Err(error) => {
                tracing::info!(url, %error, "a worker has not told its disk yet");
                return Ok(());
            }
        }
    }
    tracing::info!(cluster = cluster.name, ?disks, "starting the cluster");
    let order = bootstrap_order(disks, &cluster.policy);
    match client.bootstrap(&order).await {
        Ok(_) => Ok(()),
        // Another leader is on its way: the next pass tells.
        Err(error) if error.is_transient() => {
            tracing::info!(cluster = cluster.name, %error, "the cluster is not started yet");
            Ok(())
        }
        Err(error) => Err(Error::masters("start the cluster")(error)),
    }
}
