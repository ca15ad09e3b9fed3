//! The policy of the cluster: a record of the log.

use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::records::ClusterRecord;
use mdfs_core::records::plan::{PolicyChange, VOTERS_FOR_FEWER_COPIES, plan_lowered, plan_policy};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::public::{Policy, PolicyLowering};
use std::time::Duration;

impl Metadata {
    pub(super) fn policy(&mut self, now: Now, deadline: Timestamp, answer: Answer<Policy>) {
        let read = move |metadata: Result<&Metadata, Error>, now: Now| {
            let policy = metadata.and_then(|metadata| {
                let record = metadata.catalog.cluster.as_ref();
                let time = metadata.log.log_time(now.mono).unwrap_or_default();
                record
                    .map(|record| told(record, time))
                    .ok_or(Error::NotBootstrapped)
            });
            respond(answer, policy);
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn change_policy(
        &mut self,
        now: Now,
        deadline: Timestamp,
        change: PolicyChange,
        answer: Answer<Policy>,
    ) {
        let members = self.planned.members.keys();
        let members = members.filter(|&&disk| self.planned.accepts(disk)).count();
        let voters = self.voters();
        let at = self.next(now).ok_or(Error::NoLeader);
        let time = at.as_ref().map_or(LogTime::default(), |at| at.time);
        let planned = at.and_then(|at| {
            Ok(plan_policy(
                &self.view()?,
                change,
                members,
                voters,
                at.time,
            )?)
        });
        tracing::info!(?change, refused = planned.is_err(), "the policy is changed");
        self.carry_out(
            now,
            deadline,
            None,
            planned,
            answer,
            Vec::new(),
            move |record| told(&record, time),
        );
    }

    /// Has a lower number of copies hold once its time has come.
    pub(super) fn lower(&mut self, now: Now) {
        let lowers = |it: Option<&ClusterRecord>| it.is_some_and(|it| it.lowering.is_some());
        if self.established.is_none() || !lowers(self.planned.cluster.as_ref()) {
            return;
        }
        let Some(at) = self.next(now) else { return };
        match self.view().map(|view| plan_lowered(&view, at.time)) {
            Ok(Ok(planned)) if !planned.puts.is_empty() => {
                tracing::info!("fewer copies are wanted from now on");
                self.append_upkeep(now, planned.puts);
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(refusal)) => tracing::warn!(%refusal, "the number of copies stays"),
        }
    }

    /// How many disks vote.
    fn voters(&self) -> usize {
        let membership = self.log.membership();
        membership.map_or(0, |membership| membership.config.voters.len())
    }

    /// So many copies must be durable before a chunk of which this many are wanted is acknowledged. All
    /// of them, whatever the policy says, while the log would stand still with the next failure.
    pub(super) fn least_copies(&self, wanted: ReplicationFactor) -> usize {
        match &self.planned.cluster {
            Some(record) if self.voters() >= VOTERS_FOR_FEWER_COPIES => record.least_copies(wanted),
            Some(_) | None => usize::from(wanted.get()),
        }
    }

    /// How long a dead worker is waited for.
    pub(super) fn repair_delay(&self) -> Duration {
        let record = self.catalog.cluster.as_ref();
        record.map_or(self.settings.repair_delay, |record| {
            Duration::from_secs(record.repair_delay_seconds)
        })
    }

    /// How long files stay in the trash.
    pub(super) fn trash_keep(&self) -> Duration {
        let record = self.catalog.cluster.as_ref();
        record.map_or(self.settings.trash_keep, |record| {
            Duration::from_secs(record.trash_keep_seconds)
        })
    }
}

fn told(record: &ClusterRecord, now: LogTime) -> Policy {
    Policy {
        replicas: record.replicas.get(),
        lowering: record.lowering.map(|lowering| PolicyLowering {
            replicas: lowering.replicas.get(),
            in_seconds: lowering.at.since(now).as_secs(),
        }),
        chunk_size: record.chunk_size.bytes(),
        repair_delay_seconds: record.repair_delay_seconds,
        trash_keep_seconds: record.trash_keep_seconds,
        lower_after_seconds: record.lower_after_seconds,
        min_write_copies: record.min_write_copies,
    }
}
