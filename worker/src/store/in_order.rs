//! The chunks on the disk in the order of their ids, which is that of their directories.

use super::error::io_error;
use super::{ChunkStore, Result, layout};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use std::io;

/// Directories of chunks: one for each start of a file id.
const DIRS: u128 = 1 << (4 * layout::DIR_DIGITS);
/// What a directory is not named after.
const REST_BITS: usize = 128 - 4 * layout::DIR_DIGITS;

impl ChunkStore {
    /// Good chunks behind `after`, the first first: as many as there are, or more than `most`.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub(crate) fn held_in_order(
        &self,
        after: Option<ChunkId>,
        most: usize,
    ) -> Result<Vec<ChunkId>> {
        let first = after.map_or(0, |chunk| chunk.file.as_u128() >> REST_BITS);
        let mut found = Vec::new();
        for start in first..DIRS {
            let dir = layout::chunk_dir(FileId::from_u128(start << REST_BITS));
            let entries = match self.disk().list(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io_error("list", &dir)(error)),
            };
            let chunks = entries
                .iter()
                .filter_map(|entry| layout::parse_chunk_name(&entry.name))
                .filter(|chunk| Some(*chunk) > after && self.held(*chunk).is_some());
            let mut chunks: Vec<ChunkId> = chunks.collect();
            chunks.sort_unstable();
            found.extend(chunks);
            if found.len() > most {
                break;
            }
        }
        Ok(found)
    }
}
