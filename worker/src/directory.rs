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

#[derive(Debug, Default)]
struct Held {
    version: u64,
    urls: BTreeMap<DiskId, String>,
}

impl Directory {
    /// Replaces what is known by what a master said.
    pub fn replace(&self, told: internal::Directory) {
        let internal::Directory { version, disks } = told;
        let urls = disks
            .into_iter()
            .map(|address| (address.disk, address.url))
            .collect();
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { version, urls };
        self.replaced.notify_waiters();
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

    /// Where a disk is, if a master named it.
    pub fn url(&self, disk: DiskId) -> Option<String> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .urls
            .get(&disk)
            .cloned()
    }

    /// The version of what is known; zero before the first.
    pub fn version(&self) -> u64 {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .version
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
            directory.replace(internal::Directory { version: 7, disks });
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
        directory.replace(told(7, 1, "http://a"));
        assert_eq!(
            directory.url(DiskId::from_u128(1)).as_deref(),
            Some("http://a")
        );
        directory.replace(told(9, 2, "http://b"));
        assert_eq!(
            (directory.version(), directory.url(DiskId::from_u128(1))),
            (9, None)
        );
    }
}
