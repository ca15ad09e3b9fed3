//! What a worker has acknowledged, and whether a disk still has it.

use super::sim_disk::SimDisk;
use super::world::{Step, Told, content, mount, put, term};
use super::{CLUSTER, chunk_of, seal_of};
use mdfs_core::chunk::{ChunkId, SEGMENT_BYTES};
use mdfs_core::id::{DiskId, Generation, Term};
use mdfs_core::log::message::Entry;
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_core::time::Timestamp;
use mdfs_worker::store::{ChunkStore, DiskIdentity, Error};
use mdfs_worker::voter::VoterStorage;
use std::collections::{BTreeMap, BTreeSet};

/// What a worker was asked to do, and what it has acknowledged.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    disk: Option<DiskId>,
    generation: Generation,
    fence: Term,
    adopted: bool,
    has_log: bool,
    promised: Term,
    /// Chunks somebody asked to store, with their content.
    asked: BTreeMap<ChunkId, Vec<u8>>,
    stored: BTreeSet<ChunkId>,
    /// Files somebody asked to drop.
    dropping: BTreeSet<ChunkId>,
    dropped: BTreeSet<ChunkId>,
    /// Chunks whose bytes may have changed on the disk since they were stored.
    rotten: BTreeSet<ChunkId>,
    /// Those of them that were told as damaged.
    told: BTreeSet<ChunkId>,
    /// Every entry that was ever sent.
    sent: Vec<Entry>,
    appended: BTreeMap<u64, Entry>,
}

impl Ledger {
    /// Notes a step before it is taken: from here on it may have happened.
    pub(crate) fn ask(&mut self, step: &Step) {
        match step {
            Step::Put(chunk, len) | Step::PutWhole(chunk, len) => {
                self.asked.insert(*chunk, content(*chunk, *len));
            }
            Step::Drop(chunk) => {
                let same = self.asked.keys().filter(|other| other.file == chunk.file);
                self.dropping.extend(same);
            }
            Step::Rot(chunk) => {
                self.rotten.insert(*chunk);
            }
            Step::Append { entries, .. } => self.sent.extend(entries.iter().cloned()),
            _ => {}
        }
    }

    /// Notes what was answered: from here on it must not be lost.
    pub(crate) fn acknowledge(&mut self, step: &Step, told: Told) {
        match (step, told) {
            (Step::Mount | Step::Raise, Told::Identity(identity)) => {
                self.disk = Some(identity.disk);
                self.generation = identity.generation;
            }
            (Step::Adopt, _) => self.adopted = true,
            (Step::Admit(round) | Step::Fence(round), _) => {
                self.fence = self.fence.max(term(*round));
            }
            (Step::OpenLog, _) => self.has_log = true,
            (Step::Prepare(round), _) => self.promised = self.promised.max(term(*round)),
            (Step::Append { round, entries, .. }, _) => {
                self.promised = self.promised.max(term(*round));
                for entry in entries {
                    self.appended.split_off(&entry.index);
                    self.appended.insert(entry.index, entry.clone());
                }
            }
            (Step::Put(chunk, _) | Step::PutWhole(chunk, _), _)
            | (Step::Verify(chunk), Told::Nothing) => {
                self.stored.insert(*chunk);
                self.rotten.remove(chunk);
                self.told.remove(chunk);
            }
            (Step::Drop(_), _) => self.dropped.clone_from(&self.dropping),
            (Step::Rot(chunk), _) => {
                self.told.insert(*chunk);
            }
            _ => {}
        }
    }

    /// Mounts what was found after a power cut and compares. A panic is damage as well.
    pub(crate) fn check(&self, found: &SimDisk) -> Result<(), String> {
        let check = std::panic::AssertUnwindSafe(|| self.compare(found));
        std::panic::catch_unwind(check).unwrap_or_else(|_| Err("it panics".to_owned()))
    }

    fn compare(&self, found: &SimDisk) -> Result<(), String> {
        let store = mount(found)?;
        let identity = store.identity();
        self.check_identity(&identity)?;
        for (chunk, bytes) in &self.asked {
            self.check_chunk(&store, *chunk, bytes)?;
        }
        if self.has_log || identity.has_log {
            let storage = VoterStorage::open(&store).map_err(|error| error.to_string())?;
            self.check_log(&storage)?;
        }
        let usage = store.usage().map_err(|error| error.to_string())?;
        let most = self.rotten.len() as u64;
        if (usage.damaged_chunks, usage.foreign_files) != (0, 0) || usage.bad_blocks > most {
            return Err(format!("damage: {usage:?}"));
        }
        // And it goes on working.
        store.adopt(CLUSTER).map_err(|error| error.to_string())?;
        put(&store, chunk_of(0xccc1 << 48, 0), 100).map_err(|error| error.to_string())
    }

    fn check_identity(&self, found: &DiskIdentity) -> Result<(), String> {
        let kept = self.disk.is_none_or(|disk| disk == found.disk)
            && found.generation >= self.generation
            && found.fence >= self.fence
            && (!self.adopted || found.cluster == Some(CLUSTER))
            && (!self.has_log || found.has_log);
        if kept {
            Ok(())
        } else {
            Err(format!("the identity went back: {found:?}"))
        }
    }

    fn check_chunk(&self, store: &ChunkStore, chunk: ChunkId, want: &[u8]) -> Result<(), String> {
        let open = match store.open_chunk(chunk) {
            Ok(open) => open,
            Err(Error::ChunkNotFound { .. }) => {
                return match self.stored.contains(&chunk) && !self.dropping.contains(&chunk) {
                    true => Err(format!("chunk {chunk} is lost")),
                    false => Ok(()),
                };
            }
            Err(error) => return Err(error.to_string()),
        };
        if self.dropped.contains(&chunk) {
            return Err(format!("chunk {chunk} came back"));
        }
        let is_damaged = store.is_damaged(chunk);
        if self.rotten.contains(&chunk)
            && let Err(error) = store.verify(chunk, true)
        {
            return match self.told.contains(&chunk) && !is_damaged {
                true => Err(format!("{error}, and that was forgotten")),
                false => Ok(()),
            };
        }
        if store.is_damaged(chunk) && store.verify(chunk, true).is_err() {
            return Err(format!("chunk {chunk} is damaged"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < open.len() {
            let read = open.read(bytes.len() as u64, u64::from(SEGMENT_BYTES));
            bytes.extend_from_slice(&read.map_err(|error| error.to_string())?);
        }
        match bytes == want && *open.seal() == seal_of(want) {
            true => Ok(()),
            false => Err(format!("chunk {chunk} has other bytes")),
        }
    }

    fn check_log(&self, storage: &VoterStorage) -> Result<(), String> {
        let durable = storage.load().map_err(|error| error.to_string())?;
        let (table, _) = storage
            .page(None, 1 << 20)
            .map_err(|error| error.to_string())?;
        if durable.promised < self.promised {
            return Err(format!("the promise fell to {}", durable.promised));
        }
        let log: BTreeMap<_, _> = durable
            .entries
            .iter()
            .map(|entry| (entry.index, entry))
            .collect();
        for (index, want) in &self.appended {
            let found = log.get(index);
            let replaced = |entry: &&Entry| entry.term > want.term && self.sent.contains(entry);
            if !found.is_some_and(|entry| *entry == want || replaced(entry)) {
                return Err(format!("entry {index} is lost"));
            }
        }
        if let Some(stranger) = durable
            .entries
            .iter()
            .find(|entry| !self.sent.contains(entry))
        {
            return Err(format!("entry {} was never sent", stranger.index));
        }
        let mut want = BTreeMap::new();
        for put in log
            .range(..=durable.applied)
            .flat_map(|(_, entry)| entry.puts())
        {
            match &put.value {
                Some(value) => want.insert(put.key.clone(), value.clone()),
                None => want.remove(&put.key),
            };
        }
        if !want.into_iter().eq(table) {
            return Err(format!(
                "the table is not that of index {}",
                durable.applied
            ));
        }
        let restored = Voter::restore(durable, Timestamp::from_millis(0), VoterSettings::DEFAULT);
        restored.map(|_| ()).map_err(|error| error.to_string())
    }
}
