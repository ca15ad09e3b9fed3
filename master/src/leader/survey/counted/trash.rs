//! What lies elsewhere than its holders say and stays there: because it is in the trash, or because there
//! are too few holders.

use super::{ExcessCopy, Pass, Places, note_drop};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::records::{Copies, FileRecord};

/// What is met of a file's chunks that lie elsewhere.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The chunks that all holders have.
    pub(super) home: Vec<u32>,
    /// Runs of chunks with other places than the record names.
    pub(super) other_places: Vec<Copies>,
    /// Copies at disks that the exception does not name: good ones while those that it names are
    /// enough, and damaged ones.
    spare: Vec<(ChunkId, DiskId)>,
}

impl Elsewhere {
    /// Notes a chunk that stays where it lies, of which these copies are good, as many as are wanted,
    /// and these damaged.
    pub(super) fn note(
        &mut self,
        chunk: ChunkId,
        good: &[DiskId],
        damaged: &[DiskId],
        places: &Places<'_>,
        wanted: usize,
    ) {
        let named = |disk: &&DiskId| places.exception.is_some_and(|disks| disks.contains(disk));
        if good.iter().filter(named).count() >= wanted {
            let others = good.iter().filter(|disk| !named(disk));
            self.spare.extend(others.map(|&disk| (chunk, disk)));
        }
        // One that was on its way home is mended by nobody: the trash does not go there. Those that are
        // at no place at all are told apart.
        let stray = |disk: &&DiskId| places.all.contains(disk) && !named(disk);
        let stray = damaged.iter().filter(stray);
        self.spare.extend(stray.map(|&disk| (chunk, disk)));
    }
}

impl Pass<'_> {
    /// Notes the copies at holders of a file that stays elsewhere: in the trash those that were on their
    /// way home when it was deleted, where the others of their run will not come: an exception ends only as a whole.
    pub(super) fn note_spare(&mut self, file: &FileRecord, wanted: usize, elsewhere: Elsewhere) {
        let Elsewhere { home, spare, .. } = elsewhere;
        for (chunk, disk) in spare {
            let mut runs = file.exceptions.iter().map(|run| run.first_chunk..run.end());
            let run = runs
                .find(|run| run.contains(&chunk.index))
                .unwrap_or_default();
            if run.clone().all(|index| home.contains(&index)) {
                continue;
            }
            self.found.excess_copies += 1;
            let copy = ExcessCopy {
                chunk,
                wanted,
                stays_elsewhere: true,
            };
            note_drop(&mut self.found.excess, disk, copy);
        }
    }
}
