//! Whether files are served and safe.

use super::Facts;
use super::conditions::{Truth, Verdict, verdict};
use super::figures::not_live;
use crate::controller::observed::{Leader, Report};
use crate::crd::{Capacity, Data};
use crate::names;
use mdfs_client::api::{WorkerInfo, WorkerState};

pub(super) fn available(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("Available", truth, reason, message);
    match &facts.observed.leader {
        Leader::Unknown if facts.bootstrap.is_none() => say(
            Truth::False,
            "NoLeader",
            "the cluster is not started yet".to_owned(),
        ),
        Leader::Unknown => {
            let message = "the masters do not answer: nobody knows whether files are served";
            say(Truth::Unknown, "HealthUnknown", message.to_owned())
        }
        Leader::Refused => {
            let secret = names::access_secret(facts.name);
            let (namespace, masters) = (facts.namespace, names::masters(facts.name));
            let message = format!(
                "the masters do not take the token of the Secret {secret}, so it was changed: restore it, or \
                 have them take it: kubectl -n {namespace} rollout restart deployment {masters}"
            );
            say(Truth::Unknown, "TokenRefused", message)
        }
        Leader::None => say(
            Truth::False,
            "NoLeader",
            "the masters answer, and none of them leads".to_owned(),
        ),
        Leader::Told(report) => {
            let status = &report.status;
            if status.leased_voters < status.voters / 2 + 1 {
                let (leased, voters) = (status.leased_voters, status.voters);
                let message =
                    format!("{leased} of {voters} voters follow the leader: too few to write");
                return say(Truth::False, "BelowWriteQuorum", message);
            }
            let least = report
                .policy
                .min_write_copies
                .unwrap_or(report.policy.replicas);
            let taking = taking(report);
            if taking < usize::from(least) {
                let message = format!(
                    "{taking} live workers with room cannot take {least} copies: writes are refused"
                );
                return say(Truth::False, "ServingReadOnly", message);
            }
            say(
                Truth::True,
                "ServingReadWrite",
                "files are read and written".to_owned(),
            )
        }
    }
}

/// How many workers take new chunks.
fn taking(report: &Report) -> usize {
    let takes = |it: &&WorkerInfo| {
        let barred = it.read_only || it.draining || it.witness;
        it.state == WorkerState::Live && !barred && it.free_bytes >= report.policy.chunk_size
    };
    report.workers.iter().filter(takes).count()
}

pub(super) fn data_safe(facts: &Facts<'_>, data: &Data) -> Verdict {
    let say = |truth, reason, message: String| verdict("DataSafe", truth, reason, message);
    let report = facts.observed.leader.report();
    if report.and_then(Report::figures_age).is_none() {
        let message = "the leader has told nothing of the files lately".to_owned();
        return say(Truth::Unknown, "HealthUnknown", message);
    }
    let (few, damaged) = (data.under_replicated, data.damaged_chunks);
    if data.missing > 0 {
        let message = format!(
            "{} files have chunks without any copy that answers",
            data.missing
        );
        return say(Truth::False, "ChunksMissing", message);
    }
    if data.single_copy > 0 {
        let reason = if damaged > 0 {
            "CorruptionDetected"
        } else {
            "SingleCopy"
        };
        let message = format!("{} files have a single good copy", data.single_copy);
        return say(Truth::False, reason, message);
    }
    if few > 0 || damaged > 0 {
        let message = format!("{few} files lack copies, each has at least two good ones");
        return say(Truth::True, "Repairing", message);
    }
    say(
        Truth::True,
        "AllReplicated",
        "every file has all its copies".to_owned(),
    )
}

pub(super) fn degraded(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("Degraded", truth, reason, message);
    let Some(report) = facts.observed.leader.report() else {
        let message = "the leader does not answer".to_owned();
        return say(Truth::Unknown, "HealthUnknown", message);
    };
    let status = &report.status;
    let (lost, names) = not_live(report);
    if lost > 0 {
        let names = names.join(", ");
        return say(
            Truth::True,
            "WorkerDown",
            format!("not live in the cluster: {names}"),
        );
    }
    if status.under_replicated_files > 0 || status.damaged_chunks > 0 {
        let few = status.under_replicated_files;
        return say(
            Truth::True,
            "UnderReplicated",
            format!("{few} files lack copies"),
        );
    }
    // Copies that are made because workers came or go are no repair.
    if status.copies_to_make > 0 && status.moving_partitions == 0 {
        let copies = status.copies_to_make;
        return say(
            Truth::True,
            "RepairBacklog",
            format!("{copies} copies are still to be made"),
        );
    }
    if status.health != mdfs_client::api::Health::Ok {
        return say(
            Truth::True,
            "TopologyUnsatisfied",
            status.reasons.join("; "),
        );
    }
    say(
        Truth::False,
        "FullyRedundant",
        "all workers are live, all copies are there".to_owned(),
    )
}

pub(super) fn capacity_available(facts: &Facts<'_>, capacity: &Capacity) -> Verdict {
    let say = |truth, reason, message: String| verdict("CapacityAvailable", truth, reason, message);
    if facts.observed.leader.report().is_none() {
        let message = "the leader does not answer".to_owned();
        return say(Truth::Unknown, "HealthUnknown", message);
    }
    let used = capacity.used_percent;
    let message = format!("{used} % of the room is used");
    if used >= 95 {
        return say(Truth::False, "Full", message);
    }
    if !capacity.can_lose_one_worker {
        let message = format!("{message}; the copies of a lost worker could not be made elsewhere");
        return say(Truth::False, "CannotSurviveWorkerLoss", message);
    }
    let reason = if used >= 80 { "NearFull" } else { "Sufficient" };
    say(Truth::True, reason, message)
}
