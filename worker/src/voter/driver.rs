//! Runs the voter: one thread owns it and its tables, and syncs once for all who wait.
//!
//! Requests come through a bounded queue. The thread steps all that are there, writes what they
//! changed in one transaction, and answers. No answer leaves before what it states is durable, and
//! none that states nothing new waits for the disk.

use super::VoterStorage;
use crate::store;
use mdfs_core::log::message::{Record, Reply, Request};
use mdfs_core::log::persist::{Answer, Persist, TableRead};
use mdfs_core::log::violation::Violation;
use mdfs_core::log::voter::Voter;
use mdfs_service::Clock;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the queue stays empty before what is committed is applied to the table.
const QUIET: Duration = Duration::from_secs(1);

/// Where a voter keeps what must survive; blocking.
pub trait Tables: Send + 'static {
    /// Why a call failed.
    type Error: fmt::Display + Send;

    /// Carries out all of `batch` in order, each whole or not at all. Synced once, behind the last,
    /// if any of them asks for it.
    ///
    /// # Errors
    /// If any of it could not be written. Then nothing is known of what the tables hold.
    fn write(&mut self, batch: Vec<Persist>) -> Result<(), Self::Error>;

    /// Records of the table behind `after` in order of their keys, about `limit_bytes` and one at
    /// least, and whether there are more.
    ///
    /// # Errors
    /// If the table cannot be read.
    fn read(
        &self,
        after: Option<&[u8]>,
        limit_bytes: usize,
    ) -> Result<(Vec<Record>, bool), Self::Error>;
}

impl Tables for VoterStorage {
    type Error = store::Error;

    fn write(&mut self, batch: Vec<Persist>) -> store::Result<()> {
        let sync = batch.iter().any(|persist| persist.sync);
        let mut rest = batch.into_iter().peekable();
        while let Some(mut persist) = rest.next() {
            // One sync makes all that came before it durable, too.
            persist.sync = sync && rest.peek().is_none();
            self.persist(&persist)?;
        }
        Ok(())
    }

    fn read(&self, after: Option<&[u8]>, limit_bytes: usize) -> store::Result<(Vec<Record>, bool)> {
        self.page(after, limit_bytes)
    }
}

/// Why a voter did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterError {
    /// Its queue is full.
    #[error("too many messages wait for the voter")]
    Busy,
    /// Its disk failed: it answers nothing any more, since it cannot know what the disk holds.
    #[error("the voter's disk failed, it takes no part in the log any more")]
    Failed,
    /// The worker is stopping.
    #[error("the voter is stopping")]
    Stopping,
}

/// Why the voter's thread ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterEnded {
    /// An invariant of the log is broken; the process must stop.
    #[error("the metadata log is broken")]
    Violation(#[from] Violation),
    /// The thread panicked; the process must stop.
    #[error("the voter's thread died")]
    Died,
}

/// Sends requests to the voter. Clones send to the same one; it ends when all are gone.
#[derive(Clone, Debug)]
pub struct VoterHandle {
    inbox: SyncSender<Item>,
}

/// Tells when the voter's thread has ended.
#[derive(Debug)]
pub struct VoterEnd(oneshot::Receiver<Result<(), VoterEnded>>);

#[derive(Debug)]
enum Item {
    Ask(Request, oneshot::Sender<Result<Reply, VoterError>>),
    Stop,
}

impl VoterHandle {
    /// Asks the voter; the answer comes once it is durable.
    ///
    /// # Errors
    /// [`VoterError`] if there is no answer.
    ///
    /// # Cancel safety
    /// A request that was sent takes effect even if nobody waits for the answer.
    pub async fn ask(&self, request: Request) -> Result<Reply, VoterError> {
        let (answer, answered) = oneshot::channel();
        match self.inbox.try_send(Item::Ask(request, answer)) {
            Ok(()) => answered.await.unwrap_or(Err(VoterError::Stopping)),
            Err(TrySendError::Full(_)) => Err(VoterError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(VoterError::Stopping),
        }
    }

    /// Asks the voter to end once it has answered what waits. False if its queue is full; then ask
    /// again.
    pub fn stop(&self) -> bool {
        !matches!(self.inbox.try_send(Item::Stop), Err(TrySendError::Full(_)))
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
    clock: Clock,
    inbox: usize,
    failed: impl FnOnce() + Send + 'static,
) -> std::io::Result<(VoterHandle, VoterEnd)> {
    let (sender, receiver) = sync_channel(inbox);
    let (ended, end) = oneshot::channel();
    let mut driver = Driver {
        voter,
        tables,
        clock,
        waiting: Vec::new(),
        batch: Vec::new(),
        broken: false,
    };
    std::thread::Builder::new()
        .name("voter".to_owned())
        .spawn(move || {
            let mut failed = Some(failed);
            let result = driver.run(&receiver, || {
                if let Some(failed) = failed.take() {
                    failed();
                }
            });
            // The tables are closed before anybody is told: the disk's lock may be given back then.
            drop(driver);
            // Nobody waits any more when the worker was dropped.
            let _ = ended.send(result);
        })?;
    Ok((VoterHandle { inbox: sender }, VoterEnd(end)))
}

type Asker = oneshot::Sender<Result<Reply, VoterError>>;

struct Driver<T> {
    voter: Voter,
    tables: T,
    clock: Clock,
    /// Written with the next transaction, in this order.
    batch: Vec<Persist>,
    /// Answered after the next transaction.
    waiting: Vec<(Asker, Reply)>,
    /// The disk failed: the voter is not stepped any more.
    broken: bool,
}

impl<T: Tables> Driver<T> {
    fn run(&mut self, inbox: &Receiver<Item>, mut failed: impl FnMut()) -> Result<(), VoterEnded> {
        let mut unsettled = false;
        loop {
            let first = match inbox.recv_timeout(QUIET) {
                Ok(item) => item,
                Err(RecvTimeoutError::Timeout) if !unsettled => continue,
                Err(RecvTimeoutError::Timeout) => {
                    unsettled = false;
                    self.settle(&mut failed);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => Item::Stop,
            };
            unsettled = true;
            let mut next = Some(first);
            let mut stop = false;
            while let Some(item) = next {
                match item {
                    Item::Ask(request, asker) => self.take(request, asker, &mut failed)?,
                    Item::Stop => {
                        stop = true;
                        break;
                    }
                }
                next = inbox.try_recv().ok();
            }
            self.flush(&mut failed);
            if stop {
                self.settle(&mut failed);
                return Ok(());
            }
        }
    }

    /// Steps the voter with one request. What it changes is written by the next flush.
    fn take(
        &mut self,
        request: Request,
        asker: Asker,
        failed: &mut impl FnMut(),
    ) -> Result<(), VoterEnded> {
        if self.broken {
            answer(asker, Err(VoterError::Failed));
            return Ok(());
        }
        let output = self.voter.step(self.clock.now(), request)?;
        self.batch.extend(output.persist);
        match output.answer {
            // Nothing is on its way to the disk that this answer could rest on.
            Answer::Ready(reply) if self.batch.is_empty() => answer(asker, Ok(*reply)),
            Answer::Ready(reply) => self.waiting.push((asker, *reply)),
            Answer::Read(read) => {
                self.flush(failed);
                let read = if self.broken {
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
            let written = if self.broken {
                Ok(())
            } else {
                self.tables.write(batch)
            };
            if let Err(error) = written {
                tracing::error!(%error, "cannot write the metadata log");
                self.fail(failed);
            }
        }
        for (asker, reply) in self.waiting.drain(..) {
            answer(
                asker,
                if self.broken {
                    Err(VoterError::Failed)
                } else {
                    Ok(reply)
                },
            );
        }
    }

    /// Applies what is committed. If a crash loses it, it is applied again.
    fn settle(&mut self, failed: &mut impl FnMut()) {
        if !self.broken {
            self.batch.extend(self.voter.settle());
            self.flush(failed);
        }
    }

    fn fail(&mut self, failed: &mut impl FnMut()) {
        self.broken = true;
        failed();
    }
}

fn answer(asker: Asker, reply: Result<Reply, VoterError>) {
    // Whoever asked may have hung up.
    let _ = asker.send(reply);
}

#[cfg(test)]
mod tests;
