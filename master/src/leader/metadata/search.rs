//! Finds out where disks do not hold what the records want: asks for lists where digests differ,
//! and has them compared.

use super::{Effect, Metadata, Now};
use crate::leader::survey::{Listed, SurveyRequest};
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
/// How long a new leader waits for all live disks to say what they hold before it counts without.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the search for differences stands.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Since when partitions of disks differ.
    differ: BTreeMap<(DiskId, Partition), Timestamp>,
    /// The disks that could be read when it was last looked.
    reachable: BTreeSet<DiskId>,
    /// Lists that were asked for.
    asked: Option<Asked>,
    /// The partition with which the last lists ended, if there were too many for one time.
    listed_up_to: Option<Partition>,
    next_token: u64,
    /// When the last survey began, and how long it took.
    pub(super) began: Timestamp,
    pub(super) took: Duration,
    /// When to look at the latest.
    look_at: Timestamp,
    /// What the survey that runs, or the last one, was made for.
    pub(super) basis: Basis,
}

/// What a survey was made for: what follows from it holds only as long as this does.
#[derive(Debug, Default)]
pub(super) struct Basis {
    /// When lists were asked for: what was so before it shows.
    pub(super) since: Timestamp,
    /// Whether it is known well enough who has what to drop anything.
    pub(super) may_drop: bool,
    pub(super) reachable: BTreeSet<DiskId>,
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
        let busy = self.search.asked.is_some() || self.report.is_running();
        if busy || soon || !self.all_have_spoken(now, &reachable) {
            return;
        }
        let changed = self.truth.take_changed() || reachable != self.search.reachable;
        // Somebody waits to hear who has the last copy of what.
        let asked = self.retiring.is_some();
        if !changed && !asked && now.mono < self.search.look_at {
            return;
        }
        let (wanted, unlisted) = self.wanted_lists(now, &reachable);
        let all_there = reachable.len() == self.catalog.present().count();
        let waits = !self.search.differ.is_empty() || !self.catalog.moves.is_empty();
        if !reachable.is_subset(&self.search.reachable) {
            self.mover.try_again();
        }
        self.search.reachable.clone_from(&reachable);
        self.search.look_at = now.mono.plus(if waits { SETTLES } else { LOOK_AGAIN });
        if all_there && wanted.is_empty() && !self.lacks_holders() && !asked {
            if !waits {
                self.report.nothing_differs(now.mono);
                self.progress.surveyed(&BTreeMap::new(), std::iter::empty());
            }
            return;
        }
        self.ask_for_lists(now, reachable, wanted, unlisted);
    }

    /// Whether partitions with chunks have fewer holders than there should be copies: then digests
    /// agree although copies are missing.
    fn lacks_holders(&self) -> bool {
        let catalog = &self.catalog;
        let wanted = usize::from(catalog.replicas().get());
        Partition::all().any(|partition| {
            catalog.targets(partition).len() < wanted && !catalog.is_vacant(partition)
        })
    }

    /// The members whose copies can be read, and whose holdings are known.
    fn known_and_reachable(&self, now: Now) -> BTreeSet<DiskId> {
        let mut disks = self.reachable(now);
        disks.retain(|&disk| self.truth.is_known(disk));
        disks
    }

    /// Whether all live disks have said what they hold. After a while it goes on without the rest.
    fn all_have_spoken(&self, now: Now, known: &BTreeSet<DiskId>) -> bool {
        let long = now.mono.since(self.established_at) >= PATIENCE;
        long || known.len() == self.reachable(now).len()
    }

    /// The partitions that each disk has to list: where it has differed for a while, or at all when a
    /// disk is to retire, and where it holds what is on its way elsewhere. And the partitions that have
    /// to wait, because there are too many chunks to list at once.
    fn wanted_lists(
        &mut self,
        now: Now,
        reachable: &BTreeSet<DiskId>,
    ) -> (BTreeMap<DiskId, BTreeSet<Partition>>, BTreeSet<Partition>) {
        let catalog = &self.catalog;
        let mut differ = BTreeMap::new();
        let mut looked_at: BTreeSet<Partition> = BTreeSet::new();
        for &disk in reachable {
            for partition in self.truth.differing(disk, catalog) {
                let place = (disk, partition);
                let since = *self.search.differ.get(&place).unwrap_or(&now.mono);
                differ.insert(place, since);
                if self.retiring.is_some() || now.mono.since(since) >= SETTLES {
                    looked_at.insert(partition);
                }
            }
            looked_at.extend(self.mover.dropping(disk).map(ChunkId::partition));
        }
        looked_at.extend(catalog.moves.keys());
        looked_at.extend(catalog.desired.excepted());
        // Of a partition that is looked at, all who have or should have a part of it tell.
        let mut wanted: BTreeMap<DiskId, BTreeSet<Partition>> = BTreeMap::new();
        let mut tells = |disk: DiskId, partition: Partition| {
            if looked_at.contains(&partition) && reachable.contains(&disk) {
                wanted.entry(disk).or_default().insert(partition);
            }
        };
        for &(disk, partition) in differ.keys() {
            tells(disk, partition);
        }
        for (disk, partition) in catalog.desired.exception_places() {
            tells(disk, partition);
        }
        for &partition in &looked_at {
            let holders = catalog.assignment.holders(partition);
            for &disk in holders.iter().chain(catalog.targets(partition)) {
                tells(disk, partition);
            }
        }
        self.search.differ = differ;
        let unlisted = self.put_off_lists(&mut wanted);
        (wanted, unlisted)
    }

    /// Takes out of what is to be listed what is too much for one time. All disks list the same
    /// partitions, and the next time it goes on behind them.
    fn put_off_lists(
        &mut self,
        wanted: &mut BTreeMap<DiskId, BTreeSet<Partition>>,
    ) -> BTreeSet<Partition> {
        let all: BTreeSet<Partition> = wanted.values().flatten().copied().collect();
        let from = self.search.listed_up_to;
        let behind = all.iter().filter(|&&partition| Some(partition) > from);
        let before = all.iter().filter(|&&partition| Some(partition) <= from);
        let mut chunks: BTreeMap<DiskId, u64> = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for &partition in behind.chain(before) {
            let has = |(disk, partitions): (&DiskId, &BTreeSet<Partition>)| {
                let count = self.chunks_on(*disk, partition);
                partitions.contains(&partition).then_some((*disk, count))
            };
            let more: Vec<(DiskId, u64)> = wanted.iter().filter_map(has).collect();
            let so_far = |disk: &DiskId| chunks.get(disk).copied().unwrap_or(0);
            let fits =
                |(disk, more): &(DiskId, u64)| so_far(disk) + more <= self.settings.most_listed;
            if !listed.is_empty() && !more.iter().all(fits) {
                break;
            }
            for (disk, more) in more {
                *chunks.entry(disk).or_default() += more;
            }
            listed.insert(partition);
            self.search.listed_up_to = Some(partition);
        }
        let unlisted: BTreeSet<Partition> = all.difference(&listed).copied().collect();
        if unlisted.is_empty() {
            self.search.listed_up_to = None;
        } else {
            for partitions in wanted.values_mut() {
                partitions.retain(|partition| listed.contains(partition));
            }
            wanted.retain(|_, partitions| !partitions.is_empty());
        }
        unlisted
    }

    /// How many chunks of a partition a disk may have: those that it should, and a part of what it
    /// says that it has.
    fn chunks_on(&self, disk: DiskId, partition: Partition) -> u64 {
        let told = self.fleet.get(disk).map_or(0, |it| it.beat.chunks);
        let partitions = u64::try_from(Partition::COUNT).unwrap_or(u64::MAX);
        let part = told.checked_div(partitions).unwrap_or(0);
        self.catalog.amount(partition).chunks.saturating_add(part)
    }

    fn ask_for_lists(
        &mut self,
        now: Now,
        reachable: BTreeSet<DiskId>,
        wanted: BTreeMap<DiskId, BTreeSet<Partition>>,
        unlisted: BTreeSet<Partition>,
    ) {
        self.search.began = now.mono;
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
            lists,
            assignment,
            moves,
            goals,
            mut uploads,
            unlisted,
            listed_at,
            mut reachable,
            since,
            ..
        } = asked;
        let still = self.known_and_reachable(now);
        reachable.retain(|disk| still.contains(disk));
        self.search.began = now.mono;
        uploads.extend(self.planned.uploads.keys());
        let room = |&disk: &DiskId| Some((disk, self.fleet.get(disk)?.beat.free_bytes));
        let accepting = reachable
            .iter()
            .filter(|&&disk| self.fleet.takes_chunks(disk, now.mono))
            .filter_map(room)
            .collect();
        let basis = Basis {
            since,
            may_drop: self.may_drop(now, &reachable),
            reachable: reachable.clone(),
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
            put_off: self.mover.put_off(now.mono),
            unlisted,
            listed_at,
            lists,
        };
        self.search.basis = basis;
        self.report.started(since);
        self.effects.push(Effect::Survey(Box::new(request)));
    }
}
