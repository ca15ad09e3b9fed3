//! Looks once a second at what the leader's loop knows, and tells what is another than before.

use super::Board;
use crate::leader::handle::LeaderHandle;
use crate::leader::route::Lead;
use mdfs_client::link::Links;
use mdfs_protocol::ask::Asked;
use mdfs_protocol::public::{
    Event, EventKind, Health, Policy, Rates, Status, TaskKind, Tick, WorkerInfo, WorkerState,
    Workers, WorkersCount,
};
use mdfs_service::{Clock, watch};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// In which the loop, or the leader elsewhere, must have answered.
const WITHIN: Duration = Duration::from_secs(2);
/// A line of the history is of so many looks.
const LINE: u64 = 10;
/// Rates are of so many of the last looks.
const RATE: usize = 5;

/// What a watch needs.
#[derive(Debug)]
pub struct Watch {
    /// Where it tells.
    pub board: Board,
    /// What it looks at.
    pub leader: LeaderHandle,
    /// Who leads.
    pub lead: watch::Receiver<Lead>,
    /// The way to whoever leads elsewhere, who is told what this master moves.
    pub links: Links,
    /// Where this master is reached.
    pub url: String,
    /// The time of the lines of the history.
    pub clock: Clock,
}

/// What was so at the last look; nothing before the first.
#[derive(Debug, Default)]
struct Seen {
    /// Of which term all that is.
    term: Option<String>,
    health: Option<Health>,
    damaged: u64,
    tasks: BTreeSet<(TaskKind, Option<String>)>,
    workers: BTreeMap<String, &'static str>,
    voters: BTreeSet<String>,
    policy: Option<Policy>,
    /// What all masters had moved at the last looks.
    moved: VecDeque<[u64; 4]>,
    /// Bytes copied since the last line of the history.
    repaired: u64,
    looks: u64,
    /// What was moved up to the last line of the history.
    line: [u64; 4],
}

/// Looks until `stop` fires.
///
/// # Cancel safety
/// May be dropped.
pub async fn watch(watch: Watch, stop: CancellationToken) {
    let mut beats = tokio::time::interval(EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen::default();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = beats.tick() => {}
        }
        let said = watch.board.moved().since_start(&watch.url);
        match watch.lead.get() {
            Lead::Here => {
                watch.board.hear(said);
                watch.look_in_time(&mut seen).await;
            }
            Lead::At(leader) => {
                seen = Seen::default();
                let told = watch
                    .links
                    .ask(&leader.url, &Asked::Traffic(said), WITHIN)
                    .await;
                if let Err(error) = told {
                    tracing::debug!(leader = leader.url, %error, "the leader hears no figures");
                }
            }
            Lead::Nobody => seen = Seen::default(),
        }
    }
}

impl Watch {
    /// What nobody answers in time is not known. What was seen stays: what has changed meanwhile is told
    /// when somebody answers again, if that is in the same term.
    async fn look_in_time(&self, seen: &mut Seen) {
        let looked = tokio::time::timeout(WITHIN, self.look(seen)).await;
        if looked != Ok(Some(())) {
            self.board.lose();
        }
    }

    async fn look(&self, seen: &mut Seen) -> Option<()> {
        let status = self.leader.status().await.ok()?;
        let term = status.term.clone()?;
        let workers = self.leader.workers().await.ok()?;
        let policy = self.leader.policy().await.ok()?;
        if seen.term.as_ref() != Some(&term) {
            *seen = Seen {
                term: Some(term),
                ..Seen::default()
            };
        }
        let mut events = Vec::new();
        seen.look_at_status(&status, &mut events);
        seen.look_at_workers(&workers, &mut events);
        if seen
            .policy
            .as_ref()
            .is_some_and(|before| differ(before, &policy))
        {
            events.push(Event::new(EventKind::Policy));
        }
        seen.policy = Some(policy);
        for event in events {
            self.board.tell(event);
        }
        let all = self.board.moved_by_all();
        let rates = seen.rates(&status, all);
        self.board.tick(tick_of(&status, rates));
        seen.looks += 1;
        if seen.looks.is_multiple_of(LINE) {
            let [read, written, requests, errors] = gained(all, seen.line);
            let repaired = std::mem::take(&mut seen.repaired);
            seen.line = all;
            self.board.note([
                self.clock.wall().as_millis() / 1000,
                read,
                written,
                repaired,
                requests,
                errors,
                status.under_replicated_files,
            ]);
        }
        Some(())
    }
}

impl Seen {
    fn look_at_status(&mut self, status: &Status, events: &mut Vec<Event>) {
        let before = self.health.replace(status.health);
        if let Some(before) = before.filter(|before| *before != status.health) {
            let mut event = Event::new(EventKind::Health);
            event.from = Some(health(before).to_owned());
            event.to = Some(health(status.health).to_owned());
            event.text = status.reasons.first().cloned();
            events.push(event);
        }
        let tasks = status.tasks.iter();
        let tasks: BTreeSet<_> = tasks.map(|task| (task.kind, task.worker.clone())).collect();
        if before.is_some() {
            let begun = tasks.difference(&self.tasks).map(|task| (task, "begun"));
            let ended = self.tasks.difference(&tasks).map(|task| (task, "ended"));
            for ((kind, worker), to) in begun.chain(ended) {
                let mut event = Event::new(EventKind::Task);
                event.name = worker.clone();
                event.to = Some(to.to_owned());
                event.text = Some(kind.as_str().to_owned());
                events.push(event);
            }
            if status.damaged_chunks > self.damaged {
                let mut event = Event::new(EventKind::Damage);
                let chunks = status.damaged_chunks;
                event.text = Some(format!("{chunks} chunks have a damaged copy"));
                events.push(event);
            }
        }
        self.tasks = tasks;
        self.damaged = status.damaged_chunks;
    }

    fn look_at_workers(&mut self, workers: &Workers, events: &mut Vec<Event>) {
        let now = workers.workers.iter();
        let now: BTreeMap<String, &'static str> = now
            .map(|worker| (worker.name.clone(), state(worker)))
            .collect();
        let voters = workers.workers.iter().filter(|worker| worker.voter);
        let voters: BTreeSet<String> = voters.map(|worker| worker.name.clone()).collect();
        let is_first = self.voters.is_empty() && self.workers.is_empty();
        if !is_first {
            let names: BTreeSet<&String> = now.keys().chain(self.workers.keys()).collect();
            for name in names {
                let (from, to) = (self.workers.get(name), now.get(name));
                if from != to {
                    let mut event = Event::new(EventKind::Worker);
                    event.name = Some(name.clone());
                    event.from = from.map(|state| (*state).to_owned());
                    event.to = to.map(|state| (*state).to_owned());
                    events.push(event);
                }
            }
            if voters != self.voters {
                let mut event = Event::new(EventKind::Voters);
                let names: Vec<&str> = voters.iter().map(String::as_str).collect();
                event.text = Some(names.join(", "));
                events.push(event);
            }
        }
        self.workers = now;
        self.voters = voters;
    }

    fn rates(&mut self, status: &Status, all: [u64; 4]) -> Rates {
        let copied = status
            .tasks
            .iter()
            .filter(|task| task.kind != TaskKind::Scrub);
        let repair = copied.map(|task| task.bytes_per_second).sum();
        self.repaired = self.repaired.saturating_add(repair);
        self.moved.push_back(all);
        if self.moved.len() > RATE + 1 {
            self.moved.pop_front();
        }
        let looks = u64::try_from(self.moved.len()).unwrap_or_default();
        let spans = looks.saturating_sub(1).max(1);
        let oldest = self.moved.front().copied().unwrap_or(all);
        let [read, written, ..] = gained(all, oldest);
        Rates {
            read: read / spans,
            write: written / spans,
            repair,
        }
    }
}

fn gained(all: [u64; 4], before: [u64; 4]) -> [u64; 4] {
    let mut gained = all;
    for (now, before) in gained.iter_mut().zip(before) {
        *now = now.saturating_sub(before);
    }
    gained
}

/// The figures of a status.
pub(crate) fn tick_of(status: &Status, rates: Rates) -> Tick {
    let is_counted = status.counted_millis_ago.is_some();
    let counted = |figure: u64| is_counted.then_some(figure);
    Tick {
        health: status.health,
        sentence: status.reasons.first().cloned(),
        files: Some(status.files),
        bytes: Some(status.bytes),
        under_replicated: counted(status.under_replicated_files),
        at_risk: counted(at_risk(status)),
        missing: counted(status.missing_files),
        workers: Some(WorkersCount {
            live: status.live_workers,
            total: status.workers,
        }),
        rates: Some(rates),
    }
}

/// Files of those that are named that have a chunk with one good copy left.
pub(crate) fn at_risk(status: &Status) -> u64 {
    let last = status.at_risk.iter().filter(|file| file.copies == 1);
    u64::try_from(last.count()).unwrap_or_default()
}

/// Whether two are different policies. How long a lower number of copies is still waited for changes by
/// itself.
fn differ(one: &Policy, other: &Policy) -> bool {
    let of = |policy: &Policy| {
        let lowering = policy.lowering.map(|lowering| lowering.replicas);
        let policy = Policy {
            lowering: None,
            ..policy.clone()
        };
        (policy, lowering)
    };
    of(one) != of(other)
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Critical => "critical",
        Health::Unknown => "unknown",
    }
}

/// The state of a worker in one word.
fn state(worker: &WorkerInfo) -> &'static str {
    match worker.state {
        WorkerState::Dead => "dead",
        WorkerState::Suspect => "suspect",
        WorkerState::Live if worker.read_only => "read_only",
        WorkerState::Live if worker.draining => "draining",
        WorkerState::Live => "live",
    }
}

#[cfg(test)]
mod tests;
