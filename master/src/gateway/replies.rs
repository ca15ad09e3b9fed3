//! What the replies of a chain say about each of its disks.

use super::peers::Failure;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{HopOutcome, HopsReply, Seal, Stored};
use mdfs_protocol::problem::Code;

fn outcome_of(reply: &HopsReply, disk: DiskId) -> Option<&HopOutcome> {
    reply
        .hops
        .iter()
        .find(|hop| hop.disk == disk)
        .map(|hop| &hop.outcome)
}

/// Whether a disk has received a segment. Not how far it is: segments may overtake each other.
pub(super) fn has_received(reply: &HopsReply, disk: DiskId) -> bool {
    matches!(outcome_of(reply, disk), Some(HopOutcome::Received(_)))
}

/// What a disk has made durable.
///
/// # Errors
/// If it has not; says why.
pub(super) fn stored_by(reply: &HopsReply, disk: DiskId) -> Result<Stored, Failure> {
    match outcome_of(reply, disk) {
        Some(HopOutcome::Durable(stored)) => Ok(*stored),
        Some(HopOutcome::Received(_) | HopOutcome::Failed { .. }) | None => {
            Err(failure_of(reply, disk))
        }
    }
}

/// Whether a disk has made durable what was meant.
pub(super) fn says_durable(reply: &HopsReply, disk: DiskId, seal: &Seal) -> bool {
    stored_by(reply, disk).is_ok_and(|stored| is_as_sealed(&stored, seal))
}

fn is_as_sealed(stored: &Stored, seal: &Seal) -> bool {
    stored.length == seal.length && stored.crc32 == seal.crc32
}

/// Why a disk did not do what it was asked.
pub(super) fn failure_of(reply: &HopsReply, disk: DiskId) -> Failure {
    match outcome_of(reply, disk) {
        Some(HopOutcome::Failed { code, detail }) => Failure::new(*code, detail),
        Some(HopOutcome::Received(_) | HopOutcome::Durable(_)) | None => {
            Failure::new(Code::Internal, "the worker answered something else")
        }
    }
}

/// Whether a worker has stored what was meant.
///
/// # Errors
/// Why it has not.
pub(super) fn checked(stored: Result<Stored, Failure>, seal: &Seal) -> Result<(), Failure> {
    if is_as_sealed(&stored?, seal) {
        Ok(())
    } else {
        Err(Failure::new(
            Code::ChecksumMismatch,
            "the worker stored other bytes",
        ))
    }
}
