//! The workers as their heartbeats show them. Nothing of it is in the log.

use mdfs_core::detect::{DetectSettings, Liveness, classify};
use mdfs_core::flapping::Returns;
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_core::slow::slow_disks;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::{Directory, DiskAddress, DiskState, Heartbeat};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Disks remembered that do not belong to the cluster: enough for any that wait to join.
const MAX_DISKS: usize = 4096;

/// By then most workers that run have found a master that starts: each looks behind the names of masters
/// 5 s after it did so last, and beats at those it knows each interval, if that is longer.
const AGREE_AFTER: Duration = Duration::from_secs(6);

/// What was heard of a disk last.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) beat: Heartbeat,
    /// When it was heard of first, as a disk of the cluster that it is of now.
    first_beat: Timestamp,
    last_beat: Timestamp,
    /// Cancelled once the connection of the last beat has ended.
    closed: CancellationToken,
    /// How often it came back from the dead.
    returns: Returns,
    /// How often it was mounted anew.
    restarts: Returns,
}

/// All disks that beat here.
#[derive(Debug)]
pub(super) struct Fleet {
    disks: BTreeMap<DiskId, Observed>,
    settings: DetectSettings,
    /// What was made of the disks of a cluster last; none after one came, went, or changed where or
    /// what it belongs to. So a heartbeat costs the same however many disks there are.
    directory: Option<(ClusterId, Directory)>,
}

impl Fleet {
    pub(super) fn new(settings: DetectSettings) -> Self {
        Self {
            disks: BTreeMap::new(),
            settings,
            directory: None,
        }
    }

    /// Takes a heartbeat. False if too many disks beat here to remember one more.
    ///
    /// A silence that was announced is not counted among those that the disk came back from.
    pub(super) fn hear(
        &mut self,
        beat: Heartbeat,
        closed: CancellationToken,
        now: Timestamp,
        announced: bool,
    ) -> bool {
        let disk = beat.identity.disk;
        if self.disks.len() >= MAX_DISKS && !self.disks.contains_key(&disk) {
            return false;
        }
        let before = self.disks.get(&disk);
        let mut returns = before.map(|it| it.returns).unwrap_or_default();
        if let Some(before) = before
            && before.liveness(now, &self.settings) == Liveness::Dead
            && !announced
        {
            returns.note(before.last_beat, now);
        }
        let restarts = before.map(|it| it.restarts).unwrap_or_default();
        let same = before.filter(|it| it.beat.identity.cluster == beat.identity.cluster);
        let first_beat = same.map_or(now, |it| it.first_beat);
        let is_where_it_was = self.disks.get(&disk).is_some_and(|before| {
            before.beat.url == beat.url && before.beat.identity.cluster == beat.identity.cluster
        });
        if !is_where_it_was {
            self.directory = None;
        }
        self.disks.insert(
            disk,
            Observed {
                beat,
                first_beat,
                last_beat: now,
                closed,
                returns,
                restarts,
            },
        );
        true
    }

    /// Notes that a disk was mounted anew without having been announced.
    pub(super) fn note_restart(&mut self, disk: DiskId, now: Timestamp) {
        if let Some(observed) = self.disks.get_mut(&disk) {
            observed.restarts.note(observed.last_beat, now);
        }
    }

    /// How long a dead disk is waited for, where others are waited for `delay`.
    pub(super) fn patience(&self, disk: DiskId, delay: Duration) -> Duration {
        let observed = self.disks.get(&disk);
        observed.map_or(delay, |it| it.returns.patience(it.last_beat, delay))
    }

    /// Whether a disk came back from the dead too often and too short a time ago for chunks to be copied
    /// to it.
    pub(super) fn is_unsteady(&self, disk: DiskId, delay: Duration) -> bool {
        let observed = self.disks.get(&disk);
        observed.is_some_and(|it| it.returns.is_unsteady(it.last_beat, delay))
    }

    /// Forgets disks that have been dead for long and are no members.
    pub(super) fn forget_strangers(&mut self, now: Timestamp, is_member: impl Fn(DiskId) -> bool) {
        let settings = self.settings;
        self.directory = None;
        self.disks.retain(|&disk, observed| {
            is_member(disk) || observed.liveness(now, &settings) != Liveness::Dead
        });
    }

    /// Forgets the disks that do not meet a condition.
    pub(super) fn keep(&mut self, admits: impl Fn(DiskId, &Heartbeat) -> bool) {
        self.directory = None;
        self.disks
            .retain(|&disk, observed| admits(disk, &observed.beat));
    }

    /// Forgets a disk.
    pub(super) fn forget(&mut self, disk: DiskId) {
        self.directory = None;
        self.disks.remove(&disk);
    }

    pub(super) fn get(&self, disk: DiskId) -> Option<&Observed> {
        self.disks.get(&disk)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (DiskId, &Observed)> {
        self.disks.iter().map(|(&disk, observed)| (disk, observed))
    }

    /// How a disk stands; one that was never heard of is dead.
    pub(super) fn liveness(&self, disk: DiskId, now: Timestamp) -> Liveness {
        self.disks.get(&disk).map_or(Liveness::Dead, |observed| {
            observed.liveness(now, &self.settings)
        })
    }

    /// Whether nothing was heard of a disk for so long that it counts as dead.
    pub(super) fn is_dead(&self, disk: DiskId, now: Timestamp) -> bool {
        self.liveness(disk, now) == Liveness::Dead
    }

    /// When a disk was last heard of.
    pub(super) fn last_beat(&self, disk: DiskId) -> Option<Timestamp> {
        self.disks.get(&disk).map(|observed| observed.last_beat)
    }

    /// Whether a disk can take chunks now.
    pub(super) fn takes_chunks(&self, disk: DiskId, now: Timestamp) -> bool {
        self.liveness(disk, now) == Liveness::Live
            && self.disks.get(&disk).is_some_and(|observed| {
                observed.beat.state == DiskState::Healthy && !observed.beat.leaving
            })
    }

    /// Whether a disk answers and accepts no writes.
    pub(super) fn is_read_only(&self, disk: DiskId, now: Timestamp) -> bool {
        self.liveness(disk, now) == Liveness::Live
            && self
                .disks
                .get(&disk)
                .is_some_and(|observed| observed.beat.state == DiskState::ReadOnly)
    }

    /// The disks that take much longer than the others to make a chunk durable.
    pub(super) fn slow(&self, now: Timestamp) -> BTreeSet<DiskId> {
        let took = self.disks.iter().filter_map(|(&disk, observed)| {
            let took = Duration::from_millis(observed.beat.seal_millis?);
            (observed.liveness(now, &self.settings) == Liveness::Live).then_some((disk, took))
        });
        slow_disks(took)
    }

    pub(super) fn url(&self, disk: DiskId) -> Option<&str> {
        self.disks
            .get(&disk)
            .map(|observed| observed.beat.url.as_str())
    }

    /// The disks that say they belong to `cluster`.
    pub(super) fn of_cluster(&self, cluster: ClusterId) -> BTreeSet<DiskId> {
        self.disks
            .iter()
            .filter(|(_, observed)| observed.beat.identity.cluster == Some(cluster))
            .map(|(&disk, _)| disk)
            .collect()
    }

    /// The clusters that the disks say they belong to.
    pub(super) fn clusters(&self) -> BTreeSet<ClusterId> {
        self.disks
            .values()
            .filter_map(|observed| observed.beat.identity.cluster)
            .collect()
    }

    /// The cluster that all disks agree on that belong to one, once they had the time to beat here: a
    /// disk of another cluster may be the first that does.
    pub(super) fn agreed(&self, now: Timestamp) -> Option<ClusterId> {
        let mut clusters = self.clusters();
        let first = clusters.pop_first().filter(|_| clusters.is_empty())?;
        let settle = AGREE_AFTER.max(self.settings.beat().saturating_mul(2));
        let mut members = self.disks.values();
        let has_settled = members.any(|it| {
            it.beat.identity.cluster == Some(first) && now.since(it.first_beat) >= settle
        });
        has_settled.then_some(first)
    }

    /// A disk said yes to a cluster; its next beat will say so too.
    pub(super) fn adopted(&mut self, disk: DiskId, cluster: ClusterId) {
        self.directory = None;
        if let Some(observed) = self.disks.get_mut(&disk) {
            observed.beat.identity.cluster = Some(cluster);
        }
    }

    /// Where the disks of a cluster are. The version follows from the content alone.
    pub(super) fn directory(&mut self, cluster: ClusterId) -> &Directory {
        let made = self.directory.take().filter(|(of, _)| *of == cluster);
        let made = made.unwrap_or_else(|| (cluster, self.make_directory(cluster)));
        let (_, directory) = self.directory.insert(made);
        directory
    }

    fn make_directory(&self, cluster: ClusterId) -> Directory {
        let disks: Vec<DiskAddress> = self
            .disks
            .iter()
            .filter(|(_, observed)| observed.beat.identity.cluster == Some(cluster))
            .map(|(&disk, observed)| DiskAddress {
                disk,
                url: observed.beat.url.clone(),
            })
            .collect();
        let mut content = Vec::new();
        for DiskAddress { disk, url } in &disks {
            content.extend(disk.to_bytes());
            content.extend(url.as_bytes());
            content.push(b'\n');
        }
        let digest = mdfs_core::checksum::Blake3::of(&content).0;
        let version = digest
            .first_chunk()
            .map_or(1, |bytes| u64::from_le_bytes(*bytes).max(1));
        Directory { version, disks }
    }
}

impl Observed {
    /// How often the disk came back from the dead, since it was last there for long.
    pub(super) fn returns(&self) -> u32 {
        self.returns.lately(self.last_beat)
    }

    /// How often the disk was mounted anew, since it last stayed for long.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts.lately(self.last_beat)
    }

    fn liveness(&self, now: Timestamp, settings: &DetectSettings) -> Liveness {
        classify(self.last_beat, !self.closed.is_cancelled(), now, settings)
    }
}

#[cfg(test)]
mod tests;
