//! What masters move: each counts its own, and tells the leader once a second.

use mdfs_core::time::Timestamp;
use mdfs_protocol::ask::Traffic;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A master that said nothing for so long is gone.
const GONE: Duration = Duration::from_secs(10);
/// Masters whose words are kept; there are at most as many as workers beat at.
const MOST: usize = 64;

/// Counters of one master. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Moved(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    written: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
}

impl Moved {
    /// Bytes of a file were sent to a client.
    pub fn read(&self, bytes: usize) {
        add(&self.0.read, bytes);
    }

    /// Bytes of a file were taken from a client.
    pub fn written(&self, bytes: usize) {
        add(&self.0.written, bytes);
    }

    /// A request was answered.
    pub fn answered(&self, status: u16) {
        add(&self.0.requests, 1);
        add(&self.0.errors, usize::from(status >= 500));
    }

    /// What was counted since the start.
    pub fn since_start(&self, url: &str) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            url: url.to_owned(),
            read: of(&self.0.read),
            written: of(&self.0.written),
            requests: of(&self.0.requests),
            errors: of(&self.0.errors),
        }
    }
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or_default(), Ordering::Relaxed);
}

/// What all masters moved, as they said last.
#[derive(Debug, Default)]
pub(super) struct Masters {
    of: BTreeMap<String, (Traffic, Timestamp)>,
    /// Of those that are gone, and of what was counted before a master started anew.
    before: [u64; 4],
}

impl Masters {
    pub(super) fn hear(&mut self, now: Timestamp, said: Traffic) {
        self.of.retain(|_, (_, at)| now.since(*at) < GONE);
        if self.of.len() >= MOST && !self.of.contains_key(&said.url) {
            return;
        }
        let gained = match self.of.get(&said.url) {
            // It was started anew: all that it counts is new.
            Some((old, _)) if old.requests > said.requests => figures(&said),
            Some((old, _)) => {
                let (old, new) = (figures(old), figures(&said));
                std::array::from_fn(|at| {
                    let of = |all: &[u64; 4]| all.get(at).copied().unwrap_or_default();
                    of(&new).saturating_sub(of(&old))
                })
            }
            // What it moved before it was heard of is not of now.
            None => [0; 4],
        };
        for (all, gained) in self.before.iter_mut().zip(gained) {
            *all = all.saturating_add(gained);
        }
        self.of.insert(said.url.clone(), (said, now));
    }

    /// Bytes read and written, requests and errors, since this master leads.
    pub(super) fn all(&self) -> [u64; 4] {
        self.before
    }
}

fn figures(said: &Traffic) -> [u64; 4] {
    [said.read, said.written, said.requests, said.errors]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str, read: u64, requests: u64) -> Traffic {
        Traffic {
            url: url.to_owned(),
            read,
            requests,
            ..Traffic::default()
        }
    }

    #[test]
    fn what_masters_move_adds_up_also_when_one_starts_anew_or_goes() {
        let at = |seconds: u64| Timestamp::from_millis(1000 * seconds);
        let mut all = Masters::default();
        all.hear(at(1), said("a", 100, 10));
        assert_eq!(all.all(), [0; 4]);
        all.hear(at(2), said("a", 130, 11));
        all.hear(at(2), said("b", 5, 1));
        all.hear(at(3), said("b", 7, 2));
        assert_eq!(all.all(), [32, 0, 2, 0]);
        all.hear(at(4), said("a", 4, 1));
        assert_eq!(all.all(), [36, 0, 3, 0]);
        // Nothing was heard of the other for long: what it says then is where it begins.
        all.hear(at(30), said("a", 9, 2));
        assert_eq!(all.all(), [36, 0, 3, 0]);
    }
}
