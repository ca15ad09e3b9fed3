//! One word and one line for people in a hurry.

use super::conditions::{Truth, Verdict};
use super::{Deleting, Facts};

fn find<'a>(verdicts: &'a [Verdict], kind: &str) -> Option<&'a Verdict> {
    verdicts.iter().find(|it| it.kind == kind)
}

fn is(verdicts: &[Verdict], kind: &str, truth: Truth) -> bool {
    find(verdicts, kind).is_some_and(|it| it.truth == truth)
}

/// One word for all.
pub(super) fn phase(facts: &Facts<'_>, verdicts: &[Verdict]) -> &'static str {
    if facts.deleting != Deleting::No {
        return "Deleting";
    }
    if !is(verdicts, "SpecValid", Truth::True) {
        return "Invalid";
    }
    if facts.bootstrap.is_none() {
        return "Initializing";
    }
    if is(verdicts, "Available", Truth::Unknown) || is(verdicts, "DataSafe", Truth::Unknown) {
        return "Unknown";
    }
    if is(verdicts, "Available", Truth::False) {
        return "Unavailable";
    }
    if is(verdicts, "DataSafe", Truth::False) {
        return "AtRisk";
    }
    match find(verdicts, "Progressing").map(|it| it.reason) {
        Some("Draining") => return "ScalingDown",
        Some("ScalingUp") => return "ScalingUp",
        Some("RollingOut") => return "Upgrading",
        Some("ResizingVolumes") => return "Resizing",
        Some("Applying" | "ApplyingPolicy" | "ApplyFailed") => return "Applying",
        _ => {}
    }
    if is(verdicts, "Degraded", Truth::True) {
        return "Degraded";
    }
    if is(verdicts, "ReconciliationPaused", Truth::True) {
        return "Paused";
    }
    match is(verdicts, "Ready", Truth::True) {
        true => "Ready",
        false => "NotReady",
    }
}

/// The conditions that a diagnosis comes from, the worst first, and what they are when all is well.
const ORDER: &[(&str, Truth)] = &[
    ("SpecValid", Truth::True),
    ("DeletionBlocked", Truth::False),
    ("Available", Truth::True),
    ("DataSafe", Truth::True),
    ("Ready", Truth::True),
    ("Degraded", Truth::False),
    ("ScaleDownBlocked", Truth::False),
    ("VolumesResized", Truth::True),
    ("CapacityAvailable", Truth::True),
    ("ReconciliationPaused", Truth::False),
];

/// What is wrong, and what to do about it; empty if nothing is.
pub(super) fn diagnosis(facts: &Facts<'_>, verdicts: &[Verdict]) -> String {
    if let Some(failed) = facts.failed {
        return failed.to_owned();
    }
    if let Some(blocked) = find(verdicts, "DeletionBlocked").filter(|it| it.truth == Truth::True) {
        return format!("{}: {}", blocked.reason, blocked.message);
    }
    if facts.bootstrap.is_none()
        && is(verdicts, "SpecValid", Truth::True)
        && let Some(ready) = find(verdicts, "Ready")
    {
        return format!("{}: {}", ready.reason, ready.message);
    }
    let wrong = ORDER.iter().find_map(|(kind, well)| {
        let verdict = find(verdicts, kind)?;
        (verdict.truth != *well).then_some(verdict)
    });
    wrong
        .map(|it| format!("{}: {}", it.reason, it.message))
        .unwrap_or_default()
}
