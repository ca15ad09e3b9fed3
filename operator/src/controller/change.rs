//! What is decided in a pass, and the objects that follow from it.

use super::apply;
use super::build::{Circumstances, build, worker_template};
use super::context::Context;
use super::dereference::Live;
use super::disruption::max_unavailable;
use super::growth::{Growth, plan_growth};
use super::observed::Observed;
use super::removal::{self, Plan, Predicate};
use super::validate::{Fault, ValidatedCluster};
use crate::crd::MdfsCluster;
use crate::error::Error;
use crate::names::{self, IGNORED_ANNOTATION};

/// What was decided in a pass.
pub(crate) struct Decided {
    pub(crate) plan: Plan,
    pub(crate) growth: Growth,
}

/// Decides about workers and volumes.
pub(crate) fn decide(cluster: &MdfsCluster, valid: &ValidatedCluster, live: &Live) -> Decided {
    let status = cluster.status.clone().unwrap_or_default();
    let annotations = cluster.metadata.annotations.as_ref();
    let ignored = annotations.and_then(|it| it.get(IGNORED_ANNOTATION));
    let ignored = ignored.and_then(|name| name.parse::<Predicate>().ok());
    let template = worker_template(valid);
    Decided {
        plan: removal::plan(valid, &live.observed, &template, &status.rollout, ignored),
        growth: plan_growth(&valid.storage, &live.observed),
    }
}

/// Builds and applies; of a cluster that is left as it is or whose spec cannot be used, the budget alone.
/// Returns what is not as it is wanted, though nothing failed.
///
/// # Errors
/// If something cannot be applied; all that could be was.
pub(crate) async fn change(
    ctx: &Context,
    cluster: &MdfsCluster,
    valid: &Result<ValidatedCluster, Vec<Fault>>,
    still: bool,
    born: bool,
    decided: Option<&Decided>,
    live: &mut Live,
) -> Result<Option<String>, Error> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let (Ok(valid), Some(decided)) = (valid, decided) else {
        budget(ctx, cluster, live).await?;
        return Ok(None);
    };
    let observed = &live.observed;
    let replicas = decided.plan.replicas;
    // Workers go first: what they write, masters of both versions read. A cluster that was never started
    // has no such files, and may wait for nothing but another image.
    let master_image = match &observed.masters {
        Some(masters) if born && !are_proven(&decided.plan, observed) => masters.image.clone(),
        _ => valid.image.clone(),
    };
    let circumstances = Circumstances {
        worker_replicas: replicas,
        template_size: decided.growth.template_size.clone(),
        master_image,
        max_unavailable: max_unavailable(name, replicas, observed),
        service_monitors: observed.service_monitors,
    };
    let desired = build(valid, &circumstances);
    if still {
        budget(ctx, cluster, live).await?;
        return Ok(apply::differing(&desired, live));
    }
    apply::apply(ctx, cluster, &desired, live).await
}

/// Keeps the budget of workers alone, which follows the data.
async fn budget(ctx: &Context, cluster: &MdfsCluster, live: &Live) -> Result<(), Error> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let budget = max_unavailable(name, live.observed.worker_replicas(), &live.observed);
    apply::budget(ctx, cluster, &names::workers(name), budget, live).await
}

/// Whether all workers run what is wanted, the last one that was restarted included.
fn are_proven(plan: &Plan, observed: &Observed) -> bool {
    let is_ready = |ordinal: u32| {
        let worker = observed.workers.get(&ordinal);
        let pod = worker.and_then(|worker| worker.pod.as_ref());
        pod.is_some_and(|pod| pod.ready && !pod.terminating && pod.template == plan.target)
    };
    plan.outdated.is_empty() && plan.current.is_none() && (0..plan.replicas).all(is_ready)
}
