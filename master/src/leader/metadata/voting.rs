//! Who votes: what the leader makes of it by itself, and what is ordered.

use super::super::handle::{Answer, Question};
use super::certain::Held;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::{DiskId, Term};
use mdfs_core::log::leader::VotersRefused;
use mdfs_core::log::message::Config;
use mdfs_core::records::plan::{NewMember, Planned, plan_membership, plan_voters};
use mdfs_core::records::{Key, MemberRecord, MemberState, get};
use mdfs_core::ring::Assignment;
use mdfs_core::time::Timestamp;
use mdfs_core::voting::{self, Candidate, Step, next_step};
use mdfs_protocol::ask::Order;
use mdfs_protocol::internal::{DiskState, VoterState};
use std::collections::{BTreeMap, BTreeSet};

/// What the leader watches and does about the voters, in its term.
#[derive(Debug, Default)]
pub(super) struct Voting {
    term: Option<Term>,
    /// Voters whose vote is not to be had, and since when.
    lacking: BTreeMap<DiskId, Timestamp>,
    /// The disk that gets the log, to become a voter.
    teaching: Option<DiskId>,
}

impl Metadata {
    /// Takes the next step towards the voters that there should be.
    pub(super) fn look_at_voters(&mut self, now: Now) {
        let (Some(term), Some(membership)) = (self.established, self.log.membership()) else {
            return;
        };
        if self.voting.term != Some(term) {
            self.voting = Voting {
                term: Some(term),
                ..Voting::default()
            };
        }
        let voters = membership.config.voters;
        self.note_lacking(now, &voters);
        let open = self.log.commit() < Some(membership.index);
        let wanted = self.planned.cluster.as_ref().map(|it| it.voters_wanted);
        let (Some(wanted), false, true) = (wanted, open, self.log.can_write(now.mono)) else {
            return;
        };
        let candidates = self.candidates(now, &voters);
        match next_step(&voters, &candidates, wanted, self.settings.voter_patience) {
            Some(Step::Add(disk)) if self.voting.teaching == Some(disk) => {
                let to = voters.iter().copied().chain([disk]).collect();
                self.change_voters(now, to);
            }
            Some(Step::Add(disk)) => self.teach(now, Some(disk)),
            Some(Step::Remove(disk)) => {
                let to = voters.iter().copied().filter(|it| *it != disk).collect();
                self.change_voters(now, to);
            }
            None if self.voting.teaching.is_some() => self.teach(now, None),
            None => {}
        }
    }

    fn teach(&mut self, now: Now, disk: Option<DiskId>) {
        if let Some(disk) = disk {
            tracing::info!(%disk, "a disk is taught the log, to become a voter");
        }
        self.voting.teaching = disk;
        let effects = self.log.teach(now.mono, disk.into_iter().collect());
        self.absorb(now, effects);
    }

    fn change_voters(&mut self, now: Now, to: BTreeSet<DiskId>) {
        let named = format!("{to:?}");
        match self.log.change_voters(now.mono, to) {
            Ok((index, effects)) => {
                tracing::info!(index, voters = named, "the voters change");
                self.voting.teaching = None;
                self.absorb(now, effects);
            }
            Err(refused) => tracing::debug!(%refused, "the voters do not change yet"),
        }
    }

    fn note_lacking(&mut self, now: Now, voters: &BTreeSet<DiskId>) {
        self.voting.lacking.retain(|disk, _| voters.contains(disk));
        let span = self.lease_millis();
        for &disk in voters {
            // One with a lease of another length holds nothing new.
            let there = self.fleet.liveness(disk, now.mono) != Liveness::Dead
                && self.fleet.get(disk).is_some_and(|it| {
                    it.beat.voter == VoterState::Healthy && it.beat.lease_millis == span
                });
            if there || self.announced(now, disk).is_some() {
                self.voting.lacking.remove(&disk);
            } else {
                self.voting.lacking.entry(disk).or_insert(now.mono);
            }
        }
    }

    /// All members, as far as their votes go.
    fn candidates(&self, now: Now, voters: &BTreeSet<DiskId>) -> Vec<Candidate> {
        let slow = self.fleet.slow(now.mono);
        let delay = self.repair_delay();
        let members = self.planned.members.iter();
        let members = members
            .filter(|(disk, record)| record.state != MemberState::Retired || voters.contains(disk));
        members
            .map(|(&disk, record)| Candidate {
                disk,
                zone: record.zone.clone(),
                witness: record.weight == 0,
                able: self.may_vote(now, disk, record),
                away: self
                    .voting
                    .lacking
                    .get(&disk)
                    .map(|since| now.mono.since(*since)),
                leaves: record.state != MemberState::Active,
                steady: !self.fleet.is_unsteady(disk, delay) && !slow.contains(&disk),
            })
            .collect()
    }

    /// For how long this master counts on leases.
    pub(super) fn lease_millis(&self) -> u64 {
        u64::try_from(self.settings.log.lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a disk could keep the log from now on.
    fn may_vote(&self, now: Now, disk: DiskId, record: &MemberRecord) -> bool {
        let span = self.lease_millis();
        record.state == MemberState::Active
            && self.fleet.liveness(disk, now.mono) == Liveness::Live
            && self.fleet.get(disk).is_some_and(|observed| {
                let beat = &observed.beat;
                // An old copy of the disk is not heard; its generation is that of the record.
                beat.state == DiskState::Healthy
                    && beat.voter == VoterState::Healthy
                    && !beat.leaving
                    && beat.lease_millis == span
                    && self.knows_format(beat.formats)
            })
    }

    /// Whether another disk could take over the vote of a voter.
    pub(super) fn has_heir(&self, now: Now, voters: &BTreeSet<DiskId>) -> bool {
        let candidates = self.candidates(now, voters);
        let mut spares = candidates.iter();
        spares.any(|it| it.able && !voters.contains(&it.disk))
    }

    /// What makes that many disks vote, where there are so many.
    pub(super) fn plan_voters_wanted(&self, wanted: u8) -> Result<Planned<()>, Error> {
        if !voting::is_number(wanted) {
            let why = format!("1, 2, 3 or 5 disks vote, not {wanted}");
            return Err(Error::Conflict(why));
        }
        Ok(plan_voters(&self.view()?, wanted)?)
    }

    /// Gives up a voter of a pair, of which the survivor cannot write alone, or one without which a
    /// change of the voters does not come to its end.
    ///
    /// Unlike other orders it needs no leader that can write: it is what makes one.
    pub(super) fn forget_voter(
        &mut self,
        now: Now,
        deadline: Timestamp,
        worker: String,
        answer: Answer<()>,
    ) {
        if self.log.term().is_none() || self.catalog.cluster.is_none() {
            let question = Question::Order(Order::ForgetVoter { worker }, answer);
            return self.hold(now, deadline, Held::Question(question));
        }
        let planned = match self.plan_forget(now, &worker) {
            Ok(planned) => planned,
            Err(error) => return respond(answer, Err(error)),
        };
        let disk = planned.0;
        let forced = self.force(now, deadline, planned, answer);
        tracing::warn!(%disk, forced, "ordered to give up a lost voter");
    }

    /// The disk, those that are left, and what retires it.
    fn plan_forget(&self, now: Now, worker: &str) -> Result<Forgotten, Error> {
        let disk = self.find_lost(worker)?;
        let conflict = |why: String| Err(Error::Conflict(why));
        let membership = self.log.membership().ok_or(Error::NoLeader)?;
        let quorums = membership.quorums(self.log.commit().unwrap_or_default());
        let voters = quorums.voters();
        if !voters.contains(&disk) {
            return conflict(format!("disk {disk} does not vote"));
        }
        // Of an odd number without a change the others can vote it out, or too many are lost.
        let is_even = |config: &Config| config.voters.len().is_multiple_of(2);
        if !quorums.configs().any(is_even) {
            let why = format!(
                "only one of a pair of voters is given up so, not one of {}",
                voters.len()
            );
            return conflict(why);
        }
        // Who is silent too votes no more, if it can elect nobody without the disk that is lost.
        let answers = |it: &DiskId| *it != disk && !self.fleet.is_dead(*it, now.mono);
        let survivors = voters.into_iter().filter(answers).collect();
        if !self.fleet.is_dead(disk, now.mono) {
            return conflict(format!("disk {disk} answers, or did a moment ago"));
        }
        let view = self.view()?;
        let record: MemberRecord = get(&view, &Key::Member(disk))
            .map_err(|corrupt| Error::Broken(corrupt.to_string()))?
            .ok_or_else(|| Error::WorkerNotFound {
                worker: worker.to_owned(),
            })?;
        let record = MemberRecord {
            state: MemberState::Retired,
            announced_until: None,
            ..record
        };
        let ring = Assignment::empty();
        let member = NewMember { disk, record };
        let planned = plan_membership(&[member], &ring, &ring)?;
        Ok((disk, survivors, planned.puts))
    }

    /// The disk that an order to give it up means: by its id, or the name of a member.
    fn find_lost(&self, worker: &str) -> Result<DiskId, Error> {
        let members = self.catalog.members.iter();
        let named: Vec<DiskId> = members
            .filter(|(disk, record)| {
                let named = record.name == worker && record.state != MemberState::Retired;
                named || worker.parse::<DiskId>().ok() == Some(**disk)
            })
            .map(|(disk, _)| *disk)
            .collect();
        match named.as_slice() {
            [disk] => Ok(*disk),
            [] => Err(Error::WorkerNotFound {
                worker: worker.to_owned(),
            }),
            _ => Err(Error::Conflict(format!(
                "several workers are named {worker}: name the disk instead"
            ))),
        }
    }
}

/// A disk that is given up, those that are left, and what retires it.
pub(super) type Forgotten = (DiskId, BTreeSet<DiskId>, Vec<mdfs_core::log::message::Put>);

/// Why the voters do not change, for whom it was ordered by.
pub(super) fn error_of(refused: VotersRefused) -> Error {
    match refused {
        VotersRefused::Follower => Error::NoLeader,
        VotersRefused::NotEstablished | VotersRefused::NoQuorum => Error::NoQuorum,
        other => Error::Conflict(other.to_string()),
    }
}
