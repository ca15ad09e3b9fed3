//! Recovery: the log goes on without voters that are lost for ever, on an administrator's word.
//!
//! Nothing is dropped from then on until the recovery is ended ([`Metadata::may_destroy`]): chunks that
//! no record has may be all that is left of a file. The word of it is in the record of the cluster, in
//! the entry before the one that changes the voters, or among the first records of a new log.

use super::super::handle::{Answer, Question, Searched};
use super::certain::Held;
use super::voting::error_of;
use super::{Metadata, Now, Waiting, respond};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::DiskId;
use mdfs_core::log::leader::{Heard, VotersRefused};
use mdfs_core::log::message::Put;
use mdfs_core::records::plan::{NewMember, Planned, Refusal, plan_membership};
use mdfs_core::records::{ClusterRecord, Key, MemberRecord, MemberState, Recovery, get, put};
use mdfs_core::ring::Assignment;
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::public::{Recover, Recovered};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long it may take until this master is elected without the lost voters.
const PATIENCE: Duration = Duration::from_secs(15);

/// Voters that are to be given up, once this master is elected without them.
pub(super) struct Recovering {
    lost: BTreeSet<DiskId>,
    heard: Heard,
    answer: Answer<Recovered>,
    deadline: Timestamp,
}

impl Metadata {
    /// Whether a recovery is under way, as far as the records tell, uncommitted ones included.
    pub(super) fn recovers(&self) -> bool {
        [&self.catalog, &self.planned].into_iter().any(|catalog| {
            let record = catalog.cluster.as_ref();
            record.is_some_and(|record| record.recovery.is_some())
        })
    }

    /// Takes the order to do without voters that are lost.
    ///
    /// It needs no leader: there is none. One that can still write, or others could elect, has to be
    /// asked in other ways.
    pub(super) fn recover(
        &mut self,
        now: Now,
        deadline: Timestamp,
        order: Recover,
        answer: Answer<Recovered>,
    ) {
        let lost: BTreeSet<DiskId> = order.lost.iter().copied().collect();
        // A new log without its first records was founded, and broken off.
        let is_begun = order.all_voters && self.catalog.cluster.is_none();
        if self.established.is_some() && self.log.can_write(now.mono) && !is_begun {
            return self.recovered_before(now, deadline, &order, answer);
        }
        let checked = self.check_lost(now, &order, &lost).and_then(|()| {
            let effects = self.log.stop_if_idle(now.mono);
            self.absorb(now, effects);
            match order.all_voters {
                true => self.look_for_founders(now, &lost),
                false => self.look_for_survivors(&lost),
            }
        });
        match checked {
            Err(error) => respond(answer, Err(error)),
            Ok(None) => {
                let question = Question::Recover(order, answer);
                self.hold(now, deadline, Held::Question(question));
            }
            Ok(Some(Plan { heard, voters })) => {
                let silent = self.silent_members(now, &lost);
                let mut recovered = told(&heard, &voters, &lost, order.all_voters, silent);
                if !order.all_voters && self.log.is_warm() {
                    // It leads with its own copy if that is longer.
                    let copied = self.log.copied_up_to().unwrap_or(0);
                    recovered.last_index = recovered.last_index.max(copied);
                }
                match (order.dry_run, order.all_voters) {
                    (true, _) => respond(answer, Ok(recovered)),
                    (false, true) => self.found_again(now, &lost, voters, recovered, answer),
                    (false, false) => self.campaign_without(now, lost, heard, answer),
                }
            }
        }
    }

    /// Somebody leads. If that is because of the same order, it is answered as the first time.
    fn recovered_before(
        &mut self,
        now: Now,
        deadline: Timestamp,
        order: &Recover,
        answer: Answer<Recovered>,
    ) {
        let lost: BTreeSet<DiskId> = order.lost.iter().copied().collect();
        let recovery = self.planned.cluster.as_ref();
        let recovery = recovery.and_then(|record| record.recovery.clone());
        let Some(recovery) = recovery.filter(|it| lost.is_subset(&it.lost)) else {
            let why = "the cluster has a leader that can write: no voter has to be given up so";
            return respond(answer, Err(Error::Conflict(why.to_owned())));
        };
        let membership = self.log.membership().unwrap_or_default();
        let recovered = Recovered {
            done: true,
            voters_before: Vec::new(),
            voters: membership.config.voters.into_iter().collect(),
            lost: recovery.lost.into_iter().collect(),
            all_voters_lost: recovery.all_voters_lost,
            last_index: 0,
            last_change: Some(recovery.since.as_millis()),
            silent: self.silent_members(now, &lost),
        };
        let certain = move |certain: Result<(), Error>| {
            respond(answer, certain.map(|()| recovered));
        };
        self.when_certain(now, deadline, Box::new(certain));
    }

    /// None of the lost may have been heard of for a while, here or by the others' word, and all that are
    /// heard of must be of one cluster.
    fn check_lost(&self, now: Now, order: &Recover, lost: &BTreeSet<DiskId>) -> Result<(), Error> {
        let conflict = |why: String| Err(Error::Conflict(why));
        // Disks that were heard of before the records were known may be strangers: none founds a log.
        let must_agree = order.all_voters || self.certain_cluster().is_none();
        if must_agree && self.clusters().len() > 1 {
            return conflict("workers of several clusters answer".to_owned());
        }
        if lost.is_empty() {
            return conflict("no disk is named as lost".to_owned());
        }
        if let Some(disk) = lost.iter().find(|disk| {
            let heard = self.fleet.get(**disk).is_some();
            heard && !self.fleet.is_dead(**disk, now.mono)
        }) {
            return conflict(format!("disk {disk} answers, or did a moment ago"));
        }
        let has_records = self.catalog.cluster.is_some();
        if self.log.can_read(now.mono) && has_records && !self.recovers() {
            let why = "enough voters answer to read: of a pair, one is given up by forget-voter";
            return conflict(why.to_owned());
        }
        if self.recovering.is_some() || self.founding.is_some() {
            return conflict("another recovery or bootstrap is under way".to_owned());
        }
        Ok(())
    }

    /// The voters that are left, if they are to be had by nothing else; none while that is not known.
    fn look_for_survivors(&self, lost: &BTreeSet<DiskId>) -> Result<Option<Plan>, Error> {
        match self.log.may_recover(lost) {
            Ok(()) => {}
            // Not all were heard yet; or a leader is about to be there.
            Err(VotersRefused::NotEstablished | VotersRefused::NotNeeded) => return Ok(None),
            // Given up before by the same order, and a leader is about to say so.
            Err(VotersRefused::NoVoter { .. }) if self.none_votes(lost) => return Ok(None),
            Err(VotersRefused::NoQuorum) => {
                let why = "no voter is left that answers: if all of them are lost, say so";
                return Err(Error::Conflict(why.to_owned()));
            }
            Err(VotersRefused::Unvouched { disk }) => {
                return Err(Error::Conflict(format!(
                    "disk {disk} votes, does not answer, and is not named as lost"
                )));
            }
            Err(refused) => return Err(error_of(refused)),
        }
        Ok(self.log.heard().map(|heard| {
            let voters = heard.voters.difference(lost).copied().collect();
            Plan { heard, voters }
        }))
    }

    /// Whether there is a log, and none of these disks votes in it.
    fn none_votes(&self, lost: &BTreeSet<DiskId>) -> bool {
        let heard = self.log.heard().map(|heard| heard.voters);
        heard.is_some_and(|voters| !voters.is_empty() && voters.is_disjoint(lost))
    }

    fn campaign_without(
        &mut self,
        now: Now,
        lost: BTreeSet<DiskId>,
        heard: Heard,
        answer: Answer<Recovered>,
    ) {
        tracing::warn!(?lost, "ordered to go on without lost voters");
        self.recovering = Some(Recovering {
            lost: lost.clone(),
            heard,
            answer,
            deadline: now.mono.plus(PATIENCE),
        });
        let effects = self.log.recover(now.mono, lost, now.wall);
        self.absorb(now, effects);
    }

    /// This master was elected: if without lost voters, they are given up.
    pub(super) fn elected(&mut self, now: Now) {
        let Some(lost) = self.log.recovers().cloned() else {
            return self.end_recovering(|| {
                let why = "enough voters answered after all: none had to be given up";
                Error::Conflict(why.to_owned())
            });
        };
        let recovering = self.recovering.take().filter(|it| it.lost == lost);
        let planned = self.plan_recovery(now, &lost);
        let (Some(recovering), Ok((since, puts))) = (recovering, planned) else {
            // Nobody waits any more, or there is nothing to recover: it is as if nothing had happened.
            tracing::warn!("elected without lost voters, and not wanted any more");
            let effects = self.log.keep_voters(now.mono);
            return self.absorb(now, effects);
        };
        let Recovering { heard, answer, .. } = recovering;
        match self.log.give_up_voters(now.mono, puts) {
            Ok((index, effects)) => {
                self.note_tail();
                let voters = heard.voters.difference(&lost).copied().collect();
                let silent = self.silent_members(now, &lost);
                let mut recovered = told(&heard, &voters, &lost, false, silent);
                recovered.done = true;
                recovered.last_change = Some(since.as_millis());
                tracing::warn!(?lost, index, "lost voters are given up");
                self.waiting.entry(index).or_default().push(Waiting::new(
                    Box::new(move |certain| respond(answer, certain.map(|()| recovered))),
                    now.mono.plus(PATIENCE),
                ));
                self.absorb(now, effects);
            }
            Err(refused) => respond(answer, Err(error_of(refused))),
        }
    }

    /// Ends what takes too long.
    pub(super) fn go_on_recovering(&mut self, now: Now) {
        let overdue = |it: &&Recovering| now.mono >= it.deadline;
        if self.recovering.as_ref().filter(overdue).is_some() {
            let effects = self.log.keep_voters(now.mono);
            self.absorb(now, effects);
            self.end_recovering(|| Error::NoQuorum);
        }
    }

    fn end_recovering(&mut self, error: impl FnOnce() -> Error) {
        if let Some(recovering) = self.recovering.take() {
            respond(recovering.answer, Err(error()));
        }
    }

    /// The time of the last entry that is left, and what says of the lost disks that they are given up,
    /// and of the cluster that it is being recovered.
    fn plan_recovery(
        &self,
        now: Now,
        lost: &BTreeSet<DiskId>,
    ) -> Result<(LogTime, Vec<Put>), Error> {
        // With all that is to be committed along with it.
        let view = self.view()?;
        let record: Option<ClusterRecord> = get(&view, &Key::Cluster).map_err(Refusal::from)?;
        let record = record.ok_or(Error::NotBootstrapped)?;
        let since = self.log.log_time(now.mono).ok_or(Error::NoLeader)?;
        let mut members = Vec::new();
        for &disk in lost {
            let member: Option<MemberRecord> =
                get(&view, &Key::Member(disk)).map_err(Refusal::from)?;
            members.extend(member.map(|record| NewMember {
                disk,
                record: MemberRecord {
                    state: MemberState::Retired,
                    announced_until: None,
                    ..record
                },
            }));
        }
        let ring = Assignment::empty();
        let mut puts = plan_membership(&members, &ring, &ring)?.puts;
        let before = record.recovery.clone();
        let recovery = Recovery {
            // Of the last loss: uploads of before may have been committed, and nobody knows.
            since,
            lost: match &before {
                Some(before) => before.lost.union(lost).copied().collect(),
                None => lost.clone(),
            },
            all_voters_lost: before.is_some_and(|it| it.all_voters_lost),
        };
        let record = ClusterRecord {
            recovery: Some(recovery),
            ..record
        };
        puts.push(put(&Key::Cluster, &record).map_err(Refusal::from)?);
        Ok((since, puts))
    }

    /// The members that do not answer, by their names.
    fn silent_members(&self, now: Now, lost: &BTreeSet<DiskId>) -> Vec<String> {
        let members = self.catalog.present();
        members
            .filter(|(disk, _)| !lost.contains(disk))
            .filter(|(disk, _)| self.fleet.liveness(*disk, now.mono) != Liveness::Live)
            .map(|(_, record)| record.name.clone())
            .collect()
    }

    /// A search has ended.
    pub(super) fn note_search(&mut self, searched: Searched) {
        // What an earlier one read in this term is where it was: nothing is dropped meanwhile.
        let knows_more = |before: &Searched| {
            before.term == searched.term && before.told.is_superset(&searched.told)
        };
        if !self.searched.as_ref().is_some_and(knows_more) {
            self.searched = Some(searched);
        }
    }

    /// What ends the recovery, once a search has ended that read what every disk has. A disk that it did not
    /// read may have all that is left of a file, unless it is retired. Of a search that ended at an earlier
    /// leader nothing is known: it is made again, and finds the same.
    pub(super) fn plan_finish_recovery(&self) -> Result<Planned<()>, Error> {
        let planned = self.plan_finish_unsearched()?;
        if planned.puts.is_empty() {
            return Ok(planned);
        }
        let searched = self.searched.as_ref();
        let Some(searched) = searched.filter(|it| self.established == Some(it.term)) else {
            let unread = Vec::new();
            return Err(Error::NotSearched { unread });
        };
        let unread = self.planned.present();
        let unread = unread.filter(|(disk, _)| !searched.told.contains(disk));
        let unread: Vec<String> = unread.map(|(_, record)| record.name.clone()).collect();
        match unread.is_empty() {
            true => Ok(planned),
            false => Err(Error::NotSearched { unread }),
        }
    }

    /// What ends the recovery.
    pub(super) fn plan_finish_unsearched(&self) -> Result<Planned<()>, Error> {
        let record = self.planned.cluster.clone().ok_or(Error::NotBootstrapped)?;
        let puts = match record.recovery {
            // Ended before.
            None => Vec::new(),
            Some(_) => {
                let record = ClusterRecord {
                    recovery: None,
                    ..record
                };
                vec![put(&Key::Cluster, &record).map_err(Refusal::from)?]
            }
        };
        Ok(Planned { puts, answer: () })
    }
}

/// Who would vote.
pub(super) struct Plan {
    pub(super) heard: Heard,
    pub(super) voters: BTreeSet<DiskId>,
}

fn told(
    heard: &Heard,
    voters: &BTreeSet<DiskId>,
    lost: &BTreeSet<DiskId>,
    all_voters_lost: bool,
    silent: Vec<String>,
) -> Recovered {
    let last = heard.ends.values().max();
    Recovered {
        done: false,
        voters_before: heard.voters.iter().copied().collect(),
        voters: voters.iter().copied().collect(),
        lost: lost.iter().copied().collect(),
        all_voters_lost,
        last_index: last.map_or(0, |last| last.index),
        last_change: None,
        silent,
    }
}
