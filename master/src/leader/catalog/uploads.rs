//! Open uploads, and the chunks of those that clients come back to.

use super::{Catalog, Held, Upload};
use mdfs_core::chunk::{ChunkId, ChunkSet};
use mdfs_core::id::FileId;
use mdfs_core::records::{ChunkRecord, Holder, UploadRecord};

impl Catalog {
    /// What counts for somebody of open sessions.
    pub(in super::super) fn held_by(&self, holder: Holder) -> Held {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    pub(super) fn add_upload(&mut self, file: FileId, record: &UploadRecord) {
        self.sessions += usize::from(record.session.is_some());
        if let Some(holder) = record.holder {
            self.held.entry(holder).or_default().sessions += 1;
        }
        let upload = Upload {
            begun: record.begun,
            session: record.session,
            holder: record.holder,
            last: record.begun,
            recorded: 0,
            short: None,
            full: record.chunk_size.bytes(),
            stored: ChunkSet::default(),
            stored_bytes: 0,
        };
        self.uploads.insert(file, upload);
    }

    pub(super) fn remove_upload(&mut self, file: FileId) {
        let Some(upload) = self.uploads.remove(&file) else {
            return;
        };
        let was_session = upload.session.is_some();
        self.sessions = self.sessions.saturating_sub(usize::from(was_session));
        if let Some(holder) = upload.holder
            && let Some(held) = self.held.get_mut(&holder)
        {
            held.sessions = held.sessions.saturating_sub(1);
            // They are removed by the same entry, and find no upload any more.
            held.chunks = held.chunks.saturating_sub(upload.recorded);
            if *held == Held::default() {
                self.held.remove(&holder);
            }
        }
    }

    /// A chunk is recorded: settled, or durable.
    pub(super) fn add_chunk(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        let (chunks, bytes) = &mut self.recorded;
        *chunks += 1;
        if let Some(upload) = self.uploads.get_mut(&chunk.file) {
            upload.recorded += 1;
            if record.length < upload.full {
                upload.short = Some(chunk.index);
            }
            if let Some(holder) = upload.holder {
                self.held.entry(holder).or_default().chunks += 1;
            }
        }
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
        // It is recorded anew: an upload that ends has ended before.
        if let Some(upload) = self.uploads.get_mut(&chunk.file) {
            upload.recorded = upload.recorded.saturating_sub(1);
            let held = upload.holder.and_then(|holder| self.held.get_mut(&holder));
            if let Some(held) = held {
                held.chunks = held.chunks.saturating_sub(1);
            }
        }
        if !record.is_durable() {
            return;
        }
        *bytes = bytes.saturating_sub(record.length);
        self.desired.remove_chunk(chunk, record);
        if let Some(upload) = self.uploads.get_mut(&chunk.file) {
            upload.stored_bytes = upload.stored_bytes.saturating_sub(record.length);
        }
    }
}
