//! Every task of a process, so that none is forgotten at shutdown and none dies unseen.

mod governed;

use futures_util::FutureExt;
use governed::Governor;
use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of a process. A clone is a handle on the same tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    failed: Arc<Mutex<Option<Failed>>>,
    /// Set for a process within this one.
    governor: Option<Governor>,
}

/// The first long task that ended although nobody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {name} ended by itself: {reason}")]
pub struct Failed {
    /// The name it was started with.
    pub name: &'static str,
    /// Its error or panic message.
    pub reason: String,
}

/// What a long task may end with: nothing, or a result whose error becomes the reason.
pub trait Outcome {
    /// Why the task failed; none if it just ended.
    fn reason(self) -> Option<String>;
}

impl Outcome for () {
    fn reason(self) -> Option<String> {
        None
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn reason(self) -> Option<String> {
        self.err().map(|error| format!("{error:#}"))
    }
}

impl Tasks {
    /// No tasks yet; `stop` is the process' stop signal.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            tracker: TaskTracker::new(),
            failed: Arc::default(),
            governor: None,
        }
    }

    /// As [`Tasks::new`], for a process that can be killed within this one: see [`Tasks::kill`].
    pub fn killable(stop: CancellationToken) -> Self {
        Self {
            governor: Some(Governor::default()),
            ..Self::new(stop)
        }
    }

    /// Drops all tasks where they are, as a kill of the process would; also those that are started
    /// later. Does nothing to tasks that are not killable.
    pub fn kill(&self) {
        if let Some(governor) = &self.governor {
            governor.kill();
        }
    }

    /// Lets all tasks stand still, as SIGSTOP would. Does nothing to tasks that are not killable.
    pub fn pause(&self) {
        if let Some(governor) = &self.governor {
            governor.pause();
        }
    }

    /// Lets tasks that stand still go on.
    pub fn resume(&self) {
        if let Some(governor) = &self.governor {
            governor.resume();
        }
    }

    /// The stop signal that all long tasks follow.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a long task. It must return soon after the token it is given fires.
    ///
    /// If it ends before, with an error, a panic or without, the process stops too and
    /// [`Tasks::failed`] says why. An error it ends with after the stop signal is logged only.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let work = AssertUnwindSafe(task(self.stop.clone())).catch_unwind();
        let this = self.clone();
        self.start(async move {
            let reason = match work.await {
                Ok(outcome) => outcome.reason(),
                Err(panic) => Some(panic_text(panic.as_ref())),
            };
            if !this.stop.is_cancelled() {
                let reason = reason.unwrap_or_else(|| "it returned".to_owned());
                tracing::error!(task = name, reason, "a task ended by itself, stopping");
                let mut failed = this.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(Failed { name, reason });
                drop(failed);
                this.stop.cancel();
            } else if let Some(reason) = reason {
                tracing::warn!(task = name, reason, "a task failed while stopping");
            }
        });
    }

    /// Starts a task that ends by itself after a bounded time, such as the rest of a request whose
    /// client hung up. Dropping the handle leaves it running.
    ///
    /// A panic is logged and given to whoever awaits the handle; the process goes on.
    pub fn spawn_request<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.start(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(output) => output,
                Err(panic) => {
                    let reason = panic_text(panic.as_ref());
                    tracing::error!(task = name, reason, "a request's task panicked");
                    resume_unwind(panic)
                }
            }
        })
    }

    /// The first long task that ended by itself, if one did.
    pub fn failed(&self) -> Option<Failed> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fires the stop signal and waits up to `grace` for all tasks; false if some were left.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where tasks are started and tracked"
    )]
    fn start<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let Some(governor) = &self.governor else {
            return tokio::spawn(self.tracker.track_future(task));
        };
        let aborted = Arc::new(Mutex::new(None::<AbortHandle>));
        let own = Arc::clone(&aborted);
        let task = governor.govern(task);
        let handle = tokio::spawn(self.tracker.track_future(async move {
            if let Some(output) = task.await {
                return output;
            }
            // Whoever awaits the handle hears that the task was ended.
            if let Some(own) = own.lock().unwrap_or_else(PoisonError::into_inner).take() {
                own.abort();
            }
            std::future::pending().await
        }));
        *aborted.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.abort_handle());
        handle
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn tasks_that_wait_for_the_signal_end_without_a_failure() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("waiter", |stop| async move { stop.cancelled().await });
        assert!(tasks.shut_down(GRACE).await);
        assert_eq!(tasks.failed(), None);
    }

    #[tokio::test]
    async fn a_task_that_ends_early_stops_the_process_and_is_named() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("loser", |_| async { Err::<(), _>("the disk is gone") });
        tasks.stop().cancelled().await;
        let want = Failed {
            name: "loser",
            reason: "the disk is gone".to_owned(),
        };
        assert_eq!(tasks.failed(), Some(want));
        assert!(tasks.shut_down(GRACE).await);
    }

    #[tokio::test]
    async fn a_panic_counts_as_an_early_end() {
        let tasks = Tasks::new(CancellationToken::new());
        async fn fragile(_: CancellationToken) {
            panic!("broken {}", 1)
        }
        tasks.spawn("fragile", fragile);
        tasks.stop().cancelled().await;
        assert_eq!(tasks.failed().unwrap().reason, "broken 1");
    }

    #[tokio::test]
    async fn a_panicking_request_leaves_the_process_alone() {
        let tasks = Tasks::new(CancellationToken::new());
        let handle = tasks.spawn_request("request", async { panic!("broken") });
        assert!(handle.await.unwrap_err().is_panic());
        assert_eq!(
            tasks.spawn_request("request", async { 7 }).await.unwrap(),
            7
        );
        assert!(!tasks.stop().is_cancelled());
        assert_eq!(tasks.failed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn killed_tasks_are_dropped_where_they_are() {
        let tasks = Tasks::killable(CancellationToken::new());
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        let handle = tasks.spawn_request("request", async {
            let _held = held;
            std::future::pending::<()>().await
        });
        tasks.spawn("deaf", |_| std::future::pending::<()>());
        tokio::task::yield_now().await;
        tasks.kill();
        assert!(handle.await.unwrap_err().is_cancelled());
        assert!(dropped.await.is_err());
        let later = tasks.spawn_request("late", async { 7 });
        assert!(later.await.unwrap_err().is_cancelled());
        assert!(tasks.shut_down(GRACE).await);
        assert_eq!(tasks.failed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_stand_still_miss_nothing_but_time() {
        let tasks = Tasks::killable(CancellationToken::new());
        let handle = tasks.spawn_request("request", async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tokio::time::Instant::now()
        });
        tokio::task::yield_now().await;
        tasks.pause();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!handle.is_finished());
        tasks.resume();
        assert_eq!(handle.await.unwrap(), tokio::time::Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_signal_is_reported() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("deaf", |_| std::future::pending::<()>());
        assert!(!tasks.shut_down(GRACE).await);
    }
}
