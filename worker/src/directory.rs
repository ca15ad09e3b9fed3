//! Where the other disks are, as the masters say.

use mdfs_core::id::DiskId;
use mdfs_protocol::internal;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;

/// The members and their URLs. The only source of addresses a worker sends to: a request names
/// disks, never URLs, so nobody can make a worker call a host of his choice.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    held: Arc<RwLock<Held>>,
    /// Fires when somebody wants an address that is not known.
    wanted: Arc<Notify>,
    /// Fires when what is known was replaced.
    replaced: Arc<Notify>,
}

/// What each master said last. They are kept apart: one that has just started has heard of few disks
/// yet, and must not take away what the others know.
#[derive(Debug, Default)]
struct Held {
    by_master: BTreeMap<String, Told>,
    /// The master whose word counts before that of others.
    leader: Option<String>,
    /// How often anything was told.
    times: u64,
}

#[derive(Debug, Default)]
struct Told {
    version: u64,
    urls: BTreeMap<DiskId, String>,
    /// Which of all that was told this was.
    time: u64,
}

impl Directory {
    /// Replaces what a master said by what it says now. The worker beats at few of them, and what others
    /// said is forgotten.
    pub fn replace(&self, master: &str, told: internal::Directory) {
        let internal::Directory { version, disks } = told;
        let urls = disks
            .into_iter()
            .map(|address| (address.disk, address.url))
            .collect();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.times += 1;
        let time = held.times;
        let told = Told {
            version,
            urls,
            time,
        };
        held.by_master.insert(master.to_owned(), told);
        drop(held);
        self.replaced.notify_waiters();
    }

    /// Forgets what a master said that the worker beats at no more.
    pub(crate) fn forget(&self, master: &str) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.by_master.remove(master);
    }

    /// Notes that a master leads: what it says of a disk counts from now on.
    pub(crate) fn leads(&self, master: &str) {
        let is_known = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            held.leader.as_deref() == Some(master)
        };
        if !is_known {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.leader = Some(master.to_owned());
        }
    }

    /// Where a disk is. When no master has named it yet, they are asked at once, and the answer is
    /// waited for up to `patience`: a disk that has just joined is known to its master first.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn find(&self, disk: DiskId, patience: Duration) -> Option<String> {
        let search = async {
            loop {
                let replaced = self.replaced.notified();
                tokio::pin!(replaced);
                // From here on no change is missed.
                replaced.as_mut().enable();
                if let Some(url) = self.url(disk) {
                    return url;
                }
                self.wanted.notify_waiters();
                replaced.await;
            }
        };
        tokio::time::timeout(patience, search).await.ok()
    }

    /// Waits until somebody wants an address that is not known.
    ///
    /// # Cancel safety
    /// May be dropped; what was wanted meanwhile is asked for with the next beat.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Where a disk is: by the word of the leader, or else of whoever said it last.
    pub fn url(&self, disk: DiskId) -> Option<String> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let leader = held.leader.as_ref().and_then(|it| held.by_master.get(it));
        let others = || {
            let naming = held
                .by_master
                .values()
                .filter(|told| told.urls.contains_key(&disk));
            naming.max_by_key(|told| told.time)
        };
        let told = leader.filter(|told| told.urls.contains_key(&disk));
        told.or_else(others)?.urls.get(&disk).cloned()
    }

    /// The version of what a master said; zero before the first.
    pub fn version_of(&self, master: &str) -> u64 {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_master.get(master).map_or(0, |told| told.version)
    }

    /// The version of what was said last; zero before the first.
    pub fn version(&self) -> u64 {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let last = held.by_master.values().max_by_key(|told| told.time);
        last.map_or(0, |told| told.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_not_known_is_asked_for_and_waited_for() {
        let directory = Directory::default();
        let disk = DiskId::from_u128(1);
        let patience = Duration::from_secs(1);
        let master = async {
            directory.wanted().await;
            let disks = vec![internal::DiskAddress {
                disk,
                url: "http://a".to_owned(),
            }];
            directory.replace("m", internal::Directory { version: 7, disks });
        };
        let ((), found) = tokio::join!(master, directory.find(disk, patience));
        assert_eq!(found.as_deref(), Some("http://a"));
        assert_eq!(directory.find(DiskId::from_u128(2), patience).await, None);
    }

    #[test]
    fn a_later_directory_replaces_the_earlier_one_whole() {
        let told = |version, disk, url: &str| internal::Directory {
            version,
            disks: vec![internal::DiskAddress {
                disk: DiskId::from_u128(disk),
                url: url.to_owned(),
            }],
        };
        let directory = Directory::default();
        assert_eq!(
            (directory.version(), directory.url(DiskId::from_u128(1))),
            (0, None)
        );
        directory.replace("m", told(7, 1, "http://a"));
        assert_eq!(
            directory.url(DiskId::from_u128(1)).as_deref(),
            Some("http://a")
        );
        directory.replace("m", told(9, 2, "http://b"));
        assert_eq!(
            (directory.version(), directory.url(DiskId::from_u128(1))),
            (9, None)
        );
    }

    /// Otherwise a master that has just started makes chains and pulls fail.
    #[test]
    fn what_one_master_does_not_know_yet_the_others_do_and_the_leader_is_believed_first() {
        let told = |version, url: &str| internal::Directory {
            version,
            disks: vec![internal::DiskAddress {
                disk: DiskId::from_u128(1),
                url: url.to_owned(),
            }],
        };
        let directory = Directory::default();
        let url = || directory.url(DiskId::from_u128(1)).unwrap();
        directory.replace("a", told(7, "http://old"));
        let nothing = internal::Directory {
            version: 8,
            disks: Vec::new(),
        };
        directory.replace("b", nothing);
        assert_eq!(url(), "http://old");
        assert_eq!(
            (directory.version_of("a"), directory.version_of("b")),
            (7, 8)
        );
        assert_eq!((directory.version_of("c"), directory.version()), (0, 8));
        directory.replace("b", told(9, "http://new"));
        assert_eq!(url(), "http://new", "nobody leads: the last word counts");
        directory.leads("a");
        assert_eq!(url(), "http://old");
        directory.leads("b");
        assert_eq!(url(), "http://new");
    }
}
