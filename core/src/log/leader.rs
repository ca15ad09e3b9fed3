//! The master's side: campaigns for a term and, once elected, orders and commits entries.
//!
//! One machine for the life of a master process. It holds the table of records in memory, as of
//! the commit, and the recent log; while it does not lead, a copy of both, which another leader
//! feeds and which nobody reads.

mod campaign;
mod epoch;
mod event;
mod founding;
mod leading;
mod loading;
mod model;
mod peer;
mod recovery;
mod replicate;
mod replies;
mod strangers;
#[cfg(test)]
mod tests;
mod voters;
mod warm;

pub use event::{BootstrapRefusal, Effect, Event, LeaderSettings, NotLeading};
pub use recovery::Heard;
pub use voters::VotersRefused;
pub use warm::{Changed, Copied};

use crate::id::{DiskId, Incarnation, RequestId, Term};
use crate::log::feed::Extent;
use crate::log::membership::Membership;
use crate::log::message::{Change, Entry, Position, Put, Request};
use crate::log::mutant::Mutants;
use crate::log::table::{Table, View};
use crate::log::violation::Violation;
use crate::time::{LogTime, Timestamp};
use campaign::{Preparing, Waiting};
use founding::Order;
use leading::Leading;
use loading::Loading;
use recovery::Vouched;
use std::collections::BTreeSet;
use std::time::Duration;
use warm::Warm;

/// How much further than usual chance spreads masters after a campaign that came to nothing: most often
/// it met another one, and the next ones must not.
const AFTER_DEFEAT: u32 = 10;

/// The master's state machine. One owner; everything goes through its methods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    incarnation: Incarnation,
    settings: LeaderSettings,
    /// State of the generator that spreads waits.
    random: u64,
    /// The highest round seen.
    round: u64,
    /// How often voters were forced, as far as this master has heard.
    epoch: u32,
    /// Since when too few voters for a commit were heard of.
    alone_since: Option<Timestamp>,
    seen: BTreeSet<DiskId>,
    /// The voters, as last told.
    members: BTreeSet<DiskId>,
    /// Another master, to which voters lease.
    leader_url: Option<String>,
    /// The term it leads in, if there is such a master.
    leader_term: Term,
    order: Option<Order>,
    /// Voters that an election may do without.
    vouched: Option<Vouched>,
    resigned: bool,
    /// After a lost campaign voters are asked for no promises until then.
    rests_until: Timestamp,
    state: State,
    /// What is known to be committed, for the next time: while leading there is none.
    warm: Option<Box<Warm>>,
    mutants: Mutants,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// For a lease to run out, or for voters to answer.
    Waiting(Waiting),
    /// For promises.
    Preparing(Preparing),
    /// For the chosen log.
    Loading(Box<Loading>),
    Leading(Box<Leading>),
}

impl Leader {
    /// A master that has just started: `incarnation` and `seed` are drawn at random.
    pub fn new(incarnation: Incarnation, settings: LeaderSettings, seed: u64) -> Self {
        Self {
            incarnation,
            settings,
            random: seed | 1,
            round: 0,
            epoch: 0,
            alone_since: None,
            seen: BTreeSet::new(),
            members: BTreeSet::new(),
            leader_url: None,
            leader_term: Term::default(),
            order: None,
            vouched: None,
            resigned: false,
            rests_until: Timestamp::default(),
            state: State::Waiting(Waiting::default()),
            warm: None,
            mutants: Mutants::default(),
        }
    }

    /// Takes one event.
    pub fn step(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Tick => self.tick(now, &mut effects),
            Event::Reply { from, reply } => self.reply(now, from, reply, &mut effects),
            Event::Unreachable { disk } => self.unreachable(now, disk, &mut effects),
            Event::Seen { disks } => self.seen = disks,
            Event::Bootstrap {
                ticket,
                disks,
                wall,
            } => {
                self.bootstrap(
                    now,
                    Order {
                        ticket,
                        disks,
                        wall,
                        lost: BTreeSet::new(),
                        epoch: 0,
                        expires: now,
                    },
                    &mut effects,
                );
            }
        }
        effects
    }

    /// Appends an entry with these effects; the sends go along with what already waits.
    ///
    /// Returns its index: it took effect once [`Effect::Committed`] reaches it in this term. After
    /// [`Effect::SteppedDown`] its fate is open.
    ///
    /// # Errors
    /// When this master cannot write now.
    pub fn append(
        &mut self,
        now: Timestamp,
        request: Option<RequestId>,
        puts: Vec<Put>,
    ) -> Result<(u64, Vec<Effect>), NotLeading> {
        let State::Leading(leading) = &mut self.state else {
            return Err(NotLeading::Follower);
        };
        if !leading.can_write(now) {
            return Err(NotLeading::NoQuorum);
        }
        let waiting = leading.waiting();
        if usize::try_from(waiting).is_ok_and(|waiting| waiting >= self.settings.window.entries) {
            return Err(NotLeading::Overloaded { waiting });
        }
        let index = leading.push(now, request, Change::Records(puts));
        let mut effects = Vec::new();
        leading.pump(now, &self.settings, &mut effects);
        Ok((index, effects))
    }

    /// Asks to read. [`Effect::ReadReady`] or [`Effect::ReadRefused`] follows, at once or later,
    /// at the latest after the span of a lease; the table is read only when it is ready.
    pub fn read(&mut self, now: Timestamp, ticket: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &mut self.state {
            State::Leading(leading) => leading.read(now, ticket, &self.settings, &mut effects),
            State::Waiting(_) | State::Preparing(_) | State::Loading(_) => {
                effects.push(Effect::ReadRefused { ticket });
            }
        }
        effects
    }

    /// Ends leading for good, and gives the leases back. For a clean stop.
    pub fn resign(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.resigned = true;
        self.refuse_order(BootstrapRefusal::Superseded, &mut effects);
        self.step_down(now, &mut effects);
        effects
    }

    /// The term in which this master leads.
    pub fn term(&self) -> Option<Term> {
        self.leading().map(Leading::term)
    }

    /// Whether an append would be taken now: the voters that a commit needs lease themselves to
    /// this leader.
    pub fn can_write(&self, now: Timestamp) -> bool {
        self.leading().is_some_and(|leading| leading.can_write(now))
    }

    /// Whether a read would be ready at once.
    pub fn can_read(&self, now: Timestamp) -> bool {
        self.leading().is_some_and(|leading| leading.can_read(now))
    }

    /// Whether an entry of the own term is committed: orders to disks may be given.
    pub fn is_established(&self) -> bool {
        self.leading().is_some_and(Leading::is_established)
    }

    /// The committed table, to answer reads from; only while leading.
    pub fn committed(&self) -> Option<&Table> {
        self.leading().map(Leading::table)
    }

    /// The table with all that is appended, to plan changes against; only while leading.
    pub fn view(&self) -> Option<View<'_>> {
        self.leading().map(Leading::view)
    }

    /// The commit index; only while leading.
    pub fn commit(&self) -> Option<u64> {
        self.leading().map(Leading::commit)
    }

    /// The entries behind `after`, in order, uncommitted ones included; only while leading, and only if
    /// the log reaches back so far.
    pub fn entries(&self, after: u64) -> Option<impl Iterator<Item = &Entry>> {
        self.leading()?.entries(after)
    }

    /// Where the log ends; only while leading.
    pub fn last(&self) -> Option<Position> {
        self.leading().map(Leading::last)
    }

    /// The voters, by the newest config in the log; only while leading.
    pub fn membership(&self) -> Option<Membership> {
        self.leading().map(Leading::membership)
    }

    /// The time the next entry would carry; only while leading.
    pub fn log_time(&self, now: Timestamp) -> Option<LogTime> {
        self.leading().map(|leading| leading.log_time(now))
    }

    /// Where the leader is reached: this master or another, as voters told last.
    pub fn leader_url(&self) -> Option<&str> {
        match self.leading() {
            Some(_) => Some(&self.settings.url),
            None => self.leader_url.as_deref(),
        }
    }

    /// Whether this master leads, or is about to if nothing comes between.
    pub fn is_active(&self) -> bool {
        self.active_term().is_some()
    }

    /// Whether this master has given up leading for good.
    pub fn is_resigned(&self) -> bool {
        self.resigned
    }

    /// The term and URL of another master that leads, as voters told last: it may lead no more.
    pub fn follows(&self) -> Option<(Term, &str)> {
        match self.active_term() {
            Some(_) => None,
            None => Some((self.leader_term, self.leader_url.as_deref()?)),
        }
    }

    /// The last entry of the copy that this master keeps while it does not lead.
    pub fn copied_up_to(&self) -> Option<u64> {
        self.warm.as_ref().map(|warm| warm.position().index)
    }

    /// Whether this master has all committed records, as of some entry: it leads, or has a whole copy.
    pub fn is_warm(&self) -> bool {
        let copy = self.warm.as_ref();
        self.leading().is_some() || copy.is_some_and(|warm| warm.extent == Extent::Whole)
    }

    /// The voters and other disks that get the log, with the index each is known to hold; only
    /// while leading.
    pub fn replicated(&self) -> Option<Vec<(DiskId, u64)>> {
        self.leading().map(Leading::replicated)
    }

    /// Breaks one rule, to see that a model notices.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub fn mutate(&mut self, mutant: crate::log::mutant::Mutant) {
        self.mutants.add(mutant);
    }

    fn leading(&self) -> Option<&Leading> {
        match &self.state {
            State::Leading(leading) => Some(leading),
            State::Waiting(_) | State::Preparing(_) | State::Loading(_) => None,
        }
    }

    /// The term this master campaigns or leads in.
    fn active_term(&self) -> Option<Term> {
        match &self.state {
            State::Waiting(_) => None,
            State::Preparing(preparing) => Some(preparing.term),
            State::Loading(loading) => Some(loading.term),
            State::Leading(leading) => Some(leading.term()),
        }
    }

    /// Back to waiting. Leases that voters gave to the term are given back: it never leads again.
    fn step_down(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let next_poll = now.plus(self.jitter());
        if let State::Preparing(_) | State::Loading(_) = &self.state {
            self.rests_until = now.plus(self.jitter_of(AFTER_DEFEAT)).max(next_poll);
        }
        let before = std::mem::replace(&mut self.state, State::Waiting(Waiting::at(next_poll)));
        let (term, leased) = match before {
            State::Waiting(waiting) => {
                self.state = State::Waiting(waiting);
                return;
            }
            State::Preparing(_) => return,
            State::Loading(loading) => (loading.term, loading.leased()),
            State::Leading(mut leading) => {
                leading.refuse_reads(effects);
                effects.push(Effect::SteppedDown {
                    term: leading.term(),
                });
                let (term, peers) = (leading.term(), leading.peers());
                self.heard_epoch(leading.membership().config.epoch);
                self.warm = Warm::of(*leading).map(Box::new);
                (term, peers)
            }
        };
        let release = |to| Effect::Send {
            to,
            request: Request::Release { term },
        };
        effects.extend(leased.into_iter().map(release));
    }

    /// A random span up to the settings' jitter.
    fn jitter(&mut self) -> Duration {
        self.jitter_of(1)
    }

    /// A random span up to so many times the settings' jitter.
    fn jitter_of(&mut self, times: u32) -> Duration {
        let most = self.settings.jitter.saturating_mul(times);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return Duration::ZERO;
        }
        // Xorshift: spreads waits, nothing else depends on it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_millis(self.random % most.saturating_add(1))
    }

    fn break_off(&mut self, now: Timestamp, violation: Violation, effects: &mut Vec<Effect>) {
        effects.extend(self.resign(now));
        effects.push(Effect::Broken(violation));
    }
}
