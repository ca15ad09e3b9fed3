//! A new log, where no voter is left of the one before.

use super::super::handle::Answer;
use super::founding::Founder;
use super::recover::Plan;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::{ClusterId, DiskId, Generation};
use mdfs_core::log::leader::{Heard, VotersRefused};
use mdfs_core::records::plan::NewMember;
use mdfs_core::records::{MemberRecord, MemberState};
use mdfs_protocol::internal::VoterState;
use mdfs_protocol::public::Recovered;
use std::collections::BTreeSet;

impl Metadata {
    /// The first voters of a new log, if no disk that answers has one; none while that is not known.
    pub(super) fn look_for_founders(
        &self,
        now: Now,
        lost: &BTreeSet<DiskId>,
    ) -> Result<Option<Plan>, Error> {
        if let Some(membership) = self
            .log
            .membership()
            .filter(|_| self.catalog.cluster.is_none())
        {
            // Founded, and broken off before the first records.
            let voters = membership.config.voters;
            let heard = Heard::default();
            return Ok(self.log.is_established().then_some(Plan { heard, voters }));
        }
        let conflict = |why: String| Err(Error::Conflict(why));
        let Some(heard) = self.log.heard() else {
            return Ok(None);
        };
        if let Some((disk, _)) = heard.ends.iter().find(|(_, end)| end.index > 0) {
            if self.log.may_recover(&BTreeSet::new()) == Err(VotersRefused::NotNeeded) {
                return Ok(None);
            }
            return conflict(format!(
                "disk {disk} has a log. If it votes, name the other voters as lost; if its vote had moved \
                 away, remove its log first"
            ));
        }
        if self.log.is_warm() {
            let index = self.log.copied_up_to().unwrap_or(0);
            return conflict(format!(
                "this master has a copy of all records, up to entry {index}, which a new log would not \
                 have: it leads with it as soon as a voter of that log answers. If none ever will, \
                 restart this master to give the copy up, and order it again"
            ));
        }
        let able = |disk: &&DiskId| {
            self.fleet.liveness(**disk, now.mono) == Liveness::Live
                && self.fleet.get(**disk).is_some_and(|it| {
                    it.beat.voter == VoterState::Healthy && it.beat.identity.cluster.is_some()
                })
        };
        let blank = heard.ends.keys().filter(|disk| !lost.contains(disk));
        let mut voters: BTreeSet<DiskId> = blank.filter(able).copied().collect();
        let most = if voters.len() >= 3 { 3 } else { 1 };
        while voters.len() > most {
            voters.pop_last();
        }
        if voters.is_empty() || self.clusters().is_empty() {
            return conflict("no worker of the cluster answers".to_owned());
        }
        Ok(Some(Plan { heard, voters }))
    }

    /// The clusters of all disks that are heard, and the one that this master was told.
    pub(super) fn clusters(&self) -> BTreeSet<ClusterId> {
        let heard = self.fleet.clusters().into_iter();
        heard.chain(self.settings.cluster).collect()
    }

    pub(super) fn found_again(
        &mut self,
        now: Now,
        lost: &BTreeSet<DiskId>,
        voters: BTreeSet<DiskId>,
        recovered: Recovered,
        answer: Answer<Recovered>,
    ) {
        let mut clusters = self.clusters();
        let Some(cluster) = clusters.pop_first().filter(|_| clusters.is_empty()) else {
            return respond(answer, Err(Error::NotBootstrapped));
        };
        let since = now.wall.as_millis();
        let founder: Founder = Box::new(move |founded| {
            let recovered = Recovered {
                done: true,
                last_change: Some(since),
                ..recovered
            };
            respond(answer, founded.map(|_| recovered));
        });
        self.begin_again(now, cluster, voters, lost.clone(), founder);
    }
}

/// The record of a disk of which nothing is known but that it is given up.
pub(super) fn given_up(disk: DiskId) -> NewMember {
    let record = MemberRecord {
        generation: Generation(0),
        weight: 0,
        zone: None,
        name: disk.to_string(),
        state: MemberState::Retired,
        announced_until: None,
    };
    NewMember { disk, record }
}
