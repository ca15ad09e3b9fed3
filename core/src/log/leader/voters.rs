//! Who gets the log, and who votes: learners, and changes of the voters.
//!
//! One voter comes or goes at a time, so that quorums before and after always meet, and while the
//! newest config is not known committed, each quorum is one of both. Consent of the old voters can
//! be done without only by [`Leader::force_voters`], when somebody vouches that they run nowhere.

use super::leading::Leading;
use super::peer::Peer;
use super::{Effect, Leader, State};
use crate::id::DiskId;
use crate::log::message::{Change, Config, Put};
use crate::log::mutant::Mutant;
use crate::log::violation::Violation;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Most voters of a log.
const MAX_VOTERS: usize = 5;

/// Most learners: one that is to vote, and one more while a choice is changed. Each costs the
/// leader a copy of all that is appended.
const MAX_LEARNERS: usize = 2;

/// How many committed entries a disk may lack to become a voter: they come with a message or two,
/// for which commits may have to wait.
const NEARLY: u64 = 64;

/// Why the voters were not changed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VotersRefused {
    /// This master does not lead.
    #[error("this master does not lead")]
    Follower,
    /// No entry of the own term is committed yet.
    #[error("the leader has committed nothing of its own yet")]
    NotEstablished,
    /// The change before is not committed yet.
    #[error("the change of voters in entry {index} is not committed yet")]
    Open {
        /// Its entry.
        index: u64,
    },
    /// Not exactly one voter comes or goes; or, when forced, a disk is named that is no voter.
    #[error("voters come and go one at a time")]
    NotOneStep,
    /// The disk that is to vote lacks too much of the log.
    #[error("disk {disk} lacks {behind} entries of the log")]
    NotTaught {
        /// The disk.
        disk: DiskId,
        /// How many committed entries it lacks.
        behind: u64,
    },
    /// Too few of the voters before and after answer: nothing could be written any more.
    #[error("too few of the voters answer")]
    NoQuorum,
    /// A log has one to five voters.
    #[error("a log has 1 to 5 voters")]
    WrongNumber,
    /// Nobody vouches for voters that would have no say and could elect a leader.
    #[error("nobody vouches that disk {disk} is lost")]
    Unvouched {
        /// The voter.
        disk: DiskId,
    },
    /// A disk that is said to be lost was heard of within the span of two leases: another leader
    /// may count on it.
    #[error("disk {disk} answered a moment ago")]
    Heard {
        /// The disk.
        disk: DiskId,
    },
    /// A disk is said to be lost that is no voter.
    #[error("disk {disk} does not vote")]
    NoVoter {
        /// The disk.
        disk: DiskId,
    },
    /// The voters can be changed with their consent.
    #[error("enough voters answer to change them with their consent")]
    NotNeeded,
}

impl Leader {
    /// Also sends the log to these disks, and no longer to those named before. They count for
    /// nothing, until [`Leader::change_voters`] makes them voters. At most two: the others are
    /// left out. Forgotten when this master stops leading.
    pub fn teach(&mut self, now: Timestamp, disks: BTreeSet<DiskId>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let State::Leading(leading) = &mut self.state {
            leading.learners = disks.into_iter().take(MAX_LEARNERS).collect();
            leading.refresh_peers(now);
            leading.pump(now, &self.settings, &mut effects);
        }
        effects
    }

    /// Appends an entry that makes these disks the voters: the present ones but for one more or
    /// one less. One that is added must have been taught the log.
    ///
    /// Returns the entry's index, as [`Leader::append`] does. Until it is committed, every quorum is
    /// one of the voters before and of those after.
    ///
    /// # Errors
    /// When the voters cannot be changed to these now.
    pub fn change_voters(
        &mut self,
        now: Timestamp,
        to: BTreeSet<DiskId>,
    ) -> Result<(u64, Vec<Effect>), VotersRefused> {
        let State::Leading(leading) = &mut self.state else {
            return Err(VotersRefused::Follower);
        };
        let epoch = leading.log.config().epoch;
        let config = Config { voters: to, epoch };
        leading.check_change(now, &config)?;
        let index = leading.push(now, None, Change::Config(config));
        Ok((index, self.changed_voters(now)))
    }

    /// Appends `puts`, and an entry that makes the survivors the voters without asking those that
    /// are lost. For a pair of which one is lost for ever, which could not be voted out, or where
    /// a disk is lost that an open change of the voters needs.
    ///
    /// Voters that are neither survivors nor lost vote no more either: only so many that, were they
    /// to come back, they could elect nobody without one that is lost, and silent like those.
    ///
    /// The caller vouches that the lost disks run nowhere, now and ever after: a leader that they
    /// follow could answer reads from what was before. One that they elected earlier may be there
    /// still; the survivors do not follow it, whatever its term ([`Config::epoch`]). `puts` should make them retired. The two
    /// entries commit when all survivors hold them.
    ///
    /// Returns the index of the second one.
    ///
    /// # Errors
    /// When the voters cannot be changed so, or need not be.
    pub fn force_voters(
        &mut self,
        now: Timestamp,
        survivors: BTreeSet<DiskId>,
        lost: BTreeSet<DiskId>,
        puts: Vec<Put>,
    ) -> Result<(u64, Vec<Effect>), VotersRefused> {
        let silence = self.settings.lease.saturating_mul(2);
        self.force_after(now, survivors, lost, puts, silence)
    }

    /// Like [`Leader::force_voters`], if nothing was heard of the lost for that long.
    pub(super) fn force_after(
        &mut self,
        now: Timestamp,
        survivors: BTreeSet<DiskId>,
        lost: BTreeSet<DiskId>,
        puts: Vec<Put>,
        silence: Duration,
    ) -> Result<(u64, Vec<Effect>), VotersRefused> {
        let State::Leading(leading) = &mut self.state else {
            return Err(VotersRefused::Follower);
        };
        leading.check_force(now, &survivors, &lost, silence)?;
        // Both in one step: nobody inherits the second without the first.
        let first = leading.push(now, None, Change::Records(puts));
        leading.first_own = leading.first_own.or(Some(first));
        let epoch = leading.log.config().epoch.saturating_add(1);
        let config = Config {
            voters: survivors,
            epoch,
        };
        let index = leading.push(now, None, Change::Forced { config, lost });
        Ok((index, self.changed_voters(now)))
    }

    /// Sends what was appended, to those who get the log now.
    pub(super) fn changed_voters(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let State::Leading(leading) = &mut self.state {
            leading.refresh_peers(now);
            self.members = leading.quorums().voters();
            leading.pump(now, &self.settings, &mut effects);
        }
        effects
    }
}

impl Leading {
    fn check_change(&self, now: Timestamp, to: &Config) -> Result<(), VotersRefused> {
        if !self.is_established() {
            return Err(VotersRefused::NotEstablished);
        }
        let membership = self.membership();
        let index = membership.index;
        if index > self.commit && !self.mutants.has(Mutant::TwoOpenConfigs) {
            return Err(VotersRefused::Open { index });
        }
        if !(1..=MAX_VOTERS).contains(&to.voters.len()) {
            return Err(VotersRefused::WrongNumber);
        }
        if !membership.config.is_one_step_from(to) {
            return Err(VotersRefused::NotOneStep);
        }
        for &disk in to.voters.difference(&membership.config.voters) {
            let held = self.peers.get(&disk).map_or(0, |peer| peer.matched);
            let behind = self.commit.saturating_sub(held);
            if held == 0 || behind > NEARLY {
                return Err(VotersRefused::NotTaught { disk, behind });
            }
        }
        // From the append on it takes both quorums to write: without them nothing would go on.
        let quorums = membership.quorums_with(to);
        if !quorums.commits(|disk| self.leases(disk, now)) {
            return Err(VotersRefused::NoQuorum);
        }
        Ok(())
    }

    fn check_force(
        &self,
        now: Timestamp,
        survivors: &BTreeSet<DiskId>,
        lost: &BTreeSet<DiskId>,
        silence: Duration,
    ) -> Result<(), VotersRefused> {
        if self.founding.is_some() {
            return Err(VotersRefused::NotEstablished);
        }
        if !(1..=MAX_VOTERS).contains(&survivors.len()) {
            return Err(VotersRefused::WrongNumber);
        }
        let quorums = self.quorums();
        let voters = quorums.voters();
        let named: BTreeSet<DiskId> = survivors.union(lost).copied().collect();
        let left_out: BTreeSet<DiskId> = voters.difference(&named).copied().collect();
        if let Some(&disk) = left_out.first()
            && quorums.could_elect(|disk| left_out.contains(&disk))
        {
            return Err(VotersRefused::Unvouched { disk });
        }
        let unknown = !named.is_subset(&voters);
        if unknown || lost.is_empty() || !survivors.is_disjoint(lost) {
            return Err(VotersRefused::NotOneStep);
        }
        if self.leases_for_writes(now) {
            return Err(VotersRefused::NotNeeded);
        }
        for &disk in lost.union(&left_out) {
            let silent = self.peers.get(&disk).and_then(|peer| peer.silent_since);
            if silent.is_none_or(|since| now.since(since) < silence) {
                return Err(VotersRefused::Heard { disk });
            }
        }
        if !survivors.iter().all(|disk| self.leases(*disk, now)) {
            return Err(VotersRefused::NoQuorum);
        }
        Ok(())
    }

    /// Everybody who gets the log, and nobody else.
    pub(super) fn refresh_peers(&mut self, now: Timestamp) {
        let mut voters = self.quorums().voters();
        voters.retain(|disk| !self.vouched.contains(disk));
        // Who votes is no learner: it would stay one when it votes no more.
        self.learners.retain(|disk| !voters.contains(disk));
        let next = self.log.last().index.saturating_add(1);
        let gets = |disk: &DiskId| voters.contains(disk) || self.learners.contains(disk);
        self.peers.retain(|disk, _| gets(disk));
        for disk in voters.iter().chain(&self.learners) {
            self.peers
                .entry(*disk)
                .or_insert_with(|| Peer::new(next, now));
        }
    }

    /// At most one change of the voters that this leader made is not committed.
    pub(super) fn check_configs(&self) -> Result<(), Violation> {
        let open = self
            .log
            .behind(self.commit)
            .filter(|entry| entry.term == self.term && matches!(entry.change, Change::Config(_)));
        match open.skip(1).last() {
            None => Ok(()),
            Some(entry) => Err(Violation::TwoConfigs {
                term: self.term,
                index: entry.index,
            }),
        }
    }
}
