//! Finds out where disks do not hold what the records want: asks for lists where digests differ,
//! and has them compared.

mod lists;

use super::{Effect, Metadata, Now};
use crate::leader::survey::{Listed, SurveyRequest};
use lists::Lists;
use mdfs_core::chunk::ChunkId;
use mdfs_core::digest::Digest;
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::partition::Partition;
use mdfs_core::ring::{Assignment, ReplicationFactor};
use mdfs_core::time::Timestamp;
use mdfs_protocol::holdings::Listing;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The least time between two surveys.
const SURVEY_EVERY: Duration = Duration::from_millis(300);
/// Surveys take at most one part in so many of the time: they read all records.
const SURVEY_PART: u32 = 10;
/// How long a difference has to last before it is looked at: a heartbeat may be behind the log.
const SETTLES: Duration = Duration::from_millis(600);
/// How often it is looked again at what could not be mended.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// In which all lists must have come.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// How long live disks may take to say what they hold before it is counted without them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the search for differences stands.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Where partitions of disks differ.
    differ: BTreeMap<(DiskId, Partition), Differs>,
    /// The disks that could be read when it was last looked.
    reachable: BTreeSet<DiskId>,
    /// Lists that were asked for.
    asked: Option<Asked>,
    /// The partition with which the last lists ended, if there were too many for one time.
    listed_up_to: Option<Partition>,
    next_token: u64,
    /// Of when it was known what disks hold when it was last looked.
    heard: Timestamp,
    /// When the last survey began, and how long it took.
    pub(super) began: Timestamp,
    pub(super) took: Duration,
    /// When to look at the latest.
    look_at: Timestamp,
    /// What the survey that runs, or the last one, was made for.
    pub(super) basis: Basis,
    /// The index of the entry that last named other disks for files. Lists that are asked for before it is
    /// committed would be of other disks than the records name when they are surveyed.
    pub(super) named: u64,
}

/// A partition of which a disk does not hold what it should.
#[derive(Clone, Copy, Debug)]
struct Differs {
    /// Since when that is known.
    since: Timestamp,
    /// When it was not so yet.
    not_at: Timestamp,
}

/// What a survey was made for: what follows from it holds only as long as this does.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// When lists were asked for: what was so before it shows.
    pub(super) since: Timestamp,
    /// Whether it is known well enough who has what to drop anything.
    pub(super) may_drop: bool,
    pub(super) reachable: BTreeSet<DiskId>,
    /// The disks that may hold partitions; none while that is not known.
    pub(super) eligible: BTreeSet<DiskId>,
    /// What the policy said; none before the first.
    pub(super) replicas: Option<ReplicationFactor>,
    pub(super) assignment: Assignment,
    pub(super) moves: BTreeMap<Partition, Vec<DiskId>>,
    /// What the goals of moves held, and should hold, before they listed it.
    pub(super) goals: BTreeMap<(DiskId, Partition), (Digest, Digest)>,
}

/// Lists that are under way.
#[derive(Debug)]
struct Asked {
    token: u64,
    waiting: BTreeSet<DiskId>,
    lists: BTreeMap<DiskId, Listed>,
    reachable: BTreeSet<DiskId>,
    /// All of these as they were when the lists were asked for.
    assignment: Assignment,
    moves: BTreeMap<Partition, Vec<DiskId>>,
    goals: BTreeMap<(DiskId, Partition), (Digest, Digest)>,
    uploads: BTreeSet<FileId>,
    unlisted: BTreeSet<Partition>,
    listed_at: u64,
    since: Timestamp,
    /// Of when the figures are that follow, if all that is asked answer.
    as_of: Timestamp,
}

impl Search {
    /// A search that begins; answers to earlier questions are not taken for its own.
    pub(super) fn anew(&self) -> Self {
        Self {
            next_token: self.next_token,
            ..Self::default()
        }
    }
}

impl Metadata {
    /// Takes a list that a disk was asked for.
    pub(super) fn take_list(
        &mut self,
        now: Now,
        disk: DiskId,
        token: u64,
        partitions: BTreeSet<Partition>,
        list: Option<Listing>,
    ) {
        let Some(asked) = self.search.asked.as_mut().filter(|a| a.token == token) else {
            return;
        };
        asked.waiting.remove(&disk);
        match list {
            Some(list) => {
                let ours = |chunk: &ChunkId| partitions.contains(&chunk.partition());
                // What it was ordered to drop may be gone with its next breath.
                let dropping: BTreeSet<ChunkId> = self.mover.dropping(disk).collect();
                let stays = |chunk: &ChunkId| ours(chunk) && !dropping.contains(chunk);
                let listed = Listed {
                    chunks: list
                        .chunks
                        .into_iter()
                        .filter(|(chunk, _)| stays(chunk))
                        .collect(),
                    damaged: list.damaged.into_iter().filter(ours).collect(),
                    partitions,
                };
                asked.lists.insert(disk, listed);
            }
            // Of what it holds nothing is known.
            None => {
                asked.reachable.remove(&disk);
            }
        }
        if asked.waiting.is_empty() {
            self.start_survey(now);
        }
    }

    /// Looks whether anything is not as it should be.
    pub(super) fn search(&mut self, now: Now) {
        if self.established.is_none() {
            return;
        }
        let asked = self.search.asked.as_ref();
        if asked.is_some_and(|asked| now.mono.since(asked.since) >= GIVEN_UP) {
            self.search.asked = None;
        }
        let reachable = self.known_and_reachable(now);
        let pause = SURVEY_EVERY.max(self.search.took.saturating_mul(SURVEY_PART));
        let soon = now.mono.since(self.search.began) < pause;
        let is_naming = self.log.commit().unwrap_or(0) < self.search.named;
        let busy = self.search.asked.is_some() || self.report.is_running() || is_naming;
        if busy || soon || !self.all_have_spoken(now, &reachable) {
            return;
        }
        let changed = self.truth.take_changed() || reachable != self.search.reachable;
        // Somebody waits to hear who has the last copy of what.
        let asked = self.retiring.is_some();
        if !changed && !asked && now.mono < self.search.look_at {
            return;
        }
        let lists = self.wanted_lists(now, &reachable);
        let all_there = reachable.len() == self.catalog.present().count();
        let waits = !self.search.differ.is_empty() || !self.catalog.moves.is_empty();
        if !reachable.is_subset(&self.search.reachable) {
            self.mover.try_again();
        }
        self.search.reachable.clone_from(&reachable);
        let heard = self.heard_since(now, &reachable);
        self.search.heard = heard;
        self.search.look_at = now.mono.plus(if waits { SETTLES } else { LOOK_AGAIN });
        if all_there && lists.wanted.is_empty() && !self.lacks_holders(&reachable) && !asked {
            if !waits {
                self.report.nothing_differs(heard);
                self.progress.surveyed(&BTreeMap::new(), std::iter::empty());
            }
            return;
        }
        self.ask_for_lists(now, reachable, lists);
    }

    /// Whether partitions with chunks have fewer holders that can be read than there should be copies:
    /// then digests agree although copies are missing. One that was retired is a holder until its
    /// partitions have moved.
    fn lacks_holders(&self, reachable: &BTreeSet<DiskId>) -> bool {
        let catalog = &self.catalog;
        // A file that asked for more copies than its partition has holders shows by a survey only.
        let wanted = usize::from(catalog.most_wanted().get());
        let is_gone = |disk: &DiskId| !reachable.contains(disk);
        Partition::all().any(|partition| {
            let targets = catalog.targets(partition);
            let lacks = targets.len() < wanted || targets.iter().any(is_gone);
            lacks && !catalog.is_vacant(partition)
        })
    }

    /// The members whose copies can be read, and whose holdings are known.
    fn known_and_reachable(&self, now: Now) -> BTreeSet<DiskId> {
        let mut disks = self.reachable(now);
        disks.retain(|&disk| self.truth.is_known(disk));
        disks
    }

    /// Whether all live disks have said what they hold. One that takes too long is not waited for: its
    /// copies count as missing.
    fn all_have_spoken(&self, now: Now, known: &BTreeSet<DiskId>) -> bool {
        let reachable = self.reachable(now);
        let mut silent = reachable.difference(known);
        silent.all(|&disk| {
            let since = self.truth.unknown_since(disk);
            now.mono.since(since.unwrap_or(self.established_at)) >= PATIENCE
        })
    }

    /// Since when all of these disks have said what they hold.
    fn heard_since(&self, now: Now, disks: &BTreeSet<DiskId>) -> Timestamp {
        let beats = disks.iter().filter_map(|&disk| self.fleet.last_beat(disk));
        beats.min().unwrap_or(now.mono)
    }

    /// Of when a count is at the latest that is without some of the live disks: of before they came.
    fn as_of_without(&self, now: Now, counted: &BTreeSet<DiskId>) -> Option<Timestamp> {
        let reachable = self.reachable(now);
        let left_out = reachable.difference(counted);
        let before = self.report.counted_at().unwrap_or(self.established_at);
        left_out
            .map(|&disk| self.truth.unknown_since(disk).unwrap_or(before))
            .min()
    }

    fn ask_for_lists(&mut self, now: Now, reachable: BTreeSet<DiskId>, lists: Lists) {
        let Lists {
            wanted,
            unlisted,
            differed_after,
        } = lists;
        let heard = self.search.heard;
        let as_of = differed_after.map_or(heard, |after| after.min(heard));
        self.search.began = now.mono;
        self.truth.lists_asked();
        self.search.next_token += 1;
        let token = self.search.next_token;
        self.search.asked = Some(Asked {
            token,
            waiting: wanted.keys().copied().collect(),
            lists: BTreeMap::new(),
            reachable,
            assignment: self.catalog.assignment.clone(),
            moves: self.catalog.moves.clone(),
            goals: self.goals(),
            since: now.mono,
            as_of,
            uploads: self.planned.uploads.keys().copied().collect(),
            unlisted,
            listed_at: self.log.commit().unwrap_or(0),
        });
        let (false, Some(term)) = (wanted.is_empty(), self.established) else {
            return self.start_survey(now);
        };
        for (disk, partitions) in wanted {
            let Some(url) = self.fleet.url(disk).map(ToOwned::to_owned) else {
                self.take_list(now, disk, token, partitions, None);
                continue;
            };
            self.effects.push(Effect::List {
                disk,
                url,
                term,
                token,
                partitions,
            });
        }
    }

    /// What the goals of moves hold now, and should hold.
    fn goals(&self) -> BTreeMap<(DiskId, Partition), (Digest, Digest)> {
        let moves = self.catalog.moves.iter();
        let places = moves.flat_map(|(&partition, to)| to.iter().map(move |&to| (to, partition)));
        let state = |(disk, partition)| {
            let state = self.truth.state(disk, partition, &self.catalog)?;
            Some(((disk, partition), state))
        };
        places.filter_map(state).collect()
    }

    /// All lists are there: the table as it is now says what they should be.
    fn start_survey(&mut self, now: Now) {
        let (Some(asked), Some(table)) = (self.search.asked.take(), self.log.committed()) else {
            return;
        };
        let Asked {
            mut lists,
            assignment,
            moves,
            goals,
            mut uploads,
            unlisted,
            listed_at,
            mut reachable,
            since,
            as_of,
            ..
        } = asked;
        let still = self.known_and_reachable(now);
        reachable.retain(|disk| still.contains(disk));
        // What disks were ordered to drop since they listed it may be gone as well.
        for (&disk, listed) in &mut lists {
            for chunk in self.mover.dropping(disk) {
                listed.chunks.remove(&chunk);
            }
        }
        let without = self.as_of_without(now, &reachable);
        let as_of = without.map_or(as_of, |without| as_of.min(without));
        self.search.began = now.mono;
        uploads.extend(self.planned.uploads.keys());
        let room = |&disk: &DiskId| Some((disk, self.fleet.get(disk)?.beat.free_bytes));
        let accepting = reachable
            .iter()
            .filter(|&&disk| self.fleet.takes_chunks(disk, now.mono))
            .filter_map(room)
            .collect();
        let eligible = self.moving.eligible.iter().copied();
        let eligible = eligible
            .filter(|&disk| self.catalog.accepts(disk))
            .collect();
        let basis = Basis {
            since,
            may_drop: self.may_drop(now, &reachable),
            reachable: reachable.clone(),
            eligible: self.moving.eligible.clone(),
            replicas: Some(self.catalog.replicas()),
            assignment: assignment.clone(),
            moves: moves.clone(),
            goals,
        };
        let request = SurveyRequest {
            table: table.clone(),
            assignment,
            replicas: self.catalog.replicas(),
            moves,
            uploads,
            reachable,
            accepting,
            eligible,
            put_off: self.mover.put_off(now.mono),
            unlisted,
            listed_at,
            lists,
        };
        self.search.basis = basis;
        self.report.started(as_of);
        self.effects.push(Effect::Survey(Box::new(request)));
    }
}
