//! Where chunks belong.

use super::SurveyRequest;
use crate::leader::catalog::prefix;
use mdfs_core::id::DiskId;
use mdfs_core::log::table::Table;
use mdfs_core::partition::Partition;
use mdfs_core::records::{Copies, Key, Kind, MemberRecord, MemberState, decode};
use std::collections::{BTreeMap, BTreeSet};

/// Where a chunk should be, and where it may be.
pub(super) struct Places<'a> {
    /// The disks that should have it in the end.
    pub(super) targets: &'a [DiskId],
    /// All disks whose copy counts.
    pub(super) all: Vec<DiskId>,
    /// Where it lies instead, for now.
    pub(super) exception: Option<&'a [DiskId]>,
}

/// Where chunks of a partition should be, of which so many copies are wanted.
pub(super) fn places<'a>(
    request: &'a SurveyRequest,
    partition: Partition,
    wanted: usize,
    exception: Option<&'a Copies>,
) -> Places<'a> {
    let holders = request.assignment.holders(partition);
    let targets = request.moves.get(&partition).map_or(holders, Vec::as_slice);
    let first = |disks: &'a [DiskId]| disks.get(..wanted).unwrap_or(disks);
    let others = match exception {
        Some(exception) => exception.disks.as_slice(),
        None => first(holders),
    };
    let mut seen = BTreeSet::new();
    let all = first(targets).iter().chain(others).copied();
    Places {
        targets: first(targets),
        all: all.filter(|&disk| seen.insert(disk)).collect(),
        exception: exception.map(|exception| exception.disks.as_slice()),
    }
}

/// The disks whose membership is as wanted.
pub(super) fn members(table: &Table, is_wanted: impl Fn(MemberState) -> bool) -> BTreeSet<DiskId> {
    let mut members = all_members(table);
    members.retain(|(_, member)| is_wanted(member.state));
    members.into_iter().map(|(disk, _)| disk).collect()
}

/// The failure domains of the disks that have one.
pub(super) fn zones(table: &Table) -> BTreeMap<DiskId, String> {
    let zone = |(disk, member): (DiskId, MemberRecord)| Some((disk, member.zone?));
    all_members(table).into_iter().filter_map(zone).collect()
}

fn all_members(table: &Table) -> Vec<(DiskId, MemberRecord)> {
    let member = |(key, value): (&[u8], &[u8])| match (Key::from_bytes(key), decode(value)) {
        (Ok(Key::Member(disk)), Ok(member)) => Some((disk, member)),
        _ => None,
    };
    let members = prefix(Kind::Member);
    table.range(&members, None).filter_map(member).collect()
}
