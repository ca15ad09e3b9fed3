//! The rules that a restart has to pass, by name. A refusal shows the name in the status.

use super::Plan;
use crate::controller::observed::{Observed, PodSeen};
use crate::controller::validate::ValidatedCluster;
use crate::names;
use mdfs_client::api::WorkerState;
use std::str::FromStr;
use std::time::Duration;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// The user lets changes reach workers.
    NotPaused,
    /// The leader answers.
    LeaderReachable,
    /// It has counted lately.
    DataReportFresh,
    /// No worker is being emptied.
    NotDraining,
    /// The pod that went before was replaced.
    PreviousPodReplaced,
    /// The disk of the pod that went before is back.
    PreviousWorkerRegistered,
    /// All other workers are ready and live.
    MaxUnavailable,
    /// Every chunk can be read.
    NoMissingChunks,
    /// Every chunk has all its copies, so none is on the candidate alone.
    NoSingleCopyOnCandidate,
    /// No copies are still to be made.
    RepairQueueBelowLimit,
    /// The voters can write without the candidate.
    VoterQuorumKept,
}

impl Predicate {
    /// All, in the order in which they are asked.
    pub const ALL: [Self; 11] = [
        Self::NotPaused,
        Self::LeaderReachable,
        Self::DataReportFresh,
        Self::NotDraining,
        Self::PreviousPodReplaced,
        Self::PreviousWorkerRegistered,
        Self::MaxUnavailable,
        Self::NoMissingChunks,
        Self::NoSingleCopyOnCandidate,
        Self::RepairQueueBelowLimit,
        Self::VoterQuorumKept,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotPaused => "not_paused",
            Self::LeaderReachable => "leader_reachable",
            Self::DataReportFresh => "data_report_fresh",
            Self::NotDraining => "not_draining",
            Self::PreviousPodReplaced => "previous_pod_replaced",
            Self::PreviousWorkerRegistered => "previous_worker_registered",
            Self::MaxUnavailable => "max_unavailable",
            Self::NoMissingChunks => "no_missing_chunks",
            Self::NoSingleCopyOnCandidate => "no_single_copy_on_candidate",
            Self::RepairQueueBelowLimit => "repair_queue_below_limit",
            Self::VoterQuorumKept => "voter_quorum_kept",
        }
    }
}

/// There is no rule of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no predicate of this name")]
pub struct UnknownPredicate;

impl FromStr for Predicate {
    type Err = UnknownPredicate;

    fn from_str(text: &str) -> Result<Self, UnknownPredicate> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or(UnknownPredicate)
    }
}

/// A rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub predicate: Predicate,
    /// What it says, for people.
    pub message: String,
}

/// What came of a candidate.
pub(super) struct Judged {
    pub(super) held: Option<Held>,
    pub(super) ignored: Option<Predicate>,
}

/// How old the leader's count may be for a pod to be taken away on it.
const FRESH: Duration = Duration::from_secs(15);

/// Asks every rule in order. A pod that serves nothing can be taken away without making anything worse,
/// and that may be what mends it, so only the user holds it back.
pub(super) fn judge(
    cluster: &ValidatedCluster,
    observed: &Observed,
    plan: &Plan,
    ordinal: u32,
    pod: &PodSeen,
    ignored: Option<Predicate>,
) -> Judged {
    let candidate = Candidate {
        cluster,
        observed,
        plan,
        ordinal,
        name: names::worker(&cluster.name, ordinal),
    };
    let idle = candidate.is_idle(pod);
    let mut judged = Judged {
        held: None,
        ignored: None,
    };
    for predicate in Predicate::ALL {
        if idle && predicate != Predicate::NotPaused {
            continue;
        }
        let Some(message) = candidate.breaks(predicate) else {
            continue;
        };
        if ignored == Some(predicate) {
            judged.ignored = Some(predicate);
            continue;
        }
        judged.held = Some(Held { predicate, message });
        break;
    }
    judged
}

struct Candidate<'a> {
    cluster: &'a ValidatedCluster,
    observed: &'a Observed,
    plan: &'a Plan,
    ordinal: u32,
    name: String,
}

impl Candidate<'_> {
    /// Whether the pod serves nothing: its container does not run, or its disk is away, and not for a
    /// moment only. That it is not ready is not enough, since its copies may be read all the same.
    fn is_idle(&self, pod: &PodSeen) -> bool {
        let runs_not = pod.waiting.is_some();
        let serves_not = match self.observed.leader.fresh() {
            Some(report) => match report.member(&self.name).map(|it| it.state) {
                None | Some(WorkerState::Dead) => true,
                Some(WorkerState::Suspect) => runs_not,
                Some(WorkerState::Live) => false,
            },
            None => runs_not,
        };
        !pod.ready && serves_not
    }

    /// Why the rule is not kept; none if it is.
    fn breaks(&self, predicate: Predicate) -> Option<String> {
        let report = self.observed.leader.report();
        match predicate {
            Predicate::NotPaused => {
                let paused = !self.cluster.rolling;
                paused.then(|| "spec.upgrade.strategy is Paused".to_owned())
            }
            Predicate::LeaderReachable => match report {
                Some(report) if report.age.is_zero() => None,
                _ => Some("the leader does not answer".to_owned()),
            },
            Predicate::DataReportFresh => {
                let age = report?.figures_age();
                let fresh = age.is_some_and(|age| age <= FRESH);
                (!fresh).then(|| "the files have not been counted lately".to_owned())
            }
            Predicate::NotDraining => {
                let draining = report?
                    .workers
                    .iter()
                    .find(|it| it.draining && it.chunks > 0)?;
                Some(format!("{} is being emptied", draining.name))
            }
            Predicate::PreviousPodReplaced => {
                let (ordinal, removed) = self.previous()?;
                let pod = self.pod(ordinal);
                let replaced = pod.is_some_and(|pod| pod.uid != *removed);
                (!replaced).then(|| format!("{} has no new pod yet", self.worker(ordinal)))
            }
            Predicate::PreviousWorkerRegistered => {
                let (ordinal, _) = self.previous()?;
                let why = self.pod(ordinal).and_then(|pod| pod.waiting.clone());
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                Some(format!("{} is not back yet{why}", self.worker(ordinal)))
            }
            Predicate::MaxUnavailable => self.unavailable(),
            Predicate::NoMissingChunks => {
                let missing = report?.status.missing_files;
                (missing > 0).then(|| format!("{missing} files cannot be read whole"))
            }
            Predicate::NoSingleCopyOnCandidate => {
                let status = &report?.status;
                let few = status.under_replicated_files.max(status.damaged_chunks);
                (few > 0).then(|| format!("{few} files have fewer good copies than wanted"))
            }
            Predicate::RepairQueueBelowLimit => {
                let copies = report?.status.copies_to_make;
                (copies > 0).then(|| format!("{copies} copies are still to be made"))
            }
            Predicate::VoterQuorumKept => {
                let report = report?;
                let votes = report.member(&self.name).is_some_and(|it| it.voter);
                let lost = votes && report.status.voters > 1 && !report.can_lose_a_voter();
                lost.then(|| "too few voters would be left to write".to_owned())
            }
        }
    }

    /// A restart that is not over, of another worker.
    fn previous(&self) -> Option<(u32, &String)> {
        let (ordinal, removed) = self.plan.current.as_ref()?;
        (*ordinal != self.ordinal).then_some((*ordinal, removed))
    }

    fn pod(&self, ordinal: u32) -> Option<&PodSeen> {
        self.observed.workers.get(&ordinal)?.pod.as_ref()
    }

    fn worker(&self, ordinal: u32) -> String {
        names::worker(&self.cluster.name, ordinal)
    }

    /// Another worker that is not there.
    fn unavailable(&self) -> Option<String> {
        let report = self.observed.leader.report()?;
        for ordinal in (0..self.plan.replicas).filter(|it| *it != self.ordinal) {
            let name = self.worker(ordinal);
            if !self
                .pod(ordinal)
                .is_some_and(|pod| pod.ready && !pod.terminating)
            {
                return Some(format!("{name} is not ready"));
            }
            let member = report.member(&name);
            if !member.is_some_and(|it| it.state == WorkerState::Live) {
                return Some(format!("{name} is not live in the cluster"));
            }
        }
        None
    }
}
