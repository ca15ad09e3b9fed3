//! What a voter keeps: promise, log and table, in one database file beside the chunks.
//!
//! The database writes through `Disk`, so that whatever is shown of a power cut is shown of it too.

mod backend;
mod value;

use crate::disk::{Disk, Writes};
use crate::store::{ChunkStore, Error, LOG, LOG_STAGED, Result};
use backend::Backend;
use mdfs_core::id::DiskId;
use mdfs_core::log::message::{Entry, Record};
use mdfs_core::log::persist::{DurableVoter, Persist};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use value::{
    Failure, Tried, decode, encode, guarded, protect, read_or_default, read_value, reveal,
    write_value,
};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const STAGED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("staged");
const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
const DISK_KEY: &str = "disk";
const PROMISED_KEY: &str = "promised";
const BASE_KEY: &str = "base";
const APPLIED_KEY: &str = "applied";

/// The layout of the tables. A change needs a migration.
const FORMAT: u32 = 1;

/// What an attempt is called that changes nothing.
const READ: &str = "read";

/// Pages kept in memory: enough for the upper levels of a table of millions of records.
const CACHE_BYTES: usize = 8 << 20;

/// A voter's durable state. One owner: the driver of the voter.
///
/// All calls block. After the first error it does nothing any more, and the disk takes no more
/// writes: what a failed write left is known only after the next mount. A log that is found damaged
/// while it is read leaves the rest of the disk in use.
#[derive(Debug)]
pub struct VoterStorage {
    /// Taken when it is dropped.
    database: Option<Database>,
    store: ChunkStore,
    failed: AtomicBool,
}

impl VoterStorage {
    /// Opens the metadata log of a mounted disk, making it if the disk never had one.
    ///
    /// # Errors
    /// `LogMissing` if it had one: its promises are gone, so it must not vote. `LogDamaged` for one
    /// that does not read back or belongs to another disk; otherwise what the disk says.
    pub fn open(store: &ChunkStore) -> Result<Self> {
        let (disk, path) = (&**store.disk(), Path::new(LOG));
        let identity = store.identity();
        match disk.metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("look for", path, error));
            }
            Err(_) if identity.has_log => {
                return Err(Error::LogMissing {
                    path: path.to_owned(),
                });
            }
            Err(_) => create(disk, identity.disk)?,
        }
        if !identity.has_log {
            store.mark_log_made()?;
        }
        let file = disk
            .open(path, true)
            .map_err(|error| io_error("open", path, error))?;
        if file
            .is_empty()
            .map_err(|error| io_error("measure", path, error))?
        {
            return Err(Error::LogDamaged {
                reason: "it is empty".to_owned(),
            });
        }
        // An earlier run may have been killed between a commit and its sync. Opening a database
        // syncs it, so that what is seen now cannot be lost later.
        let database =
            guarded(|| open_database(Backend { file })).map_err(|failure| failure.at("open"))?;
        let storage = Self {
            database: Some(database),
            store: store.clone(),
            failed: AtomicBool::new(false),
        };
        storage.check(identity.disk)?;
        Ok(storage)
    }

    /// Reads everything back but the table of records.
    ///
    /// # Errors
    /// `LogDamaged` if a record does not decode; otherwise what the database says.
    pub fn load(&self) -> Result<DurableVoter> {
        self.attempt(READ, || {
            let reading = self.database()?.begin_read()?;
            let meta = reading.open_table(META)?;
            let log = reading.open_table(ENTRIES)?;
            let mut entries = Vec::new();
            for item in log.iter()? {
                let (index, bytes) = item?;
                let index = index.value();
                let entry: Entry = decode(&index.to_le_bytes(), bytes.value())?;
                if entry.index != index {
                    return Err(Failure::Damaged(
                        "an entry stands at another index".to_owned(),
                    ));
                }
                entries.push(entry);
            }
            Ok(DurableVoter {
                promised: read_or_default(&meta, PROMISED_KEY)?,
                base: read_or_default(&meta, BASE_KEY)?,
                entries,
                applied: read_or_default(&meta, APPLIED_KEY)?,
            })
        })
    }

    /// Carries out one change, all or nothing; durable when it returns, if the change asks for
    /// that. A change that does not becomes durable with the next one that does.
    ///
    /// # Errors
    /// `ReadOnly` if the disk failed before; otherwise what the database says. Then nothing may be
    /// answered.
    pub fn persist(&self, persist: &Persist) -> Result<()> {
        self.store.check_writable()?;
        self.attempt("write", || {
            let mut writing = self.database()?.begin_write()?;
            let durability = if persist.sync {
                Durability::Immediate
            } else {
                Durability::None
            };
            writing.set_durability(durability)?;
            write_records(&writing, persist)?;
            write_entries(&writing, persist)?;
            {
                let mut meta = writing.open_table(META)?;
                if let Some(promised) = &persist.promised {
                    write_value(&mut meta, PROMISED_KEY, promised)?;
                }
                if let Some(applied) = &persist.applied {
                    write_value(&mut meta, APPLIED_KEY, applied)?;
                }
                if let Some(base) = &persist.base {
                    write_value(&mut meta, BASE_KEY, base)?;
                }
            }
            Ok(writing.commit()?)
        })
    }

    /// Records of the table behind `after` (from the first without it) in the order of their keys:
    /// about `limit_bytes` of them, at least one if there is one; and whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub fn page(&self, after: Option<&[u8]>, limit_bytes: usize) -> Result<(Vec<Record>, bool)> {
        self.attempt(READ, || {
            let reading = self.database()?.begin_read()?;
            let table = reading.open_table(RECORDS)?;
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut records = Vec::new();
            let mut room = limit_bytes;
            for item in table.range::<&[u8]>((from, Bound::Unbounded))? {
                let (key, value) = item?;
                let key = key.value();
                let value = reveal(key, value.value())?;
                let size = key.len() + value.len();
                if size > room && !records.is_empty() {
                    return Ok((records, true));
                }
                room = room.saturating_sub(size);
                records.push((key.to_vec(), value.to_vec()));
            }
            Ok((records, false))
        })
    }

    fn database(&self) -> Tried<&Database> {
        self.database
            .as_ref()
            .ok_or_else(|| Failure::Damaged("it is closed".to_owned()))
    }

    fn check(&self, disk: DiskId) -> Result<()> {
        self.attempt(READ, || {
            let reading = self.database()?.begin_read()?;
            let meta = reading.open_table(META)?;
            let damaged = |reason: &str| Failure::Damaged(reason.to_owned());
            match read_value::<u32>(&meta, FORMAT_KEY)? {
                Some(FORMAT) => {}
                _ => return Err(damaged("its format is unknown")),
            }
            match read_value::<DiskId>(&meta, DISK_KEY)? {
                Some(found) if found == disk => Ok(()),
                _ => Err(damaged("it belongs to another disk")),
            }
        })
    }

    fn attempt<T>(&self, operation: &'static str, work: impl FnOnce() -> Tried<T>) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::ReadOnly);
        }
        guarded(work).map_err(|failure| {
            self.failed.store(true, Ordering::Release);
            // Bytes of the log that were read and make no sense say nothing about the chunks.
            if operation != READ || !matches!(failure, Failure::Damaged(_)) {
                self.store.fail_stop();
            }
            failure.at(operation)
        })
    }
}

impl Drop for VoterStorage {
    /// Closing a database writes to it once more, and what is damaged may panic then. Whatever
    /// comes of it, all that was acknowledged is durable already.
    fn drop(&mut self) {
        let database = self.database.take();
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

/// Makes a log that is complete before it has its name.
fn create(disk: &dyn Disk, id: DiskId) -> Result<()> {
    let (staged, path, root) = (Path::new(LOG_STAGED), Path::new(LOG), Path::new(""));
    match disk.remove(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", staged, error));
        }
        _ => {}
    }
    let file = disk
        .create(staged, Writes::Cached)
        .map_err(|error| io_error("create", staged, error))?;
    let make = || -> Tried<()> {
        let database = open_database(Backend { file: file.clone() })?;
        let writing = database.begin_write()?;
        {
            writing.open_table(RECORDS)?;
            writing.open_table(STAGED)?;
            writing.open_table(ENTRIES)?;
            let mut meta = writing.open_table(META)?;
            write_value(&mut meta, FORMAT_KEY, &FORMAT)?;
            write_value(&mut meta, DISK_KEY, &id)?;
        }
        Ok(writing.commit()?)
    };
    make().map_err(|failure| failure.at("create"))?;
    // Closing the database wrote to it once more.
    file.sync_data()
        .map_err(|error| io_error("sync", staged, error))?;
    disk.rename(staged, path)
        .map_err(|error| io_error("rename", staged, error))?;
    disk.sync_dir(root)
        .map_err(|error| io_error("sync", root, error))
}

fn open_database(backend: Backend) -> Tried<Database> {
    Ok(Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)?)
}

fn write_records(writing: &redb::WriteTransaction, persist: &Persist) -> Tried<()> {
    if persist.clear_staged {
        writing.delete_table(STAGED)?;
    }
    if persist.clear_staged || !persist.stage.is_empty() {
        let mut staged = writing.open_table(STAGED)?;
        for (key, value) in &persist.stage {
            staged.insert(key.as_slice(), protect(key, value).as_slice())?;
        }
    }
    if persist.install {
        writing.delete_table(RECORDS)?;
        writing.rename_table(STAGED, RECORDS)?;
        writing.open_table(STAGED)?;
    }
    if !persist.apply.is_empty() {
        let mut records = writing.open_table(RECORDS)?;
        for put in &persist.apply {
            match &put.value {
                Some(value) => {
                    records.insert(put.key.as_slice(), protect(&put.key, value).as_slice())?
                }
                None => records.remove(put.key.as_slice())?,
            };
        }
    }
    Ok(())
}

fn write_entries(writing: &redb::WriteTransaction, persist: &Persist) -> Tried<()> {
    if persist.cut_from.is_none() && persist.append.is_empty() && persist.base.is_none() {
        return Ok(());
    }
    let mut log = writing.open_table(ENTRIES)?;
    if let Some(from) = persist.cut_from {
        log.retain_in(from.., |_, _| false)?;
    }
    for entry in &persist.append {
        log.insert(
            entry.index,
            encode(&entry.index.to_le_bytes(), entry)?.as_slice(),
        )?;
    }
    if let Some(base) = &persist.base {
        log.retain_in(..=base.position.index, |_, _| false)?;
    }
    Ok(())
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
