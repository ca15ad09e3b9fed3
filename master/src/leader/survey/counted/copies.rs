//! Who has copies of a chunk.

use super::super::places::Places;
use super::{Pass, Run};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;

impl Pass<'_> {
    /// Whether no disk has anything of a chunk: none that can be read, and none of its places is silent.
    pub(super) fn is_lost(&self, chunk: ChunkId, good: &[DiskId], places: &Places<'_>) -> bool {
        let is_silent =
            |disk: &DiskId| self.present.contains(disk) && !self.request.reachable.contains(disk);
        good.is_empty()
            && self.listed.listed_at(chunk).is_empty()
            && self.damaged_at(chunk).next().is_none()
            && !places.all.iter().any(is_silent)
    }

    /// Whether a disk has a good copy of a chunk of a run, as far as it says.
    pub(super) fn has(
        &self,
        disk: DiskId,
        run: &Run<'_>,
        chunk: ChunkId,
        length: u64,
        places: &Places<'_>,
    ) -> bool {
        if !self.request.reachable.contains(&disk) {
            return false;
        }
        // Of what came after the lists they say nothing.
        if run.is_new && self.listed.listed_at(chunk).is_empty() {
            return true;
        }
        match self.request.lists.get(&disk) {
            Some(listed) if listed.partitions.contains(&run.partition) => {
                listed.chunks.get(&chunk) == Some(&length)
            }
            // Not listed: it has what it should have. A disk that an exception names lists the partition,
            // so this one was named after the lists were asked for: unless the file came after them too,
            // nothing is known of it.
            _ => match places.exception {
                Some(named) => run.is_new && named.contains(&disk),
                None => places.targets.contains(&disk),
            },
        }
    }

    /// The bytes of a run that a disk has no good copy of.
    pub(super) fn lacks(&self, disk: DiskId, run: &Run<'_>, places: &Places<'_>) -> u64 {
        let chunk = |index| ChunkId {
            file: run.file.file,
            index,
        };
        let lengths = run.chunks.clone().filter_map(|index| {
            let length = run.file.layout.chunk_len(index)?;
            (!self.has(disk, run, chunk(index), length, places)).then_some(length)
        });
        lengths.sum()
    }
}
