//! Finds copies that are missing, wrong or not needed, and has workers make or drop them.

use super::progress::cause;
use super::search::Basis;
use super::{Effect, Metadata, Now};
use crate::leader::catalog::Catalog;
use crate::leader::survey::{ExcessCopy, OtherPlaces, Survey};
use mdfs_core::chunk::ChunkId;
use mdfs_core::detect::Liveness;
use mdfs_core::id::{DiskId, Term};
use mdfs_core::records::plan::{plan_home, plan_home_in_trash, plan_places, plan_places_in_trash};
use mdfs_core::records::{ChunkRecord, Key, get};
use mdfs_protocol::holdings::{Digests, Known};
use mdfs_protocol::internal::{DiskState, Heartbeat};
use mdfs_protocol::order::Order;
use std::collections::BTreeSet;
use std::time::Duration;

/// Exceptions ended, or files given other places, by one entry.
const MOST_HOME: usize = 64;

impl Metadata {
    /// Takes what a heartbeat says of the disk's chunks and of orders; what to answer.
    pub(super) fn hear_holdings(
        &mut self,
        now: Now,
        beat: &Heartbeat,
    ) -> (Option<Known>, Vec<Order>) {
        let disk = beat.identity.disk;
        let Some(term) = self.established else {
            return (None, Vec::new());
        };
        if !self.catalog.members.contains_key(&disk) {
            return (None, Vec::new());
        }
        let uploads = &self.planned.uploads;
        // What is recorded of a session is wanted by its record already, as of the commit.
        let recorded = self.log.committed();
        let is_early = |disk: DiskId, chunk: ChunkId| {
            let known = recorded.map(|table| get::<ChunkRecord>(table, &Key::Chunk(chunk)));
            let is_recorded = match known {
                Some(Ok(Some(record))) => record.disks.contains(&disk),
                Some(Ok(None) | Err(_)) | None => false,
            };
            uploads.contains_key(&chunk.file) && !is_recorded
        };
        if !self.truth.is_same_mount(disk, beat.holdings.mount) {
            if self.truth.has_heard(disk) {
                self.upkeep.returned.insert(disk);
                if self.announced(now, disk).is_none() {
                    self.fleet.note_restart(disk, now.mono);
                }
            }
            self.mover.gone(disk);
        }
        let asks = self.truth.hear(now.mono, disk, &beat.holdings, is_early);
        if asks {
            let url = beat.url.clone();
            self.effects.push(Effect::Digests { disk, url, term });
        }
        if beat.state == DiskState::ReadOnly {
            self.mover.drops_nothing(disk);
        }
        let copied = self.mover.done(now.mono, disk, term, &beat.done);
        self.note_copies(now, copied);
        let holds_still = self.holds_still(now);
        let (catalog, planned, truth) = (&self.catalog, &self.planned, &self.truth);
        let policy = self.search.basis.replicas;
        let is_excess = |copy: &ExcessCopy| {
            let ExcessCopy {
                chunk,
                wanted,
                stays_elsewhere,
            } = *copy;
            // Where it stays elsewhere, the copies there are enough whatever becomes of the file, or this
            // one is damaged and others are enough; and no exception ends by a survey that knew of an
            // order to drop.
            let is_for = |catalog: &Catalog| {
                let is_place = !stays_elsewhere && catalog.keeps(disk, chunk.partition(), wanted);
                policy != Some(catalog.replicas()) || is_place
            };
            holds_still && !truth.may_be_lost(chunk) && !is_for(catalog) && !is_for(planned)
        };
        let plan = &self.moving;
        let why = |partition| cause(catalog, plan, partition);
        let orders = self.mover.orders(now.mono, disk, term, is_excess, why);
        (self.truth.known(disk), orders)
    }

    /// Whether all disks that the last survey counted on can be read still. Unknown while another one
    /// runs: what the last was made for is not at hand any more.
    fn holds_still(&self, now: Now) -> bool {
        let Basis {
            may_drop,
            reachable,
            ..
        } = &self.search.basis;
        let live = self.reachable(now);
        *may_drop
            && self.may_destroy(now)
            && !self.report.is_running()
            && reachable.is_subset(&live)
    }

    /// Takes the digests that a disk was asked for in a term.
    pub(super) fn take_digests(&mut self, disk: DiskId, term: Term, said: Option<Digests>) {
        if let Some(said) = said
            && self.established == Some(term)
            && !self.truth.take(disk, said)
        {
            tracing::warn!(%disk, "a disk's digests make no sense");
        }
    }

    /// Whether it is known well enough who has what to drop anything: all members can be read, or
    /// the others are few and have been gone for long.
    pub(super) fn may_drop(&self, now: Now, reachable: &BTreeSet<DiskId>) -> bool {
        if !self.may_destroy(now) {
            return false;
        }
        let members = self.catalog.present().count();
        let missing: Vec<DiskId> = self
            .catalog
            .present()
            .map(|(disk, _)| disk)
            .filter(|disk| !reachable.contains(disk))
            .collect();
        let gone = |disk: &DiskId| self.silence(now, *disk) >= self.settings.drop_after;
        missing.is_empty() || (missing.len() * 10 < members * 3 && missing.iter().all(gone))
    }

    /// How long nothing was heard of a disk, at least.
    pub(super) fn silence(&self, now: Now, disk: DiskId) -> Duration {
        let since = match self.fleet.last_beat(disk) {
            Some(last) => last,
            None => self.established_at,
        };
        match self.fleet.liveness(disk, now.mono) {
            Liveness::Live => Duration::ZERO,
            Liveness::Suspect | Liveness::Dead => now.mono.since(since),
        }
    }

    /// Takes what a survey found, and gives the orders that follow.
    pub(super) fn surveyed(&mut self, now: Now, found: Option<Survey>) {
        self.search.took = now.mono.since(self.search.began);
        let taken = self.report.take(found);
        if self.established.is_none() || !taken {
            return;
        }
        let Some(found) = self.report.counted() else {
            return;
        };
        self.truth.lists_surveyed();
        let may_drop = self.search.basis.may_drop && self.may_destroy(now);
        let moving = self.search.basis.moves.keys().copied();
        self.progress.surveyed(&found.to_copy, moving);
        self.mover.plan(now.mono, found, may_drop);
        if found.copies_to_make > 0 || !found.garbage.is_empty() || !found.excess.is_empty() {
            tracing::debug!(
                copies = found.copies_to_make,
                bytes = found.bytes_to_copy,
                excess = found.excess_copies,
                may_drop,
                "copies are not as they should be"
            );
        }
        let (home, other_places) = (found.home.clone(), found.other_places.clone());
        self.end_exceptions(now, home);
        self.give_other_places(now, other_places);
        self.decide_retirement(now);
    }

    fn end_exceptions(&mut self, now: Now, home: Vec<crate::leader::survey::Home>) {
        let basis = &self.search.basis;
        let is_same = |catalog: &Catalog| {
            catalog.assignment == basis.assignment && catalog.moves == basis.moves
        };
        // Otherwise they may be home no longer: the next survey tells.
        if !is_same(&self.catalog) || !is_same(&self.planned) {
            return;
        }
        let mut puts = Vec::new();
        let mut names = BTreeSet::new();
        for home in home {
            // One change of a record in an entry; the next survey finds the others.
            if puts.len() >= MOST_HOME || !names.insert(home.name.clone()) {
                continue;
            }
            let Ok(view) = self.view() else { return };
            let planned = match home.deleted {
                None => plan_home(&view, &home.name, home.file, &home.exception),
                Some(at) => plan_home_in_trash(&view, at, home.file, &home.exception),
            };
            match planned {
                Ok(planned) => puts.extend(planned.puts),
                Err(refusal) => tracing::warn!(name = %home.name, %refusal, "an exception stays"),
            }
        }
        if !puts.is_empty() {
            self.append_upkeep(now, puts);
        }
    }

    /// Names other disks for files of which more copies are wanted than partitions have holders.
    ///
    /// First the new disks beside the old: nothing was lost if that is as far as it comes. Once the new ones
    /// have everything another survey leaves out the old, whose copies are dropped only by one that sees
    /// enough others.
    fn give_other_places(&mut self, now: Now, files: Vec<OtherPlaces>) {
        // What lies there already by chance is needed, now or after the next survey.
        for OtherPlaces { file, runs, .. } in &files {
            for run in runs {
                self.mover.keeps(*file, &run.disks);
            }
        }
        // Otherwise a disk may have come back, or gone: the next survey tells.
        if self.moving.eligible != self.search.basis.eligible {
            return;
        }
        // A survey meets each record once, so no two changes are of the same.
        for files in files.chunks(MOST_HOME) {
            let mut puts = Vec::new();
            for it in files {
                let OtherPlaces {
                    name,
                    deleted,
                    file,
                    before,
                    runs,
                } = it;
                let Ok(view) = self.view() else { return };
                let planned = match *deleted {
                    None => plan_places(&view, name, *file, before, runs),
                    Some(at) => plan_places_in_trash(&view, at, *file, before, runs),
                };
                match planned {
                    Ok(planned) => puts.extend(planned.puts),
                    Err(refusal) => tracing::warn!(%name, %refusal, "a file gets no other places"),
                }
            }
            if !puts.is_empty() {
                self.append_upkeep(now, puts);
                self.search.named = self.log.last().map_or(0, |last| last.index);
            }
        }
    }

    /// Writes what the leader decided by itself; refused, it is tried again with the next look.
    pub(super) fn append_upkeep(&mut self, now: Now, puts: Vec<mdfs_core::log::message::Put>) {
        if !self.log.can_write(now.mono) {
            return;
        }
        let deadline = now.mono.plus(self.settings.hold);
        let appended = self.append(now, deadline, None, puts, Vec::new(), Box::new(|_| ()));
        if let Err((refused, _)) = appended {
            tracing::debug!(%refused, "a change of the leader's own has to wait");
        }
    }

    /// Nothing that was known of disks holds in another term.
    pub(super) fn forget_holdings(&mut self) {
        self.truth = Default::default();
        self.mover = Default::default();
        self.progress = Default::default();
        self.search = self.search.anew();
        self.moving.eligible.clear();
    }
}
