//! What users are shown, from what was seen. Pure: `now` is an argument, and no time moves unless a fact
//! does.

mod conditions;
mod figures;
mod health;
mod progress;
mod summary;
mod work;

pub use conditions::ABNORMAL;
pub use figures::is_figures_only;

use super::growth::Growth;
use super::observed::Observed;
use super::removal::Plan;
use super::validate::{Fault, ValidatedCluster};
use crate::crd::{
    Bootstrap, DataHealth, Drain, Endpoints, MasterStatus, MdfsClusterStatus, Rollout, Version,
    Volumes, WorkersStatus,
};
use crate::names::{self, Component, MASTER_PORT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use mdfs_client::api::{MasterRole, WorkerState};
use std::collections::BTreeMap;

/// Everything that a status is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The cluster's name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The generation of the spec that was looked at.
    pub generation: Option<i64>,
    /// Pods of workers that the spec asks for.
    pub wanted_workers: u32,
    /// The spec, or what is wrong with it.
    pub valid: Result<&'a ValidatedCluster, &'a [Fault]>,
    /// What was seen.
    pub observed: &'a Observed,
    /// What is done about workers; none if the spec cannot be used.
    pub plan: Option<&'a Plan>,
    /// What is done about volumes; none if the spec cannot be used.
    pub growth: Option<&'a Growth>,
    /// Whether the user lets the operator stand still.
    pub paused: bool,
    /// Whether the resource is being deleted, and what that waits for.
    pub deleting: Deleting,
    /// How the cluster was started, if it was.
    pub bootstrap: Option<&'a Bootstrap>,
    /// Names what the pods of masters should be; empty if the spec cannot be used.
    pub master_template: &'a str,
    /// An object that is not as it is wanted yet, though nothing failed.
    pub unapplied: Option<&'a str>,
    /// Why the masters do not take the policy yet, if they said so.
    pub refused_policy: Option<&'a str>,
    /// What failed in this pass, or of the steps of the one before, if anything did.
    pub failed: Option<&'a str>,
    /// What the masters could not do in the pass before, but in none before that: most likely it is over.
    pub passing: Option<&'a str>,
    /// The time now.
    pub now: &'a Time,
}

/// Whether a resource is being deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleting {
    /// It is not.
    #[default]
    No,
    /// It waits for the typed confirmation.
    Unconfirmed,
    /// Its data is being deleted.
    Running,
}

/// The status.
pub fn status(previous: &MdfsClusterStatus, facts: &Facts<'_>) -> MdfsClusterStatus {
    let data = figures::data(&previous.data, facts);
    let capacity = figures::capacity(&previous.capacity, facts);
    let verdicts = conditions::verdicts(facts, &data, &capacity);
    MdfsClusterStatus {
        observed_generation: facts.generation,
        phase: summary::phase(facts, &verdicts).to_owned(),
        diagnosis: summary::diagnosis(facts, &verdicts),
        version: version(facts),
        conditions: conditions::conditions(&previous.conditions, &verdicts, facts),
        bootstrap: facts.bootstrap.cloned(),
        master: masters(&previous.master, facts),
        workers: workers(facts),
        data,
        capacity,
        rollout: rollout(&previous.rollout, facts),
        drains: drains(facts),
        volumes: volumes(facts),
        endpoints: endpoints(facts),
    }
}

/// The status when Kubernetes cannot be read: all that was there stays, of the time it is of, and nothing
/// that could be well is said to be.
pub fn unseen(previous: &MdfsClusterStatus, why: &str, now: &Time) -> MdfsClusterStatus {
    let mut status = previous.clone();
    "Unknown".clone_into(&mut status.phase);
    why.clone_into(&mut status.diagnosis);
    status.data.health = DataHealth::Unknown;
    for condition in &mut status.conditions {
        if !conditions::OBSERVED.contains(&condition.type_.as_str()) {
            continue;
        }
        if condition.status != "Unknown" {
            "Unknown".clone_into(&mut condition.status);
            condition.last_transition_time = now.clone();
        }
        "CannotObserve".clone_into(&mut condition.reason);
        why.clone_into(&mut condition.message);
    }
    status
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn small(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What stands behind the last colon of an image, or the end of its digest.
fn tag(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

fn version(facts: &Facts<'_>) -> Version {
    let observed = facts.observed;
    let masters = observed.master_pods.iter();
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in observed.worker_pods().map(|(_, pod)| pod).chain(masters) {
        *running.entry(pod.image.as_str()).or_default() += 1;
    }
    let most = running
        .iter()
        .max_by_key(|(image, count)| (**count, **image));
    Version {
        running: most
            .map(|(image, _)| tag(image).to_owned())
            .unwrap_or_default(),
        target: facts
            .valid
            .map(|valid| tag(&valid.image).to_owned())
            .unwrap_or_default(),
        mixed: running.len() > 1,
    }
}

fn masters(previous: &MasterStatus, facts: &Facts<'_>) -> MasterStatus {
    let observed = facts.observed;
    let seen = observed.masters.clone().unwrap_or_default();
    let report = observed.leader.report();
    let known = report.map(|report| report.status.masters.as_slice());
    let known = known.unwrap_or_default();
    let listed = known.iter().find(|it| it.role == MasterRole::Leader);
    let told = report.and_then(|report| report.status.leader_url.as_deref());
    let url = listed.map(|it| it.url.as_str()).or(told);
    let leads = |ip: &Option<String>| {
        let ip = ip.as_deref();
        ip.zip(url)
            .is_some_and(|(ip, url)| url == format!("http://{ip}:{MASTER_PORT}"))
    };
    let leader = observed.master_pods.iter().find(|pod| leads(&pod.ip));
    MasterStatus {
        desired: facts
            .valid
            .map_or(previous.desired, |it| small(it.masters.replicas.into())),
        ready: small(seen.ready.into()),
        updated: match seen.template == facts.master_template {
            true => small(seen.updated.into()),
            false => 0,
        },
        warm: count(known.iter().filter(|it| it.warm).count()),
        leader: leader.map(|pod| pod.name.clone()),
        leased_voters: report.map_or(0, |it| small(it.status.leased_voters)),
        voters: report.map_or(0, |it| small(it.status.voters)),
    }
}

fn workers(facts: &Facts<'_>) -> WorkersStatus {
    let observed = facts.observed;
    let ready = observed
        .worker_pods()
        .filter(|(_, pod)| pod.ready && !pod.terminating);
    let outdated = facts.plan.map_or(0, |plan| plan.outdated.len());
    let members = observed
        .leader
        .report()
        .map(|report| report.workers.as_slice());
    let members = members.unwrap_or_default();
    let live = |state: WorkerState| state == WorkerState::Live;
    WorkersStatus {
        desired: small(facts.wanted_workers.into()),
        replicas: observed
            .set
            .as_ref()
            .map_or(0, |set| small(set.replicas.into())),
        ready: count(ready.count()),
        updated: count(observed.worker_pods().count().saturating_sub(outdated)),
        registered: count(members.iter().filter(|it| live(it.state)).count()),
        draining: count(members.iter().filter(|it| it.draining).count()),
        lost: count(members.iter().filter(|it| !live(it.state)).count()),
        selector: names::query(&names::selector(facts.name, Component::Worker)),
    }
}

fn rollout(previous: &Rollout, facts: &Facts<'_>) -> Rollout {
    let Some(plan) = facts.plan else {
        return previous.clone();
    };
    let total = facts.observed.worker_pods().count();
    let held = plan.held.as_ref();
    Rollout {
        target: plan.target.clone(),
        current: plan
            .current
            .as_ref()
            .map(|(ordinal, _)| names::worker(facts.name, *ordinal)),
        removed_uid: plan.current.as_ref().map(|(_, uid)| uid.clone()),
        updated: count(total.saturating_sub(plan.outdated.len())),
        total: count(total),
        blocked_by: held
            .map(|held| held.predicate.as_str().to_owned())
            .unwrap_or_default(),
        blocked_message: held.map(|held| held.message.clone()).unwrap_or_default(),
    }
}

fn drains(facts: &Facts<'_>) -> Vec<Drain> {
    let members = facts
        .observed
        .leader
        .report()
        .map(|report| report.workers.as_slice());
    let draining = members.unwrap_or_default().iter().filter(|it| it.draining);
    let mut drains: Vec<Drain> = draining
        .map(|member| Drain {
            worker: member.name.clone(),
            disk_id: member.disk_id.to_string(),
            chunks_remaining: whole(member.chunks),
            bytes_remaining: whole(member.chunk_bytes),
            empty: super::removal::is_empty(member),
        })
        .collect();
    // The list is a map by worker; two disks of one name are rare, and the fuller one counts.
    drains.sort_by(|a, b| (&a.worker, b.chunks_remaining).cmp(&(&b.worker, a.chunks_remaining)));
    drains.dedup_by(|later, earlier| later.worker == earlier.worker);
    drains.truncate(100);
    drains
}

fn volumes(facts: &Facts<'_>) -> Volumes {
    let claims = |ordinals: &[u32]| {
        ordinals
            .iter()
            .map(|ordinal| names::claim(facts.name, *ordinal))
            .collect()
    };
    facts
        .growth
        .map_or_else(Volumes::default, |growth| Volumes {
            resizing: claims(&growth.resizing),
            unresizable: claims(&growth.unresizable),
        })
}

fn endpoints(facts: &Facts<'_>) -> Endpoints {
    let api = names::api_url(facts.name, facts.namespace);
    Endpoints {
        metrics: format!("{api}/metrics"),
        api,
        token_secret: names::access_secret(facts.name),
    }
}

#[cfg(test)]
mod tests;
