//! The queue before the voter, and the thread that empties it, or the task where there are no threads.

use super::{Item, VoterEnd, VoterEnded, VoterHandle};
use mdfs_core::log::message::Position;
use mdfs_service::Inline;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};

/// The way to the voter's thread, or to the task that stands in for it.
#[derive(Clone, Debug)]
pub(super) enum Inbox {
    Thread(SyncSender<Item>),
    Task(mpsc::Sender<Item>),
}

/// Why something did not get into the inbox.
pub(super) enum NotTaken {
    Full,
    Ended,
}

impl Inbox {
    pub(super) fn try_send(&self, item: Item) -> Result<(), NotTaken> {
        match self {
            Self::Thread(inbox) => inbox.try_send(item).map_err(|error| match error {
                TrySendError::Full(_) => NotTaken::Full,
                TrySendError::Disconnected(_) => NotTaken::Ended,
            }),
            Self::Task(inbox) => inbox.try_send(item).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => NotTaken::Full,
                mpsc::error::TrySendError::Closed(_) => NotTaken::Ended,
            }),
        }
    }
}

pub(super) fn spawn(
    inbox: usize,
    broken: Arc<AtomicBool>,
    last: Arc<Mutex<Position>>,
    run: impl FnOnce(&Receiver<Item>) -> Result<(), VoterEnded> + Send + 'static,
) -> std::io::Result<(VoterHandle, VoterEnd)> {
    let (inbox, receiver) = sync_channel(inbox);
    let inbox = Inbox::Thread(inbox);
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("voter".to_owned())
        .spawn(move || {
            let result = run(&receiver);
            // Nobody waits any more when the worker was dropped.
            let _ = ended.send(result);
        })?;
    let handle = VoterHandle {
        inbox,
        broken,
        last,
    };
    Ok((handle, VoterEnd(end)))
}

pub(super) fn spawn_inline<F>(
    inbox: usize,
    broken: Arc<AtomicBool>,
    last: Arc<Mutex<Position>>,
    inline: &Inline,
    run: impl FnOnce(mpsc::Receiver<Item>, Inline) -> F,
) -> (VoterHandle, VoterEnd)
where
    F: Future<Output = Result<(), VoterEnded>> + Send + 'static,
{
    let (inbox, receiver) = mpsc::channel(inbox);
    let inbox = Inbox::Task(inbox);
    let (ended, end) = oneshot::channel();
    let running = run(receiver, inline.clone());
    drop(inline.tasks().spawn_request("voter", async move {
        let result = running.await;
        // Nobody waits any more when the worker was dropped.
        let _ = ended.send(result);
    }));
    let handle = VoterHandle {
        inbox,
        broken,
        last,
    };
    (handle, VoterEnd(end))
}
