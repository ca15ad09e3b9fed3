//! Heartbeats, and disks that join.

use super::{Effect, Metadata, Now};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_core::log::leader as log;
use mdfs_core::records::plan::{NewMember, plan_membership};
use mdfs_core::records::{MemberRecord, MemberState};
use mdfs_core::ring::{Member, ZoneId, assign};
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::{Directory, Heartbeat, HeartbeatReply, Leader};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a blank disk may take to join before it is asked again.
pub(super) const ADOPT_AGAIN: Duration = Duration::from_secs(5);

/// A unit of weight in the ring.
const GIB: u64 = 1 << 30;

impl Metadata {
    /// Takes a heartbeat. Foreign disks and old copies of disks are refused and not remembered.
    pub(super) fn hear(
        &mut self,
        now: Now,
        beat: Heartbeat,
        closed: CancellationToken,
    ) -> Result<HeartbeatReply, Error> {
        let identity = &beat.identity;
        let (disk, theirs) = (identity.disk, identity.cluster);
        if let (Some(ours), Some(theirs)) = (self.certain_cluster(), theirs)
            && ours != theirs
        {
            return Err(Error::ForeignDisk { disk, theirs, ours });
        }
        // What was heard is in the log only a moment later: an old copy must not come in between.
        let recorded = self.catalog.members.get(&disk).map(|it| it.generation);
        let heard = self.fleet.get(disk).map(|it| it.beat.identity.generation);
        if let Some(remembered) = recorded.max(heard)
            && identity.generation < remembered
        {
            let shown = identity.generation;
            return Err(Error::OldDisk {
                disk,
                shown,
                remembered,
            });
        }
        if self
            .catalog
            .members
            .get(&disk)
            .is_some_and(|member| member.state == MemberState::Retired)
        {
            return Err(Error::RetiredDisk { disk });
        }
        let version = beat.directory_version;
        let (known, orders) = self.hear_holdings(now, &beat);
        let beat = Heartbeat {
            holdings: Default::default(),
            done: Vec::new(),
            ..beat
        };
        let announced = self.announced(now, disk).is_some();
        if !self.fleet.hear(beat, closed, now.mono, announced) {
            return Err(Error::Busy);
        }
        self.tell_log_who_is_there(now);
        self.go_on_founding(now);
        let masters = self.known_masters(now);
        let directory = self.cluster(now.mono);
        let directory = directory.map(|cluster| self.fleet.directory(cluster));
        let newest = directory.map(|directory| version_with(directory.version, &masters));
        let is_old = newest != Some(version);
        let directory = directory.filter(|_| is_old).cloned();
        let directory = directory.zip(newest);
        let directory = directory.map(|(directory, version)| Directory {
            version,
            ..directory
        });
        let leading = self.leader(now);
        Ok(HeartbeatReply {
            accepted: leading.is_some(),
            leader: leading.or_else(|| self.known_leader()),
            directory,
            masters: is_old.then_some(masters),
            known,
            orders,
        })
    }

    /// The cluster this master serves, as far as it knows: as it was told, as its records say, or
    /// as all disks agree that beat here.
    pub fn cluster(&self, now: Timestamp) -> Option<ClusterId> {
        self.certain_cluster().or_else(|| self.fleet.agreed(now))
    }

    /// The cluster this master serves, but for what it concludes from heartbeats: who beats first
    /// must not keep the others out.
    pub(super) fn certain_cluster(&self) -> Option<ClusterId> {
        let recorded = self.catalog.cluster.as_ref().map(|record| record.cluster);
        let founded = self.founding.as_ref().map(|founding| founding.cluster);
        let told = recorded.or(self.settings.cluster);
        told.or(founded).or(self.founded)
    }

    /// Whether disks beat here, and none of them belongs to a cluster. A master that was told of a
    /// cluster, or heard of nobody, cannot know that there is none.
    pub(super) fn is_unborn(&self) -> bool {
        let heard = self.fleet.iter().next().is_some();
        heard && self.catalog.cluster.is_none() && self.fleet.clusters().is_empty()
    }

    /// Who leads, if this master does for certain. Disks take it that the leader accepts them: one that
    /// has lost its leases may be behind another, which remembers more of them.
    fn leader(&self, now: Now) -> Option<Leader> {
        let term = self.established.filter(|_| self.log.can_read(now.mono))?;
        Some(Leader {
            term,
            url: self.settings.log.url.clone(),
        })
    }

    fn tell_log_who_is_there(&mut self, now: Now) {
        let cluster = self.cluster(now.mono);
        self.follow_the_disks(now, cluster);
        let directory = cluster.map(|cluster| self.fleet.directory(cluster).version);
        if directory == self.upkeep.seen_in {
            return;
        }
        self.upkeep.seen_in = directory;
        let disks = cluster.map(|cluster| self.fleet.of_cluster(cluster));
        let disks = disks.unwrap_or_default();
        if disks != self.upkeep.seen {
            self.upkeep.seen.clone_from(&disks);
            self.log_step(now, log::Event::Seen { disks });
        }
    }

    /// Has the log ask and follow nobody while it is not known whose disks beat here, and forget what those
    /// of another cluster told it.
    fn follow_the_disks(&mut self, now: Now, cluster: Option<ClusterId>) {
        let (served, asks) = (self.upkeep.served, self.upkeep.asks);
        self.upkeep.served = cluster.or(served);
        self.upkeep.asks = cluster.is_some();
        if self.certain_cluster().is_some() {
            return;
        }
        let effects = match (served, cluster) {
            (Some(_), None) if asks => self.log.doubt_voters(now.mono),
            (Some(before), Some(now_served)) if before != now_served => {
                self.log.forget_voters(now.mono)
            }
            _ => return,
        };
        self.upkeep.seen.clear();
        self.absorb(now, effects);
    }

    /// Takes in disks that are not members yet, and remembers the highest generation that each member
    /// showed. One such change at a time, so that each is planned with what the one before made of the
    /// ring; all disks that have to be noted meanwhile share the next entry.
    pub(super) fn update_members(&mut self, now: Now) {
        let Some(cluster) = self.planned.cluster.clone() else {
            return;
        };
        if self.established.is_none() || !self.log.can_write(now.mono) || self.upkeep.membership {
            return;
        }
        let mut changed = Vec::new();
        let mut blank = Vec::new();
        for (disk, observed) in self.fleet.iter() {
            let beat = &observed.beat;
            match self.planned.members.get(&disk) {
                Some(member) if member.state == MemberState::Retired => {}
                Some(member)
                    if member.announced_until.is_some()
                        && (self.upkeep.returned.contains(&disk)
                            || self.announced_by(now, member).is_none()) =>
                {
                    let record = MemberRecord {
                        announced_until: None,
                        ..member.clone()
                    };
                    changed.push(NewMember { disk, record });
                }
                Some(member) if member.generation < beat.identity.generation => {
                    let generation = beat.identity.generation;
                    changed.push(NewMember {
                        disk,
                        record: MemberRecord {
                            generation,
                            ..member.clone()
                        },
                    });
                }
                Some(_) => {}
                None if self.fleet.liveness(disk, now.mono) != Liveness::Live => {}
                None if beat.identity.cluster == Some(cluster.cluster) => {
                    changed.extend(self.new_member(disk));
                }
                None if beat.identity.cluster.is_none() && beat.chunks == 0 => {
                    blank.push((disk, beat.url.clone()));
                }
                None => {}
            }
        }
        for (disk, url) in blank {
            let asked = self.upkeep.adopting.get(&disk);
            if asked.is_some_and(|&at| now.mono.since(at) < ADOPT_AGAIN) {
                continue;
            }
            self.upkeep.adopting.insert(disk, now.mono);
            self.effects.push(Effect::Adopt {
                disk,
                url,
                cluster: cluster.cluster,
            });
        }
        if changed.is_empty() {
            self.upkeep.returned.clear();
            return;
        }
        let mut members = self.planned.members.clone();
        members.extend(
            changed
                .iter()
                .map(|member| (member.disk, member.record.clone())),
        );
        let ring = ring_members(members.iter().map(|(&disk, record)| (disk, record)));
        let before = &self.planned.assignment;
        let grown = members.len() != self.planned.members.len();
        // A partition without a chunk moves at once; the others stay where their chunks are.
        let after = if grown {
            let vacant = |partition| {
                self.planned.is_vacant(partition) && !self.planned.moves.contains_key(&partition)
            };
            assign(
                before,
                Some(&self.planned.load),
                &ring,
                self.planned.width(),
                vacant,
            )
        } else {
            before.clone()
        };
        let Ok(planned) = plan_membership(&changed, before, &after) else {
            return;
        };
        for member in &changed {
            let record = &member.record;
            tracing::info!(disk = %member.disk, name = record.name, generation = record.generation.0,
                "member joins or shows a higher generation");
        }
        self.upkeep.membership = true;
        // The flag falls with the entry: at its commit, or when this master steps down.
        let deadline = now.mono.plus(self.settings.hold);
        let appended = self.append(
            now,
            deadline,
            None,
            planned.puts,
            Vec::new(),
            Box::new(|_| ()),
        );
        if appended.is_err() {
            self.upkeep.membership = false;
        } else {
            self.upkeep.membership_index = self.log.last().map_or(0, |last| last.index);
        }
    }

    /// What the log will say of a disk that was heard of.
    pub(super) fn new_member(&self, disk: DiskId) -> Option<NewMember> {
        let beat = &self.fleet.get(disk)?.beat;
        let share = u32::try_from(beat.capacity_bytes / GIB).unwrap_or(u32::MAX);
        let weight = if beat.witness { 0 } else { share.max(1) };
        let record = MemberRecord {
            generation: beat.identity.generation,
            weight,
            zone: beat.zone.clone(),
            name: beat.name.clone(),
            state: MemberState::Active,
            announced_until: None,
        };
        Some(NewMember { disk, record })
    }

    /// The members whose copies can be read now.
    pub(super) fn reachable(&self, now: Now) -> BTreeSet<DiskId> {
        let live = |disk: &&DiskId| self.fleet.liveness(**disk, now.mono) == Liveness::Live;
        let members = self.catalog.present().map(|(disk, _)| disk);
        members.filter(|disk| live(&disk)).collect()
    }

    /// For how long the silence of a member is announced still; none if it is not.
    pub(super) fn announced(&self, now: Now, disk: DiskId) -> Option<Duration> {
        self.announced_by(now, self.catalog.members.get(&disk)?)
    }

    /// The same by one record, which need not be committed.
    fn announced_by(&self, now: Now, member: &MemberRecord) -> Option<Duration> {
        let until = member.announced_until?;
        let left = until.since(self.log.log_time(now.mono)?);
        (!left.is_zero()).then_some(left)
    }
}

/// The version of a directory together with the masters that are told with it.
fn version_with(directory: u64, masters: &[String]) -> u64 {
    let mut content = directory.to_le_bytes().to_vec();
    for url in masters {
        content.extend(url.as_bytes());
        content.push(b'\n');
    }
    let digest = mdfs_core::checksum::Blake3::of(&content).0;
    let version = digest.first_chunk();
    version.map_or(1, |bytes| u64::from_le_bytes(*bytes).max(1))
}

/// Members as the ring sees them.
pub(super) fn ring_members<'a>(
    members: impl Iterator<Item = (DiskId, &'a MemberRecord)>,
) -> Vec<Member> {
    members
        .map(|(disk, record)| Member {
            disk,
            weight: record.weight,
            zone: record.zone.clone().map(ZoneId::new),
            accepts: record.state == MemberState::Active,
        })
        .collect()
}
