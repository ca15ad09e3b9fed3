//! What stands in the way of what was asked for.

use super::conditions::{Truth, Verdict, verdict};
use super::{Deleting, Facts};
use crate::controller::removal::{ScaleDown, ScaleDownBlock};
use crate::names;

pub(super) fn scale_down_blocked(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("ScaleDownBlocked", truth, reason, message);
    let plan = facts.plan.map(|plan| &plan.scale_down);
    match plan {
        None | Some(ScaleDown::NotRequested) => say(
            Truth::False,
            "NotRequested",
            "no smaller cluster is asked for".to_owned(),
        ),
        Some(ScaleDown::Running) => {
            let message = "workers are being emptied before they go".to_owned();
            say(Truth::True, "DataNotDrained", message)
        }
        Some(ScaleDown::Blocked(block, why)) => {
            let reason = match block {
                ScaleDownBlock::BelowReplicationFactor => "BelowReplicationFactor",
                ScaleDownBlock::InsufficientCapacity => "InsufficientCapacity",
                ScaleDownBlock::TopologyUnknown => "TopologyUnknown",
            };
            say(Truth::True, reason, why.clone())
        }
    }
}

pub(super) fn volumes_resized(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("VolumesResized", truth, reason, message);
    let claims = |ordinals: &[u32]| {
        let names = ordinals
            .iter()
            .map(|ordinal| names::claim(facts.name, *ordinal));
        names.collect::<Vec<_>>().join(", ")
    };
    let Some(growth) = facts.growth else {
        let message = "the spec cannot be used".to_owned();
        return say(Truth::Unknown, "SpecInvalid", message);
    };
    if growth.shrink {
        let message = "volumes cannot shrink: raise spec.workers.storage.size".to_owned();
        return say(Truth::False, "ShrinkRejected", message);
    }
    if !growth.unresizable.is_empty() {
        let claims = claims(&growth.unresizable);
        let why = growth.refusal.as_deref();
        let why = why.unwrap_or("the storage class does not let volumes grow");
        let message = format!("{why}: {claims}");
        return say(Truth::False, "ExpansionUnsupported", message);
    }
    if !growth.restart_needed.is_empty() {
        let claims = claims(&growth.restart_needed);
        let message = format!("the file system has yet to grow: {claims}");
        return say(Truth::False, "FileSystemResizePending", message);
    }
    if !growth.resizing.is_empty() || !growth.patch.is_empty() || growth.replace_set {
        let message = format!("{} volumes are growing", growth.resizing.len());
        return say(Truth::False, "Resizing", message);
    }
    say(
        Truth::True,
        "UpToDate",
        "all volumes have the size that is wanted".to_owned(),
    )
}

pub(super) fn spec_valid(facts: &Facts<'_>) -> Verdict {
    match facts.valid {
        Ok(_) => verdict("SpecValid", Truth::True, "Valid", "the spec can be used"),
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let message = faults.join("; ");
            verdict("SpecValid", Truth::False, "InvalidField", message)
        }
    }
}

pub(super) fn paused(facts: &Facts<'_>) -> Verdict {
    let kind = "ReconciliationPaused";
    match facts.paused {
        true => verdict(
            kind,
            Truth::True,
            "PausedByUser",
            "spec.maintenance.mode says so",
        ),
        false => verdict(
            kind,
            Truth::False,
            "NotPaused",
            "changes of the spec are applied",
        ),
    }
}

pub(super) fn deletion_blocked(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("DeletionBlocked", truth, reason, message);
    match facts.deleting {
        Deleting::No => say(Truth::False, "NotDeleting", "the resource stays".to_owned()),
        Deleting::Running => say(
            Truth::False,
            "DataPresent",
            "files are being deleted".to_owned(),
        ),
        Deleting::Unconfirmed => {
            let phrase = names::deletion_phrase(facts.name);
            let message = format!(
                "to delete all files, set spec.volumeRetention.deletionConfirmation to {phrase:?}; to \
                 keep them, set spec.volumeRetention.whenDeleted to Retain"
            );
            say(Truth::True, "ConfirmationMissing", message)
        }
    }
}
