//! Recovery: more voters are gone for ever than the others can do without.
//!
//! Somebody vouches that the lost ones run nowhere. Then the promises of *all* the others take the
//! place of a quorum, and whoever is elected so does one thing: it appends an entry without the lost
//! ones, which commits on all that are left. Until then it commits nothing, answers no read, and sends
//! nothing to the lost: one that is there after all would have its log cut.

use super::campaign::{Poll, Preparing, Waiting};
use super::epoch::{committed, newest};
use super::founding::Order;
use super::leading::{Inherited, Leading};
use super::voters::VotersRefused;
use super::warm::Warm;
use super::{Effect, Leader, State};
use crate::id::DiskId;
use crate::log::feed::Extent;
use crate::log::membership::Quorums;
use crate::log::message::{Change, Config, Position, Put, Vote};
use crate::time::{LogTime, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long somebody's word is good: a few polls, and an election.
const PATIENCE: Duration = Duration::from_secs(10);

/// Voters that run nowhere, as somebody vouches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Vouched {
    lost: BTreeSet<DiskId>,
    /// Above the rounds in which the lost ones may have elected leaders.
    round: u64,
    pub(super) expires: Timestamp,
}

/// What disks say of the log, while nobody leads as far as this master knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard {
    /// The voters, by the newest log that was told of; none if no disk has a log.
    pub voters: BTreeSet<DiskId>,
    /// Where the log of each disk ends that answered.
    pub ends: BTreeMap<DiskId, Position>,
    /// Up to here the log is known to be committed.
    pub commit: u64,
}

impl Leader {
    /// What disks answered when they were asked last; none before all did that can be reached, while
    /// there are none to ask, and while this master campaigns or leads.
    pub fn heard(&self) -> Option<Heard> {
        let State::Waiting(Waiting {
            poll: Some(poll), ..
        }) = &self.state
        else {
            return None;
        };
        let told = !poll.asked.is_empty() && poll.is_over();
        told.then(|| poll.heard(self.epoch))
    }

    /// Whether a leader could be elected without these voters, of whom somebody vouches that they run
    /// nowhere, and could not be with them. Changes nothing.
    ///
    /// # Errors
    /// Why not. `NotEstablished` as long as disks are still asked.
    pub fn may_recover(&self, lost: &BTreeSet<DiskId>) -> Result<(), VotersRefused> {
        match &self.state {
            State::Waiting(Waiting {
                poll: Some(poll), ..
            }) => poll.check_lost(lost, self.epoch),
            State::Waiting(_) | State::Preparing(_) | State::Loading(_) | State::Leading(_) => {
                Err(VotersRefused::NotEstablished)
            }
        }
    }

    /// Campaigns without these voters. Whoever calls it vouches that they run nowhere, now and ever
    /// after. Once elected so ([`Leader::recovers`]), [`Leader::give_up_voters`] is all that is left to
    /// do. A leader that can neither read nor write steps down for it.
    ///
    /// `wall` is the wall clock: the lost voters may have elected leaders of whom no other voter heard,
    /// and disks take no order of a lower term. By the clock the new term is above all of theirs.
    pub fn recover(
        &mut self,
        now: Timestamp,
        lost: BTreeSet<DiskId>,
        wall: LogTime,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let expires = now.plus(PATIENCE);
        let round = wall.as_millis() / 1000;
        self.vouched = Some(Vouched {
            lost,
            round,
            expires,
        });
        self.step_down_if_idle(now, &mut effects);
        if matches!(self.state, State::Waiting(_)) && !self.resigned {
            self.poll(now, &mut effects);
        }
        effects
    }

    /// Ends leading if nothing can be read or written here a lease after it began: nobody is served by it,
    /// and as long as voters lease themselves to it, no other can be elected.
    pub fn stop_if_idle(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.step_down_if_idle(now, &mut effects);
        effects
    }

    fn step_down_if_idle(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let lease = self.settings.lease;
        // Its first leases may be on their way.
        let had_time = |leading: &Leading| now.since(leading.clock.1) >= lease;
        if self.leading().is_some_and(had_time) && !self.can_read(now) && !self.can_write(now) {
            self.step_down(now, effects);
        }
    }

    /// The voters without whom this master was elected, if it leads only to give them up.
    pub fn recovers(&self) -> Option<&BTreeSet<DiskId>> {
        let leading = self.leading()?;
        let gives_up = !leading.vouched.is_empty() && leading.founding.is_none();
        (gives_up && leading.first_own.is_none()).then_some(&leading.vouched)
    }

    /// Founds the log anew with these disks, which have none: no voter is left of the log before.
    /// Whoever calls it vouches that the lost ones run nowhere. Answered as [`super::Event::Bootstrap`].
    ///
    /// `wall` is the wall clock: by it disks know this log and its terms to be newer than all before, of
    /// which nothing is at hand that would tell.
    pub fn found_again(
        &mut self,
        now: Timestamp,
        ticket: u64,
        disks: BTreeSet<DiskId>,
        lost: BTreeSet<DiskId>,
        wall: LogTime,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let seconds = wall.as_millis() / 1000;
        // Disks take no order of a lower term than before.
        self.round = self.round.max(seconds);
        let order = Order {
            ticket,
            disks,
            wall,
            lost,
            epoch: u32::try_from(seconds).unwrap_or(u32::MAX),
            expires: now,
        };
        self.bootstrap(now, order, &mut effects);
        effects
    }

    /// Does not give up the voters without whom it was elected: it leads no more.
    pub fn keep_voters(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.vouched = None;
        if self.recovers().is_some() {
            self.step_down(now, &mut effects);
        }
        effects
    }

    /// Appends `puts`, and an entry that makes those the voters that are left. Both in one step. What
    /// `puts` say of the recovery is in every log that has the new voters.
    ///
    /// Returns the index of the second entry. Both commit when all that are left hold them.
    ///
    /// # Errors
    /// If this master was not elected so.
    pub fn give_up_voters(
        &mut self,
        now: Timestamp,
        puts: Vec<Put>,
    ) -> Result<(u64, Vec<Effect>), VotersRefused> {
        let Some(lost) = self.recovers().cloned() else {
            return Err(VotersRefused::Follower);
        };
        let State::Leading(leading) = &mut self.state else {
            return Err(VotersRefused::Follower);
        };
        let voters = leading.quorums().voters();
        let survivors: BTreeSet<_> = voters.difference(&lost).copied().collect();
        let first = leading.push(now, None, Change::Records(puts));
        leading.first_own = Some(first);
        let config = Config {
            voters: survivors,
            epoch: leading.log.config().epoch.saturating_add(1),
        };
        let index = leading.push(now, None, Change::Forced { config, lost });
        Ok((index, self.changed_voters(now)))
    }

    /// Forgets the copy of what was committed before voters were forced for the last time: some of it
    /// may have been given up with them.
    pub(super) fn drop_given_up(&mut self, epoch: u32) {
        let copied = self.warm.as_ref();
        if copied.is_some_and(|warm| warm.log.config().epoch < epoch) {
            self.warm = None;
        }
    }

    /// Leads with the copy of what was committed, if that goes further than the log that was chosen: only
    /// voters that are lost had the rest. A copy that cannot be used is forgotten.
    pub(super) fn recover_from_copy(
        &mut self,
        now: Timestamp,
        end: Position,
        preparing: &Preparing,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(warm) = self.warm.take_if(|warm| {
            let known = warm.position();
            end < known || end.index < known.index
        }) else {
            return false;
        };
        let Warm { log, table, extent } = *warm;
        let known = log.last();
        // It may tell of other voters than the log that was chosen.
        let suffice = preparing.suffice(&log.membership().quorums(known.index));
        if extent != Extent::Whole || known < end || !suffice {
            return false;
        }
        let inherited = Inherited {
            log,
            table,
            applied: known.index,
            known: known.index,
        };
        let mutants = self.mutants.clone();
        let leading = Leading::inherit(now, preparing.term, inherited, mutants);
        let leading = leading.without(now, preparing.vouched.clone());
        self.lead(now, leading, effects);
        true
    }

    /// Goes on to Prepare without the voters that somebody vouched for, once everybody was heard.
    pub(super) fn consider_recovery(&mut self, now: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let (
            Some(Vouched { lost, round, .. }),
            State::Waiting(Waiting {
                poll: Some(poll), ..
            }),
        ) = (&self.vouched, &self.state)
        else {
            return false;
        };
        if poll.check_lost(lost, self.epoch).is_err() {
            return false;
        }
        let voters = poll.heard(self.epoch).voters;
        let granted = |disk: &DiskId| poll.votes.get(disk).is_some_and(|vote| vote.granted);
        if !voters.difference(lost).all(granted) {
            return false;
        }
        let holders = poll.votes.iter().filter(|(_, vote)| vote.last.index > 0);
        let asked = holders.map(|(disk, _)| *disk).collect();
        let (lost, round) = (lost.clone(), *round);
        self.round = self.round.max(round);
        self.members = voters.difference(&lost).copied().collect();
        self.prepare(now, asked, false, effects);
        if let State::Preparing(preparing) = &mut self.state {
            preparing.vouched = lost;
        }
        true
    }
}

impl Poll {
    pub(super) fn is_over(&self) -> bool {
        let told = |disk| self.votes.contains_key(disk) || self.unreachable.contains(disk);
        self.asked.iter().all(told)
    }

    /// The newest log, and its voters.
    fn newest(&self, epoch: u32) -> Option<(&Vote, Quorums)> {
        let (_, newest) = newest(&self.votes, epoch)?;
        let quorums = newest.membership.quorums(committed(&self.votes, epoch));
        Some((newest, quorums))
    }

    fn heard(&self, epoch: u32) -> Heard {
        let votes = self.votes.iter();
        Heard {
            voters: self
                .newest(epoch)
                .map(|(_, quorums)| quorums.voters())
                .unwrap_or_default(),
            ends: votes.map(|(disk, vote)| (*disk, vote.last)).collect(),
            commit: committed(&self.votes, epoch),
        }
    }

    fn check_lost(&self, lost: &BTreeSet<DiskId>, epoch: u32) -> Result<(), VotersRefused> {
        if self.asked.is_empty() || !self.is_over() {
            return Err(VotersRefused::NotEstablished);
        }
        // A blank disk knows of no voter.
        let newest = self.newest(epoch).filter(|(vote, _)| vote.last.index > 0);
        let Some((_, quorums)) = newest else {
            return Err(VotersRefused::NoQuorum);
        };
        let voters = quorums.voters();
        if let Some(&disk) = lost.difference(&voters).next() {
            return Err(VotersRefused::NoVoter { disk });
        }
        let answered = |disk: &&DiskId| self.votes.contains_key(disk);
        if let Some(&disk) = lost.iter().find(answered) {
            return Err(VotersRefused::Heard { disk });
        }
        if let Some(&disk) = voters
            .difference(lost)
            .find(|disk| !self.votes.contains_key(disk))
        {
            return Err(VotersRefused::Unvouched { disk });
        }
        if quorums.promises(|disk| self.votes.contains_key(&disk)) {
            return Err(VotersRefused::NotNeeded);
        }
        if voters.is_subset(lost) {
            return Err(VotersRefused::NoQuorum);
        }
        Ok(())
    }
}

impl Preparing {
    /// Whether these promises suffice: a quorum, or those of all voters that are left.
    pub(super) fn suffice(&self, quorums: &Quorums) -> bool {
        let promised = |disk: &DiskId| self.promises.contains_key(disk);
        if self.vouched.is_empty() {
            return quorums.promises(|disk| promised(&disk));
        }
        let voters = quorums.voters();
        let mut left = voters.difference(&self.vouched);
        // Whoever has a log has said which before one is chosen: there is no quorum that would have
        // met the newest.
        let told = |disk: &DiskId| promised(disk) || self.lost.contains(disk);
        left.clone().next().is_some()
            && left.all(promised)
            && self.asked.iter().all(told)
            && self.vouched.is_subset(&voters)
    }
}
