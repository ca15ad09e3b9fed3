//! Disks that go for good: at once when told to, or by themselves once they are empty.

use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use crate::leader::survey::Survey;
use mdfs_core::detect::Liveness;
use mdfs_core::id::DiskId;
use mdfs_core::records::plan::Planned;
use mdfs_core::records::{MemberRecord, MemberState};
use mdfs_core::time::Timestamp;

/// A retirement that waits until it was counted what would be lost by it.
#[derive(Debug)]
pub(super) struct Retirement {
    disk: DiskId,
    /// The last entry of the log when it was asked for.
    last: u64,
    /// Since when a survey shows everything up to that entry; none while it is not committed.
    settled: Option<Timestamp>,
    /// How many files and chunks of open uploads were stored since then that nobody else has.
    stored: u64,
    deadline: Timestamp,
    answer: Answer<()>,
}

impl Metadata {
    /// What retires a disk; nothing if it was before.
    pub(super) fn plan_retire(&self, worker: &str) -> Result<Planned<()>, Error> {
        let (disk, record) = self.find_member(worker)?;
        if record.state == MemberState::Retired {
            let puts = Vec::new();
            return Ok(Planned { puts, answer: () });
        }
        self.check_no_voter(disk, record)?;
        let record = MemberRecord {
            state: MemberState::Retired,
            announced_until: None,
            ..record.clone()
        };
        self.plan_member(disk, record)
    }

    /// A voter's word is needed to write and to elect: it does not go before its vote has.
    pub(super) fn check_no_voter(&self, disk: DiskId, record: &MemberRecord) -> Result<(), Error> {
        let membership = self.log.membership();
        let votes = membership.is_some_and(|it| {
            // The config before has a say only while the newest is not known committed.
            let open = self.log.commit() < Some(it.index);
            let configs = [Some(it.config), it.previous.filter(|_| open)];
            configs
                .iter()
                .flatten()
                .any(|config| config.voters.contains(&disk))
        });
        match votes {
            true => Err(Error::VoterStays {
                disk,
                worker: record.name.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Retires a disk if nothing is lost by that: a survey that begins after now tells. One at a
    /// time.
    pub(super) fn begin_retirement(
        &mut self,
        now: Now,
        deadline: Timestamp,
        worker: &str,
        answer: Answer<()>,
    ) {
        if self.recovers() {
            let why = "a recovery is under way: what no record has may be on that disk alone";
            return respond(answer, Err(Error::Conflict(why.to_owned())));
        }
        let planned = self.plan_retire(worker);
        let found = self.find_member(worker).map(|(disk, _)| disk);
        match (planned, found) {
            (Ok(planned), Ok(disk)) if !planned.puts.is_empty() => {
                if self.retiring.is_some() {
                    return respond(answer, Err(Error::Busy));
                }
                self.retiring = Some(Retirement {
                    disk,
                    last: self.log.last().map_or(0, |last| last.index),
                    settled: None,
                    stored: 0,
                    deadline,
                    answer,
                });
                self.settle_retirement(now);
            }
            (planned, _) => self.order_planned(now, deadline, planned, answer),
        }
    }

    /// What was stored before a retirement was asked for is shown by a survey once it is committed.
    pub(super) fn settle_retirement(&mut self, now: Now) {
        let commit = self.log.commit();
        if let Some(it) = &mut self.retiring
            && commit >= Some(it.last)
        {
            it.settled.get_or_insert(now.mono);
        }
    }

    /// Whether, of something that is stored now, the disk that is to retire has a part that no other
    /// disk has which answers. No survey that runs shows it.
    pub(super) fn is_kept_by_retiring<'a>(
        &self,
        now: Now,
        copies: impl IntoIterator<Item = &'a Vec<DiskId>>,
    ) -> bool {
        let Some(disk) = self.retiring.as_ref().map(|it| it.disk) else {
            return false;
        };
        let has_it = |&other: &DiskId| {
            other != disk && self.fleet.liveness(other, now.mono) == Liveness::Live
        };
        let mut copies = copies.into_iter();
        copies.any(|disks| disks.contains(&disk) && !disks.iter().any(has_it))
    }

    /// Something was stored that only the disk has which is to retire.
    pub(super) fn note_kept_by_retiring(&mut self) {
        if let Some(it) = &mut self.retiring {
            it.stored += 1;
        }
    }

    /// Takes a survey into account.
    pub(super) fn decide_retirement(&mut self, now: Now) {
        let since = self.search.basis.since;
        let ready = |it: &mut Retirement| it.settled.is_some_and(|settled| since > settled);
        let Some(found) = self.report.counted() else {
            return;
        };
        // Of what was not listed nobody knows who has it.
        if found.unlisted_partitions > 0 {
            return;
        }
        // It counted on a disk whose own retirement is not committed yet: the next one does not.
        let mut counted_on = self.search.basis.reachable.iter();
        if counted_on.any(|&disk| !self.planned.is_present(disk)) {
            return;
        }
        let Some(it) = self.retiring.take_if(ready) else {
            return;
        };
        let disk = it.disk;
        let lost = found.sole.get(&disk);
        let planned = match lost {
            // Of a file whose record cannot be read nobody knows what it needs.
            _ if found.unreadable_files > 0 => Err(Error::WouldLoseFiles {
                disk,
                files: found.unreadable_files,
                names: vec!["their records cannot be read".to_owned()],
            }),
            Some(sole) => Err(Error::WouldLoseFiles {
                disk,
                files: sole.files,
                names: sole.names.iter().map(ToString::to_string).collect(),
            }),
            None if it.stored > 0 => Err(Error::WouldLoseFiles {
                disk,
                files: it.stored,
                names: vec!["they were stored just now".to_owned()],
            }),
            None => self.plan_retire(&disk.to_string()),
        };
        let refused = planned.as_ref().err().map(ToString::to_string);
        tracing::info!(%disk, refused, "a disk is to be retired");
        self.order_planned(now, it.deadline, planned, it.answer);
    }

    /// Answers who waited for too long, or asked a leader that leads no more.
    pub(super) fn give_up_retirement(&mut self, now: Now) {
        let leads = self.established.is_some();
        let late = |it: &mut Retirement| !leads || now.mono >= it.deadline;
        if let Some(it) = self.retiring.take_if(late) {
            let error = match leads {
                true => Error::NotCounted,
                false => Error::NoLeader,
            };
            respond(it.answer, Err(error));
        }
    }

    /// Retires the disks that are to go and of which nothing is needed any more: no record names
    /// them, no open upload may have chunks there, and they hold nothing; or, if a disk is dead, no
    /// file lacks a copy without it.
    ///
    /// A partition leaves its old holders only when the new ones have everything, so what was on the
    /// disk is elsewhere by then.
    pub(super) fn retire_emptied(&mut self, now: Now) {
        let settled = self.log.last().map(|last| last.index) == self.log.commit();
        // What no record has is no reason to keep a disk, but for a recovery.
        let waits = !settled || self.recovers();
        if self.established.is_none() || waits || !self.log.can_write(now.mono) {
            return;
        }
        let leaving = |(disk, record): (DiskId, &MemberRecord)| {
            (record.state == MemberState::Decommissioning).then_some(disk)
        };
        let leaving: Vec<DiskId> = self.catalog.present().filter_map(leaving).collect();
        for disk in leaving {
            if !self.is_emptied(now, disk) {
                continue;
            }
            match self.plan_retire(&disk.to_string()) {
                Ok(planned) => {
                    tracing::info!(%disk, "the disk is empty: it is retired as ordered");
                    self.append_upkeep(now, planned.puts);
                }
                Err(error) => tracing::debug!(%disk, %error, "an empty disk stays"),
            }
        }
    }

    fn is_emptied(&self, now: Now, disk: DiskId) -> bool {
        let Some(found) = self.report.counted() else {
            return false;
        };
        let idle = self.settings.upload_idle;
        let mut uploads = self.uploads.values();
        let mut uploads = || uploads.any(|it| it.may_be_on(disk, now.mono, idle));
        let nothing_needed = || match self.fleet.liveness(disk, now.mono) {
            // It cannot be emptied: what is on it is elsewhere too, or not needed.
            Liveness::Live if self.fleet.is_read_only(disk, now.mono) => is_elsewhere(found, disk),
            Liveness::Live => self.truth.holds_nothing(disk),
            Liveness::Suspect => false,
            Liveness::Dead => is_elsewhere(found, disk),
        };
        !self.catalog.names(disk) && nothing_needed() && !uploads()
    }
}

/// Whether nothing lacks a copy, in the trash or out of it, without this disk.
fn is_elsewhere(found: &Survey, disk: DiskId) -> bool {
    found.unlisted_partitions == 0
        && found.under_replicated_files == 0
        && found.under_replicated_trash == 0
        && found.unreadable_files == 0
        && !found.sole.contains_key(&disk)
}
