//! Threads that give way to all others of the machine.

use crate::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How nice the threads are: with 10, Linux gives them a tenth of the time of any other thread that
/// wants the processor, which runs as soon as it wakes up, and all of what nobody else wants.
const NICE: i32 = 10;

/// A call with all that it needs, and what tells its result.
type Call = Box<dyn FnOnce() + Send>;

/// A number of threads. They end when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    calls: SyncSender<Call>,
}

impl Crew {
    /// Starts the threads.
    pub(super) fn hire(threads: usize) -> io::Result<Self> {
        // Whoever calls keeps one of as many slots, so a call never waits for room.
        let (calls, waiting) = sync_channel(threads);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name("mdfs-yielding".to_owned())
                .spawn(move || work(&waiting))?;
        }
        Ok(Self { calls })
    }

    /// Has a call carried out.
    pub(super) fn carry_out(&self, call: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let given = self.calls.try_send(Box::new(call));
        given.map_err(|_| Error::Busy {
            what: "yielding threads",
        })
    }
}

fn work(waiting: &Mutex<Receiver<Call>>) {
    // In Linux this is about the calling thread alone. It may be refused, and then costs only manners.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread cannot be made nice");
    }
    loop {
        let call = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(call) = call else {
            return;
        };
        // Whoever waits for the result hears that there is none.
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            tracing::error!("a disk call panicked");
        }
    }
}
