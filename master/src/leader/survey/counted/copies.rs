//! Who has copies of a chunk.

use super::super::places::Places;
use super::Pass;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;

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

    /// Whether a disk has a good copy of a chunk, as far as it says.
    pub(super) fn has(
        &self,
        disk: DiskId,
        partition: Partition,
        chunk: ChunkId,
        length: u64,
        places: &Places<'_>,
    ) -> bool {
        if !self.request.reachable.contains(&disk) {
            return false;
        }
        match self.request.lists.get(&disk) {
            Some(listed) if listed.partitions.contains(&partition) => {
                listed.chunks.get(&chunk) == Some(&length)
            }
            // Not listed: it has what it should have.
            _ => places.exception.unwrap_or(places.targets).contains(&disk),
        }
    }
}
