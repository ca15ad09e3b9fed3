//! What a master that follows shows of events: what the board of the leader has, asked for again and again
//! while somebody watches here.

use super::{Board, Copy};
use crate::leader::handle::LeaderHandle;
use mdfs_protocol::ask::EventsAfter;
use mdfs_protocol::public::EVENTS_KEPT;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon the leader is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Counts who watches.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<AtomicUsize>);

/// One who watches, until it is dropped.
#[derive(Debug)]
pub struct Watcher(Watchers);

impl Watchers {
    /// One more watches, if there are fewer than `most`.
    pub fn join(&self, most: usize) -> Option<Watcher> {
        let joined = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < most).then_some(now + 1)
            });
        joined.ok().map(|_| Watcher(self.clone()))
    }

    fn is_anybody(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
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
        if watchers.is_anybody() && leader.elsewhere().is_some() {
            copy(&board, &leader).await;
        }
    }
}

/// Copies once.
pub async fn copy(board: &Board, leader: &LeaderHandle) {
    let after = EventsAfter {
        after: Some(board.present().event),
        limit: EVENTS_KEPT,
    };
    if let Some(bytes) = leader.board_of_leader(after).await {
        match serde_json::from_slice::<Copy>(&bytes) {
            Ok(copy) => board.take(copy),
            Err(error) => tracing::warn!(%error, "the events of the leader cannot be read"),
        }
    }
}
