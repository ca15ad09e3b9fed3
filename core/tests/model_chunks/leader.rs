//! A leader: what it knows to be committed, what it has appended, and what it has asked of disks.

use super::records::{
    Entry, Needed, Records, View, What, at, begin, chunk, commit, disk, file_id, name, number_of,
    request, time, with,
};
use super::runs::Mutant;
use mdfs_core::garbage::Unneeded;
use mdfs_core::id::FileId;
use mdfs_core::records::plan::{
    Begun, Planned, Refusal, plan_abort, plan_begin, plan_commit, plan_delete, plan_expire,
};
use mdfs_core::records::{Precondition, UploadEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was known when a list was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    pub open: BTreeSet<FileId>,
    pub records: Arc<Records>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    pub term: u8,
    /// What it knows to be committed.
    pub records: Arc<Records>,
    pub tail: Vec<Entry>,
    /// Whether an entry of its own term is committed.
    pub established: bool,
    /// By disk.
    pub asked: BTreeMap<u8, Asked>,
    /// What is garbage, by disk, and not ordered to be dropped yet.
    pub unneeded: BTreeSet<(u8, u8)>,
}

impl Leader {
    pub fn view(&self) -> View<'_> {
        View {
            records: &self.records,
            tail: &self.tail,
        }
    }

    /// Plans an entry. None if it is refused, or there is nothing to write.
    pub fn plan(&self, what: What, repeated: bool, mutant: Option<Mutant>) -> Option<Entry> {
        fn puts<T>(planned: Result<Planned<T>, Refusal>) -> Option<Planned<T>> {
            planned.ok().filter(|planned| !planned.puts.is_empty())
        }
        let (view, at) = (self.view(), at(1));
        let puts = match what {
            What::Begin(file) => {
                let planned = puts(plan_begin(&view, begin(file), at))?;
                matches!(planned.answer, Begun::Open { replaced: None }).then_some(planned.puts)?
            }
            What::Finish(file) => puts(plan_commit(&view, commit(file), at))?.puts,
            What::Abort(file) => {
                let end = UploadEnd::Aborted;
                puts(plan_abort(&view, file_id(file), Vec::new(), end, at))?.puts
            }
            What::Delete => {
                let unmarked = repeated && mutant == Some(Mutant::RepeatUnmarked);
                let request = request().filter(|_| !unmarked);
                let any = Precondition::default();
                puts(plan_delete(&view, request, &name(), &any, at))?.puts
            }
            What::Empty => {
                let needed = Needed::by(&with(&self.records, &self.tail));
                let trash = needed.trash.iter().map(Vec::as_slice);
                let later = time().plus(std::time::Duration::from_secs(1));
                puts(plan_expire(trash, later, 9))?.puts
            }
        };
        Some(Entry {
            what,
            puts,
            term: self.term,
        })
    }

    /// Notes what is known as a disk is asked for its list.
    pub fn ask(&mut self, disk: u8) {
        let asked = Asked {
            open: Needed::by(&with(&self.records, &self.tail)).uploads,
            records: Arc::clone(&self.records),
        };
        self.asked.insert(disk, asked);
    }

    /// Finds what is garbage in the list of a disk, if one was asked for.
    pub fn judge(&mut self, listed_by: u8, files: &BTreeSet<u8>, mutant: Option<Mutant>) {
        let Some(asked) = self.asked.remove(&listed_by) else {
            return;
        };
        let mut lists = Unneeded::new(asked.open);
        for file in files {
            lists.list(disk(listed_by), chunk(*file));
        }
        let needed = match mutant {
            Some(Mutant::TableOlderThanList) => Needed::by(&asked.records),
            Some(_) | None => Needed::by(&self.records),
        };
        needed.files.iter().for_each(|file| lists.keep_file(file));
        needed
            .uploads
            .into_iter()
            .for_each(|file| lists.keep_upload(file));
        let garbage = lists.garbage();
        let garbage = garbage.map(|(chunk, _)| (listed_by, number_of(chunk.file)));
        self.unneeded.extend(garbage);
    }
}
