//! Runs the voter: one thread owns it and its tables, and syncs once for all who wait.
//!
//! Requests come through a bounded queue. The thread steps all that are there, writes what they
//! changed in one transaction, and answers. No answer leaves before what it states is durable, and
//! none that states nothing new waits for the disk.

mod error;
mod inbox;
mod refusing;
mod tables;
mod warning;

pub use error::{VoterEnded, VoterError};
pub use refusing::start_refusing;
pub use tables::Tables;

use inbox::{Inbox, NotTaken, spawn, spawn_inline};
use mdfs_core::log::message::{Position, Reply, Request};
use mdfs_core::log::persist::{Answer, Persist, TableRead};
use mdfs_core::log::voter::Voter;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::VoterState;
use mdfs_service::{Clock, Inline, Machine};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use warning::Warning;

/// How long nothing is synced before what is committed is applied to the table.
const QUIET: Duration = Duration::from_secs(1);

/// How many messages share one transaction at most: those behind them wait for no longer.
const BATCH_MESSAGES: usize = 64;

/// No message is added to a transaction that has so many bytes of messages: what a transaction
/// changes is in memory until it ends.
const BATCH_BYTES: usize = 8 << 20;

/// Sends requests to the voter. Clones send to the same one; it ends when all are gone.
#[derive(Clone, Debug)]
pub struct VoterHandle {
    inbox: Inbox,
    broken: Arc<AtomicBool>,
    last: Arc<Mutex<Position>>,
}

/// Tells when the voter's thread has ended.
#[derive(Debug)]
pub struct VoterEnd(oneshot::Receiver<Result<(), VoterEnded>>);

#[derive(Debug)]
enum Item {
    Ask(Message),
    Stop,
}

#[derive(Debug)]
struct Message {
    request: Request,
    /// Its length on the wire.
    bytes: usize,
    asker: Asker,
}

type Asker = oneshot::Sender<Result<Reply, VoterError>>;

impl VoterHandle {
    /// Asks the voter; the answer comes once it is durable. `bytes` is the length of the request on
    /// the wire.
    ///
    /// # Errors
    /// [`VoterError`] if there is no answer.
    ///
    /// # Cancel safety
    /// A request that was sent takes effect even if nobody waits for the answer.
    pub async fn ask(&self, request: Request, bytes: usize) -> Result<Reply, VoterError> {
        let (asker, answered) = oneshot::channel();
        let message = Message {
            request,
            bytes,
            asker,
        };
        match self.inbox.try_send(Item::Ask(message)) {
            Ok(()) => answered.await.unwrap_or(Err(VoterError::Stopping)),
            Err(NotTaken::Full) => Err(VoterError::Busy),
            Err(NotTaken::Ended) => Err(VoterError::Stopping),
        }
    }

    /// Whether the voter answers nothing but [`VoterError::Failed`], until the worker is started
    /// again or, with a damaged log, for ever.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Where the log on its disk ended when something was last written to it.
    pub(crate) fn last(&self) -> Position {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same as [`Self::is_broken`], as the masters are told.
    pub(crate) fn state(&self) -> VoterState {
        match self.is_broken() {
            true => VoterState::Broken,
            false => VoterState::Healthy,
        }
    }

    /// Asks the voter to end once it has answered what waits. False if its queue is full; then ask
    /// again.
    pub fn stop(&self) -> bool {
        !matches!(self.inbox.try_send(Item::Stop), Err(NotTaken::Full))
    }
}

impl VoterEnd {
    /// Waits until the thread has ended, cleanly or not.
    ///
    /// # Errors
    /// If it ended although nobody asked for it.
    ///
    /// # Cancel safety
    /// May be dropped and called again until it has returned.
    pub async fn wait(&mut self) -> Result<(), VoterEnded> {
        (&mut self.0).await.unwrap_or(Err(VoterEnded::Died))
    }
}

/// Starts the voter's thread. `inbox` bounds the messages that wait; `failed` is called once if the
/// tables cannot be written or read, after which the voter answers nothing but
/// [`VoterError::Failed`].
///
/// # Errors
/// If the thread cannot be started.
pub fn start<T: Tables>(
    voter: Voter,
    tables: T,
    machine: impl Into<Machine>,
    inbox: usize,
    failed: impl FnOnce() + Send + 'static,
) -> std::io::Result<(VoterHandle, VoterEnd)> {
    let Machine { clock, threads, .. } = machine.into();
    let broken = Arc::new(AtomicBool::new(false));
    let last = Arc::new(Mutex::new(voter.last()));
    let driver = Driver {
        voter,
        tables,
        synced_at: clock.now(),
        warning: Warning::default(),
        clock,
        waiting: Vec::new(),
        batch: Vec::new(),
        unsettled: false,
        broken: Arc::clone(&broken),
        last: Arc::clone(&last),
    };
    let mut failed = Some(failed);
    let failed = move || {
        if let Some(failed) = failed.take() {
            failed();
        }
    };
    // The tables are closed when either returns: the disk's lock may be given back then.
    match threads.as_inline() {
        None => spawn(inbox, broken, last, move |receiver| {
            driver.run(receiver, failed)
        }),
        Some(inline) => Ok(spawn_inline(
            inbox,
            broken,
            last,
            inline,
            |receiver, inline| driver.run_inline(receiver, inline, failed),
        )),
    }
}

struct Driver<T> {
    voter: Voter,
    tables: T,
    clock: Clock,
    /// Written with the next transaction, in this order.
    batch: Vec<Persist>,
    /// Answered after the next transaction.
    waiting: Vec<(Asker, Reply)>,
    /// When something was last made durable.
    synced_at: Timestamp,
    /// Something may be committed and not applied yet.
    unsettled: bool,
    warning: Warning,
    /// The disk failed: the voter is not stepped any more.
    broken: Arc<AtomicBool>,
    /// Where the log ends on the disk.
    last: Arc<Mutex<Position>>,
}

impl<T: Tables> Driver<T> {
    fn run(mut self, inbox: &Receiver<Item>, mut failed: impl FnMut()) -> Result<(), VoterEnded> {
        loop {
            let first = match inbox.recv_timeout(QUIET) {
                Ok(item) => item,
                Err(RecvTimeoutError::Timeout) => {
                    self.rest(&mut failed);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => Item::Stop,
            };
            if self.turn(first, || inbox.try_recv().ok(), &mut failed)? {
                return Ok(());
            }
        }
    }

    /// As [`Driver::run`], without a thread.
    async fn run_inline(
        mut self,
        mut inbox: mpsc::Receiver<Item>,
        inline: Inline,
        mut failed: impl FnMut(),
    ) -> Result<(), VoterEnded> {
        loop {
            let first = match tokio::time::timeout(QUIET, inbox.recv()).await {
                Ok(item) => item.unwrap_or(Item::Stop),
                Err(_) => {
                    self.rest(&mut failed);
                    continue;
                }
            };
            inline.pause().await;
            if self.turn(first, || inbox.try_recv().ok(), &mut failed)? {
                return Ok(());
            }
        }
    }

    /// Nothing came for a while.
    fn rest(&mut self, failed: &mut impl FnMut()) {
        if std::mem::take(&mut self.unsettled) {
            self.settle(failed);
        }
    }

    /// Takes what is there, makes it durable and answers. Whether the voter was asked to stop.
    fn turn(
        &mut self,
        first: Item,
        next: impl FnMut() -> Option<Item>,
        failed: &mut impl FnMut(),
    ) -> Result<bool, VoterEnded> {
        self.unsettled = true;
        let stop = self.take_batch(first, next, failed)?;
        self.flush(failed);
        if stop {
            self.settle(failed);
            return Ok(true);
        }
        // Heartbeats alone come too often for the queue to stay empty so long.
        if self.clock.now().since(self.synced_at) >= QUIET {
            self.rest(failed);
        }
        Ok(false)
    }

    /// Steps the voter with what is in the queue, up to a bound on what one transaction takes.
    /// Whether it is asked to stop.
    fn take_batch(
        &mut self,
        first: Item,
        mut more: impl FnMut() -> Option<Item>,
        failed: &mut impl FnMut(),
    ) -> Result<bool, VoterEnded> {
        let mut next = Some(first);
        let (mut messages, mut bytes) = (0, 0_usize);
        while let Some(item) = next {
            let Item::Ask(message) = item else {
                return Ok(true);
            };
            messages += 1;
            bytes = bytes.saturating_add(message.bytes);
            self.take(message.request, message.asker, failed)?;
            if messages >= BATCH_MESSAGES || bytes >= BATCH_BYTES {
                break;
            }
            next = more();
        }
        Ok(false)
    }

    /// Steps the voter with one request. What it changes is written by the next flush.
    fn take(
        &mut self,
        request: Request,
        asker: Asker,
        failed: &mut impl FnMut(),
    ) -> Result<(), VoterEnded> {
        if self.is_broken() {
            answer(asker, Err(VoterError::Failed));
            return Ok(());
        }
        let now = self.clock.now();
        let output = self.voter.step(now, request)?;
        if let Answer::Ready(reply) = &output.answer {
            self.warning.look_at(now, reply);
        }
        self.batch.extend(output.persist);
        match output.answer {
            // Nothing is on its way to the disk that this answer could rest on.
            Answer::Ready(reply) if self.batch.is_empty() => answer(asker, Ok(*reply)),
            Answer::Ready(reply) => self.waiting.push((asker, *reply)),
            Answer::Read(read) => {
                self.flush(failed);
                let read = if self.is_broken() {
                    Err(())
                } else {
                    self.page(read)
                };
                match read {
                    Ok(reply) => answer(asker, Ok(reply)),
                    Err(()) => {
                        self.fail(failed);
                        answer(asker, Err(VoterError::Failed));
                    }
                }
            }
        }
        Ok(())
    }

    fn page(&self, read: TableRead) -> Result<Reply, ()> {
        match self.tables.read(read.after.as_deref(), read.limit_bytes) {
            Ok((records, more)) => Ok(read.finish(records, more)),
            Err(error) => {
                tracing::error!(%error, "cannot read the metadata table");
                Err(())
            }
        }
    }

    /// Makes durable what was changed, then answers all that wait for it.
    fn flush(&mut self, failed: &mut impl FnMut()) {
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            if batch.iter().any(|persist| persist.sync) {
                self.synced_at = self.clock.now();
            }
            let written = if self.is_broken() {
                Ok(())
            } else {
                self.tables.write(batch)
            };
            if let Err(error) = written {
                tracing::error!(%error, "cannot write the metadata log");
                self.fail(failed);
            } else if !self.is_broken() {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = self.voter.last();
            }
        }
        let broken = self.is_broken();
        for (asker, reply) in self.waiting.drain(..) {
            answer(
                asker,
                if broken {
                    Err(VoterError::Failed)
                } else {
                    Ok(reply)
                },
            );
        }
    }

    /// Applies what is committed. If a crash loses it, it is applied again.
    fn settle(&mut self, failed: &mut impl FnMut()) {
        if !self.is_broken() {
            self.batch.extend(self.voter.settle());
            self.flush(failed);
        }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn fail(&mut self, failed: &mut impl FnMut()) {
        self.broken.store(true, Ordering::Release);
        failed();
    }
}

fn answer(asker: Asker, reply: Result<Reply, VoterError>) {
    // Whoever asked may have hung up.
    let _ = asker.send(reply);
}

#[cfg(test)]
mod tests;
