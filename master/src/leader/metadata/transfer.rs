//! All records at once: given out, and taken in.

use super::super::command::{Export, Import, ImportStep};
use super::super::handle::{Answer, Question};
use super::certain::Held;
use super::uploads::recorded;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::records::plan::{ImportResult, Planned, Refusal, plan_import};
use mdfs_core::records::{ClusterRecord, Key, get};
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::DiskState;
use std::time::Duration;

/// How long an import may bring nothing before another one may begin: whoever sent it has gone, or
/// sends too slowly.
const IDLE: Duration = Duration::from_secs(60);

/// The one import that is under way. What it brings may be what looked like garbage before: a file that
/// was removed for good, and whose chunks are on the disks still. So while it lasts nothing is dropped,
/// and whoever imports knows which file ids there are.
#[derive(Debug)]
pub(super) struct Importing {
    import: u128,
    /// When it brought something last.
    last: Timestamp,
    /// Its last entry.
    index: u64,
    ended: bool,
}

impl Importing {
    fn lasts(&self, now: Now) -> bool {
        !self.ended && now.mono.since(self.last) < IDLE
    }
}

impl Metadata {
    /// A copy of the table, which shares its pages: the loop goes on while somebody reads it.
    pub(super) fn export(&mut self, now: Now, deadline: Timestamp, answer: Answer<Export>) {
        let read = move |metadata: Result<&Metadata, Error>, now: Now| {
            let export = metadata.and_then(|metadata| {
                let log = &metadata.log;
                let table = log.committed().ok_or(Error::NoLeader)?;
                let cluster: Option<ClusterRecord> =
                    get(table, &Key::Cluster).map_err(Refusal::from)?;
                Ok(Export {
                    table: table.clone(),
                    cluster: cluster.ok_or(Error::NotBootstrapped)?,
                    index: log.commit().ok_or(Error::NoLeader)?,
                    log_time: log.log_time(now.mono).ok_or(Error::NoLeader)?,
                    term: log.term().ok_or(Error::NoLeader)?,
                })
            });
            respond(answer, export);
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn import(
        &mut self,
        now: Now,
        deadline: Timestamp,
        import: Import,
        answer: Answer<ImportResult>,
    ) {
        match import.step {
            ImportStep::Begin => return self.begin_import(now, deadline, import, answer),
            ImportStep::End => return self.end_import(now, deadline, &import, answer),
            ImportStep::Files => {}
        }
        let Import {
            files,
            overwrite,
            import,
            step: _,
        } = import;
        let importing = self.importing.as_ref();
        if importing.is_none_or(|it| it.import != import || !it.lasts(now)) {
            let why = "the leader has changed, or nothing came for long: import the same again";
            return respond(answer, Err(Error::Conflict(why.to_owned())));
        }
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let view = self.view()?;
            let recorded = |file| recorded(&view, file);
            Ok(plan_import(&view, files, overwrite, recorded, at)?)
        });
        self.carry_out(now, deadline, None, planned, answer, Vec::new(), |result| {
            result
        });
        let index = self.log.last().map_or(0, |last| last.index);
        if let Some(importing) = &mut self.importing {
            importing.last = now.mono;
            importing.index = index;
        }
    }

    /// From the answer on nothing is dropped, and all that was imported before is committed.
    fn begin_import(
        &mut self,
        now: Now,
        deadline: Timestamp,
        import: Import,
        answer: Answer<ImportResult>,
    ) {
        let other = |it: &&Importing| it.import != import.import;
        if self.importing.as_ref().filter(other).is_some() && self.imports(now) {
            return respond(answer, Err(Error::Busy));
        }
        if self
            .importing
            .as_ref()
            .is_none_or(|it| other(&it) || !it.lasts(now))
        {
            // What surveys found until now was found without what comes.
            self.mover.drops_nothing_more();
            self.report.forget();
        }
        self.importing = Some(Importing {
            import: import.import,
            last: now.mono,
            index: self.log.last().map_or(0, |last| last.index),
            ended: false,
        });
        if self.may_be_dropping(now) {
            // What is on its way to disks cannot be taken back: it waits until they have answered.
            let question = Question::Import(import, answer);
            return self.hold(now, deadline, Held::Question(question));
        }
        self.nothing_imported(now, deadline, answer);
    }

    /// Answered once all of it is committed.
    fn end_import(
        &mut self,
        now: Now,
        deadline: Timestamp,
        import: &Import,
        answer: Answer<ImportResult>,
    ) {
        if let Some(importing) = &mut self.importing
            && importing.import == import.import
        {
            importing.ended = true;
        }
        self.nothing_imported(now, deadline, answer);
    }

    fn nothing_imported(&mut self, now: Now, deadline: Timestamp, answer: Answer<ImportResult>) {
        let nothing = Ok(Planned {
            puts: Vec::new(),
            answer: ImportResult::default(),
        });
        self.carry_out(now, deadline, None, nothing, answer, Vec::new(), |it| it);
    }

    /// Whether a disk that answers may drop something still, by an order of this term or of one before.
    fn may_be_dropping(&self, now: Now) -> bool {
        self.reachable(now).into_iter().any(|disk| {
            // Digests are answered to the leader of a term: no order of before is carried out after.
            // One that accepts no writes answers none, and drops nothing.
            let beat = self.fleet.get(disk).map(|observed| observed.beat.state);
            self.mover.dropping(disk).next().is_some()
                || (self.truth.known(disk).is_none() && beat != Some(DiskState::ReadOnly))
        })
    }

    /// Whether an import is under way, or not all of it is committed.
    fn imports(&self, now: Now) -> bool {
        self.importing
            .as_ref()
            .is_some_and(|it| it.lasts(now) || self.log.commit() < Some(it.index))
    }

    /// Whether chunks may be dropped at all, and records of files end by themselves. The one place that
    /// says so: not while a recovery is under way, as what no record has may be all that is left of a
    /// file; and not during an import, which may bring the record.
    pub(super) fn may_destroy(&self, now: Now) -> bool {
        !self.recovers() && !self.imports(now)
    }
}
