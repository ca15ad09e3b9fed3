//! Where what is in the trash stands, by name.

use super::catalog::Step;
use mdfs_core::id::FileId;
use mdfs_core::name::FileName;
use mdfs_core::records::TrashRecord;
use mdfs_core::records::plan::Trashed;
use mdfs_core::time::LogTime;
use std::collections::BTreeSet;

/// The places of files in the trash, where records stand by age.
///
/// As the whole log leaves them, uncommitted entries included, while this master is established: only
/// whoever plans a change asks. As of the commit otherwise. It is the one thing beside the table that grows with the number of files, so there is one of it.
#[derive(Debug, Default)]
pub(super) struct TrashPlaces {
    /// With the versions of the files: of two of one name the one that came there later has the higher
    /// one, if they came within one millisecond.
    places: BTreeSet<(FileName, LogTime, u64, FileId)>,
}

impl TrashPlaces {
    /// Takes one step.
    pub(super) fn apply(&mut self, step: &Step) {
        self.follow(step, false);
    }

    /// Takes a step back that was taken last.
    pub(super) fn undo(&mut self, step: &Step) {
        self.follow(step, true);
    }

    fn follow(&mut self, step: &Step, back: bool) {
        let (place, there) = match step {
            Step::TrashAdded(deleted, trashed) => (place(*deleted, trashed), !back),
            Step::TrashRemoved(deleted, trashed) => (place(*deleted, trashed), back),
            Step::Cluster(_)
            | Step::Member(..)
            | Step::Holders(..)
            | Step::Move(..)
            | Step::FileAdded(..)
            | Step::FileRemoved(..)
            | Step::UploadAdded(..)
            | Step::UploadRemoved(_)
            | Step::ChunkAdded(..)
            | Step::ChunkRemoved(..)
            | Step::EndedAdded(..)
            | Step::EndedRemoved(..) => return,
        };
        if there {
            self.places.insert(place);
        } else {
            self.places.remove(&place);
        }
    }

    /// Where the newest file of this name stands.
    pub(super) fn newest(&self, name: &FileName) -> Option<Trashed> {
        let first = (name.clone(), LogTime::default(), 0, FileId::from_u128(0));
        let end = (
            name.clone(),
            LogTime::from_millis(u64::MAX),
            u64::MAX,
            FileId::from_u128(u128::MAX),
        );
        let newest = self.places.range(first..=end).next_back();
        newest.map(|&(_, deleted, _, file)| Trashed { deleted, file })
    }
}

fn place(deleted: LogTime, trashed: &TrashRecord) -> (FileName, LogTime, u64, FileId) {
    let TrashRecord { name, file } = trashed;
    (name.clone(), deleted, file.version, file.file)
}
