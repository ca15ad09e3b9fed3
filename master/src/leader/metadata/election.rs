//! What the log wants done, and what follows from it.

use super::super::catalog::{Catalog, Step};
use super::super::trashed::TrashPlaces;
use super::certain::Held;
use super::{Effect, Metadata, Now, uploads};
use crate::error::Error;
use mdfs_core::id::{DiskId, Term};
use mdfs_core::log::leader as log;
use mdfs_core::log::message::Request;
use mdfs_core::records::{Corrupt, MemberState};

impl Metadata {
    pub(super) fn log_step(&mut self, now: Now, event: log::Event) {
        let effects = self.log.step(now.mono, event);
        self.absorb(now, effects);
    }

    /// Takes what the log wants done.
    pub(super) fn absorb(&mut self, now: Now, effects: Vec<log::Effect>) {
        for effect in effects {
            match effect {
                log::Effect::Send { to, request } => self.send(now, to, request),
                log::Effect::Elected { term } => {
                    tracing::info!(%term, "elected");
                    self.reload();
                    self.elected(now);
                }
                log::Effect::Copied(_) => {}
                log::Effect::SteppedDown { term } => self.step_down(term),
                log::Effect::Committed { up_to } => {
                    self.committed(up_to);
                    // What is read next is read from catalogs that know of it too.
                    self.establish(now);
                }
                log::Effect::ReadReady { ticket } => {
                    if let Some((_, read)) = self.reads.remove(&ticket) {
                        read(Ok(self), now);
                    }
                }
                log::Effect::ReadRefused { ticket } => {
                    if let Some((deadline, read)) = self.reads.remove(&ticket) {
                        self.hold(now, deadline, Held::Read(read));
                    }
                }
                log::Effect::Bootstrapped { ticket } => self.founded(ticket),
                log::Effect::BootstrapRefused { ticket, refusal } => {
                    self.founding_refused(ticket, Error::BootstrapRefused(refusal.to_string()));
                }
                log::Effect::Broken(violation) => self.effects.push(Effect::Broken(violation)),
            }
        }
        self.establish(now);
    }

    /// Hands a message of the log to the driver; a disk whose address is not known is unreachable.
    pub(super) fn send(&mut self, now: Now, disk: DiskId, request: Request) {
        match self.fleet.url(disk) {
            Some(url) => {
                let url = url.to_owned();
                self.effects.push(Effect::Send { disk, url, request });
            }
            None => self.log_step(now, log::Event::Unreachable { disk }),
        }
    }

    /// Once an entry of the own term is committed, changes can be planned and orders given.
    pub(super) fn establish(&mut self, now: Now) {
        let term = self.log.term().filter(|_| self.log.is_established());
        if term.is_none() || term == self.established {
            return;
        }
        if let Err(corrupt) = self.catch_up() {
            return self.cannot_read(&corrupt);
        }
        self.keep_admitted();
        self.established = term;
        self.established_at = now.mono;
        self.forget_holdings();
        self.uploads = self
            .planned
            .uploads
            .keys()
            .map(|&file| (file, uploads::Activity::inherited(now.mono)))
            .collect();
        tracing::info!(term = ?self.established, files = self.catalog.files, "established");
    }

    /// Derives the catalog anew from the committed records: reads all of them, once in a term.
    pub(super) fn reload(&mut self) {
        self.steps.clear();
        let (Some(table), Some(commit)) = (self.log.committed(), self.log.commit()) else {
            return;
        };
        match Catalog::of(table.range(&[], None)) {
            Ok(catalog) => {
                self.derived = Some((table.clone(), commit));
                self.catalog = catalog;
            }
            Err(corrupt) => self.cannot_read(&corrupt),
        }
        self.keep_admitted();
    }

    /// Brings the catalogs to the commit, and to the end of the log.
    fn catch_up(&mut self) -> Result<(), Corrupt> {
        let (Some(table), Some(commit), Some(view)) =
            (self.log.committed(), self.log.commit(), self.log.view())
        else {
            return Ok(());
        };
        let derived = self.derived.take();
        let behind = derived.and_then(|(table, at)| Some((table, self.log.entries(at)?)));
        match behind {
            Some((mut before, entries)) => {
                let committed = entries.take_while(|entry| entry.index <= commit);
                self.catalog.follow(&mut before, committed)?;
            }
            // The log does not reach back to it any more.
            None => self.catalog = Catalog::of(table.range(&[], None))?,
        }
        self.planned = self.catalog.clone();
        let uncommitted = self.log.entries(commit).into_iter().flatten();
        self.planned.follow(&mut table.clone(), uncommitted)?;
        self.trash = TrashPlaces::of(&view)?;
        self.steps.clear();
        Ok(())
    }

    /// What beat here before the records were known may be an old copy of a disk, or foreign.
    fn keep_admitted(&mut self) {
        let catalog = &self.catalog;
        self.fleet.keep(|disk, beat| catalog.admits(disk, beat));
    }

    /// Decisions on half of the records would be wrong ones: the process stops.
    fn cannot_read(&mut self, corrupt: &Corrupt) {
        self.effects.push(Effect::Unreadable(corrupt.to_string()));
    }

    pub(super) fn committed(&mut self, up_to: u64) {
        let later = self.steps.split_off(&up_to.saturating_add(1));
        for step in std::mem::replace(&mut self.steps, later)
            .into_values()
            .flatten()
        {
            self.catalog.apply(&step);
            match step {
                Step::UploadRemoved(file) => self.truth.upload_ended(file),
                Step::ChunkAdded(chunk, record) => self.truth.chunk_recorded(chunk, &record),
                Step::Member(disk, Some(record)) if record.state == MemberState::Retired => {
                    self.fleet.forget(disk);
                    self.truth.forget(disk);
                    self.mover.gone(disk);
                    self.truth.wants_changed();
                }
                _ => self.truth.wants_changed(),
            }
        }
        let later = self.waiting.split_off(&up_to.saturating_add(1));
        for waiting in std::mem::replace(&mut self.waiting, later)
            .into_values()
            .flatten()
        {
            if let Some(answer) = waiting.answer {
                answer(Ok(()));
            }
            self.effects.extend(waiting.then);
        }
    }

    /// What was appended and not committed may be kept or lost: those who wait are told so.
    pub(super) fn step_down(&mut self, term: Term) {
        tracing::warn!(%term, "stepped down");
        self.established = None;
        self.importing = None;
        self.derived = None;
        self.end_feeds();
        self.forget_holdings();
        self.steps.clear();
        self.report.forget();
        for waiting in std::mem::take(&mut self.waiting).into_values().flatten() {
            if let Some(answer) = waiting.answer {
                answer(Err(Error::NoLeader));
            }
        }
    }
}
