//! Tells every master, once a second, how the worker is; and learns where the others are.
//!
//! Each master has a task of its own: one that hangs delays no other. A broken connection is seen by
//! the master at once, so a worker that dies is suspect before it misses a beat. A chunk that comes
//! or goes is told at once to a master that wants to know.

use crate::error::{Error, chain};
use crate::node::Node;
use crate::orders::{Answers, Orders};
use crate::probe::Ticks;
use crate::transfer::peers::failed_at;
use crate::worker::Worker;
use mdfs_client::link::Line;
use mdfs_core::format::FORMATS;
use mdfs_protocol::holdings::Known;
use mdfs_protocol::internal::{Heartbeat, HeartbeatReply, Leader};
use mdfs_protocol::problem::Code;
use mdfs_service::watch;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How soon a master that was not reached is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// How soon after a beat there may be another one because something happened.
const GAP: Duration = Duration::from_millis(50);

/// The same at most for chunks that come and go while more and more do: a beat costs ten times what
/// it costs to tell of one change. Shorter than a leader waits for a beat that is behind the log.
const GAP_MOST: Duration = Duration::from_millis(400);

/// How long a beat may take: a master that is slower counts as not reached.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the last beat may take: the worker stops in any case.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a worker that stops waits for its masters to have heard it.
pub(crate) const FAREWELL_IN_ALL: Duration = Duration::from_secs(3);

/// One master, and what a worker needs to tell it how it is.
pub(crate) struct Beats {
    pub(crate) worker: Worker,
    pub(crate) node: Arc<Node>,
    /// Where the worker is reached.
    pub(crate) url: String,
    /// Where the master is.
    pub(crate) master: String,
    /// Takes what the leader orders.
    pub(crate) orders: Orders,
    /// Dropped after the last beat.
    pub(crate) said_farewell: mpsc::Sender<()>,
}

impl Beats {
    /// Sends beats until the worker leaves, then the last one; returns when `stop` fires.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self {
            worker,
            node,
            url,
            master,
            orders,
            said_farewell,
        } = self;
        let answers = Answers::new();
        let link = Link {
            worker: &worker,
            node: &node,
            url: &url,
            master: &master,
            orders: &orders,
            answers: &answers,
        };
        let mut line = node.peers.line(&master);
        let mut heard = Heard::default();
        let mut told = Told::default();
        let mut changes = node.store.changes();
        let every = worker.config().heartbeat_interval;
        let mut due = Due::new(node.ticks(), every);
        while !worker.leaving().is_cancelled() && !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = worker.leaving().cancelled() => break,
                () = due.wait() => {}
                () = node.directory.wanted() => {}
                () = told.is_old(&mut changes, &answers) => {}
            }
            due.begins();
            // Not cut short by the signal: a beat that arrives behind the last one would undo it.
            let sent = link.beat(&mut line, &mut told, PATIENCE).await;
            // A master that refuses will refuse again; one that is not reached may be starting.
            let retry = sent
                .as_ref()
                .is_err_and(|error| error.code() == Code::Unavailable);
            heard.note(&master, sent);
            if retry {
                due.again_after(RETRY.min(every));
            }
        }
        if worker.leaving().is_cancelled()
            && let Err(error) = link.beat(&mut line, &mut told, FAREWELL).await
        {
            tracing::debug!(master, %error, "a master did not hear that the worker stops");
        }
        drop(said_farewell);
        stop.cancelled().await;
    }
}

/// When the next regular beat is due: at the first tick of the disk about so long after the last beat.
/// A disk that hangs does not tick, and a worker that beats has a disk that answers.
#[derive(Debug)]
struct Due {
    ticks: Ticks,
    /// The least time between the beginnings of two of them: half a tick less than it should be, for
    /// ticks that come a little early.
    least: Duration,
    begun: Option<Instant>,
    again_at: Option<Instant>,
}

impl Due {
    fn new((ticks, tick): (Ticks, Duration), every: Duration) -> Self {
        Self {
            ticks,
            least: every.saturating_sub(tick / 2),
            begun: None,
            again_at: None,
        }
    }

    /// Waits until it is due; the first one is at once.
    ///
    /// # Cancel safety
    /// May be dropped.
    async fn wait(&mut self) {
        let Some(begun) = self.begun else {
            return;
        };
        if let Some(at) = self.again_at {
            return tokio::time::sleep_until(at).await;
        }
        loop {
            self.ticks.next().await;
            if begun.elapsed() >= self.least {
                return;
            }
        }
    }

    /// A beat begins.
    fn begins(&mut self) {
        (self.begun, self.again_at) = (Some(Instant::now()), None);
    }

    /// The last one was in vain.
    fn again_after(&mut self, pause: Duration) {
        self.again_at = Instant::now().checked_add(pause);
    }
}

/// What one master is told, and what it answers.
struct Link<'a> {
    worker: &'a Worker,
    node: &'a Node,
    url: &'a str,
    master: &'a str,
    orders: &'a Orders,
    answers: &'a Answers,
}

impl Link<'_> {
    async fn beat(
        &self,
        line: &mut Line,
        told: &mut Told,
        patience: Duration,
    ) -> Result<Option<Leader>, Error> {
        told.next = None;
        let beat = self.compose(told.known)?;
        let holdings = &beat.holdings;
        let up_to = holdings.after + u64::try_from(holdings.changes.len()).unwrap_or(0);
        let begun = Instant::now();
        let sent = line.heartbeat(&beat, patience).await;
        let sent = sent.map_err(failed_at(self.master));
        let reply = sent.inspect_err(|error| {
            if error.code() == Code::ForeignDisk {
                self.node.verdict.refuse();
            }
            self.answers.put_all(beat.done);
        })?;
        let HeartbeatReply {
            leader,
            accepted,
            directory,
            masters,
            known,
            orders,
        } = reply;
        *told = Told {
            known: known.filter(|known| known.mount == beat.holdings.mount),
            up_to,
            next: Some(begun + GAP),
            gap: next_gap(told.gap, beat.holdings.changes.len()),
        };
        if let Some(directory) = directory {
            self.node.directory.replace(self.master, directory);
        }
        self.worker.masters().heard(self.master, masters);
        for order in orders {
            self.orders.give(order, self.answers);
        }
        // Not whoever knows a leader: only that one remembers whether the disk is an old copy.
        if accepted {
            self.node.directory.leads(self.master);
            self.node.verdict.accept();
        }
        Ok(leader)
    }

    /// What the master is told now.
    ///
    /// # Errors
    /// If the disk hangs. Then nothing is said: silence is what makes the masters look elsewhere.
    fn compose(&self, known: Option<Known>) -> Result<Heartbeat, Error> {
        // Before what is held, or a drop would be told of by a beat that still shows the chunk.
        let done = self.answers.take();
        let told = self.node.report(known);
        let hangs = self.node.hangs();
        let (usage, holdings) = match told {
            Ok(told) if !hangs => told,
            told => {
                self.answers.put_all(done);
                told?;
                return Err(Error::Busy {
                    what: "disk threads",
                });
            }
        };
        let config = self.worker.config();
        Ok(Heartbeat {
            identity: self.node.identity(),
            name: config.name.clone(),
            url: self.url.to_owned(),
            zone: config.zone.clone(),
            capacity_bytes: usage.capacity_bytes,
            free_bytes: usage.free_bytes,
            chunks: usage.chunks,
            chunk_bytes: usage.chunk_bytes,
            bad_blocks: usage.bad_blocks,
            oldest_unverified_millis: self
                .node
                .scrubbed_ago()
                .map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            seal_millis: self
                .node
                .seals_took()
                .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            state: usage.state,
            voter: self.node.voter.state(),
            leaving: self.worker.leaving().is_cancelled(),
            directory_version: self.node.directory.version_of(self.master),
            holdings,
            done,
            formats: FORMATS,
            lease_millis: u64::try_from(config.lease.as_millis()).unwrap_or(u64::MAX),
            voter_last: self.node.voter.last(),
            witness: config.witness,
        })
    }
}

/// What a master was told.
#[derive(Debug, Default)]
struct Told {
    /// How far it knows this mount's chunks, as it said last.
    known: Option<Known>,
    /// How many changes it was told of.
    up_to: u64,
    /// When it may be told more; none if it did not take the last beat.
    next: Option<Instant>,
    /// How long after the last beat it is told of chunks that came or went.
    gap: Duration,
}

/// How long to wait until the next beat for a change, after one that told of so many.
fn next_gap(last: Duration, changes: usize) -> Duration {
    if changes == 0 {
        GAP
    } else {
        last.saturating_mul(2).clamp(GAP, GAP_MOST)
    }
}

impl Told {
    /// Waits until the master should be told more before its time.
    ///
    /// # Cancel safety
    /// May be dropped.
    async fn is_old(&self, changes: &mut watch::Receiver<u64>, answers: &Answers) {
        let Some(next) = self.next else {
            // The next regular beat tells it.
            return std::future::pending().await;
        };
        let answered = async {
            answers.some().await;
            tokio::time::sleep_until(next).await;
        };
        let changed = async {
            let wants = self.known.is_some();
            // It fails only once the disk was given back.
            let is_same = !wants || changes.wait_for(|&count| count > self.up_to).await.is_err();
            if is_same {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(next + self.gap.saturating_sub(GAP)).await;
        };
        tokio::select! {
            biased;
            () = answered => {}
            () = changed => {}
        }
    }
}

/// What was last heard from a master: only changes are logged.
#[derive(Debug, Default)]
struct Heard {
    leader: Option<Leader>,
    trouble: Option<Code>,
}

impl Heard {
    fn note(&mut self, master: &str, sent: Result<Option<Leader>, Error>) {
        match sent {
            Ok(leader) => {
                if self.trouble.take().is_some() {
                    tracing::info!(master, "the master answers again");
                }
                if leader != self.leader {
                    match &leader {
                        Some(leader) => {
                            let Leader { term, url } = leader;
                            tracing::info!(master, %term, leader = url, "a leader is known");
                        }
                        None => tracing::warn!(master, "the master knows no leader"),
                    }
                    self.leader = leader;
                }
            }
            Err(error) => {
                let code = error.code();
                if self.trouble.replace(code) == Some(code) {
                    return;
                }
                let cause = chain(&error);
                if code == Code::ForeignDisk {
                    tracing::error!(master, %error, cause, "the master refuses this disk");
                } else {
                    tracing::warn!(master, %error, cause, "the master was told nothing");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn a_beat_is_due_at_the_tick_that_is_nearest_to_its_time() {
        let ticks = Ticks::default();
        let second = Duration::from_secs(1);
        let mut due = Due::new((ticks.clone(), second), 3 * second);
        due.wait().await;
        due.begins();
        let mut waited = Vec::new();
        for millis in [900, 800, 790, 20, 1000, 1000, 490, 20] {
            tokio::time::advance(Duration::from_millis(millis)).await;
            ticks.tick();
            let is_due = due.wait().now_or_never().is_some();
            waited.push(is_due);
            if is_due {
                due.begins();
            }
        }
        let [yes, no] = [true, false];
        assert_eq!(waited, [no, no, no, yes, no, no, no, yes]);
        due.again_after(Duration::from_millis(200));
        let begun = Instant::now();
        due.wait().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(200));
        due.begins();
    }

    #[test]
    fn changes_that_keep_coming_are_told_less_often_and_a_single_one_soon() {
        let mut gap = Told::default().gap;
        let mut gaps = Vec::new();
        for changes in [0, 1, 2, 5, 9, 9, 0, 1] {
            gap = next_gap(gap, changes);
            gaps.push(gap.as_millis());
        }
        assert_eq!(gaps, [50, 100, 200, 400, 400, 400, 50, 100]);
    }
}
