//! Lists of what was found, which do not grow with the number of files.

use crate::leader::survey::MOST_DROPS;
use mdfs_core::id::DiskId;
use std::collections::BTreeMap;

/// Notes a chunk to drop, if there are not too many.
pub(super) fn note_drop<T>(drops: &mut BTreeMap<DiskId, Vec<T>>, disk: DiskId, chunk: T) {
    let drops = drops.entry(disk).or_default();
    if drops.len() < MOST_DROPS {
        drops.push(chunk);
    }
}

/// Keeps at most `most` of what is told, those with the least keys. Cheap: nothing is sorted before
/// there are twice as many.
pub(super) fn keep_least<T>(kept: &mut Vec<T>, new: T, most: usize, key: impl Fn(&T) -> usize) {
    kept.push(new);
    if kept.len() >= 2 * most {
        kept.sort_by_key(&key);
        kept.truncate(most);
    }
}
