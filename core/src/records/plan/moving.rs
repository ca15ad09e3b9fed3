//! Partitions that get other holders, and chunks that come home to theirs.

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
    let key = Key::File(name.clone());
    let present: Option<FileRecord> = get(records, &key)?;
    let mut puts = Vec::new();
    if let Some(mut record) = present.filter(|present| present.file == file)
        && end_exception(&mut record, exception)
    {
        puts.push(put(&key, &record)?);
    }
    Ok(Planned { puts, answer: () })
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
    let key = Key::Trash(deleted, file);
    let mut puts = Vec::new();
    if let Some(mut record) = get::<TrashRecord>(records, &key)?
        && end_exception(&mut record.file, exception)
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
