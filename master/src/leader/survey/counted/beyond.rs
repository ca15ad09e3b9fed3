//! Where chunks go of which more copies are wanted than their partition has holders.
//!
//! No partition moves for them: their record names the disks, and names others when one is lost for good or
//! leaves. A new disk is named beside the old one, which stays until the new one has all of it: what is
//! there is read, counts, and is copied from meanwhile, whoever stops in between.

use super::trash::Elsewhere;
use super::{Pass, Run};
use crate::leader::affinity::affinity;
use crate::leader::survey::places::Places;
use crate::leader::survey::{MOST_HOME, OtherPlaces};
use mdfs_core::id::DiskId;
use mdfs_core::name::FileName;
use mdfs_core::records::{Copies, FileRecord};
use mdfs_core::time::LogTime;
use std::collections::BTreeSet;

impl Pass<'_> {
    /// Whether so many copies are more than the policy says and any partition has holders: the ring will
    /// not bring the others.
    pub(super) fn is_beyond(&self, wanted: usize) -> bool {
        wanted > usize::from(self.request.replicas.get()) && Some(wanted) > self.widest
    }

    /// The disks that should have the chunks of a run.
    pub(super) fn should_have(&self, run: &Run<'_>, places: &Places<'_>) -> Vec<DiskId> {
        match places.exception {
            // Without enough holders there is no home to go to: it is mended where it lies.
            Some(named) if places.targets.len() < run.wanted && self.is_beyond(run.wanted) => {
                match self.are_enough(run, places) {
                    true => self.staying(named, run, places),
                    false => named.to_vec(),
                }
            }
            Some(_) if places.targets.len() < run.wanted && !run.is_trash => places.all.clone(),
            Some(_) | None => places.targets.to_vec(),
        }
    }

    /// Whether a run lies where its record says because there are too few holders, on enough disks that
    /// stay.
    pub(super) fn are_enough(&self, run: &Run<'_>, places: &Places<'_>) -> bool {
        let named = places.exception.unwrap_or_default();
        places.targets.len() < run.wanted
            && self.is_beyond(run.wanted)
            && self.staying(named, run, places).len() >= run.wanted
    }

    /// Other places for the chunks of a run, if more copies of them are wanted than there are holders, and
    /// they need some. `full` are those that have all of it, but for what is nowhere, if enough disks
    /// [stay](Self::are_enough); none if nothing of it is anywhere.
    pub(super) fn other_places(
        &mut self,
        run: &Run<'_>,
        places: &Places<'_>,
        full: Option<BTreeSet<DiskId>>,
    ) -> Option<Copies> {
        let moves = self.request.moves.contains_key(&run.partition);
        if run.is_new || !self.is_beyond(run.wanted) || places.targets.len() >= run.wanted {
            return None;
        }
        // More files than one survey names would take the room from those that it does.
        if self.found.other_places.len() >= MOST_HOME {
            return None;
        }
        let stays = |disk: &DiskId| self.request.eligible.contains(disk);
        let named = match places.exception {
            Some(named) => named,
            // The ring replaces what is lost of the holders first.
            None if moves || !places.targets.iter().all(stays) => return None,
            None => places.targets,
        };
        let staying = self.staying(named, run, places);
        let disks = if staying.len() < run.wanted {
            self.with_others(run, places, named, staying)?
        } else {
            let has_all = |disk: &DiskId| full.as_ref().is_none_or(|full| full.contains(disk));
            let have_all = staying.into_iter().filter(has_all).take(run.wanted);
            let have_all: Vec<DiskId> = have_all.collect();
            let is_shorter = have_all.len() == run.wanted && named.len() > run.wanted;
            is_shorter.then_some(have_all)?
        };
        Some(Copies {
            first_chunk: run.chunks.start,
            chunks: run.chunks.end - run.chunks.start,
            disks,
        })
    }

    /// Notes the runs of a file that get other places.
    pub(super) fn note_other_places(
        &mut self,
        name: &FileName,
        deleted: Option<LogTime>,
        file: &FileRecord,
        elsewhere: &mut Elsewhere,
    ) {
        let runs = std::mem::take(&mut elsewhere.other_places);
        if !runs.is_empty() {
            self.found.other_places.push(OtherPlaces {
                name: name.clone(),
                deleted,
                file: file.file,
                before: file.exceptions.clone(),
                runs,
            });
        }
    }

    /// Those of the disks that were neither lost for good nor are to be emptied, and that have the chunks
    /// of a run or room for them. One that is silent or takes no writes for a while is waited for.
    fn staying(&self, disks: &[DiskId], run: &Run<'_>, places: &Places<'_>) -> Vec<DiskId> {
        let request = self.request;
        let is_full = |disk: DiskId| {
            let room = request.accepting.get(&disk);
            room.is_some_and(|&room| room < run.bytes() && room < self.lacks(disk, run, places))
        };
        let stays = |disk: &DiskId| request.eligible.contains(disk) && !is_full(*disk);
        disks.iter().copied().filter(stays).collect()
    }

    /// Whether a disk has the chunks of a run, or room for what it lacks of them.
    fn fits(&self, disk: DiskId, run: &Run<'_>, places: &Places<'_>) -> bool {
        match self.room.get(&disk) {
            Some(&room) if room >= run.bytes() => true,
            Some(&room) => room >= self.lacks(disk, run, places),
            None => self.lacks(disk, run, places) == 0,
        }
    }

    /// These disks and as many others with room as are lacking: holders first, then those in other failure
    /// domains, then by the file's own order, in which its uploads choose disks too. One that was
    /// retired is named no more: nobody will ever read it. None if that changes nothing.
    fn with_others(
        &mut self,
        run: &Run<'_>,
        places: &Places<'_>,
        named: &[DiskId],
        mut staying: Vec<DiskId>,
    ) -> Option<Vec<DiskId>> {
        let is_present = |disk: &DiskId| self.present.contains(disk);
        let mut disks: Vec<DiskId> = named.iter().copied().filter(is_present).collect();
        while staying.len() < run.wanted {
            let zone_is_taken = |disk: &DiskId| {
                let zone = self.zones.get(disk);
                let mut others = staying.iter().map(|other| self.zones.get(other));
                zone.is_some() && others.any(|other| other == zone)
            };
            let order = |disk: &DiskId| {
                let affinity = affinity(run.file.file, *disk);
                (
                    !places.targets.contains(disk),
                    zone_is_taken(disk),
                    affinity,
                    *disk,
                )
            };
            let others = self.request.eligible.iter().copied();
            let others =
                others.filter(|disk| !disks.contains(disk) && self.fits(*disk, run, places));
            let Some(new) = others.min_by_key(order) else {
                break;
            };
            let lacks = self.lacks(new, run, places);
            if let Some(room) = self.room.get_mut(&new) {
                *room = room.saturating_sub(lacks);
            }
            staying.push(new);
            disks.push(new);
        }
        (disks != named && !disks.is_empty()).then_some(disks)
    }
}

impl Run<'_> {
    /// Bytes in its chunks.
    fn bytes(&self) -> u64 {
        let lengths = self.chunks.clone();
        let lengths = lengths.filter_map(|index| self.file.layout.chunk_len(index));
        lengths.sum()
    }
}
