//! A worker in memory: a real voter, what its disk holds, and what it says of itself.

use mdfs_core::holdings::Holdings;
use mdfs_core::id::{DiskId, Generation, MountId};
use mdfs_core::log::message::{Record, Reply, Request, Vote};
use mdfs_core::log::persist::{Answer, DurableVoter, Persist};
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_core::partition::Partition;
use mdfs_core::time::Timestamp;
use mdfs_protocol::holdings::{Digests, Known, Listing, Report};
use mdfs_protocol::internal::{DiskState, Heartbeat, Identity, VoterState};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Worker {
    voter: Voter,
    durable: DurableVoter,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    staged: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) beat: Heartbeat,
    /// The chunks on its disk.
    pub(super) holdings: Holdings,
    /// How far the master said it knows them.
    pub(super) known: Option<Known>,
    /// Which mount of its disk this is.
    pub(super) mount: MountId,
    /// Whether it beats.
    pub(super) beats: bool,
    /// Whether messages reach it.
    pub(super) reached: bool,
    /// Whom it says it leases to, whatever its log knows.
    pub(super) leader: Option<String>,
}

impl Worker {
    pub(super) fn blank(id: DiskId, now: u64) -> Self {
        let durable = DurableVoter::default();
        let now = Timestamp::from_millis(now);
        let voter = Voter::restore(durable.clone(), now, VoterSettings::DEFAULT).unwrap();
        Self {
            voter,
            durable,
            records: BTreeMap::new(),
            staged: BTreeMap::new(),
            holdings: Holdings::new(1000),
            known: None,
            mount: MountId::from_u128(1),
            beat: Heartbeat {
                identity: Identity {
                    disk: id,
                    cluster: None,
                    generation: Generation(1),
                },
                name: format!("worker-{}", id.as_u128()),
                url: format!("http://worker-{}", id.as_u128()),
                zone: None,
                capacity_bytes: 100 << 30,
                free_bytes: 50 << 30,
                chunks: 0,
                chunk_bytes: 0,
                bad_blocks: 0,
                oldest_unverified_millis: None,
                seal_millis: None,
                state: DiskState::Healthy,
                voter: VoterState::Healthy,
                leaving: false,
                directory_version: 0,
                holdings: mdfs_protocol::holdings::Report::default(),
                done: Vec::new(),
                formats: mdfs_core::format::FORMATS,
                lease_millis: 3000,
                voter_last: mdfs_core::log::message::Position::default(),
                witness: false,
            },
            beats: true,
            reached: true,
            leader: None,
        }
    }

    /// What it tells of its chunks now.
    pub(super) fn report(&mut self) -> Report {
        let mount = self.mount;
        let known = self.known.filter(|known| known.mount == mount);
        let changes = known.and_then(|known| self.holdings.since(known.sequence, 1000));
        let sequence = self.holdings.sequence();
        Report {
            mount,
            sequence,
            root: self.holdings.root(),
            after: match (known, &changes) {
                (None, _) => 0,
                (Some(known), Some(_)) => known.sequence,
                (Some(_), None) => sequence,
            },
            changes: changes.unwrap_or_default(),
        }
    }

    pub(super) fn digests(&self) -> Digests {
        Digests {
            mount: self.mount,
            sequence: self.holdings.sequence(),
            digests: self.holdings.digests().as_slice().to_vec(),
        }
    }

    pub(super) fn list(&self, partitions: &BTreeSet<Partition>) -> Listing {
        let holdings = &self.holdings;
        let partitions = || partitions.iter().copied();
        Listing {
            sequence: holdings.sequence(),
            chunks: partitions().flat_map(|p| holdings.list(p)).collect(),
            damaged: partitions()
                .flat_map(|p| holdings.list_damaged(p))
                .collect(),
        }
    }

    /// Whether its log is empty.
    pub(super) fn is_blank(&self) -> bool {
        self.durable.entries.is_empty() && self.durable.applied == 0
    }

    /// Takes one message as a worker's driver does: what is to be durable is, then comes the answer.
    pub(super) fn take(&mut self, now: u64, request: Request) -> Reply {
        let output = self
            .voter
            .step(Timestamp::from_millis(now), request)
            .unwrap();
        if let Some(persist) = output.persist {
            self.write(persist);
        }
        match output.answer {
            Answer::Ready(reply) => match (*reply, &self.leader) {
                (Reply::PreVoted(vote), Some(url)) => Reply::PreVoted(Vote {
                    leader_url: Some(url.clone()),
                    ..vote
                }),
                (reply, _) => reply,
            },
            Answer::Read(read) => {
                let behind = |key: &Vec<u8>| read.after.as_ref().is_none_or(|after| key > after);
                let records: Vec<Record> = self
                    .records
                    .iter()
                    .filter(|(key, _)| behind(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                read.finish(records, false)
            }
        }
    }

    fn write(&mut self, persist: Persist) {
        let durable = &mut self.durable;
        durable.promised = persist.promised.unwrap_or(durable.promised);
        if persist.clear_staged {
            self.staged.clear();
        }
        self.staged.extend(persist.stage);
        if persist.install {
            self.records = std::mem::take(&mut self.staged);
        }
        if let Some(from) = persist.cut_from {
            durable.entries.retain(|entry| entry.index < from);
        }
        durable.entries.extend(persist.append);
        for put in persist.apply {
            match put.value {
                Some(value) => self.records.insert(put.key, value),
                None => self.records.remove(&put.key),
            };
        }
        durable.applied = persist.applied.unwrap_or(durable.applied);
        if let Some(base) = persist.base {
            durable
                .entries
                .retain(|entry| entry.index > base.position.index);
            durable.base = base;
        }
    }
}
