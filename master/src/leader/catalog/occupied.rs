//! What files have in each partition.

use super::Catalog;
use crate::leader::progress::Amount;
use mdfs_core::chunk::ChunkId;
use mdfs_core::partition::{CHUNKS_PER_GROUP, Partition, partition_of};
use mdfs_core::records::FileRecord;

impl Catalog {
    /// Whether no file, in the trash or out of it, has a chunk in the partition.
    pub(in super::super) fn is_vacant(&self, partition: Partition) -> bool {
        self.occupants
            .get(partition.index())
            .is_some_and(|&files| files == 0)
    }

    /// How much is in a partition, trash included, counted once.
    pub(in super::super) fn amount(&self, partition: Partition) -> Amount {
        Amount {
            chunks: self.chunks.get(partition.index()).copied().unwrap_or(0),
            bytes: self.load.get(partition),
        }
    }

    pub(super) fn occupy(&mut self, file: &FileRecord) {
        self.desired.add(file);
        if let Some(copies) = file.replicas.explicit() {
            *self.explicit.entry(copies).or_default() += 1;
        }
        for (partition, chunks, bytes) in groups(file) {
            self.load.add(partition, bytes);
            if let Some(count) = self.chunks.get_mut(partition.index()) {
                *count = count.saturating_add(chunks);
            }
            if let Some(files) = self.occupants.get_mut(partition.index()) {
                *files += 1;
            }
        }
    }

    pub(super) fn vacate(&mut self, file: &FileRecord) {
        self.desired.remove(file);
        if let Some(copies) = file.replicas.explicit() {
            let files = self.explicit.entry(copies).or_default();
            *files = files.saturating_sub(1);
            self.explicit.retain(|_, files| *files > 0);
        }
        for (partition, chunks, bytes) in groups(file) {
            self.load.remove(partition, bytes);
            if let Some(count) = self.chunks.get_mut(partition.index()) {
                *count = count.saturating_sub(chunks);
            }
            if let Some(files) = self.occupants.get_mut(partition.index()) {
                *files = files.saturating_sub(1);
            }
        }
    }
}

/// The partitions a file's chunks are in, and its chunks and bytes in each. A partition may come
/// twice.
fn groups(file: &FileRecord) -> impl Iterator<Item = (Partition, u64, u64)> + '_ {
    let chunks = file.layout.chunk_count();
    let size = file.chunk_size.bytes();
    (0..chunks.div_ceil(CHUNKS_PER_GROUP)).map(move |group| {
        let first = group.saturating_mul(CHUNKS_PER_GROUP);
        let start = u64::from(first).saturating_mul(size);
        let full = u64::from(CHUNKS_PER_GROUP).saturating_mul(size);
        let bytes = file.size.saturating_sub(start).min(full);
        (
            partition_of(
                file.file,
                ChunkId {
                    file: file.file,
                    index: first,
                }
                .index,
            ),
            u64::from(CHUNKS_PER_GROUP.min(chunks.saturating_sub(first))),
            bytes,
        )
    })
}
