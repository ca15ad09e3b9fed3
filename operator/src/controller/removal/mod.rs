//! The one engine that decides which worker may go, for whatever reason: a new image, a smaller
//! cluster, a decommission, a lost volume. Pure: what was seen gives one plan.
//!
//! Nothing goes on what is not known: a worker that is missing from the leader's answer is not empty,
//! and an answer that is missing allows nothing.

mod predicates;
mod scaling;

pub use predicates::{Held, Predicate};
pub(crate) use scaling::is_empty;
pub use scaling::{ScaleDown, ScaleDownBlock};

use super::observed::{Observed, PodSeen};
use super::validate::ValidatedCluster;
use crate::crd::Rollout;
use crate::names;
use mdfs_client::DiskId;
use mdfs_client::api::WorkerState;

/// Something to be done. Each can be done again without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Mark the claim, then have everything moved off its disk.
    Drain {
        /// The worker.
        ordinal: u32,
        /// Its disk.
        disk: DiskId,
    },
    /// Let the disk take part again, then take the mark off its claim.
    Undrain {
        /// The worker.
        ordinal: u32,
        /// Its disk.
        disk: DiskId,
    },
    /// Mark the claim of an empty disk that is to be refused for ever.
    MarkRetired {
        /// The worker.
        ordinal: u32,
        /// Its disk.
        disk: DiskId,
    },
    /// Take the mark of a retirement off a claim that is wanted again, and that of its drain not.
    UnmarkRetired {
        /// The worker.
        ordinal: u32,
    },
    /// Take the marks off a claim: its disk stays.
    Unmark {
        /// The worker.
        ordinal: u32,
    },
    /// Have a lost disk take no part, so that its vote goes to another.
    Unseat {
        /// The worker that has another disk by now.
        ordinal: u32,
        /// The lost one.
        disk: DiskId,
    },
    /// Have the disk refused for ever, if nothing is lost by that.
    Retire {
        /// The worker.
        ordinal: u32,
        /// Its disk.
        disk: DiskId,
    },
    /// Delete the claim of a retired disk, and its pod: another disk takes its place.
    Discard {
        /// The worker.
        ordinal: u32,
    },
    /// Announce a restart and delete the pod, so that it comes back as it should be.
    Restart {
        /// The worker.
        ordinal: u32,
        /// The pod; another of the same name is left alone.
        uid: String,
        /// Its disk, if it is live: its absence is announced.
        disk: Option<DiskId>,
    },
}

/// What is to be done about workers, and what is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Pods that the StatefulSet is to have.
    pub replicas: u32,
    /// What is to be done now, in this order.
    pub steps: Vec<Step>,
    /// Names what the pods of workers should be.
    pub target: String,
    /// Whether a smaller cluster was asked for, and what holds it up.
    pub scale_down: ScaleDown,
    /// Workers whose pods are not as they should be.
    pub outdated: Vec<u32>,
    /// The worker that is being restarted, and its pod that went.
    pub current: Option<(u32, String)>,
    /// Which rule holds the next restart back.
    pub held: Option<Held>,
    /// A rule that would have, but was switched off.
    pub ignored: Option<Predicate>,
}

/// Decides about all workers.
pub fn plan(
    cluster: &ValidatedCluster,
    observed: &Observed,
    template: &str,
    rollout: &Rollout,
    ignored: Option<Predicate>,
) -> Plan {
    let scaling = scaling::plan(cluster, observed);
    let mut plan = Plan {
        replicas: scaling.replicas,
        steps: scaling.steps,
        target: template.to_owned(),
        scale_down: scaling.state,
        outdated: Vec::new(),
        current: current(cluster, observed, template, rollout, scaling.replicas),
        held: None,
        ignored: None,
    };
    let gone = |ordinal: u32| ordinal >= plan.replicas;
    plan.outdated = observed
        .worker_pods()
        .filter(|(ordinal, pod)| pod.template != template && !gone(*ordinal))
        .map(|(ordinal, _)| ordinal)
        .collect();
    let Some((ordinal, pod)) = candidate(observed, &plan) else {
        return plan;
    };
    // A pod that went before would come back as it was.
    if !observed.set.as_ref().is_some_and(|set| set.makes(template)) {
        return plan;
    }
    let judged = predicates::judge(cluster, observed, &plan, ordinal, pod, ignored);
    plan.ignored = judged.ignored;
    match judged.held {
        Some(held) => plan.held = Some(held),
        None => {
            let name = names::worker(&cluster.name, ordinal);
            // An announcement of one that is away already would only put its repair off.
            let report = observed.leader.fresh();
            let disk = report
                .and_then(|report| report.member(&name))
                .filter(|it| it.state == WorkerState::Live)
                .map(|it| it.disk_id);
            plan.current = Some((ordinal, pod.uid.clone()));
            plan.steps.push(Step::Restart {
                ordinal,
                uid: pod.uid.clone(),
                disk,
            });
        }
    }
    plan
}

/// The worker whose restart is not over yet: until another pod is there, is ready, is what it should be,
/// and its disk is back.
fn current(
    cluster: &ValidatedCluster,
    observed: &Observed,
    template: &str,
    rollout: &Rollout,
    replicas: u32,
) -> Option<(u32, String)> {
    let (name, removed) = (rollout.current.as_ref()?, rollout.removed_uid.clone()?);
    let ordinal = names::ordinal(&cluster.name, name)?;
    // It is not to come back.
    if ordinal >= replicas {
        return None;
    }
    let pod = observed
        .workers
        .get(&ordinal)
        .and_then(|worker| worker.pod.as_ref());
    let is_back = pod.is_some_and(|pod| {
        pod.uid != removed && pod.ready && !pod.terminating && pod.template == template
    });
    let member = observed
        .leader
        .report()
        .and_then(|report| report.member(name));
    let is_registered = member.is_some_and(|member| member.state == WorkerState::Live);
    (!(is_back && is_registered)).then_some((ordinal, removed))
}

/// The next pod to be restarted: one that serves nothing anyhow first, then the highest.
fn candidate<'a>(observed: &'a Observed, plan: &Plan) -> Option<(u32, &'a PodSeen)> {
    let outdated = observed
        .worker_pods()
        .filter(|(ordinal, pod)| plan.outdated.contains(ordinal) && !pod.terminating);
    outdated.max_by_key(|(ordinal, pod)| (!pod.ready, *ordinal))
}

#[cfg(test)]
mod tests;
