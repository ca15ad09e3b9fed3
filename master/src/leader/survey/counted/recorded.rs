//! What open uploads have, as far as it is recorded: no file has it yet, and it is lost all the same.

use super::Pass;
use crate::leader::catalog::prefix;
use crate::leader::survey::Listed;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::records::{ChunkRecord, Key, Kind, UploadRecord, decode, get};
use std::collections::BTreeSet;

impl Pass<'_> {
    /// Looks whose last copies of recorded chunks disks may have.
    pub(super) fn recorded(&mut self) {
        let mut of_file: Option<(FileId, BTreeSet<DiskId>)> = None;
        for (key, value) in self.request.table.range(&prefix(Kind::Chunk), None) {
            let (Ok(Key::Chunk(chunk)), Ok(record)) =
                (Key::from_bytes(key), decode::<ChunkRecord>(value))
            else {
                self.found.unreadable_files += 1;
                continue;
            };
            let mut sole = match of_file.take() {
                Some((file, sole)) if file == chunk.file => sole,
                before => {
                    self.note_upload(before);
                    BTreeSet::new()
                }
            };
            sole.extend(self.last_copies(chunk, &record));
            of_file = Some((chunk.file, sole));
        }
        self.note_upload(of_file);
    }

    /// The disks that may have the last copy of a chunk.
    fn last_copies(&self, chunk: ChunkId, record: &ChunkRecord) -> Vec<DiskId> {
        let lists = &self.request.lists;
        let partition = chunk.partition();
        // What is there is not known: each of them may be the only one that has it.
        if self.request.unlisted.contains(&partition) {
            return record.disks.clone();
        }
        let has = |disk: &DiskId| match lists.get(disk) {
            Some(listed) if listed.partitions.contains(&partition) => {
                listed.chunks.get(&chunk) == Some(&record.length)
            }
            // Not listed: it has what it should have.
            Some(_) | None => true,
        };
        let answers = |disk: &DiskId| self.request.reachable.contains(disk);
        let disks = record.disks.iter().copied();
        let (there, silent): (Vec<DiskId>, Vec<DiskId>) = disks.partition(answers);
        let good: Vec<DiskId> = there.iter().copied().filter(has).collect();
        // Whole or damaged, and not only where it is recorded.
        let listed = self.listed.listed_at(chunk);
        match (good.len(), there.len()) {
            (1, _) => good,
            // Recorded after the lists were made, it seems: then all copies were durable.
            (0, 2..) if listed.is_empty() => Vec::new(),
            (0, _) => [there, silent, listed.to_vec()].concat(),
            (2.., _) => Vec::new(),
        }
    }

    /// The disks that have damaged copies of a chunk.
    pub(super) fn damaged_at(&self, chunk: ChunkId) -> impl Iterator<Item = DiskId> + '_ {
        let has = move |listed: &Listed| listed.damaged.contains(&chunk);
        let lists = self.request.lists.iter();
        lists
            .filter(move |(_, listed)| has(listed))
            .map(|(&disk, _)| disk)
    }

    fn note_upload(&mut self, of_file: Option<(FileId, BTreeSet<DiskId>)>) {
        let Some((file, sole)) = of_file.filter(|(_, sole)| !sole.is_empty()) else {
            return;
        };
        match get::<UploadRecord>(&self.request.table, &Key::Upload(file)) {
            Ok(Some(upload)) => self.note_sole(&upload.name, sole),
            Ok(None) | Err(_) => self.found.unreadable_files += 1,
        }
    }
}
