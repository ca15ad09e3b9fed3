//! A voter: promises terms, keeps log and table on its disk, leases itself to leaders.
//!
//! It holds the recent log in memory and the table not at all: the driver keeps that, changed only
//! through [`Persist`]. Committed entries are applied with the next durable write, or when the
//! driver calls [`Voter::settle`]; nobody reads a voter's table but a candidate, by Load, and that
//! settles first.

mod append;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::id::Term;
use crate::log::entries::{Log, Window};
use crate::log::membership::Membership;
use crate::log::message::{LoadFrom, Loaded, PAGE_BYTES, Position, Reply, Request, Vote};
use crate::log::mutant::{Mutant, Mutants};
use crate::log::persist::{Answer, DurableVoter, Output, Persist, TableRead};
use crate::log::violation::{Corrupt, Violation};
use crate::time::Timestamp;
use snapshot::Staging;
use std::time::Duration;

/// Bounds of a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoterSettings {
    /// How long an accepted Append leases the voter to its sender; the same in the whole cluster.
    pub lease: Duration,
    /// How much of the applied log is kept.
    pub window: Window,
}

impl VoterSettings {
    /// What servers use.
    pub const DEFAULT: Self = Self {
        lease: Duration::from_secs(3),
        window: Window::DEFAULT,
    };
}

/// The voter's state machine. One owner; every request goes through [`Voter::step`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Voter {
    settings: VoterSettings,
    promised: Term,
    log: Log,
    /// Up to here the table on disk is applied.
    applied: u64,
    /// Up to here the log is committed, as far as leaders told.
    commit: u64,
    lease: Option<Lease>,
    /// The promised term, once its leader gave the lease back: what it sent before and comes after that
    /// gives it no other one.
    released: bool,
    /// The highest term refused because of a lease; told to the holder.
    higher: Option<Term>,
    staging: Option<Staging>,
    mutants: Mutants,
}

/// While it runs, only its term is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lease {
    term: Term,
    until: Timestamp,
    leader_url: Option<String>,
}

impl Voter {
    /// The voter with this disk. For the span of a lease it behaves as if it had just leased
    /// itself to the promised term, since it may have.
    ///
    /// # Errors
    /// When the disk does not hold what a voter writes.
    pub fn restore(
        disk: DurableVoter,
        now: Timestamp,
        settings: VoterSettings,
    ) -> Result<Self, Corrupt> {
        let DurableVoter {
            promised,
            base,
            entries,
            applied,
        } = disk;
        let first = base.position.index;
        let log = Log::new(base, entries).ok_or(Corrupt::Gap { base: first })?;
        let last = log.last();
        if applied < first || applied > last.index {
            return Err(Corrupt::Applied {
                applied,
                base: first,
                last: last.index,
            });
        }
        if last.term > promised {
            return Err(Corrupt::Promise {
                last: last.term,
                promised,
            });
        }
        let lease = (promised > Term::default()).then(|| Lease {
            term: promised,
            until: now.plus(settings.lease),
            leader_url: None,
        });
        Ok(Self {
            settings,
            promised,
            log,
            applied,
            commit: applied,
            lease,
            released: false,
            higher: None,
            staging: None,
            mutants: Mutants::default(),
        })
    }

    /// Takes one request. The output is carried out before the next step.
    ///
    /// # Errors
    /// A broken invariant: the process must stop, and nothing may be written or answered.
    pub fn step(&mut self, now: Timestamp, request: Request) -> Result<Output, Violation> {
        let reply = match request {
            Request::PreVote { term } => {
                let granted = term > self.promised && self.other_lease(now, term).is_none();
                Reply::PreVoted(self.vote(now, term, granted))
            }
            Request::Prepare { term } => return Ok(self.prepare(now, term)),
            Request::Load { term, from, send } => return Ok(self.load(now, term, from, send)),
            Request::Append(append) => return self.append(now, append),
            Request::Snapshot(page) => return Ok(self.snapshot(now, page)),
            Request::Release { term } => {
                if self.lease.as_ref().is_some_and(|lease| lease.term == term) {
                    self.lease = None;
                }
                self.released |= term == self.promised;
                Reply::Released { term }
            }
        };
        Ok(Output::answer(reply))
    }

    /// Applies to the table what is committed and not yet applied. For quiet moments and a clean
    /// stop; need not be synced.
    pub fn settle(&mut self) -> Option<Persist> {
        let mut persist = Persist::default();
        self.apply_committed(&mut persist);
        (!persist.is_empty()).then_some(persist)
    }

    /// The term below which nothing is answered.
    pub fn promised(&self) -> Term {
        self.promised
    }

    /// Where the log ends.
    pub fn last(&self) -> Position {
        self.log.last()
    }

    /// Where the log in memory begins.
    pub fn base(&self) -> Position {
        self.log.base().position
    }

    /// Up to here the log is known to be committed.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// Up to here the table is applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The voters, by the newest config in the log, committed or not.
    pub fn membership(&self) -> Membership {
        self.log.membership()
    }

    /// The term and URL of the leader this voter leases itself to. The URL is unknown after a
    /// restart.
    pub fn leader(&self, now: Timestamp) -> Option<(Term, Option<&str>)> {
        let lease = self.lease.as_ref().filter(|lease| now < lease.until)?;
        Some((lease.term, lease.leader_url.as_deref()))
    }

    /// How long the lease runs on; zero without one.
    pub fn lease_left(&self, now: Timestamp) -> Duration {
        self.lease
            .as_ref()
            .map_or(Duration::ZERO, |lease| lease.until.since(now))
    }

    /// What the disk should hold if all was made durable; for tests and models.
    #[doc(hidden)]
    pub fn to_durable(&self) -> DurableVoter {
        DurableVoter {
            promised: self.promised,
            base: self.log.base().clone(),
            entries: self
                .log
                .behind(self.log.base().position.index)
                .cloned()
                .collect(),
            applied: self.applied,
        }
    }

    /// Forgets a lease that ran out: states that behave alike become equal. For models.
    #[doc(hidden)]
    pub fn forget_past(&mut self, now: Timestamp) {
        self.lease = self.lease.take().filter(|lease| now < lease.until);
    }

    /// Breaks one rule, to see that a model notices.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub fn mutate(&mut self, mutant: Mutant) {
        self.mutants.add(mutant);
    }

    fn prepare(&mut self, now: Timestamp, term: Term) -> Output {
        let raised = term > self.promised;
        // The same Prepare again gets the same answer.
        let granted = (raised || term == self.promised) && self.other_lease(now, term).is_none();
        let mut persist = Persist::default();
        if raised && granted {
            self.raise(term, &mut persist);
        }
        let reply = Reply::Prepared(self.vote(now, term, granted));
        Output::with(persist, reply)
    }

    fn load(&mut self, now: Timestamp, term: Term, from: LoadFrom, send: u64) -> Output {
        let guarded = term == self.promised && self.other_lease(now, term).is_none();
        if !guarded {
            return Output::answer(self.refusal(now, term, send));
        }
        // Once settled, nothing changes while the promise stands: the pages are of one state.
        let persist = self.settle();
        let base = self.log.base().clone();
        let (from, after) = match from {
            LoadFrom::Log { after } if self.log.position(after.index) == Some(after) => {
                (from, after.index)
            }
            LoadFrom::Log { .. } => (LoadFrom::Table { after: None }, base.position.index),
            LoadFrom::Table { .. } => (from, base.position.index),
        };
        let entries = self.log.page(after, PAGE_BYTES);
        let end = entries.last().map_or(after, |entry| entry.index);
        let loaded = Box::new(Loaded {
            term,
            send,
            applied: self.applied,
            base,
            from: from.clone(),
            records: Vec::new(),
            more_records: false,
            entries,
            more_entries: end < self.log.last().index,
        });
        let answer = match from {
            LoadFrom::Table { after } => Answer::Read(TableRead {
                after,
                limit_bytes: PAGE_BYTES,
                loaded,
            }),
            LoadFrom::Log { .. } => Answer::Ready(Box::new(Reply::Loaded(loaded))),
        };
        Output { persist, answer }
    }

    /// The lease of a term other than `term`, if it runs.
    fn other_lease(&self, now: Timestamp, term: Term) -> Option<&Lease> {
        self.lease
            .as_ref()
            .filter(|lease| lease.term != term && now < lease.until)
    }

    fn vote(&self, now: Timestamp, term: Term, granted: bool) -> Vote {
        let lease = self.lease.as_ref().filter(|lease| now < lease.until);
        Vote {
            term,
            granted,
            promised: self.promised,
            lease_left: self
                .other_lease(now, term)
                .map(|lease| lease.until.since(now)),
            leader_url: lease.and_then(|lease| lease.leader_url.clone()),
            membership: self.log.membership(),
            commit: self.commit,
            last: self.log.last(),
        }
    }

    fn refusal(&self, now: Timestamp, term: Term, send: u64) -> Reply {
        let lease_left = self
            .other_lease(now, term)
            .map(|lease| lease.until.since(now));
        Reply::Refused {
            term,
            send,
            promised: self.promised,
            lease_left,
        }
    }

    /// The answer to a leader that counts on leases of another length. A lower term is told of the
    /// higher one all the same.
    fn other_span(&self, term: Term, send: u64, lease_millis: u64) -> Option<Reply> {
        let own = u64::try_from(self.settings.lease.as_millis()).unwrap_or(u64::MAX);
        (own != lease_millis && term >= self.promised).then_some(Reply::OtherLease {
            term,
            send,
            lease_millis: own,
        })
    }

    /// The tests of term and lease that Append and Snapshot share. On success the voter has
    /// promised `term` and leases itself to it.
    fn admit(
        &mut self,
        now: Timestamp,
        term: Term,
        epoch: u32,
        leader_url: String,
        persist: &mut Persist,
    ) -> bool {
        if term < self.promised || self.is_outdated(epoch) {
            return false;
        }
        if self.other_lease(now, term).is_some() && !self.mutants.has(Mutant::AppendIgnoresLease) {
            // Not below the promise, so above the lease's term.
            self.higher = self.higher.max(Some(term));
            return false;
        }
        if term > self.promised {
            self.raise(term, persist);
        }
        // Who gave a lease back counts on none ever after.
        if !self.released {
            let until = now.plus(self.settings.lease);
            self.lease = Some(Lease {
                term,
                until,
                leader_url: Some(leader_url),
            });
        }
        true
    }

    fn raise(&mut self, term: Term, persist: &mut Persist) {
        self.promised = term;
        self.released = false;
        self.higher = self.higher.filter(|higher| *higher > term);
        self.staging = None;
        persist.promised = Some(term);
        persist.sync = true;
    }

    /// Adds what is committed and not applied, and moves the base when the log is long.
    fn apply_committed(&mut self, persist: &mut Persist) {
        if self.applied < self.commit {
            let fresh = self.log.behind(self.applied);
            let fresh = fresh.take_while(|entry| entry.index <= self.commit);
            persist
                .apply
                .extend(fresh.flat_map(|entry| entry.puts().iter().cloned()));
            self.applied = self.commit;
            persist.applied = Some(self.applied);
        }
        if self.log.trim(self.applied, self.settings.window) {
            persist.base = Some(self.log.base().clone());
        }
    }
}

impl Output {
    fn answer(reply: Reply) -> Self {
        Self {
            persist: None,
            answer: Answer::Ready(Box::new(reply)),
        }
    }

    fn with(persist: Persist, reply: Reply) -> Self {
        let persist = (!persist.is_empty()).then_some(persist);
        Self {
            persist,
            answer: Answer::Ready(Box::new(reply)),
        }
    }
}
