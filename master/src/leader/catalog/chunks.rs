//! Chunks of open uploads that clients come back to.

use super::Catalog;
use mdfs_core::chunk::ChunkId;
use mdfs_core::records::ChunkRecord;

impl Catalog {
    /// A chunk is recorded: settled, or durable.
    pub(super) fn add_chunk(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        let (chunks, bytes) = &mut self.recorded;
        *chunks += 1;
        if !record.is_durable() {
            return;
        }
        *bytes = bytes.saturating_add(record.length);
        self.desired.add_chunk(chunk, record);
        if let Some(upload) = self.uploads.get_mut(&chunk.file) {
            upload.last = upload.last.max(record.stored);
            upload.stored.insert(chunk.index);
            upload.stored_bytes = upload.stored_bytes.saturating_add(record.length);
        }
    }

    /// What was recorded of a chunk is no more.
    pub(super) fn remove_chunk(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        let (chunks, bytes) = &mut self.recorded;
        *chunks = chunks.saturating_sub(1);
        if !record.is_durable() {
            return;
        }
        *bytes = bytes.saturating_sub(record.length);
        self.desired.remove_chunk(chunk, record);
        if let Some(upload) = self.uploads.get_mut(&chunk.file) {
            // It is recorded anew: an upload that ends has ended before.
            upload.stored_bytes = upload.stored_bytes.saturating_sub(record.length);
        }
    }
}
