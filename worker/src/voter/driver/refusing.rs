//! What stands in for a voter that must not vote.

use super::inbox::{spawn, spawn_inline};
use super::{Item, Message, VoterEnd, VoterError, VoterHandle, answer};
use mdfs_service::Threads;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Starts what stands in for a voter that must not vote, because its log is gone or damaged: it
/// answers every request with [`VoterError::Failed`] until it is stopped.
///
/// # Errors
/// If the thread cannot be started.
pub fn start_refusing(threads: &Threads, inbox: usize) -> std::io::Result<(VoterHandle, VoterEnd)> {
    let broken = Arc::new(AtomicBool::new(true));
    let last = Arc::default();
    match threads.as_inline() {
        None => spawn(inbox, broken, last, |receiver| {
            while let Ok(Item::Ask(Message { asker, .. })) = receiver.recv() {
                answer(asker, Err(VoterError::Failed));
            }
            Ok(())
        }),
        Some(inline) => Ok(spawn_inline(
            inbox,
            broken,
            last,
            inline,
            |mut receiver, _| async move {
                while let Some(Item::Ask(Message { asker, .. })) = receiver.recv().await {
                    answer(asker, Err(VoterError::Failed));
                }
                Ok(())
            },
        )),
    }
}
