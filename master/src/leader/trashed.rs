//! Where what is in the trash stands, by name.

use super::catalog::{Step, prefix};
use mdfs_core::log::table::View;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::Trashed;
use mdfs_core::records::{Corrupt, Key, Kind, TrashRecord, decode};
use std::collections::BTreeMap;

/// The places of files in the trash, where records stand by age.
///
/// As the whole log leaves them, uncommitted entries included: only whoever plans a change asks. It is
/// the one thing beside the table that grows with the number of files, so there is one of it.
#[derive(Debug, Default)]
pub(super) struct TrashPlaces {
    /// By name and version. Of two files of one name the one that came there later has the higher
    /// version.
    places: BTreeMap<(FileName, u64), Trashed>,
}

impl TrashPlaces {
    /// The places of these records.
    pub(super) fn of(view: &View<'_>) -> Result<Self, Corrupt> {
        let mut places = Self::default();
        for (key, value) in view.range(&prefix(Kind::Trash), None) {
            if let Key::Trash(deleted, file) = Key::from_bytes(key)? {
                let TrashRecord { name, file: record } = decode(value)?;
                let place = Trashed { deleted, file };
                places.places.insert((name, record.version), place);
            }
        }
        Ok(places)
    }

    /// Takes one step.
    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::TrashAdded(deleted, trashed) => {
                let TrashRecord { name, file } = &**trashed;
                let place = Trashed {
                    deleted: *deleted,
                    file: file.file,
                };
                self.places.insert((name.clone(), file.version), place);
            }
            Step::TrashRemoved(trashed) => {
                let TrashRecord { name, file } = &**trashed;
                self.places.remove(&(name.clone(), file.version));
            }
            Step::Cluster(_)
            | Step::Member(..)
            | Step::Holders(..)
            | Step::Move(..)
            | Step::FileAdded(_)
            | Step::FileRemoved(_)
            | Step::UploadAdded(..)
            | Step::UploadRemoved(_)
            | Step::ChunkAdded(..)
            | Step::ChunkRemoved(..)
            | Step::EndedAdded(..)
            | Step::EndedRemoved(..) => {}
        }
    }

    /// Where the newest file of this name stands.
    pub(super) fn newest(&self, name: &FileName) -> Option<Trashed> {
        let of_name = (name.clone(), 0)..=(name.clone(), u64::MAX);
        let newest = self.places.range(of_name).next_back();
        newest.map(|(_, &place)| place)
    }
}
