//! What administrators order of workers and of the mover.

use super::super::command::Order;
use super::super::handle::Answer;
use super::{Metadata, Now};
use crate::error::Error;
use mdfs_core::id::DiskId;
use mdfs_core::records::plan::{NewMember, Planned, plan_membership};
use mdfs_core::records::{MemberRecord, MemberState};
use mdfs_core::time::Timestamp;
use std::time::Duration;

impl Metadata {
    pub(super) fn order(
        &mut self,
        now: Now,
        deadline: Timestamp,
        order: Order,
        answer: Answer<()>,
    ) {
        let planned = match &order {
            Order::Drain(worker) => self.plan_state(worker, MemberState::Draining),
            Order::Undrain(worker) => self.plan_state(worker, MemberState::Active),
            Order::Decommission(worker) => self.plan_decommission(now, worker),
            Order::Announce { worker, lasts } => self.plan_announcement(now, worker, *lasts),
            Order::Retire { worker, lost: true } => self.plan_retire(worker),
            Order::Retire {
                worker,
                lost: false,
            } => return self.begin_retirement(now, deadline, worker, answer),
            Order::Voters(wanted) => self.plan_voters_wanted(*wanted),
            Order::ForgetVoter { worker } => {
                let worker = worker.clone();
                return self.forget_voter(now, deadline, worker, answer);
            }
            Order::FinishRecovery => self.plan_finish_recovery(),
            Order::FinishUnsearched => self.plan_finish_unsearched(),
            Order::Rebalance | Order::Repair => Ok(Planned {
                puts: Vec::new(),
                answer: (),
            }),
        };
        match order {
            Order::Rebalance => self.moving.rebalance = true,
            Order::Repair => {
                // By then, who is silent already is not waited for anyway.
                let dead_after = self.settings.detect.dead_after();
                let delay = self.repair_delay();
                self.moving.forced_until = now.mono.plus(dead_after + delay);
                self.truth.wants_changed();
            }
            Order::Drain(_)
            | Order::Undrain(_)
            | Order::Decommission(_)
            | Order::Announce { .. }
            | Order::Retire { .. }
            | Order::Voters(_)
            | Order::FinishRecovery
            | Order::FinishUnsearched
            | Order::ForgetVoter { .. } => {}
        }
        tracing::info!(?order, refused = planned.is_err(), "ordered");
        self.order_planned(now, deadline, planned, answer);
    }

    /// Answers an order once what it changes is certain.
    pub(super) fn order_planned(
        &mut self,
        now: Now,
        deadline: Timestamp,
        planned: Result<Planned<()>, Error>,
        answer: Answer<()>,
    ) {
        self.carry_out(now, deadline, None, planned, answer, Vec::new(), |()| ());
    }

    fn plan_state(&self, worker: &str, state: MemberState) -> Result<Planned<()>, Error> {
        let (disk, record) = self.find_member(worker)?;
        if record.state == MemberState::Retired {
            return Err(Error::RetiredDisk { disk });
        }
        let record = MemberRecord {
            state,
            ..record.clone()
        };
        self.plan_member(disk, record)
    }

    /// A voter goes once another disk votes in its place: there has to be one.
    fn plan_decommission(&self, now: Now, worker: &str) -> Result<Planned<()>, Error> {
        let (disk, record) = self.find_member(worker)?;
        let voters = self.log.membership().map(|it| it.config.voters);
        if !voters.is_some_and(|voters| self.has_heir(now, &voters)) {
            self.check_no_voter(disk, record).map_err(|_| {
                Error::Conflict(format!(
                    "worker {} votes, and no other can take its vote: add a worker first",
                    record.name
                ))
            })?;
        }
        self.plan_state(worker, MemberState::Decommissioning)
    }

    fn plan_announcement(
        &self,
        now: Now,
        worker: &str,
        lasts: Duration,
    ) -> Result<Planned<()>, Error> {
        let (disk, record) = self.find_member(worker)?;
        if record.state == MemberState::Retired {
            return Err(Error::RetiredDisk { disk });
        }
        let now = self.log.log_time(now.mono).ok_or(Error::NoLeader)?;
        let until = (!lasts.is_zero()).then(|| now.plus(lasts));
        let record = MemberRecord {
            announced_until: until,
            ..record.clone()
        };
        self.plan_member(disk, record)
    }

    /// What changes a member's record; nothing if that is what it is.
    pub(super) fn plan_member(
        &self,
        disk: DiskId,
        record: MemberRecord,
    ) -> Result<Planned<()>, Error> {
        if self.planned.members.get(&disk) == Some(&record) {
            let puts = Vec::new();
            return Ok(Planned { puts, answer: () });
        }
        let ring = &self.planned.assignment;
        Ok(plan_membership(&[NewMember { disk, record }], ring, ring)?)
    }

    /// The member that is meant by a name or a disk's id. A name that a retired disk had may be
    /// another's by now.
    pub(super) fn find_member(&self, worker: &str) -> Result<(DiskId, &MemberRecord), Error> {
        let disk = worker.parse::<DiskId>().ok();
        let is_meant = |id: DiskId, record: &MemberRecord| {
            let told = self.fleet.get(id).map(|observed| &observed.beat.name);
            let named = told.unwrap_or(&record.name) == worker;
            Some(id) == disk || (named && record.state != MemberState::Retired)
        };
        let members = self
            .planned
            .members
            .iter()
            .map(|(&id, record)| (id, record));
        let mut found = members.filter(|(id, record)| is_meant(*id, record));
        match (found.next(), found.next()) {
            (Some(member), None) => Ok(member),
            (None, _) => Err(Error::WorkerNotFound {
                worker: worker.to_owned(),
            }),
            (Some(_), Some(_)) => Err(Error::Conflict(format!(
                "several workers are named {worker}: name the disk instead"
            ))),
        }
    }
}
