//! Where the other disks are, as the masters say.

use mdfs_core::id::DiskId;
use mdfs_protocol::internal;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The members and their URLs. The only source of addresses a worker sends to: a request names
/// disks, never URLs, so nobody can make a worker call a host of his choice.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    held: Arc<RwLock<Held>>,
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
