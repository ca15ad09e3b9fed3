//! Which chunks on disks nobody needs, for certain.
//!
//! First disks list what they hold, then the lists are compared with records that are newer than they.
//! File ids are never used twice, and an upload is recorded before a chunk of it is written: what was on
//! a disk before, and is in no record and no upload after, comes into none any more.

use crate::chunk::ChunkId;
use crate::id::{DiskId, FileId};
use crate::records::FileRecord;
use std::collections::{BTreeMap, BTreeSet};

/// Lists of disks, of which what the records need is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unneeded {
    listed: BTreeMap<ChunkId, Vec<DiskId>>,
    uploads: BTreeSet<FileId>,
}

impl Unneeded {
    /// No list yet. These uploads were open when the lists were asked for, or are: also those whose
    /// beginning is not committed.
    pub fn new(open: BTreeSet<FileId>) -> Self {
        Self {
            listed: BTreeMap::new(),
            uploads: open,
        }
    }

    /// A disk has this chunk, good or damaged.
    pub fn list(&mut self, disk: DiskId, chunk: ChunkId) {
        self.listed.entry(chunk).or_default().push(disk);
    }

    /// The disks that listed a chunk which no record was met for yet.
    pub fn listed_at(&self, chunk: ChunkId) -> &[DiskId] {
        self.listed.get(&chunk).map_or(&[], Vec::as_slice)
    }

    /// An upload is open, by records that are newer than the lists.
    pub fn keep_upload(&mut self, file: FileId) {
        self.uploads.insert(file);
    }

    /// A file has this chunk, in the trash or out of it, by records that are newer than the lists. The
    /// disks that listed it.
    pub fn keep(&mut self, chunk: ChunkId) -> Vec<DiskId> {
        self.listed.remove(&chunk).unwrap_or_default()
    }

    /// The same of all chunks of a file.
    pub fn keep_file(&mut self, file: &FileRecord) {
        let chunks = 0..file.layout.chunk_count();
        let file = file.file;
        chunks.for_each(|index| drop(self.keep(ChunkId { file, index })));
    }

    /// What is left once all records were met: disks may drop it, whatever happens meanwhile.
    pub fn garbage(self) -> impl Iterator<Item = (ChunkId, Vec<DiskId>)> {
        let Self { listed, uploads } = self;
        let listed = listed.into_iter();
        listed.filter(move |(chunk, _)| !uploads.contains(&chunk.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_record_and_no_upload_has_is_garbage() {
        let chunk = |file| ChunkId {
            file: FileId::from_u128(file),
            index: 0,
        };
        let (one, two) = (DiskId::from_u128(1), DiskId::from_u128(2));
        let mut lists = Unneeded::new([FileId::from_u128(1)].into());
        for file in 1..=4 {
            lists.list(one, chunk(file));
        }
        lists.list(two, chunk(4));
        lists.keep_upload(FileId::from_u128(2));
        assert_eq!(lists.listed_at(chunk(3)), [one]);
        assert_eq!(lists.keep(chunk(3)), [one]);
        assert!(lists.keep(chunk(3)).is_empty() && lists.listed_at(chunk(3)).is_empty());
        let left: Vec<_> = lists.garbage().collect();
        assert_eq!(left, [(chunk(4), vec![one, two])]);
    }
}
