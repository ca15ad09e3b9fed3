//! The conditions: what is the case, each with one word for why and one sentence for people.

use super::health::{available, capacity_available, data_safe, degraded};
use super::progress::{self, progressing};
use super::work::{deletion_blocked, paused, scale_down_blocked, spec_valid, volumes_resized};
use super::{Deleting, Facts};
use crate::crd::{Capacity, Data};
use crate::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The conditions that are there only while they are true, as `kstatus` wants them.
pub const ABNORMAL: [&str; 2] = ["Reconciling", "Stalled"];

/// The conditions that say nothing any more when nothing can be seen.
pub(super) const OBSERVED: [&str; 6] = [
    "Ready",
    "Available",
    "DataSafe",
    "Degraded",
    "Progressing",
    "CapacityAvailable",
];

/// Whether something is the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One condition, without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: &'static str,
    pub(super) truth: Truth,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

pub(super) fn verdict(
    kind: &'static str,
    truth: Truth,
    reason: &'static str,
    message: impl Into<String>,
) -> Verdict {
    Verdict {
        kind,
        truth,
        reason,
        message: message.into(),
    }
}

/// All verdicts, the summary first.
pub(super) fn verdicts(facts: &Facts<'_>, data: &Data, capacity: &Capacity) -> Vec<Verdict> {
    let available = available(facts);
    let safe = data_safe(facts, data);
    let progressing = progressing(facts);
    let spec = spec_valid(facts);
    let blocked = scale_down_blocked(facts);
    let volumes = volumes_resized(facts);
    let stalls = [&spec, &volumes].into_iter().find(|it| {
        it.truth == Truth::False && !["Resizing", "FileSystemResizePending"].contains(&it.reason)
    });
    let stalls = stalls.or_else(|| {
        let final_reasons = ["BelowReplicationFactor", "InsufficientCapacity"];
        Some(&blocked).filter(|it| final_reasons.contains(&it.reason))
    });
    // What holds a change up tells more than that it is under way.
    let ready = ready(facts, &spec, &available, stalls, &progressing);
    let stalled = stalls.map(|it| verdict("Stalled", Truth::True, it.reason, it.message.clone()));
    let reconciling = (progressing.truth == Truth::True).then(|| {
        verdict(
            "Reconciling",
            Truth::True,
            progressing.reason,
            progressing.message.clone(),
        )
    });
    let mut all = vec![
        ready,
        available,
        safe,
        degraded(facts),
        progressing,
        capacity_available(facts, capacity),
        blocked,
        volumes,
        verdict(
            "CertificatesValid",
            Truth::True,
            "Disabled",
            "TLS is not in use",
        ),
        spec,
        paused(facts),
        deletion_blocked(facts),
    ];
    all.extend(reconciling);
    all.extend(stalled);
    all
}

/// With times: that of a change moves only when the truth does.
pub(super) fn conditions(
    previous: &[Condition],
    verdicts: &[Verdict],
    facts: &Facts<'_>,
) -> Vec<Condition> {
    let condition = |verdict: &Verdict| {
        let before = previous.iter().find(|it| it.type_ == verdict.kind);
        let before = before.filter(|it| it.status == verdict.truth.as_str());
        Condition {
            type_: verdict.kind.to_owned(),
            status: verdict.truth.as_str().to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.clone(),
            observed_generation: facts.generation,
            last_transition_time: before
                .map_or_else(|| facts.now.clone(), |it| it.last_transition_time.clone()),
        }
    };
    verdicts.iter().map(condition).collect()
}

/// Whether all is well *and* what this generation of the spec asks for is the case.
fn ready(
    facts: &Facts<'_>,
    spec: &Verdict,
    available: &Verdict,
    stalls: Option<&Verdict>,
    progressing: &Verdict,
) -> Verdict {
    let not = |reason, message: String| verdict("Ready", Truth::False, reason, message);
    if spec.truth != Truth::True {
        return not("SpecInvalid", spec.message.clone());
    }
    if facts.deleting != Deleting::No {
        return not("Deleting", "the resource is being deleted".to_owned());
    }
    if facts.bootstrap.is_none() {
        return not("Initializing", starting(facts));
    }
    let masters = facts
        .observed
        .masters
        .as_ref()
        .map_or(0, |masters| masters.ready);
    if masters == 0 {
        let (namespace, name) = (facts.namespace, names::masters(facts.name));
        let message = format!(
            "no master is ready{}; see kubectl -n {namespace} describe deployment {name}",
            waiting(facts)
        );
        return not("MasterNotReady", message);
    }
    if available.truth != Truth::True {
        return verdict(
            "Ready",
            available.truth,
            "DataUnavailable",
            available.message.clone(),
        );
    }
    let missing = facts
        .observed
        .leader
        .report()
        .map_or(0, |it| it.status.missing_files);
    if missing > 0 {
        return not(
            "DataUnavailable",
            format!("{missing} files cannot be read whole"),
        );
    }
    if let Some(why) = workers_not_ready(facts) {
        return not("WorkersNotReady", why);
    }
    if progressing.reason == progress::CONVERGED {
        return verdict(
            "Ready",
            Truth::True,
            "AllReady",
            "files are read and written, all pods are ready, and the spec is in force",
        );
    }
    if facts.paused {
        let message = format!(
            "the spec is not applied, as it says: {}",
            progressing.message
        );
        return not("Paused", message);
    }
    let why = stalls.unwrap_or(progressing);
    not(why.reason, why.message.clone())
}

pub(super) fn starting(facts: &Facts<'_>) -> String {
    let pods = facts
        .observed
        .worker_pods()
        .filter(|(_, pod)| pod.ready)
        .count();
    let wanted = facts.wanted_workers;
    format!(
        "the cluster is being started: {pods} of {wanted} workers are ready{}",
        waiting(facts)
    )
}

/// Why a pod does not run, if one says so.
fn waiting(facts: &Facts<'_>) -> String {
    let workers = facts.observed.worker_pods().map(|(_, pod)| pod);
    let mut pods = workers.chain(&facts.observed.master_pods);
    let told = pods.find_map(|pod| Some((&pod.name, pod.waiting.as_ref()?)));
    told.map(|(pod, why)| format!(" ({pod}: {why})"))
        .unwrap_or_default()
}

/// Why not all workers that are wanted are there.
fn workers_not_ready(facts: &Facts<'_>) -> Option<String> {
    let report = facts.observed.leader.report()?;
    let mut absent = Vec::new();
    for ordinal in 0..facts.wanted_workers {
        let name = names::worker(facts.name, ordinal);
        let pod = facts
            .observed
            .workers
            .get(&ordinal)
            .and_then(|worker| worker.pod.as_ref());
        let member = report.member(&name);
        let live = member.is_some_and(|it| it.state == mdfs_client::api::WorkerState::Live);
        if !pod.is_some_and(|pod| pod.ready) {
            absent.push(format!("pod {name} is not ready"));
        } else if !live {
            absent.push(format!("{name} is not live in the cluster"));
        }
    }
    let first = absent.first()?;
    let more = match absent.len() {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    Some(format!("{first}{more}{}", waiting(facts)))
}
