//! What the leader says of the cluster, and what to do about it.

use super::report::{Check, Report};
use crate::output::size;
use mdfs_protocol::public::{Health, Status, WorkerInfo, WorkerState, Workers};
use std::time::Duration;

/// A disk with less room than one part in so many is told of.
const ROOM: u64 = 10;
/// Everything is read once a week; after twice that long it is told of.
const UNVERIFIED: Duration = Duration::from_secs(14 * 24 * 3600);

/// Health, files, voters and uploads.
pub(super) fn state(report: &mut Report, status: &Status) {
    let reasons = status.reasons.join("; ");
    let check = "cluster";
    report.add(match status.health {
        Health::Ok if reasons.is_empty() => Check::ok(
            check,
            format!("ok; {} files with {}", status.files, size(status.bytes)),
        ),
        Health::Ok => Check::ok(check, format!("ok; {reasons}")),
        Health::Degraded => {
            Check::unwell(check, format!("degraded: {reasons}")).hint("mdfs status")
        }
        Health::Critical => Check::sick(check, format!("critical: {reasons}")).hint("mdfs status"),
        Health::Unknown if status.cluster_id.is_none() => {
            Check::sick(check, format!("unknown: {reasons}"))
                .hint("wait a moment; if the cluster was never started, bootstrap it")
        }
        Health::Unknown => Check::sick(check, format!("unknown: {reasons}"))
            .hint("wait a moment; if it stays so, look at the masters' logs"),
    });
    let (leased, voters) = (status.leased_voters, status.voters);
    if leased < voters {
        let detail = format!("{leased} of {voters} voters follow the leader");
        let check = if leased * 2 > voters {
            Check::unwell("voters", detail)
        } else {
            Check::sick("voters", detail)
        };
        report.add(check.hint("bring the workers that vote back: `mdfs workers` names them"));
    }
    let example = status.at_risk.first().map(|file| file.name.as_str());
    if status.missing_files > 0 {
        let detail = format!("{} files cannot be read whole", status.missing_files);
        report.add(Check::sick("files", named(detail, example)).hint(
            "bring the workers back that have them; `mdfs status -o json` names them in `at_risk`",
        ));
    } else if status.under_replicated_files > 0 {
        let detail = format!(
            "{} files have too few copies",
            status.under_replicated_files
        );
        report.add(Check::unwell("files", named(detail, example)).hint(
            "copies are made by themselves: `mdfs tasks`; at once, without waiting: `mdfs repair`",
        ));
    }
    if status.damaged_chunks > 0 {
        let detail = format!("{} chunks have a damaged copy", status.damaged_chunks);
        report.add(
            Check::unwell("damage", detail)
                .hint("they are mended by themselves; `mdfs workers` shows whose disk is BAD"),
        );
    }
    if status.repair_paused {
        report.add(
            Check::unwell(
                "repairs",
                "they wait until most of the silent workers are back",
            )
            .hint("bring them back; if they are gone for good: `mdfs repair`"),
        );
    }
}

fn named(detail: String, example: Option<&str>) -> String {
    match example {
        Some(name) => format!("{detail}, such as {name}"),
        None => detail,
    }
}

/// Each worker: whether it answers, takes writes, has room, and reads what it holds.
pub(super) fn workers(report: &mut Report, workers: &Workers) {
    if workers.workers.is_empty() {
        report.add(Check::sick("workers", "there are none").hint("start some: `mdfs worker`"));
    }
    for worker in &workers.workers {
        report.add(one(worker));
    }
}

fn one(worker: &WorkerInfo) -> Check {
    let name = &worker.name;
    let room = format!(
        "{} free of {}",
        size(worker.free_bytes),
        size(worker.capacity_bytes)
    );
    let (well, sick) = (
        |what: &str| Check::unwell("worker", format!("{name} {what}")),
        |what: &str| Check::sick("worker", format!("{name} {what}")),
    );
    match worker.state {
        WorkerState::Suspect | WorkerState::Dead if worker.announced_seconds.is_some() => {
            return well("is silent, as announced");
        }
        WorkerState::Suspect => {
            return well("misses heartbeats").hint("look at its log, and at the network to it");
        }
        WorkerState::Dead => {
            return sick("does not answer").hint(format!(
                "start it again; if its disk is lost: `mdfs retire {name} --lost`"
            ));
        }
        WorkerState::Live => {}
    }
    if worker.read_only {
        return sick("takes no writes: its disk had an error").hint(format!(
            "replace the disk: `mdfs decommission {name}`, then start it on another one"
        ));
    }
    if worker.voter_broken {
        return well("cannot vote: its metadata log is damaged or gone")
            .hint("look at its log; its chunks are served all the same");
    }
    if worker.bad_blocks > 0 {
        return well(&format!("found {} bad blocks", worker.bad_blocks)).hint(
            "have everything read: `mdfs scrub`; if there are more each time, replace the disk",
        );
    }
    if worker.free_bytes < worker.capacity_bytes / ROOM {
        return well(&format!("is nearly full: {room}"))
            .hint("add workers, or delete for good: `mdfs rm --purge`");
    }
    let unverified = worker.oldest_unverified_millis.map(Duration::from_millis);
    if unverified.is_some_and(|age| age > UNVERIFIED) {
        return well("has not read all it holds for two weeks").hint("mdfs scrub");
    }
    let what = match (worker.decommissioning, worker.draining) {
        (true, _) => "is leaving",
        (false, true) => "is drained",
        (false, false) => "is live",
    };
    Check::ok("worker", format!("{name} {what}, {room}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::id::{DiskId, Generation};

    fn worker() -> WorkerInfo {
        WorkerInfo {
            disk_id: DiskId::from_u128(1),
            name: "w".to_owned(),
            url: None,
            state: WorkerState::Live,
            read_only: false,
            draining: false,
            decommissioning: false,
            announced_seconds: None,
            voter: true,
            witness: false,
            voter_broken: false,
            zone: None,
            generation: Generation::default(),
            partitions: 0,
            chunk_bytes: 0,
            chunks: 0,
            capacity_bytes: 100,
            free_bytes: 50,
            bad_blocks: 0,
            oldest_unverified_millis: Some(0),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut WorkerInfo), state: &str, text: &str) {
        let mut worker = worker();
        change(&mut worker);
        let found = serde_json::to_value(one(&worker)).unwrap();
        assert_eq!(found["state"], state, "{found}");
        assert!(found.to_string().contains(text), "{found}");
        assert_eq!(
            state != "ok" && !text.contains("announced"),
            found["hint"].is_string()
        );
    }

    #[test]
    fn whatever_is_not_well_has_a_hint() {
        check(|_| {}, "ok", "w is live");
        check(|it| it.draining = true, "ok", "is drained");
        check(
            |it| it.state = WorkerState::Dead,
            "fail",
            "mdfs retire w --lost",
        );
        check(
            |it| it.state = WorkerState::Suspect,
            "warn",
            "misses heartbeats",
        );
        check(
            |it| {
                it.state = WorkerState::Dead;
                it.announced_seconds = Some(7);
            },
            "warn",
            "as announced",
        );
        check(|it| it.read_only = true, "fail", "mdfs decommission w");
        check(|it| it.voter_broken = true, "warn", "cannot vote");
        check(|it| it.bad_blocks = 2, "warn", "2 bad blocks");
        check(|it| it.free_bytes = 9, "warn", "nearly full");
        let long = u64::try_from(UNVERIFIED.as_millis()).unwrap() + 1;
        check(
            |it| it.oldest_unverified_millis = Some(long),
            "warn",
            "mdfs scrub",
        );
    }
}
