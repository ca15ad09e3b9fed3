//! Tasks of a process within this one, which can stand still or be gone from one moment to the next.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Lets the tasks of such a process run or not. A clone governs the same ones.
#[derive(Clone, Default)]
pub(super) struct Governor(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    mode: Mode,
    last_task: u64,
    /// What wakes each task that waits, in the order in which the tasks were started.
    wakers: BTreeMap<u64, Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Runs,
    Stands,
    Gone,
}

impl Governor {
    pub(super) fn pause(&self) {
        self.turn(Mode::Stands);
    }

    pub(super) fn resume(&self) {
        self.turn(Mode::Runs);
    }

    pub(super) fn kill(&self) {
        self.turn(Mode::Gone);
    }

    fn turn(&self, mode: Mode) {
        let wakers = {
            let mut state = self.lock();
            if state.mode == Mode::Gone {
                return;
            }
            state.mode = mode;
            std::mem::take(&mut state.wakers)
        };
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// A task that is governed. It ends with none when it is gone.
    pub(super) fn govern<F: Future>(&self, task: F) -> Governed<F> {
        let mut state = self.lock();
        state.last_task += 1;
        Governed {
            task: Some(Box::pin(task)),
            number: state.last_task,
            governor: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Governor")
    }
}

pub(super) struct Governed<F> {
    task: Option<Pin<Box<F>>>,
    number: u64,
    governor: Governor,
}

impl<F: Future> Future for Governed<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mode = {
            let mut state = this.governor.lock();
            if state.mode != Mode::Gone {
                let waker = state.wakers.entry(this.number);
                waker
                    .and_modify(|waker| waker.clone_from(cx.waker()))
                    .or_insert_with(|| cx.waker().clone());
            }
            state.mode
        };
        match (mode, &mut this.task) {
            (Mode::Runs, Some(task)) => match task.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    this.task = None;
                    Poll::Ready(Some(output))
                }
                Poll::Pending => Poll::Pending,
            },
            (Mode::Stands, Some(_)) => Poll::Pending,
            (Mode::Gone, _) | (_, None) => {
                this.task = None;
                Poll::Ready(None)
            }
        }
    }
}

impl<F> Drop for Governed<F> {
    fn drop(&mut self) {
        self.governor.lock().wakers.remove(&self.number);
    }
}
