//! From waiting to a quorum of promises: PreVote, Prepare, the choice of the log; and founding.

use super::epoch::{committed, newest};
use super::leading::Leading;
use super::warm::Copied;
use super::{BootstrapRefusal, Effect, Leader, State};
use crate::id::{DiskId, Term};
use crate::log::entries::Log;
use crate::log::message::{Request, Vote};
use crate::log::mutant::Mutant;
use crate::log::violation::Violation;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The longest a master sleeps over a lease: the holder may give it back early.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Nothing is asked but PreVote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    next_poll: Timestamp,
    pub(super) poll: Option<Poll>,
}

impl Waiting {
    pub(super) fn at(next_poll: Timestamp) -> Self {
        Self {
            next_poll,
            poll: None,
        }
    }
}

/// One round of PreVotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Poll {
    term: Term,
    pub(super) asked: BTreeSet<DiskId>,
    pub(super) votes: BTreeMap<DiskId, Vote>,
    pub(super) unreachable: BTreeSet<DiskId>,
    /// Whoever led does not answer this master.
    pub(super) leader_gone: bool,
}

/// Promises are collected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Preparing {
    pub(super) term: Term,
    pub(super) promises: BTreeMap<DiskId, Vote>,
    pub(super) asked: BTreeSet<DiskId>,
    /// Asked, and will not promise.
    pub(super) lost: BTreeSet<DiskId>,
    /// All the disks of the order have to promise, with empty logs.
    pub(super) founding: bool,
    /// Voters that it does without: somebody vouches that they run nowhere.
    pub(super) vouched: BTreeSet<DiskId>,
    pub(super) expires: Timestamp,
}

impl Leader {
    pub(super) fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self
            .order
            .as_ref()
            .is_some_and(|order| now >= order.expires)
        {
            let disks = self.silent();
            self.refuse_order(BootstrapRefusal::Silent { disks }, effects);
        }
        self.vouched = self.vouched.take().filter(|it| now < it.expires);
        match &mut self.state {
            State::Waiting(waiting) => {
                // Who has given up leading asks too: it has to know who leads instead.
                if now >= waiting.next_poll {
                    self.poll(now, effects);
                }
            }
            State::Preparing(preparing) => {
                if now >= preparing.expires {
                    self.step_down(now, effects);
                }
            }
            State::Loading(loading) => {
                if now >= loading.expires {
                    self.drop_source(now, effects);
                } else {
                    loading.keep_leases(now, &self.settings, effects);
                }
            }
            State::Leading(leading) => leading.tick(now, &self.settings, effects),
        }
    }

    /// Asks all known disks whether they would promise.
    pub(super) fn poll(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let term = self.next_term();
        let ordered = self.order.iter().flat_map(|order| order.disks.iter());
        let asked: BTreeSet<DiskId> = self
            .seen
            .iter()
            .chain(&self.members)
            .chain(ordered)
            .copied()
            .collect();
        let request = |to: &DiskId| Effect::Send {
            to: *to,
            request: Request::PreVote { term },
        };
        effects.extend(asked.iter().map(request));
        let next_poll = now.plus(self.settings.retry).plus(self.jitter());
        let (votes, unreachable) = (BTreeMap::new(), BTreeSet::new());
        let poll = Some(Poll {
            term,
            asked,
            votes,
            unreachable,
            leader_gone: false,
        });
        self.state = State::Waiting(Waiting { next_poll, poll });
    }

    pub(super) fn pre_voted(
        &mut self,
        now: Timestamp,
        from: DiskId,
        vote: Vote,
        effects: &mut Vec<Effect>,
    ) {
        let jitter = self.jitter();
        let State::Waiting(Waiting {
            next_poll,
            poll: Some(poll),
        }) = &mut self.state
        else {
            return;
        };
        if vote.term != poll.term || !poll.asked.contains(&from) {
            return;
        }
        if let Some(left) = vote.lease_left {
            *next_poll = now.plus(left.min(LONGEST_WAIT)).plus(jitter);
        }
        if vote.leader_url.is_some() {
            self.leader_url.clone_from(&vote.leader_url);
            // While a lease runs nothing else is promised.
            self.leader_term = vote.promised;
        }
        let epoch = vote.membership.config.epoch;
        poll.votes.insert(from, vote);
        self.heard_epoch(epoch);
        self.drop_given_up(epoch);
        self.consider(now, effects);
    }

    /// Goes on to Prepare if the answers so far suffice.
    fn consider(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.check_order(effects);
        self.forget_leader();
        if self.resigned || self.consider_recovery(now, effects) {
            return;
        }
        let State::Waiting(Waiting {
            poll: Some(poll), ..
        }) = &self.state
        else {
            return;
        };
        let granted = |disk: DiskId| poll.votes.get(&disk).is_some_and(|vote| vote.granted);
        let Some((_, newest)) = newest(&poll.votes, self.epoch) else {
            return;
        };
        if newest.last.index == 0 {
            let blank = poll.votes.values().all(|vote| vote.last.index == 0);
            let Some(order) = self.order.as_ref().filter(|_| blank) else {
                return;
            };
            let mut asked = poll.asked.iter();
            let told =
                asked.all(|disk| poll.votes.contains_key(disk) || poll.unreachable.contains(disk));
            if told && order.disks.iter().copied().all(granted) {
                let disks = order.disks.clone();
                self.prepare(now, disks, true, effects);
            }
            return;
        }
        let commit = committed(&poll.votes, self.epoch);
        let quorums = newest.membership.quorums(commit);
        let voters = quorums.voters();
        let promised = quorums.promises(granted);
        let heard: BTreeSet<DiskId> = poll.votes.keys().copied().collect();
        // A non-voter's log may be chosen too; a blank disk has none.
        let holders = poll.votes.iter().filter(|(_, vote)| vote.last.index > 0);
        let holders = holders.map(|(disk, _)| *disk);
        let disks = holders.chain(voters.iter().copied()).collect();
        self.members = voters;
        let enough = self.may_go_alone(now, &quorums, |disk| heard.contains(&disk));
        if promised && enough && now >= self.rests_until {
            self.prepare(now, disks, false, effects);
        }
    }

    /// Asks these disks for their promises, in a term of its own.
    pub(super) fn prepare(
        &mut self,
        now: Timestamp,
        disks: BTreeSet<DiskId>,
        founding: bool,
        effects: &mut Vec<Effect>,
    ) {
        let term = self.next_term();
        self.round = term.round;
        self.leader_url = None;
        let request = |to: &DiskId| Effect::Send {
            to: *to,
            request: Request::Prepare { term },
        };
        effects.extend(disks.iter().map(request));
        self.state = State::Preparing(Preparing {
            term,
            promises: BTreeMap::new(),
            asked: disks,
            lost: BTreeSet::new(),
            founding,
            vouched: BTreeSet::new(),
            expires: now.plus(self.settings.lease / 2),
        });
    }

    pub(super) fn prepared(
        &mut self,
        now: Timestamp,
        from: DiskId,
        vote: Vote,
        effects: &mut Vec<Effect>,
    ) {
        if let State::Loading(loading) = &mut self.state {
            loading.promised_late(from, &vote);
        }
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        if vote.term != preparing.term || !preparing.asked.contains(&from) {
            return;
        }
        let epoch = vote.membership.config.epoch;
        if vote.granted {
            preparing.lost.remove(&from);
            preparing.promises.insert(from, vote);
        } else {
            preparing.lost.insert(from);
        }
        self.heard_epoch(epoch);
        self.choose(now, effects);
    }

    /// Chooses the log among the promises, if there are enough of them.
    pub(super) fn choose(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        let promises = &preparing.promises;
        let newest = newest(promises, self.epoch);
        if let Some((source, vote)) = newest.filter(|(_, vote)| vote.last.index > 0) {
            preparing.founding = false;
            let commit = committed(promises, self.epoch);
            if commit > vote.last.index {
                // Not an alarm yet: what was committed may be with voters still to promise.
                self.give_up_if_hopeless(now, effects);
                return;
            }
            let quorums = vote.membership.quorums(commit);
            let quorums = if self.mutants.has(Mutant::NoJointElection) {
                quorums.new_only()
            } else {
                quorums
            };
            if preparing.suffice(&quorums) {
                let (source, end) = (*source, vote.last);
                let preparing = preparing.clone();
                self.load(now, source, end, preparing, effects);
                return;
            }
            // That log's config needs others.
            let missing: Vec<_> = quorums
                .voters()
                .difference(&preparing.asked)
                .filter(|disk| !preparing.vouched.contains(disk))
                .copied()
                .collect();
            let term = preparing.term;
            preparing.asked.extend(&missing);
            effects.extend(missing.into_iter().map(|to| Effect::Send {
                to,
                request: Request::Prepare { term },
            }));
        } else if preparing.founding
            && let Some(order) = &self.order
            && order.disks.iter().all(|disk| promises.contains_key(disk))
        {
            let log = Log::default();
            let leading = Leading::found(now, preparing.term, log, order, self.mutants.clone());
            // What is here is of a cluster before this one.
            self.warm = None;
            self.epoch = 0;
            effects.push(Effect::Copied(Box::new(Copied::anew())));
            self.lead(now, leading, effects);
            return;
        }
        self.give_up_if_hopeless(now, effects);
    }

    /// Takes the lead.
    pub(super) fn lead(&mut self, now: Timestamp, leading: Leading, effects: &mut Vec<Effect>) {
        effects.push(Effect::Elected {
            term: leading.term(),
        });
        self.members = leading.peers();
        self.heard_epoch(leading.membership().config.epoch);
        self.alone_since = None;
        let mut leading = Box::new(leading);
        leading.tick(now, &self.settings, effects);
        self.state = State::Leading(leading);
        self.finish_order(effects);
    }

    pub(super) fn unreachable(&mut self, now: Timestamp, disk: DiskId, effects: &mut Vec<Effect>) {
        match &mut self.state {
            State::Waiting(waiting) => {
                if let Some(poll) = &mut waiting.poll {
                    poll.unreachable.insert(disk);
                }
                self.consider(now, effects);
            }
            State::Preparing(preparing) => {
                preparing.lost.insert(disk);
                self.choose(now, effects);
            }
            State::Loading(loading) => {
                if loading.source == disk {
                    self.drop_source(now, effects);
                }
            }
            State::Leading(leading) => leading.unreachable(now, disk, &self.settings),
        }
    }

    /// Everybody asked has answered, and it is not enough.
    fn give_up_if_hopeless(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let State::Preparing(preparing) = &self.state else {
            return;
        };
        let open = preparing
            .asked
            .iter()
            .any(|disk| !preparing.promises.contains_key(disk) && !preparing.lost.contains(disk));
        if open {
            return;
        }
        let newest = newest(&preparing.promises, self.epoch);
        let commit = committed(&preparing.promises, self.epoch);
        let violation = newest.and_then(|(_, vote)| {
            let last = vote.last.index;
            let enough = vote
                .membership
                .quorums(commit)
                .promises(|disk| preparing.promises.contains_key(&disk));
            let term = preparing.term;
            (enough && commit > last).then_some(Violation::CommitLost { term, commit, last })
        });
        match violation {
            Some(violation) => self.break_off(now, violation, effects),
            None => self.step_down(now, effects),
        }
    }

    fn next_term(&self) -> Term {
        Term {
            round: self.round.saturating_add(1),
            incarnation: self.incarnation,
        }
    }
}
