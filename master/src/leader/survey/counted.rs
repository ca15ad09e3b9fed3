//! The pass over all files.

mod beyond;
mod bounded;
mod copies;
mod recorded;
mod trash;

use super::places::{Places, members, places, zones};
use super::{
    AtRisk, ExcessCopy, Home, MOST_HOME, MOST_NAMES, MOST_NEEDS, MOST_SOLE, Need, Survey,
    SurveyRequest,
};
use crate::leader::catalog::prefix;
use crate::leader::progress::Amount;
use bounded::{keep_least, note_drop};
use mdfs_core::chunk::ChunkId;
use mdfs_core::garbage::Unneeded;
use mdfs_core::id::DiskId;
use mdfs_core::name::FileName;
use mdfs_core::partition::{CHUNKS_PER_GROUP, Partition};
use mdfs_core::records::{FileRecord, Key, Kind, MemberState, TrashRecord, decode};
use mdfs_core::time::LogTime;
use std::collections::{BTreeMap, BTreeSet};
use trash::Elsewhere;

/// Looks at every file, in the trash or out of it.
pub fn survey(request: &SurveyRequest) -> Survey {
    let mut pass = Pass {
        request,
        found: Survey::default(),
        listed: Unneeded::new(request.uploads.clone()),
        listed_partitions: BTreeSet::new(),
        leaving: members(&request.table, MemberState::leaves),
        present: members(&request.table, |state| state != MemberState::Retired),
        zones: zones(&request.table),
        widest: request.assignment.iter().map(|(_, it)| it.len()).max(),
        room: request.accepting.clone(),
    };
    pass.found.moved = request.moves.keys().copied().collect();
    pass.found.unlisted_partitions = u64::try_from(request.unlisted.len()).unwrap_or(u64::MAX);
    for (&disk, listed) in &request.lists {
        pass.listed_partitions.extend(&listed.partitions);
        for &chunk in listed.chunks.keys().chain(&listed.damaged) {
            pass.listed.list(disk, chunk);
        }
    }
    // Of the same table as the files: an upload is in one of them or the other.
    for (key, _) in request.table.range(&prefix(Kind::Upload), None) {
        match Key::from_bytes(key) {
            Ok(Key::Upload(file)) => {
                pass.listed.keep_upload(file);
            }
            _ => pass.found.unreadable_files += 1,
        }
    }
    let files = prefix(Kind::File);
    let files = request.table.range(&files, None);
    for (key, value) in files {
        match (Key::from_bytes(key), decode::<FileRecord>(value)) {
            (Ok(Key::File(name)), Ok(file)) => pass.file(&name, &file, None),
            _ => pass.found.unreadable_files += 1,
        }
    }
    let trash = prefix(Kind::Trash);
    let trash = request.table.range(&trash, None);
    for (key, value) in trash {
        match (Key::from_bytes(key), decode::<TrashRecord>(value)) {
            (Ok(Key::Trash(deleted, _)), Ok(trash)) => {
                pass.file(&trash.name, &trash.file, Some(deleted));
            }
            (Ok(_) | Err(_), _) => pass.found.unreadable_files += 1,
        }
    }
    pass.recorded();
    pass.finish()
}

struct Pass<'a> {
    request: &'a SurveyRequest,
    found: Survey,
    /// Chunks in the lists that no record was met for yet, and who has them.
    listed: Unneeded,
    /// The partitions that some disk listed.
    listed_partitions: BTreeSet<Partition>,
    /// Disks that are to be emptied.
    leaving: BTreeSet<DiskId>,
    /// Disks that were not retired.
    present: BTreeSet<DiskId>,
    /// The failure domains of disks that have one.
    zones: BTreeMap<DiskId, String>,
    /// The most holders that a partition has.
    widest: Option<usize>,
    /// What disks that take new chunks have room for besides what this survey found to go there.
    room: BTreeMap<DiskId, u64>,
}

/// Chunks of a file that share their places.
struct Run<'a> {
    file: &'a FileRecord,
    chunks: std::ops::Range<u32>,
    partition: Partition,
    /// How many copies of each are wanted.
    wanted: usize,
    /// Whether the file was committed after the lists were made.
    is_new: bool,
    is_trash: bool,
}

impl Pass<'_> {
    /// Counts a file; one in the trash, since `deleted`, is healed but not counted.
    fn file(&mut self, name: &FileName, file: &FileRecord, deleted: Option<LogTime>) {
        let is_trash = deleted.is_some();
        let wanted = usize::from(file.replicas.under(self.request.replicas).get());
        // Committed after the lists were made: they do not show it, but all its copies were durable.
        let is_new = file.version > self.request.listed_at;
        let mut fewest = usize::MAX;
        let mut exceptions = file.exceptions.iter().peekable();
        let mut index = 0;
        let mut elsewhere = Elsewhere::default();
        let mut sole = BTreeSet::new();
        while index < file.layout.chunk_count() {
            while exceptions.next_if(|run| run.end() <= index).is_some() {}
            let next = exceptions.peek().copied();
            let exception = next.filter(|run| run.first_chunk <= index);
            let group_end = (index / CHUNKS_PER_GROUP + 1).saturating_mul(CHUNKS_PER_GROUP);
            let limit = match (exception, next) {
                (Some(run), _) => run.end(),
                (None, Some(next)) => next.first_chunk,
                (None, None) => u32::MAX,
            };
            let end = group_end.min(limit).min(file.layout.chunk_count());
            let partition = ChunkId {
                file: file.file,
                index,
            }
            .partition();
            let places = places(self.request, partition, wanted, exception);
            let good = if self.request.unlisted.contains(&partition) {
                self.found.moved.remove(&partition);
                self.unlisted(&places, &mut sole)
            } else if self.is_as_it_should_be(partition, &places) && !self.is_beyond(wanted) {
                if let [disk] = places.all[..] {
                    sole.insert(disk);
                }
                places.all.len()
            } else {
                let run = Run {
                    file,
                    chunks: index..end,
                    partition,
                    wanted,
                    is_new,
                    is_trash,
                };
                self.chunks(&run, &places, &mut elsewhere, &mut sole)
            };
            fewest = fewest.min(good);
            index = end;
        }
        self.note_sole(name, sole);
        self.note_home(name, deleted, file, &elsewhere.home);
        self.note_other_places(name, deleted, file, &mut elsewhere);
        self.note_spare(file, wanted, elsewhere);
        if is_trash {
            self.found.under_replicated_trash += u64::from(fewest < wanted);
        } else if fewest < wanted {
            self.found.under_replicated_files += 1;
            self.found.missing_files += u64::from(fewest == 0);
            self.note_name(name, fewest, wanted);
        }
    }

    fn note_sole(&mut self, name: &FileName, disks: BTreeSet<DiskId>) {
        for disk in disks {
            let sole = self.found.sole.entry(disk).or_default();
            sole.files += 1;
            if sole.names.len() < MOST_SOLE {
                sole.names.push(name.clone());
            }
        }
    }

    /// Of a partition that was not listed, only that is told for certain which follows from who can be
    /// read: every disk that can may have the copy, or may be the only one that has.
    fn unlisted(&self, places: &Places<'_>, sole: &mut BTreeSet<DiskId>) -> usize {
        sole.extend(places.all.iter().copied());
        let reachable = &self.request.reachable;
        let readable = places.all.iter().filter(|disk| reachable.contains(disk));
        readable.count()
    }

    /// Whether all copies are where they should be, which the digests show: no list was needed.
    fn is_as_it_should_be(&self, partition: Partition, places: &Places<'_>) -> bool {
        let request = self.request;
        places.exception.is_none()
            && !self.listed_partitions.contains(&partition)
            && !request.moves.contains_key(&partition)
            && places
                .all
                .iter()
                .all(|disk| request.reachable.contains(disk))
    }

    /// Looks at chunks one by one. The fewest good copies of one of them.
    fn chunks(
        &mut self,
        run: &Run<'_>,
        places: &Places<'_>,
        elsewhere: &mut Elsewhere,
        sole: &mut BTreeSet<DiskId>,
    ) -> usize {
        let mut fewest = usize::MAX;
        let excepted = places.exception.is_some();
        let should = self.should_have(run, places);
        let stays_beyond = self.are_enough(run, places);
        let mut full: Option<BTreeSet<DiskId>> = None;
        for index in run.chunks.clone() {
            let chunk = ChunkId {
                file: run.file.file,
                index,
            };
            let length = run.file.layout.chunk_len(index).unwrap_or(0);
            let has = |disk: &DiskId| self.has(*disk, run, chunk, length, places);
            let good: Vec<DiskId> = places
                .all
                .iter()
                .copied()
                .filter(|disk| has(disk))
                .collect();
            let lacking: Vec<DiskId> = should
                .iter()
                .copied()
                .filter(|disk| !good.contains(disk))
                .collect();
            fewest = fewest.min(good.len());
            match good[..] {
                [disk] => {
                    sole.insert(disk);
                }
                // A disk that does not answer may have it; one elsewhere does, or good blocks of it.
                [] => {
                    let reachable = &self.request.reachable;
                    let silent = places.all.iter().filter(|disk| !reachable.contains(disk));
                    let listed = self.listed.listed_at(chunk);
                    sole.extend(silent.chain(listed).copied());
                }
                [..] => {}
            }
            if excepted && lacking.is_empty() && places.targets.len() >= run.wanted {
                elsewhere.home.push(index);
            }
            // What lies elsewhere stays there while it is in the trash, unless it lacks copies, lies
            // on a disk that is to be emptied, or has copies there that are not wanted any more.
            let leaves = places.all.iter().any(|disk| self.leaving.contains(disk));
            let named = places.exception.unwrap_or_default();
            let fits = named.len() <= run.wanted && good.len() >= run.wanted;
            let stays = excepted && run.is_trash && fits && !leaves;
            // A holder's copy is not wanted either where there are too few holders.
            if stays || stays_beyond && lacking.is_empty() {
                let damaged: Vec<DiskId> = self.damaged_at(chunk).collect();
                elsewhere.note(chunk, &good, &damaged, places, run.wanted);
            }
            if stays {
                // Where it stays it is mended, or nobody would ever count or drop what is bad there.
                let bad = named.iter().filter(|disk| !good.contains(disk));
                let bad: Vec<DiskId> = bad.copied().collect();
                self.note_needs(chunk, length, &good, &bad);
            } else {
                self.note_needs(chunk, length, &good, &lacking);
            }
            // What is nowhere any more will not come to the goal either, however long it is waited for.
            let is_lost = self.is_lost(chunk, &good, places);
            let waits = !lacking.is_empty() && !is_lost;
            if !excepted && waits || run.is_new {
                self.found.moved.remove(&run.partition);
            }
            let settled = lacking.is_empty() || stays;
            self.note_excess(chunk, &good, run.wanted, places, settled);
            if stays_beyond && !is_lost {
                let good: BTreeSet<DiskId> = good.into_iter().collect();
                full = Some(full.map_or_else(|| good.clone(), |full| &full & &good));
            }
        }
        elsewhere
            .other_places
            .extend(self.other_places(run, places, full));
        fewest
    }

    fn note_needs(&mut self, chunk: ChunkId, length: u64, good: &[DiskId], lacking: &[DiskId]) {
        let mut sources = good.to_vec();
        sources.extend(self.listed.listed_at(chunk));
        let damaged: Vec<DiskId> = self.damaged_at(chunk).collect();
        self.found.damaged_chunks += u64::from(!damaged.is_empty());
        sources.extend(damaged);
        let mut seen = BTreeSet::new();
        sources.retain(|disk| seen.insert(*disk) && self.request.reachable.contains(disk));
        for &target in lacking {
            let room = self.request.accepting.get(&target).copied().unwrap_or(0);
            if room < length || sources.is_empty() {
                continue;
            }
            self.found.copies_to_make += 1;
            self.found.bytes_to_copy = self.found.bytes_to_copy.saturating_add(length);
            let bytes = length;
            let amount = self.found.to_copy.entry(chunk.partition()).or_default();
            amount.add(Amount { chunks: 1, bytes });
            if self.request.put_off.contains(&(target, chunk)) {
                continue;
            }
            let need = Need {
                chunk,
                length,
                target,
                sources: sources.clone(),
                good: good.len(),
            };
            keep_least(&mut self.found.needs, need, MOST_NEEDS, |need| need.good);
        }
    }

    /// Copies of a chunk that somebody needs, but not there. They go if its places are `settled`: all
    /// have it that should, or it stays elsewhere.
    fn note_excess(
        &mut self,
        chunk: ChunkId,
        good: &[DiskId],
        wanted: usize,
        places: &Places<'_>,
        settled: bool,
    ) {
        for disk in self.listed.keep(chunk) {
            if places.all.contains(&disk) {
                continue;
            }
            self.found.excess_copies += 1;
            if settled && good.len() >= wanted {
                let copy = ExcessCopy {
                    chunk,
                    wanted,
                    stays_elsewhere: false,
                };
                note_drop(&mut self.found.excess, disk, copy);
            }
        }
    }

    fn note_home(
        &mut self,
        name: &FileName,
        deleted: Option<LogTime>,
        file: &FileRecord,
        home: &[u32],
    ) {
        for exception in &file.exceptions {
            let run = exception.first_chunk..exception.end();
            let came = home.iter().filter(|index| run.contains(index)).count();
            if came == run.len() && self.found.home.len() < MOST_HOME {
                self.found.home.push(Home {
                    name: name.clone(),
                    deleted,
                    file: file.file,
                    exception: exception.clone(),
                });
            }
        }
    }

    fn note_name(&mut self, name: &FileName, good: usize, wanted: usize) {
        let at_risk = AtRisk {
            name: name.clone(),
            good,
            wanted,
        };
        keep_least(&mut self.found.names, at_risk, MOST_NAMES, |file| file.good);
    }

    /// What is left in the lists is of no file; of no upload either, it is garbage.
    fn finish(mut self) -> Survey {
        // A record that cannot be read may be the one that needs them.
        if self.found.unreadable_files == 0 {
            for (chunk, disks) in std::mem::take(&mut self.listed).garbage() {
                for disk in disks {
                    note_drop(&mut self.found.garbage, disk, chunk);
                }
            }
        }
        self.found.needs.sort_by_key(|need| (need.good, need.chunk));
        self.found
            .names
            .sort_by(|a, b| (a.good, &a.name).cmp(&(b.good, &b.name)));
        self.found
    }
}
