//! Which disks a file goes to when it does not go where its partitions are.

use mdfs_core::id::{DiskId, FileId};

/// Orders the disks for a file id, each id in another way.
pub(super) fn affinity(file: FileId, disk: DiskId) -> u64 {
    let mut bytes = [0; 32];
    let (left, right) = bytes.split_at_mut(16);
    left.copy_from_slice(&file.to_bytes());
    right.copy_from_slice(&disk.to_bytes());
    let hash = mdfs_core::checksum::Blake3::of(&bytes).0;
    hash.first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
