//! Import: records of an export that are missing here.

use super::policy::policy;
use super::upload::{become_file, trash};
use super::{At, Planned, Refusal};
use crate::id::{DiskId, FileId};
use crate::log::message::Put;
use crate::name::FileName;
use crate::records::{
    ClusterRecord, Copies, FileRecord, Key, Lookup, MemberRecord, MemberState, TrashRecord,
    UploadRecord, get, put,
};
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Its name.
    pub name: FileName,
    /// What it was.
    pub record: FileRecord,
    /// When it came into the trash, if it is there.
    pub deleted: Option<LogTime>,
    /// Whether a file, in the trash or out of it, or an upload had these bytes before the import began:
    /// its id names them, and no two files may have one id.
    pub known: bool,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportResult {
    /// Files that are here now.
    pub files: u64,
    /// Files that are in the trash now.
    pub trashed: u64,
    /// Files that were here before, under the same name, or in the trash.
    pub present: u64,
    /// Files whose name another file has, or whose bytes another name.
    pub conflicts: Vec<FileName>,
}

/// Plans to take in some files of an export: each becomes a new version. A name that another file has
/// is left alone, or that file goes to the trash if `overwrite` says so. Exceptions on disks that are
/// no members are left out: where those chunks are is found by comparing.
///
/// While a recovery is under way, a file takes the place of an open upload with its id that was begun
/// before: its commit may be among what was lost. `recorded` tells the keys of all chunks that are
/// recorded of an upload: their records end with it.
///
/// # Errors
/// If a record cannot be read.
pub fn plan_import(
    records: &impl Lookup,
    files: Vec<Imported>,
    overwrite: bool,
    recorded: impl Fn(FileId) -> Vec<Vec<u8>>,
    at: At,
) -> Result<Planned<ImportResult>, Refusal> {
    let cluster: Option<ClusterRecord> = get(records, &Key::Cluster)?;
    let recovered = cluster.and_then(|record| record.recovery);
    let policy = policy(records)?;
    let mut plan = Plan {
        records,
        at,
        recorded,
        recovered: recovered.map(|recovery| recovery.since),
        replaced: BTreeSet::new(),
        puts: BTreeMap::new(),
        names: BTreeMap::new(),
        members: BTreeMap::new(),
        result: ImportResult::default(),
    };
    for file in files {
        let Imported {
            name,
            record,
            deleted,
            known,
        } = file;
        let record = FileRecord {
            version: at.index,
            replicas: record.replicas.told_under(policy),
            modified: record.modified.min(at.time),
            exceptions: plan.of_members(record.exceptions)?,
            ..record
        };
        match deleted {
            Some(deleted) => plan.trashed(name, record, deleted.min(at.time), known)?,
            None => plan.file(name, record, known, overwrite)?,
        }
    }
    Ok(Planned {
        puts: plan.puts.into_values().collect(),
        answer: plan.result,
    })
}

struct Plan<'a, L, R> {
    records: &'a L,
    at: At,
    recorded: R,
    /// Since when a recovery is under way.
    recovered: Option<LogTime>,
    /// Uploads that became files.
    replaced: BTreeSet<FileId>,
    /// By key: none is written twice.
    puts: BTreeMap<Vec<u8>, Put>,
    /// Files taken in so far.
    names: BTreeMap<FileName, FileId>,
    /// Whether disks are members.
    members: BTreeMap<DiskId, bool>,
    result: ImportResult,
}

impl<L: Lookup, R: Fn(FileId) -> Vec<Vec<u8>>> Plan<'_, L, R> {
    fn file(
        &mut self,
        name: FileName,
        record: FileRecord,
        known: bool,
        overwrite: bool,
    ) -> Result<(), Refusal> {
        let present: Option<FileRecord> = get(self.records, &Key::File(name.clone()))?;
        let earlier = self.names.get(&name).copied();
        let there = earlier.or(present.as_ref().map(|present| present.file));
        if there == Some(record.file) {
            self.result.present += 1;
            return Ok(());
        }
        let taken = earlier.is_some() || (present.is_some() && !overwrite);
        let upload = self.lost_commit(record.file)?;
        if taken || (known && upload.is_none()) {
            self.result.conflicts.push(name);
            return Ok(());
        }
        if let Some(upload) = upload {
            self.replace(upload, &name, &record)?;
        }
        if let Some(replaced) = present {
            self.write(trash(&name, replaced, self.at)?);
        }
        self.write(put(&Key::File(name.clone()), &record)?);
        self.names.insert(name, record.file);
        self.result.files += 1;
        Ok(())
    }

    fn trashed(
        &mut self,
        name: FileName,
        file: FileRecord,
        deleted: LogTime,
        known: bool,
    ) -> Result<(), Refusal> {
        let key = Key::Trash(deleted, file.file);
        let upload = self.lost_commit(file.file)?;
        if (known && upload.is_none()) || self.puts.contains_key(&key.to_bytes()) {
            self.result.present += 1;
            return Ok(());
        }
        if let Some(upload) = upload {
            self.replace(upload, &name, &file)?;
        }
        self.write(put(&key, &TrashRecord { name, file })?);
        self.result.trashed += 1;
        Ok(())
    }

    /// The open upload of these bytes, if its commit may be among what was lost.
    fn lost_commit(&self, file: FileId) -> Result<Option<UploadRecord>, Refusal> {
        let Some(since) = self.recovered.filter(|_| !self.replaced.contains(&file)) else {
            return Ok(None);
        };
        let upload: Option<UploadRecord> = get(self.records, &Key::Upload(file))?;
        Ok(upload.filter(|upload| upload.begun <= since))
    }

    fn replace(
        &mut self,
        upload: UploadRecord,
        name: &FileName,
        record: &FileRecord,
    ) -> Result<(), Refusal> {
        self.replaced.insert(record.file);
        let recorded = (self.recorded)(record.file);
        for put in become_file(upload, name, record, recorded, self.at)? {
            self.write(put);
        }
        Ok(())
    }

    fn write(&mut self, put: Put) {
        self.puts.insert(put.key.clone(), put);
    }

    /// The exceptions with the disks of them that are members.
    fn of_members(&mut self, exceptions: Vec<Copies>) -> Result<Vec<Copies>, Refusal> {
        let mut kept = Vec::new();
        for mut run in exceptions {
            let mut disks = Vec::new();
            for disk in run.disks {
                if self.is_member(disk)? {
                    disks.push(disk);
                }
            }
            run.disks = disks;
            if !run.disks.is_empty() {
                kept.push(run);
            }
        }
        Ok(kept)
    }

    fn is_member(&mut self, disk: DiskId) -> Result<bool, Refusal> {
        if let Some(known) = self.members.get(&disk) {
            return Ok(*known);
        }
        let member: Option<MemberRecord> = get(self.records, &Key::Member(disk))?;
        let is_member = member.is_some_and(|member| member.state != MemberState::Retired);
        self.members.insert(disk, is_member);
        Ok(is_member)
    }
}
