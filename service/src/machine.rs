//! What a process has of the machine it runs on, given to it: so that a simulation can run whole
//! servers on a machine that is not there.

use crate::chance;
use crate::clock::Clock;
use crate::tasks::Tasks;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Clock, chance and threads. A clone has the same.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where the time is read.
    pub clock: Clock,
    /// Where random bits come from.
    pub chance: Chance,
    /// Where calls that block are carried out.
    pub threads: Threads,
}

impl Machine {
    /// The one this process runs on.
    pub fn real() -> Self {
        Self::from(Clock::real())
    }
}

/// The machine this process runs on, but with another clock.
impl From<Clock> for Machine {
    fn from(clock: Clock) -> Self {
        Self {
            clock,
            chance: Chance::real(),
            threads: Threads::real(),
        }
    }
}

/// Where random bits come from. A clone draws from the same.
#[derive(Clone)]
pub struct Chance(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Chance {
    /// The operating system.
    pub fn real() -> Self {
        Self::drawn(chance::fill)
    }

    /// Whatever `fill` fills its argument with: for simulations, never for keys.
    pub fn drawn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// 64 random bits.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// 128 random bits: enough that two draws never meet.
    pub fn random_u128(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_ne_bytes(bytes)
    }

    /// Fills `bytes` with random bytes, fit for keys and tokens.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

/// Where calls that block are carried out. A clone is the same place.
#[derive(Clone, Debug)]
pub struct Threads(Option<Inline>);

/// Calls that are carried out by tasks, one after the other, each after a while.
#[derive(Clone)]
pub struct Inline {
    tasks: Tasks,
    takes: Arc<dyn Fn() -> Duration + Send + Sync>,
}

/// A call that did not end: it panicked, or the process it belonged to was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call died")]
pub struct CallDied;

impl Threads {
    /// Real threads: those of the runtime for calls that block.
    pub fn real() -> Self {
        Self(None)
    }

    /// No threads: `tasks` carry out each call after as long as `takes` says that it takes.
    pub fn inline(tasks: Tasks, takes: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let takes = Arc::new(takes);
        Self(Some(Inline { tasks, takes }))
    }

    /// What stands in for threads, if there are none.
    pub fn as_inline(&self) -> Option<&Inline> {
        self.0.as_ref()
    }

    /// Has a call carried out. It runs to its end whether or not anybody waits.
    pub fn start(&self, call: impl FnOnce() + Send + 'static) {
        match &self.0 {
            None => drop(tokio::task::spawn_blocking(call)),
            Some(inline) => {
                let pause = inline.pause();
                drop(inline.tasks.spawn_request("call", async move {
                    pause.await;
                    call();
                }));
            }
        }
    }

    /// Has a call carried out and gives what it returned.
    ///
    /// # Errors
    /// If the call died.
    ///
    /// # Cancel safety
    /// The call runs to its end also if the future is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallDied> {
        let (tell, ended) = oneshot::channel();
        self.start(move || {
            if let Ok(result) = catch_unwind(AssertUnwindSafe(call)) {
                // Nobody listens if the future was dropped.
                let _ = tell.send(result);
            }
        });
        ended.await.map_err(|_| CallDied)
    }
}

impl Inline {
    /// Ends once a call that begins now would have been carried out.
    pub fn pause(&self) -> impl Future<Output = ()> + Send + use<> {
        let takes = (self.takes)();
        async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
        }
    }

    /// The tasks that stand in for threads.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inline")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn two_draws_differ_and_what_is_given_is_drawn() {
        let real = Chance::real();
        assert_ne!(real.random_u128(), real.random_u128());
        let counter = Mutex::new(0_u8);
        let drawn = Chance::drawn(move |bytes| {
            let mut count = counter.lock().unwrap();
            *count += 1;
            bytes.fill(*count);
        });
        assert_eq!(drawn.random_u64(), 0x0101_0101_0101_0101);
        assert_eq!(drawn.clone().random_u64(), 0x0202_0202_0202_0202);
    }

    #[tokio::test]
    async fn a_thread_gives_what_a_call_returned_and_tells_that_it_died() {
        let threads = Threads::real();
        assert_eq!(threads.run(|| 7).await, Ok(7));
        let died: Result<(), _> = threads.run(|| panic!("broken")).await;
        assert_eq!(died, Err(CallDied));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_threads_takes_its_time_and_dies_with_its_process() {
        let tasks = Tasks::killable(CancellationToken::new());
        let threads = Threads::inline(tasks.clone(), || Duration::from_secs(3));
        let begun = Instant::now();
        assert_eq!(threads.run(|| 7).await, Ok(7));
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let running = threads.run(|| 8);
        tasks.kill();
        assert_eq!(running.await, Err(CallDied));
    }
}
