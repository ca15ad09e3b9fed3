//! Partitions that get other holders, and chunks that come home to theirs.

use super::copies::push_run;
use super::{Planned, Refusal};
use crate::id::{DiskId, FileId};
use crate::log::message::Put;
use crate::name::FileName;
use crate::partition::Partition;
use crate::records::{
    Copies, FileRecord, Key, Lookup, MoveRecord, PartitionRecord, TrashRecord, get, put, remove,
};
use crate::time::LogTime;

/// Gives a partition without chunks its holders at once.
///
/// # Errors
/// Never in practice: the record encodes.
pub fn plan_holders(partition: Partition, holders: &[DiskId]) -> Result<Put, Refusal> {
    let holders = holders.to_vec();
    Ok(put(
        &Key::Partition(partition),
        &PartitionRecord { holders },
    )?)
}

/// Begins to move a partition, or gives a moving one another goal.
///
/// # Errors
/// Never in practice: the record encodes.
pub fn plan_begin_move(partition: Partition, to: &[DiskId]) -> Result<Put, Refusal> {
    let to = to.to_vec();
    Ok(put(&Key::Move(partition), &MoveRecord { to })?)
}

/// Ends a move: the disks that the partition moved to have all of it.
///
/// # Errors
/// Never in practice: the record encodes.
pub fn plan_end_move(partition: Partition, to: &[DiskId]) -> Result<[Put; 2], Refusal> {
    Ok([plan_holders(partition, to)?, remove(&Key::Move(partition))])
}

/// Ends an exception: the holders have these chunks. Nothing if the file has changed meanwhile. The
/// version stays: no byte of the file is another.
///
/// # Errors
/// If the file's record cannot be read.
pub fn plan_home(
    records: &impl Lookup,
    name: &FileName,
    file: FileId,
    exception: &Copies,
) -> Result<Planned<()>, Refusal> {
    change_named(records, name, file, |record| {
        end_exception(record, exception)
    })
}

/// As [`plan_home`], for a file that has been in the trash since `deleted`.
///
/// # Errors
/// If the record of the trash cannot be read.
pub fn plan_home_in_trash(
    records: &impl Lookup,
    deleted: LogTime,
    file: FileId,
    exception: &Copies,
) -> Result<Planned<()>, Refusal> {
    change_trashed(records, deleted, file, |record| {
        end_exception(record, exception)
    })
}

/// Gives runs of a file's chunks these places, whatever their partitions' holders are. The runs are in
/// order, without overlap. Nothing if the file's exceptions are not those of `before` any more. The version stays.
///
/// # Errors
/// If the file's record cannot be read.
pub fn plan_places(
    records: &impl Lookup,
    name: &FileName,
    file: FileId,
    before: &[Copies],
    runs: &[Copies],
) -> Result<Planned<()>, Refusal> {
    change_named(records, name, file, |record| {
        give_places(record, before, runs)
    })
}

/// As [`plan_places`], for a file that has been in the trash since `deleted`.
///
/// # Errors
/// If the record of the trash cannot be read.
pub fn plan_places_in_trash(
    records: &impl Lookup,
    deleted: LogTime,
    file: FileId,
    before: &[Copies],
    runs: &[Copies],
) -> Result<Planned<()>, Refusal> {
    change_trashed(records, deleted, file, |record| {
        give_places(record, before, runs)
    })
}

/// Changes the record of a name if it is still of this file, and `change` says that it is another by
/// then.
fn change_named(
    records: &impl Lookup,
    name: &FileName,
    file: FileId,
    change: impl FnOnce(&mut FileRecord) -> bool,
) -> Result<Planned<()>, Refusal> {
    let key = Key::File(name.clone());
    let present: Option<FileRecord> = get(records, &key)?;
    let mut puts = Vec::new();
    if let Some(mut record) = present.filter(|present| present.file == file)
        && change(&mut record)
    {
        puts.push(put(&key, &record)?);
    }
    Ok(Planned { puts, answer: () })
}

fn change_trashed(
    records: &impl Lookup,
    deleted: LogTime,
    file: FileId,
    change: impl FnOnce(&mut FileRecord) -> bool,
) -> Result<Planned<()>, Refusal> {
    let key = Key::Trash(deleted, file);
    let mut puts = Vec::new();
    if let Some(mut record) = get::<TrashRecord>(records, &key)?
        && change(&mut record.file)
    {
        puts.push(put(&key, &record)?);
    }
    Ok(Planned { puts, answer: () })
}

/// Takes an exception out of a record; whether it was there.
fn end_exception(record: &mut FileRecord, exception: &Copies) -> bool {
    let before = record.exceptions.len();
    record.exceptions.retain(|other| other != exception);
    record.exceptions.len() < before
}

/// Puts runs in the place of what a record says of their chunks; whether that makes another record.
fn give_places(record: &mut FileRecord, before: &[Copies], runs: &[Copies]) -> bool {
    if record.exceptions != before {
        return false;
    }
    let mut pieces = runs.to_vec();
    // Both are in order: a run that ends before an exception does not touch the later ones either.
    let mut ahead = runs;
    for exception in before {
        let (mut next, end) = (exception.first_chunk, exception.end());
        let passed = ahead.partition_point(|run| run.end() <= next);
        ahead = ahead.get(passed..).unwrap_or_default();
        let cuts = ahead.iter().map(|run| (run.first_chunk, run.end()));
        let cuts = cuts.take_while(|&(from, _)| from < end);
        for (from, to) in cuts.chain([(end, end)]) {
            if from > next {
                pieces.push(Copies {
                    first_chunk: next,
                    chunks: from - next,
                    disks: exception.disks.clone(),
                });
            }
            next = next.max(to);
        }
    }
    pieces.sort_by_key(|piece| piece.first_chunk);
    let mut exceptions = Vec::new();
    for piece in pieces {
        push_run(&mut exceptions, piece);
    }
    record.exceptions = exceptions;
    record.exceptions != before
}
