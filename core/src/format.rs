//! The version of what the log and its records may hold.
//!
//! A cluster has one version, in its record ([`crate::records::ClusterRecord::format`]). Leaders write
//! nothing of a later one, and raise it only when every server knows the next: until then every server
//! can be replaced by its former version. What each version brought is in `docs/format.md`.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The versions that a program reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// The lowest.
    pub least: u32,
    /// The highest.
    pub most: u32,
}

/// What this program reads and writes.
pub const FORMATS: Formats = Formats { least: 1, most: 2 };

/// From this version on, open uploads say whom they count for.
pub const UPLOADS_SAY_WHOSE: u32 = 2;

/// From this version on, requests that were refused are remembered.
pub const REFUSALS_ARE_REMEMBERED: u32 = 2;

/// How long every server must have known a version before a leader writes it. Somebody who finds
/// that a new version does not do has replaced a server by then, or stopped one; and each server says
/// what it knows every second.
pub const KNOWN_FOR: Duration = Duration::from_secs(60);

impl Formats {
    /// Whether a cluster of that version can be led and its records be read.
    pub const fn has(self, format: u32) -> bool {
        self.least <= format && format <= self.most
    }
}

/// Watches for a version that every server knows. For one term of a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rise {
    next: u32,
    since: Option<Timestamp>,
}

impl Rise {
    /// The version that comes after `present`, if all `servers` have known it for [`KNOWN_FOR`]. One
    /// that has not said what it knows may know nothing later.
    pub fn look(
        &mut self,
        now: Timestamp,
        present: u32,
        servers: impl IntoIterator<Item = Option<Formats>>,
    ) -> Option<u32> {
        let next = present.checked_add(1)?;
        let knows = |formats: Option<Formats>| formats.is_some_and(|it| it.has(next));
        if !servers.into_iter().all(knows) || self.next != next {
            *self = Self { next, since: None };
            return None;
        }
        let since = *self.since.get_or_insert(now);
        (now.since(since) >= KNOWN_FOR).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Option<Formats> = Some(Formats { least: 1, most: 1 });
    const NEW: Option<Formats> = Some(Formats { least: 1, most: 2 });

    #[test]
    fn a_version_is_raised_once_everybody_has_known_it_for_a_while() {
        let mut rise = Rise::default();
        let mut look = |seconds: u64, servers: &[Option<Formats>]| {
            let now = Timestamp::from_millis(seconds * 1000);
            rise.look(now, 1, servers.iter().copied())
        };
        assert_eq!(look(0, &[NEW, OLD]), None);
        assert_eq!(look(1, &[NEW, NEW]), None);
        assert_eq!(look(2, &[NEW, NEW]), None);
        assert_eq!(look(60, &[NEW, NEW]), None);
        // One is replaced by its former version, or falls silent: it begins anew.
        assert_eq!(look(62, &[NEW, OLD]), None);
        assert_eq!(look(63, &[NEW, NEW]), None);
        assert_eq!(look(90, &[NEW, None]), None);
        assert_eq!(look(91, &[NEW, NEW]), None);
        assert_eq!(look(150, &[NEW, NEW]), None);
        assert_eq!(look(151, &[NEW, NEW]), Some(2));
    }

    #[test]
    fn nothing_comes_after_what_is_known() {
        let mut rise = Rise::default();
        for seconds in 0..1000 {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(rise.look(now, 2, [NEW, NEW]), None);
        }
        assert!(FORMATS.has(FORMATS.least) && FORMATS.has(FORMATS.most));
        assert!(!FORMATS.has(FORMATS.least - 1) && !FORMATS.has(FORMATS.most + 1));
    }
}
