//! Orders of leaders, which come in the answers to heartbeats: they wait, are carried out a few at a
//! time, and what came of each is told in the next heartbeat to the master that gave it.

use crate::error::{self, Error};
use crate::node::Node;
use crate::transfer::pull::copy_chunk;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::Term;
use mdfs_protocol::order::{Done, Failure, MOST_DROPS, MOST_ORDERS, Order, Task};
use mdfs_protocol::problem::Code;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Copies carried out at once: enough to fill a network, few enough to leave disk and memory to
/// clients.
const COPIES: usize = 2;

/// Answers that wait for a master to take them. Beyond that the oldest are forgotten, and their
/// orders come again: all that can wait here while a master is not reached for a few beats.
const MOST_ANSWERS: usize = 4 * MOST_ORDERS;

/// Characters of an answer's detail, so that a beat with answers to all orders stays small.
const MOST_DETAIL: usize = 256;

/// The orders of a worker. Clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    book: Mutex<Book>,
    copies: Lane,
    drops: Lane,
}

/// Orders of one kind that wait, in the order they came.
#[derive(Debug)]
struct Lane {
    waiting: Mutex<VecDeque<Given>>,
    /// As many permits as orders wait.
    count: Semaphore,
}

/// An order and who wants to know what came of it.
#[derive(Debug)]
struct Given {
    order: Order,
    answers: Answers,
}

/// What waits or is being carried out: at most [`MOST_ORDERS`] and the few at work.
#[derive(Debug, Default)]
struct Book {
    waiting: usize,
    orders: BTreeSet<(Term, u64)>,
    copies: BTreeSet<ChunkId>,
}

/// What came of the orders of one master, until it is told. Clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    waiting: Arc<watch::Sender<Vec<Done>>>,
}

impl Orders {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            book: Mutex::default(),
            copies: Lane::new(),
            drops: Lane::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Takes an order. One that waits already or is being carried out is not taken twice; one for
    /// which there is no room is answered at once.
    pub(crate) fn give(&self, order: Order, answers: &Answers) {
        let name = (order.term, order.id);
        let mut book = lock(&self.inner.book);
        if book.orders.contains(&name) || answers.has(name) {
            return;
        }
        let refusal = match &order.task {
            _ if book.waiting >= MOST_ORDERS => Some("too many orders wait"),
            Task::Copy { chunk, .. } if book.copies.contains(chunk) => {
                Some("the chunk is being copied for another order")
            }
            Task::Copy { .. } | Task::Drop { .. } => None,
        };
        if let Some(why) = refusal {
            drop(book);
            answers.put(Done {
                term: order.term,
                id: order.id,
                failure: Some(Failure {
                    code: Code::Busy,
                    detail: why.to_owned(),
                }),
            });
            return;
        }
        book.waiting += 1;
        book.orders.insert(name);
        let lane = match &order.task {
            Task::Copy { chunk, .. } => {
                book.copies.insert(*chunk);
                &self.inner.copies
            }
            Task::Drop { .. } => &self.inner.drops,
        };
        drop(book);
        let answers = answers.clone();
        lane.put(Given { order, answers });
    }

    /// Carries out orders until `stop` fires. Those under way are dropped then: their leader gives
    /// them again, here or elsewhere.
    pub(crate) async fn run(self, node: Arc<Node>, stop: CancellationToken) {
        let copies = (0..COPIES).map(|_| self.work(&node, &self.inner.copies));
        let all = async {
            tokio::join!(
                futures_util::future::join_all(copies),
                self.work(&node, &self.inner.drops)
            )
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = all => {}
        }
    }

    /// Carries out the orders of a lane, one after the other, for ever.
    async fn work(&self, node: &Node, lane: &Lane) {
        loop {
            let Given { order, answers } = lane.next().await;
            lock(&self.inner.book).waiting -= 1;
            let failure = match carry_out(node, &order).await {
                Ok(()) => None,
                Err(error) => Some(failure(&order, &error)),
            };
            let Order { term, id, task } = order;
            let mut book = lock(&self.inner.book);
            book.orders.remove(&(term, id));
            if let Task::Copy { chunk, .. } = task {
                book.copies.remove(&chunk);
            }
            drop(book);
            answers.put(Done { term, id, failure });
        }
    }
}

async fn carry_out(node: &Node, order: &Order) -> Result<(), Error> {
    node.verdict.check_writable()?;
    let (term, id) = (order.term, order.id);
    match &order.task {
        Task::Copy {
            chunk,
            length,
            sources,
        } => {
            copy_chunk(node, term, *chunk, *length, sources).await?;
            tracing::info!(%chunk, %term, id, "copied as ordered");
        }
        Task::Drop { chunks } => {
            if chunks.len() > MOST_DROPS {
                return Err(Error::Invalid {
                    what: "chunks",
                    why: format!("at most {MOST_DROPS} are dropped at once"),
                });
            }
            let (store, chunks) = (node.store.clone(), chunks.clone());
            let dropping = node
                .write_threads
                .run(move || store.drop_chunks_for(term, &chunks));
            let removed = dropping.await??;
            tracing::info!(removed, %term, id, "dropped as ordered");
        }
    }
    Ok(())
}

fn failure(order: &Order, error: &Error) -> Failure {
    let (term, id, code, cause) = (order.term, order.id, error.code(), error::chain(error));
    tracing::warn!(%term, id, code = code.as_str(), %error, cause, "an order was not carried out");
    let detail = match cause.is_empty() {
        true => error.to_string(),
        false => format!("{error}: {cause}"),
    };
    Failure {
        code,
        detail: detail.chars().take(MOST_DETAIL).collect(),
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            count: Semaphore::new(0),
        }
    }

    fn put(&self, given: Given) {
        lock(&self.waiting).push_back(given);
        self.count.add_permits(1);
    }

    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    async fn next(&self) -> Given {
        loop {
            // Never closed, so that every permit stands for an order.
            if let Ok(permit) = self.count.acquire().await {
                permit.forget();
            }
            if let Some(given) = lock(&self.waiting).pop_front() {
                return given;
            }
        }
    }
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    fn put(&self, done: Done) {
        self.put_all(vec![done]);
    }

    /// Waits until there is something to tell.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn some(&self) {
        let mut waiting = self.waiting.subscribe();
        if waiting
            .wait_for(|waiting| !waiting.is_empty())
            .await
            .is_err()
        {
            // Never: the sender is here.
            std::future::pending::<()>().await;
        }
    }

    /// Takes out what is to be told now.
    pub(crate) fn take(&self) -> Vec<Done> {
        let mut taken = Vec::new();
        self.waiting.send_modify(|waiting| {
            let rest = waiting.split_off(waiting.len().min(MOST_ORDERS));
            taken = std::mem::replace(waiting, rest);
        });
        taken
    }

    /// Puts in what is to be told; also what was taken out and not told.
    pub(crate) fn put_all(&self, done: Vec<Done>) {
        self.waiting.send_modify(|waiting| {
            waiting.extend(done);
            let most = waiting.len().saturating_sub(MOST_ANSWERS);
            waiting.drain(..most);
        });
    }

    fn has(&self, (term, id): (Term, u64)) -> bool {
        let waiting = self.waiting.borrow();
        waiting
            .iter()
            .any(|done| (done.term, done.id) == (term, id))
    }
}

/// No lock is held over a call that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::id::FileId;

    fn copy(id: u64, index: u32) -> Order {
        let file = FileId::from_u128(1);
        Order {
            term: Term::default(),
            id,
            task: Task::Copy {
                chunk: ChunkId { file, index },
                length: 1,
                sources: Vec::new(),
            },
        }
    }

    fn refused(answers: &Answers) -> Vec<u64> {
        let told = answers.take();
        let busy = |done: &Done| done.failure.as_ref().map(|failure| failure.code);
        assert!(told.iter().all(|done| busy(done) == Some(Code::Busy)));
        told.iter().map(|done| done.id).collect()
    }

    #[tokio::test]
    async fn an_order_is_taken_once_and_those_beyond_the_room_are_refused() {
        let (orders, answers) = (Orders::new(), Answers::new());
        for _ in 0..2 {
            orders.give(copy(0, 0), &answers);
        }
        assert_eq!(refused(&answers), [0; 0]);
        // Another order for the same chunk.
        orders.give(copy(1, 0), &answers);
        answers.some().await;
        assert_eq!(refused(&answers), [1]);
        let most = u32::try_from(MOST_ORDERS).unwrap();
        for number in 1..=most {
            orders.give(copy(10 + u64::from(number), number), &answers);
        }
        assert_eq!(refused(&answers), [10 + u64::from(most)]);
        assert_eq!(lock(&orders.inner.copies.waiting).len(), MOST_ORDERS);
    }

    #[test]
    fn answers_are_told_in_parts_and_kept_so_many() {
        let answers = Answers::new();
        for id in 0..=MOST_ANSWERS as u64 {
            answers.put(Done {
                term: Term::default(),
                id,
                failure: None,
            });
        }
        let told = answers.take();
        assert_eq!((told.len(), told[0].id), (MOST_ORDERS, 1));
        answers.put_all(told);
        assert!(answers.has((Term::default(), 1)) && !answers.has((Term::default(), 0)));
    }
}
