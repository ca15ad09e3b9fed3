//! What the leader tells of the cluster's state. What it does not know is never called healthy.

use super::super::handle::Answer;
use super::super::survey::{self, MOST_NAMES, Survey};
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::DiskId;
use mdfs_core::records::MemberState;
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::{DiskState, VoterState};
use mdfs_protocol::public::{AtRisk, Health, Status, WorkerInfo, WorkerState, Workers};

/// Most things that go on which a status names.
const MOST_TASKS: usize = 16;

/// So many restarts of a worker within short are told of.
const TOLD_RESTARTS: u32 = 3;

/// What surveys found.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// None until it was counted, or after something changed that was not counted yet.
    counted: Option<Survey>,
    /// Of when that is: all of it was so at this moment or later.
    counted_at: Timestamp,
    /// The same of the survey that runs.
    running_since: Timestamp,
    running: bool,
    /// What runs was ordered in an earlier term: its outcome says nothing of this one.
    stale: bool,
}

impl Figures {
    /// Takes the outcome of a survey. False if it is not of use any more.
    pub(super) fn take(&mut self, survey: Option<Survey>) -> bool {
        self.running = false;
        if std::mem::take(&mut self.stale) {
            return false;
        }
        self.counted = survey;
        self.counted_at = self.running_since;
        true
    }

    /// Nothing is known of the files any more.
    pub(super) fn forget(&mut self) {
        self.counted = None;
        self.stale = self.running;
    }

    /// A survey begins, of what was so at `since` or later; only one runs at a time.
    pub(super) fn started(&mut self, since: Timestamp) {
        self.running = true;
        self.running_since = since;
    }

    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Every member held what it should at `as_of` or later, which digests show without a survey.
    pub(super) fn nothing_differs(&mut self, as_of: Timestamp) {
        self.counted = Some(Survey::default());
        self.counted_at = as_of;
    }

    /// How old what was counted last is, in milliseconds.
    pub(super) fn age(&self, now: Timestamp) -> Option<u64> {
        self.counted.as_ref()?;
        u64::try_from(now.since(self.counted_at).as_millis()).ok()
    }

    /// Of when the figures are, if there are any.
    pub(super) fn counted_at(&self) -> Option<Timestamp> {
        self.counted.as_ref().map(|_| self.counted_at)
    }

    /// What was counted last.
    pub(super) fn counted(&self) -> Option<&Survey> {
        self.counted.as_ref()
    }
}

impl Metadata {
    /// The state of the cluster. Without a leader it says just that.
    pub(super) fn status(&self, now: Now) -> Status {
        let members: Vec<DiskId> = self.catalog.present().map(|(disk, _)| disk).collect();
        let standing = |want| {
            members
                .iter()
                .filter(|&&disk| self.fleet.liveness(disk, now.mono) == want)
                .count()
        };
        let voters = self
            .log
            .membership()
            .map(|membership| membership.config.voters);
        let voters = voters.unwrap_or_default();
        let heard = |disk: &&DiskId| {
            let observed = self.fleet.get(**disk);
            self.fleet.liveness(**disk, now.mono) == Liveness::Live
                && observed.is_some_and(|it| {
                    it.beat.voter == VoterState::Healthy
                        && it.beat.lease_millis == self.lease_millis()
                })
        };
        let record = self.catalog.cluster.as_ref();
        let nothing = Survey::default();
        let counted = self.report.counted().unwrap_or(&nothing);
        let mut status = Status {
            cluster_id: self.cluster(now.mono),
            health: Health::Ok,
            reasons: Vec::new(),
            files: self.catalog.files,
            bytes: self.catalog.bytes,
            trashed_files: self.catalog.trashed_files,
            open_uploads: count(self.catalog.uploads.len()),
            upload_sessions: count(self.catalog.sessions),
            upload_bytes: self.catalog.recorded.1,
            oldest_upload_seconds: self.oldest_session(now).as_secs(),
            under_replicated_files: counted.under_replicated_files,
            missing_files: counted.missing_files,
            damaged_chunks: counted.damaged_chunks,
            excess_copies: counted.excess_copies,
            at_risk: counted.names.iter().take(MOST_NAMES).map(at_risk).collect(),
            // A count that leaves partitions out is none of all files, whatever else is wrong with them.
            counted_millis_ago: self
                .report
                .age(now.mono)
                .filter(|_| counted.unlisted_partitions == 0),
            copies_to_make: counted.copies_to_make,
            bytes_to_copy: counted.bytes_to_copy,
            moving_partitions: count(self.catalog.moves.len()),
            tasks: self.list_tasks(now, MOST_TASKS).tasks,
            repair_paused: self.moving.braked,
            live_workers: count(standing(Liveness::Live)),
            workers: count(members.len()),
            leased_voters: count(voters.iter().filter(heard).count()),
            voters: count(voters.len()),
            replicas: record
                .map_or(ReplicationFactor::DEFAULT, |record| record.replicas)
                .get(),
            chunk_size: record.map_or(0, |record| record.chunk_size.bytes()),
            term: self.log.term().map(|term| term.to_string()),
            leader_url: self.log.leader_url().map(ToOwned::to_owned),
            masters: self.list_masters(now),
            commit: self.log.commit().unwrap_or(0),
            format: self.format(),
        };
        self.judge(now, &mut status);
        status
    }

    fn judge(&self, now: Now, status: &mut Status) {
        let mut worst = Health::Ok;
        let mut say = |health: Health, reason: String| {
            worst = worse(worst, health);
            status.reasons.push(reason);
        };
        if let Some(why) = self.unknown_format() {
            say(Health::Unknown, why);
        }
        if self.log.term().is_none() {
            if self.is_unborn() {
                say(
                    Health::Unknown,
                    "the cluster is not bootstrapped yet".to_owned(),
                );
            } else {
                say(
                    Health::Unknown,
                    "no leader: the state of the files is not known".to_owned(),
                );
            }
        } else {
            if self.report.counted.is_none() {
                say(
                    Health::Unknown,
                    "the files have not been counted yet".to_owned(),
                );
            }
            if self.recovers() {
                let reason = "a recovery is under way: nothing is dropped before it is ended";
                say(Health::Degraded, reason.to_owned());
            }
            let unlisted = self.report.counted().map_or(0, |it| it.unlisted_partitions);
            if unlisted > 0 {
                say(
                    Health::Unknown,
                    format!("{unlisted} partitions differ and are still to be compared"),
                );
            }
            if !self.log.can_write(now.mono) {
                say(
                    Health::Critical,
                    "too few voters are reachable to write".to_owned(),
                );
            }
            let silent = status.workers.saturating_sub(status.live_workers);
            if silent > 0 {
                say(
                    Health::Degraded,
                    format!("{silent} of {} workers do not answer", status.workers),
                );
            }
            for (disk, member) in self.catalog.present() {
                let silent = self.fleet.liveness(disk, now.mono) != Liveness::Live;
                if let Some(left) = self.announced(now, disk).filter(|_| silent) {
                    let (name, seconds) = (&member.name, left.as_secs().max(1));
                    let reason = format!(
                        "the silence of worker {name} is announced, for {seconds} more seconds"
                    );
                    say(Health::Degraded, reason);
                }
            }
            if status.live_workers < u64::from(status.replicas) {
                let reason = format!(
                    "{} live workers cannot hold {} copies: uploads are refused",
                    status.live_workers, status.replicas
                );
                say(Health::Critical, reason);
            }
            for url in self.outdated_followers(now) {
                let reason = format!(
                    "master {url} is an older program than the cluster's format: it does not lead"
                );
                say(Health::Degraded, reason);
            }
            let takes = |disk: &DiskId| self.catalog.accepts(*disk);
            let holders = self
                .catalog
                .members
                .keys()
                .filter(|disk| takes(disk))
                .count();
            if count(holders) < u64::from(status.replicas) {
                let reason = format!(
                    "{} copies of each chunk are wanted, and {holders} workers are there to hold them: \
                     files have fewer until there are more",
                    status.replicas
                );
                say(Health::Degraded, reason);
            }
            if status.missing_files > 0 {
                let reason = format!("{} files cannot be read whole", status.missing_files);
                say(Health::Critical, reason);
            }
            if status.repair_paused {
                say(
                    Health::Degraded,
                    "many workers fell silent at once: repairs wait until most are back".to_owned(),
                );
            }
            if status.under_replicated_files > 0 {
                let files = status.under_replicated_files;
                say(
                    Health::Degraded,
                    format!("{files} files have too few reachable copies"),
                );
            }
            let unreadable = self
                .report
                .counted()
                .map_or(0, |found| found.unreadable_files);
            if unreadable > 0 {
                let reason = format!("{unreadable} files have records that cannot be read");
                say(Health::Critical, reason);
            }
            let slow = self.fleet.slow(now.mono);
            for (disk, observed) in self.fleet.iter() {
                if !self.catalog.members.contains_key(&disk) {
                    continue;
                }
                let name = &observed.beat.name;
                if !self.knows_format(observed.beat.formats) {
                    let reason = format!(
                        "worker {name} is an older program than the cluster's format: it may not vote"
                    );
                    say(Health::Degraded, reason);
                }
                if self.moving.lost.contains(&disk)
                    && self.fleet.is_unsteady(disk, self.repair_delay())
                    && self.fleet.liveness(disk, now.mono) == Liveness::Live
                {
                    let reason = format!(
                        "worker {name} came back {} times lately: until it has stayed, nothing is copied to it",
                        observed.returns()
                    );
                    say(Health::Degraded, reason);
                }
                // It serves what it has meanwhile, and nothing is copied for it.
                let restarts = observed.restarts();
                if restarts >= TOLD_RESTARTS {
                    let reason = format!("worker {name} was started anew {restarts} times lately");
                    say(Health::Ok, reason);
                }
                if slow.contains(&disk) {
                    let reason =
                        format!("the disk of worker {name} is slow: new chunks go elsewhere");
                    say(Health::Ok, reason);
                }
                if observed.beat.state == DiskState::ReadOnly {
                    say(
                        Health::Degraded,
                        format!(
                            "the disk of worker {name} accepts no writes: it is only read from"
                        ),
                    );
                }
                if observed.beat.voter == VoterState::Broken {
                    say(
                        Health::Degraded,
                        format!(
                            "the metadata log of worker {name} cannot be used: it does not vote"
                        ),
                    );
                }
            }
        }
        status.health = worst;
    }

    pub(super) fn workers(&mut self, now: Now, deadline: Timestamp, answer: Answer<Workers>) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            respond(answer, metadata.map(|metadata| metadata.list_workers(now)));
        };
        self.read(now, deadline, Box::new(read));
    }

    fn list_workers(&self, now: Now) -> Workers {
        let voters = self
            .log
            .membership()
            .map(|membership| membership.config.voters);
        let partitions = self.catalog.assignment.counts();
        let info = |(disk, member): (DiskId, &mdfs_core::records::MemberRecord)| {
            let beat = self.fleet.get(disk).map(|observed| &observed.beat);
            WorkerInfo {
                disk_id: disk,
                name: beat.map_or(&member.name, |beat| &beat.name).clone(),
                url: beat.map(|beat| beat.url.clone()),
                state: match self.fleet.liveness(disk, now.mono) {
                    Liveness::Live => WorkerState::Live,
                    Liveness::Suspect => WorkerState::Suspect,
                    Liveness::Dead => WorkerState::Dead,
                },
                draining: member.state.leaves(),
                decommissioning: member.state == MemberState::Decommissioning,
                announced_seconds: self.announced(now, disk).map(|left| left.as_secs().max(1)),
                read_only: beat.is_some_and(|beat| beat.state == DiskState::ReadOnly),
                voter: voters.as_ref().is_some_and(|voters| voters.contains(&disk)),
                witness: member.weight == 0,
                voter_broken: beat.is_some_and(|beat| beat.voter == VoterState::Broken),
                zone: member.zone.clone(),
                generation: member.generation,
                partitions: partitions
                    .get(&disk)
                    .map_or(0, |&held| u32::try_from(held).unwrap_or(u32::MAX)),
                chunk_bytes: beat.map_or(0, |beat| beat.chunk_bytes),
                chunks: beat.map_or(0, |beat| beat.chunks),
                capacity_bytes: beat.map_or(0, |beat| beat.capacity_bytes),
                free_bytes: beat.map_or(0, |beat| beat.free_bytes),
                bad_blocks: beat.map_or(0, |beat| beat.bad_blocks),
                oldest_unverified_millis: beat.and_then(|beat| beat.oldest_unverified_millis),
            }
        };
        let mut workers: Vec<_> = self.catalog.present().map(info).collect();
        workers.sort_by(|a, b| (&a.name, a.disk_id).cmp(&(&b.name, b.disk_id)));
        Workers { workers }
    }
}

fn worse(one: Health, other: Health) -> Health {
    let rank = |health| match health {
        Health::Ok => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Critical => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn at_risk(file: &survey::AtRisk) -> AtRisk {
    AtRisk {
        name: file.name.to_string(),
        copies: count(file.good),
        wanted: count(file.wanted),
    }
}
