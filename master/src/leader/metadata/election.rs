//! What the log wants done, and what follows from it.

use super::super::catalog::{Catalog, Step, steps_of};
use super::super::trashed::TrashPlaces;
use super::certain::Held;
use super::{Effect, Metadata, Now, news, uploads};
use crate::error::Error;
use mdfs_core::id::{DiskId, Term};
use mdfs_core::log::leader::{self as log, Copied};
use mdfs_core::log::message::Request;
use mdfs_core::records::MemberState;

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
                    self.check_inherited();
                    if self.gives_up(now) {
                        return;
                    }
                    self.inherit();
                    self.elected(now);
                }
                log::Effect::Copied(copied) => {
                    self.check_copied(&copied);
                    if self.gives_up(now) {
                        return;
                    }
                    if !self.is_outdated() {
                        self.copied(*copied);
                    }
                }
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
        self.planned = self.catalog.clone();
        for step in self.steps.values().flatten() {
            self.planned.apply(step);
            self.trash.apply(step);
        }
        self.keep_admitted();
        self.established = term;
        self.effects.extend(term.map(Effect::Leads));
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

    /// Brings what is derived along with the committed records in memory, a page of them at a time: when
    /// this master takes the lead, only what is new then is left.
    fn copied(&mut self, copied: Copied) {
        let Copied {
            anew,
            changes,
            records,
        } = copied;
        if anew {
            self.catalog = Catalog::default();
            self.trash = TrashPlaces::default();
            self.unreadable = None;
        }
        let changes = changes.iter().map(|it| (&it.key, &it.old, &it.new));
        let mut changes =
            changes.map(|(key, old, new)| steps_of(key, old.as_deref(), new.as_deref()));
        let mut added = records
            .iter()
            .map(|(key, value)| steps_of(key, None, Some(value)));
        while self.unreadable.is_none()
            && let Some(steps) = changes.next().or_else(|| added.next())
        {
            match steps {
                Ok(steps) => steps.iter().for_each(|step| self.follow_step(step)),
                // A master that follows may be older than the one that leads.
                Err(corrupt) => self.unreadable = Some(corrupt),
            }
        }
    }

    /// Takes a step that is committed, before this master plans any itself.
    fn follow_step(&mut self, step: &Step) {
        self.catalog.apply(step);
        self.trash.apply(step);
    }

    /// Takes in what was inherited and is not known to be committed.
    fn inherit(&mut self) {
        self.steps.clear();
        self.note_tail();
        self.keep_admitted();
    }

    /// Notes what entries change that are not known to be committed and were not planned here, as far as
    /// that was not noted.
    pub(super) fn note_tail(&mut self) {
        let mut unreadable = self.unreadable.take();
        for (index, changes) in self.log.tail() {
            if self.steps.contains_key(&index) {
                continue;
            }
            let steps = changes.iter().map(|it| (&it.key, &it.old, &it.new));
            let steps = steps.map(|(key, old, new)| steps_of(key, old.as_deref(), new.as_deref()));
            match steps.collect::<Result<Vec<_>, _>>() {
                Ok(steps) => drop(self.steps.insert(index, steps.concat())),
                Err(corrupt) => unreadable = Some(corrupt),
            }
        }
        if let Some(corrupt) = unreadable {
            // Decisions on half of the records would be wrong ones: the process stops.
            self.effects.push(Effect::Unreadable(corrupt.to_string()));
        }
    }

    /// What beat here before the records were known may be an old copy of a disk, or foreign.
    fn keep_admitted(&mut self) {
        let catalog = &self.catalog;
        self.fleet.keep(|disk, beat| catalog.admits(disk, beat));
    }

    pub(super) fn committed(&mut self, up_to: u64) {
        let later = self.steps.split_off(&up_to.saturating_add(1));
        let committed = std::mem::replace(&mut self.steps, later).into_values();
        for steps in committed {
            self.tell_of_files(&steps);
            self.take_committed(steps);
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

    /// Tells whoever watches what an entry did to files.
    fn tell_of_files(&mut self, steps: &[Step]) {
        // Entries of earlier leaders are told by nobody: watchers read everything anew then.
        if self.established.is_some() {
            let events = news::of_files(steps).into_iter();
            self.effects
                .extend(events.map(|event| Effect::Tell(Box::new(event))));
        }
    }

    fn take_committed(&mut self, steps: Vec<Step>) {
        for step in steps {
            match self.established {
                // The trash was changed when it was appended.
                Some(_) => self.catalog.apply(&step),
                None => self.follow_step(&step),
            }
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
    }

    /// What was appended and not committed may be kept or lost: those who wait are told so.
    pub(super) fn step_down(&mut self, term: Term) {
        tracing::warn!(%term, "stepped down");
        self.effects.push(Effect::Follows);
        let steps = std::mem::take(&mut self.steps);
        if self.established.take().is_some() {
            // What is not known to be committed is taken back.
            let steps = steps.values().rev().flat_map(|steps| steps.iter().rev());
            steps.for_each(|step| self.trash.undo(step));
        }
        self.importing = None;
        self.end_feeds();
        self.forget_holdings();
        self.report.forget();
        for waiting in std::mem::take(&mut self.waiting).into_values().flatten() {
            if let Some(answer) = waiting.answer {
                answer(Err(Error::NoLeader));
            }
        }
    }
}
