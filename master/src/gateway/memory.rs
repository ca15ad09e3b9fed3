//! Which workers failed a moment ago, so that one that is stopped costs its time-out once.

use crate::leader::command::Site;
use mdfs_core::id::DiskId;
use mdfs_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Remembers failures for some seconds. At most one entry for each disk of the cluster.
#[derive(Debug)]
pub(super) struct SiteMemory {
    grudge: Duration,
    failed: Mutex<HashMap<DiskId, Timestamp>>,
}

impl SiteMemory {
    pub(super) fn new(grudge: Duration) -> Self {
        Self {
            grudge,
            failed: Mutex::default(),
        }
    }

    /// The worker did not answer, or not in time.
    pub(super) fn failed(&self, disk: DiskId, now: Timestamp) {
        self.lock().insert(disk, now);
    }

    /// The worker answered.
    pub(super) fn answered(&self, disk: DiskId) {
        let mut failed = self.lock();
        if !failed.is_empty() {
            failed.remove(&disk);
        }
    }

    /// The sites in the order to try them: as they were given, but `last` after the others, then
    /// those that are not live, then those that failed a moment ago.
    pub(super) fn order(&self, sites: &[Site], last: Option<DiskId>, now: Timestamp) -> Vec<Site> {
        let failed = self.lock();
        let mut ordered = sites.to_vec();
        ordered.sort_by_key(|site| {
            let grudge = failed
                .get(&site.disk)
                .is_some_and(|at| now.since(*at) < self.grudge);
            (grudge, !site.live, last == Some(site.disk))
        });
        ordered
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DiskId, Timestamp>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_is_asked_last_for_a_while() {
        let site = |disk, live| Site {
            disk: DiskId::from_u128(disk),
            url: String::new(),
            live,
        };
        let memory = SiteMemory::new(Duration::from_secs(5));
        let at = Timestamp::from_millis;
        let sites = [site(1, true), site(2, true), site(3, false)];
        let check = |last: Option<u128>, now, want: [u128; 3]| {
            let order = memory.order(&sites, last.map(DiskId::from_u128), at(now));
            assert_eq!(
                order
                    .iter()
                    .map(|site| site.disk.as_u128())
                    .collect::<Vec<_>>(),
                want
            );
        };
        check(None, 0, [1, 2, 3]);
        check(Some(1), 0, [2, 1, 3]);
        memory.failed(DiskId::from_u128(1), at(1000));
        check(None, 5999, [2, 3, 1]);
        check(None, 6000, [1, 2, 3]);
        memory.answered(DiskId::from_u128(1));
        check(None, 2000, [1, 2, 3]);
    }
}
