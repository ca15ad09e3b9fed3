use super::*;
use mdfs_core::id::{Incarnation, Term};
use mdfs_core::log::message::{Append, Change, Entry, Position, Record};
use mdfs_core::log::persist::DurableVoter;
use mdfs_core::log::voter::VoterSettings;
use mdfs_core::time::LogTime;
use std::sync::mpsc;

/// What the driver did to its tables, in order; writes wait until they are let through.
struct Fake {
    let_through: mpsc::Receiver<bool>,
    writes: mpsc::Sender<Vec<Persist>>,
}

impl Tables for Fake {
    type Error = &'static str;

    fn write(&mut self, batch: Vec<Persist>) -> Result<(), &'static str> {
        self.writes.send(batch).unwrap();
        if self.let_through.recv().unwrap() {
            Ok(())
        } else {
            Err("the disk is gone")
        }
    }

    fn read(&self, _: Option<&[u8]>, _: usize) -> Result<(Vec<Record>, bool), &'static str> {
        Ok((Vec::new(), false))
    }
}

struct Bench {
    voter: VoterHandle,
    end: VoterEnd,
    let_through: mpsc::Sender<bool>,
    writes: mpsc::Receiver<Vec<Persist>>,
    failed: mpsc::Receiver<()>,
    clock: Clock,
}

fn bench(inbox: usize) -> Bench {
    let clock = Clock::manual();
    let voter = Voter::restore(DurableVoter::default(), clock.now(), VoterSettings::DEFAULT);
    let (let_through, allowed) = mpsc::channel();
    let (written, writes) = mpsc::channel();
    let (fail, failed) = mpsc::channel();
    let tables = Fake {
        let_through: allowed,
        writes: written,
    };
    let tell = move || fail.send(()).unwrap();
    let (voter, end) = start(voter.unwrap(), tables, clock.clone(), inbox, tell).unwrap();
    Bench {
        voter,
        end,
        let_through,
        writes,
        failed,
        clock,
    }
}

fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(1),
    }
}

fn append(index: u64) -> Request {
    let term = term(1);
    let previous = if index == 1 {
        Position::default()
    } else {
        Position {
            term,
            index: index - 1,
        }
    };
    let time = LogTime::from_millis(index);
    let entry = Entry {
        index,
        term,
        time,
        request: None,
        change: Change::Blank,
    };
    Request::Append(Append {
        term,
        previous,
        entries: vec![entry],
        commit: 0,
        epoch: 0,
        send: index,
        leader_url: String::new(),
        lease_millis: 3000,
    })
}

#[track_caller]
fn pending(ask: &mut (impl Future<Output = Result<Reply, VoterError>> + Unpin)) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(ask).poll(&mut cx).is_pending());
}

#[tokio::test]
async fn what_waits_during_a_sync_shares_the_next_one_and_no_answer_is_early() {
    let bench = bench(16);
    let mut first = Box::pin(bench.voter.ask(append(1), 100));
    pending(&mut first);
    assert_eq!(bench.writes.recv().unwrap().len(), 1);
    let mut others: Vec<_> = (2..=5)
        .map(|index| Box::pin(bench.voter.ask(append(index), 100)))
        .collect();
    others.iter_mut().for_each(|ask| pending(ask));
    pending(&mut first);
    bench.let_through.send(true).unwrap();
    first.await.unwrap();
    assert_eq!(bench.writes.recv().unwrap().len(), 4);
    others.iter_mut().for_each(|ask| pending(ask));
    bench.let_through.send(true).unwrap();
    for (index, ask) in (2..).zip(others) {
        assert!(matches!(ask.await, Ok(Reply::Appended { send, .. }) if send == index));
    }
}

#[tokio::test]
async fn what_changes_nothing_is_answered_without_the_disk() {
    let bench = bench(16);
    let vote = bench
        .voter
        .ask(Request::PreVote { term: term(2) }, 100)
        .await
        .unwrap();
    assert!(matches!(vote, Reply::PreVoted(_)));
    assert!(bench.writes.try_recv().is_err());
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_answered_any_more() {
    let bench = bench(16);
    bench.let_through.send(false).unwrap();
    assert_eq!(
        bench.voter.ask(append(1), 100).await,
        Err(VoterError::Failed)
    );
    bench.failed.recv().unwrap();
    let vote = bench
        .voter
        .ask(Request::PreVote { term: term(2) }, 100)
        .await;
    assert_eq!(vote, Err(VoterError::Failed));
    assert!(bench.failed.try_recv().is_err());
    assert_eq!(bench.writes.try_iter().count(), 1);
}

#[tokio::test]
async fn a_full_queue_is_told_so() {
    let bench = bench(1);
    let mut first = Box::pin(bench.voter.ask(append(1), 100));
    pending(&mut first);
    bench.writes.recv().unwrap();
    let mut second = Box::pin(bench.voter.ask(append(2), 100));
    pending(&mut second);
    assert_eq!(bench.voter.ask(append(3), 100).await, Err(VoterError::Busy));
    assert!(!bench.voter.stop());
    bench.let_through.send(true).unwrap();
    bench.let_through.send(true).unwrap();
    first.await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn a_broken_invariant_ends_the_voter_before_it_writes_or_answers() {
    let mut bench = bench(16);
    let Request::Append(mut gap) = append(1) else {
        panic!("an append")
    };
    gap.entries.extend(gap.entries.clone());
    assert_eq!(
        bench.voter.ask(Request::Append(gap), 100).await,
        Err(VoterError::Stopping)
    );
    assert!(matches!(
        bench.end.wait().await,
        Err(VoterEnded::Violation(_))
    ));
    assert!(bench.writes.try_recv().is_err());
    let later = bench
        .voter
        .ask(Request::PreVote { term: term(2) }, 100)
        .await;
    assert_eq!(later, Err(VoterError::Stopping));
}

#[tokio::test]
async fn it_ends_when_it_is_told_to_or_when_nobody_can_ask_any_more() {
    let mut told = bench(1);
    assert!(told.voter.stop());
    told.end.wait().await.unwrap();
    let Bench { voter, mut end, .. } = bench(1);
    drop(voter);
    end.wait().await.unwrap();
}

#[tokio::test]
async fn a_transaction_takes_so_many_messages_and_bytes_and_no_more() {
    let bench = bench(128);
    let mut asked = vec![Box::pin(bench.voter.ask(append(1), 100))];
    asked.iter_mut().for_each(|ask| pending(ask));
    assert_eq!(bench.writes.recv().unwrap().len(), 1);
    let (small, large) = ((2..=71).map(|index| (index, 100)), (72..=74));
    let large = large.map(|index| (index, 5 << 20));
    for (index, bytes) in small.chain(large) {
        let mut ask = Box::pin(bench.voter.ask(append(index), bytes));
        pending(&mut ask);
        asked.push(ask);
    }
    // Six small ones and two large ones are more bytes than a transaction takes.
    for messages in [64, 8, 1] {
        bench.let_through.send(true).unwrap();
        assert_eq!(bench.writes.recv().unwrap().len(), messages);
    }
    bench.let_through.send(true).unwrap();
    for ask in asked {
        ask.await.unwrap();
    }
}

#[tokio::test]
async fn heartbeats_do_not_keep_what_is_committed_from_the_table() {
    let bench = bench(16);
    bench.let_through.send(true).unwrap();
    bench.voter.ask(append(1), 100).await.unwrap();
    bench.writes.recv().unwrap();
    let heartbeat = || {
        let Request::Append(append) = append(2) else {
            panic!("an append")
        };
        Request::Append(Append {
            entries: Vec::new(),
            commit: 1,
            epoch: 0,
            ..append
        })
    };
    bench.voter.ask(heartbeat(), 100).await.unwrap();
    assert!(bench.writes.try_recv().is_err());
    bench.clock.advance(QUIET);
    bench.voter.ask(heartbeat(), 100).await.unwrap();
    let settled = bench.writes.recv().unwrap();
    assert!(settled.iter().any(|persist| persist.applied == Some(1)));
    bench.let_through.send(true).unwrap();
}

#[tokio::test]
async fn what_stands_in_for_a_voter_refuses_until_it_is_stopped() {
    let (voter, mut end) = start_refusing(&mdfs_service::Threads::real(), 1).unwrap();
    assert!(voter.is_broken());
    for request in [append(1), Request::PreVote { term: term(2) }] {
        assert_eq!(voter.ask(request, 100).await, Err(VoterError::Failed));
    }
    assert!(voter.stop());
    end.wait().await.unwrap();
}
