//! Asks the disk over and over how much room it has, on a thread of its own: no heartbeat waits for
//! the disk, and a disk that hangs is known by its silence. Each answer is a tick, by which heartbeats
//! go: a timer of their own would wake the worker once more for each.

use crate::disk::{Disk, Space};
use crate::error::Error;
use mdfs_core::time::Timestamp;
use mdfs_service::{Clock, Inline, Machine};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the disk may say nothing beyond the time when it is asked next.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the disk said last. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Probe {
    latest: Arc<Mutex<Said>>,
    clock: Clock,
    every: Duration,
    ticks: Ticks,
    /// Held for its drop, which ends the thread.
    _stop: Option<SyncSender<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at: Timestamp,
    space: Space,
}

impl Probe {
    /// Asks the disk now, and then every so often.
    ///
    /// # Errors
    /// If the disk does not say how much room it has, or the system refuses a thread.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        machine: &Machine,
        every: Duration,
    ) -> io::Result<Self> {
        let Machine { clock, threads, .. } = machine;
        let said = Said {
            at: clock.now(),
            space: disk.space()?,
        };
        let latest = Arc::new(Mutex::new(said));
        let ticks = Ticks::default();
        let asker = Asker {
            disk,
            clock: clock.clone(),
            latest: Arc::clone(&latest),
            ticks: ticks.clone(),
        };
        let stop = match threads.as_inline() {
            None => {
                // Nothing is ever sent.
                let (stop, stopped) = sync_channel(0);
                std::thread::Builder::new()
                    .name("mdfs-probe".to_owned())
                    .spawn(move || asker.run(&stopped, every))?;
                Some(stop)
            }
            Some(inline) => {
                let asking = asker.run_inline(inline.clone(), every);
                drop(inline.tasks().spawn_request("probe", asking));
                None
            }
        };
        Ok(Self {
            latest,
            clock: clock.clone(),
            every,
            ticks,
            _stop: stop,
        })
    }

    /// The disk's answers from here on.
    pub(crate) fn ticks(&self) -> Ticks {
        self.ticks.clone()
    }

    /// How often the disk is asked.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// The room on the disk.
    ///
    /// # Errors
    /// [`Error::Busy`] if the disk hangs, or does not say.
    pub(crate) fn space(&self) -> Result<Space, Error> {
        let Said { at, space } = *lock(&self.latest);
        if self.clock.now().since(at) > self.every.saturating_add(PATIENCE) {
            return Err(Error::Busy {
                what: "disk threads",
            });
        }
        Ok(space)
    }
}

/// Tells whoever waits that the disk has answered: all of them, in the order in which they wait. A clone
/// has heard what this one has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticks {
    shared: Arc<Shared>,
    /// How many ticks were heard.
    heard: u64,
}

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    ticked: Notify,
}

impl Ticks {
    /// The disk has answered.
    pub(crate) fn tick(&self) {
        self.shared.count.fetch_add(1, Ordering::Release);
        self.shared.ticked.notify_waiters();
    }

    /// Waits for a tick that was not heard yet.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) {
        loop {
            let mut ticked = pin!(self.shared.ticked.notified());
            // From here on no tick goes by unseen.
            ticked.as_mut().enable();
            let count = self.shared.count.load(Ordering::Acquire);
            if count != self.heard {
                self.heard = count;
                return;
            }
            ticked.await;
        }
    }
}

struct Asker {
    disk: Arc<dyn Disk>,
    clock: Clock,
    latest: Arc<Mutex<Said>>,
    ticks: Ticks,
}

impl Asker {
    fn run(self, stopped: &Receiver<()>, every: Duration) {
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            self.ask();
        }
    }

    /// As [`Asker::run`], without a thread: until the process is killed, or stops.
    async fn run_inline(self, inline: Inline, every: Duration) {
        let stop = inline.tasks().stop();
        while tokio::time::timeout(every, stop.cancelled()).await.is_err() {
            inline.pause().await;
            self.ask();
        }
    }

    fn ask(&self) {
        match self.disk.space() {
            Ok(space) => {
                let at = self.clock.now();
                *lock(&self.latest) = Said { at, space };
                self.ticks.tick();
            }
            // What it said before grows old.
            Err(error) => tracing::warn!(%error, "the disk does not say how much room it has"),
        }
    }
}

/// No lock is held over a call that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn what_a_disk_said_is_of_use_until_it_should_have_said_more() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path(), false));
        let clock = Clock::manual();
        // It is not asked again within this test.
        let every = Duration::from_secs(3600);
        let probe = Probe::start(disk, &clock.clone().into(), every).unwrap();
        clock.advance(every + PATIENCE);
        assert!(probe.space().unwrap().total > 0);
        clock.advance(Duration::from_millis(1));
        assert!(matches!(probe.space(), Err(Error::Busy { .. })));
    }

    #[test]
    fn a_disk_is_asked_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path(), false));
        let clock = Clock::manual();
        let probe = Probe::start(disk, &clock.clone().into(), Duration::from_millis(1)).unwrap();
        clock.advance(Duration::from_secs(3600));
        // What it says now is of now.
        while probe.space().is_err() {
            std::thread::yield_now();
        }
    }
}
