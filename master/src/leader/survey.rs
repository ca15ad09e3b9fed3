//! Counts the files whose copies cannot all be reached. Reads a copy of the table, so it runs
//! beside the leader's loop.

use mdfs_core::id::DiskId;
use mdfs_core::log::table::Table;
use mdfs_core::records::plan::copies_of;
use mdfs_core::records::{FileRecord, Kind, decode};
use std::collections::BTreeSet;

/// What a survey looks at.
#[derive(Clone, Debug)]
pub struct SurveyRequest {
    /// The committed records; shares its pages with the leader's table.
    pub table: Table,
    /// The disks whose copies count. A copy on any other counts as missing.
    pub reachable: BTreeSet<DiskId>,
}

/// What a survey found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Files that have a chunk with fewer reachable copies than wanted.
    pub under_replicated_files: u64,
    /// Files that have a chunk without any reachable copy.
    pub missing_files: u64,
    /// Files whose record cannot be read: never counted as well.
    pub unreadable_files: u64,
}

/// Looks at every file.
pub fn survey(request: &SurveyRequest) -> Survey {
    let mut found = Survey::default();
    for (_, value) in request
        .table
        .range(&super::catalog::prefix(Kind::File), None)
    {
        let copies = decode::<FileRecord>(value).ok().and_then(|file| {
            copies_of(&request.table, &file)
                .ok()
                .map(|copies| (file, copies))
        });
        let Some((file, copies)) = copies else {
            found.unreadable_files += 1;
            continue;
        };
        let reachable = |disks: &[DiskId]| {
            disks
                .iter()
                .filter(|&disk| request.reachable.contains(disk))
                .count()
        };
        let fewest = copies.iter().map(|run| reachable(&run.disks)).min();
        let wanted = usize::from(file.replicas.get());
        found.under_replicated_files += u64::from(fewest.is_some_and(|fewest| fewest < wanted));
        found.missing_files += u64::from(fewest == Some(0));
    }
    found
}
