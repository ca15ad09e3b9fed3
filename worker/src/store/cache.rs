//! The sealed chunks that are kept open.

use super::read::OpenChunk;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most recently used open chunks. One that falls out is closed when its last reader ends.
#[derive(Debug)]
pub(super) struct OpenChunks {
    most: usize,
    uses: u64,
    chunks: HashMap<ChunkId, (u64, Arc<OpenChunk>)>,
    by_use: BTreeMap<u64, ChunkId>,
}

impl OpenChunks {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            uses: 0,
            chunks: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    pub(super) fn get(&mut self, chunk: ChunkId) -> Option<Arc<OpenChunk>> {
        let (used, open) = self.chunks.get_mut(&chunk)?;
        self.uses += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, chunk);
        *used = self.uses;
        Some(Arc::clone(open))
    }

    pub(super) fn insert(&mut self, chunk: ChunkId, open: Arc<OpenChunk>) {
        self.remove(chunk);
        while self.chunks.len() >= self.most.max(1) {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.chunks.remove(&oldest);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, chunk);
        self.chunks.insert(chunk, (self.uses, open));
    }

    pub(super) fn remove(&mut self, chunk: ChunkId) {
        if let Some((used, _)) = self.chunks.remove(&chunk) {
            self.by_use.remove(&used);
        }
    }

    pub(super) fn remove_file(&mut self, file: FileId) {
        self.chunks.retain(|chunk, _| chunk.file != file);
        self.by_use.retain(|_, chunk| chunk.file != file);
    }
}
