//! What a master that follows shows of events: what the board of the leader has, asked for again and again
//! while somebody watches here.

use super::{Board, Copy};
use crate::leader::handle::LeaderHandle;
use mdfs_core::records::Holder;
use mdfs_protocol::ask::EventsAfter;
use mdfs_protocol::public::EVENTS_KEPT;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon the leader is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Counts who watches, for each holder.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Mutex<BTreeMap<Holder, usize>>>);

/// One who watches, until it is dropped.
#[derive(Debug)]
pub struct Watcher(Watchers, Holder);

impl Watchers {
    /// One more of a holder's watches, if there are fewer than `most`, and fewer than half of that are
    /// theirs.
    pub fn join(&self, holder: Holder, most: usize) -> Option<Watcher> {
        let mut watching = self.lock();
        let all: usize = watching.values().sum();
        let theirs = watching.get(&holder).copied().unwrap_or_default();
        if all >= most || theirs >= most / 2 {
            return None;
        }
        watching.insert(holder, theirs + 1);
        Some(Watcher(self.clone(), holder))
    }

    fn is_anybody(&self) -> bool {
        !self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Holder, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let Self(watchers, holder) = self;
        let mut watching = watchers.lock();
        let left = watching
            .get(holder)
            .and_then(|theirs| theirs.checked_sub(1));
        match left {
            Some(left @ 1..) => drop(watching.insert(*holder, left)),
            _ => drop(watching.remove(holder)),
        }
    }
}

/// Copies, until `stop` fires.
///
/// # Cancel safety
/// May be dropped.
pub async fn mirror(
    board: Board,
    leader: LeaderHandle,
    watchers: Watchers,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
        if watchers.is_anybody() && !board.is_own() {
            copy(&board, &leader).await;
        }
    }
}

/// Copies once. Says whether there was something to copy: what is on the board is of some time ago
/// otherwise, and it says so.
pub async fn copy(board: &Board, leader: &LeaderHandle) -> bool {
    let after = EventsAfter {
        after: Some(board.present().event),
        limit: EVENTS_KEPT,
    };
    if let Some(bytes) = leader.board_of_leader(after).await {
        match serde_json::from_slice::<Copy>(&bytes) {
            Ok(copy) => {
                board.take(copy);
                return true;
            }
            Err(error) => tracing::warn!(%error, "the events of the leader cannot be read"),
        }
    }
    if !board.is_own() {
        board.lose();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_has_at_most_half_and_gives_back_what_is_dropped() {
        let watchers = Watchers::default();
        let (one, other) = (Holder::Address(1), Holder::Address(2));
        let mut theirs = Vec::new();
        for _ in 0..4 {
            theirs.extend(watchers.join(one, 8));
        }
        assert_eq!(theirs.len(), 4);
        assert!(watchers.join(one, 8).is_none());
        let rest: Vec<_> = (2..6)
            .filter_map(|address| watchers.join(Holder::Address(address), 8))
            .collect();
        assert_eq!(rest.len(), 4);
        assert!(watchers.join(Holder::Address(9), 8).is_none());
        theirs.pop();
        assert!(watchers.join(other, 8).is_some());
        drop((theirs, rest));
        assert!(!watchers.is_anybody());
    }
}
