//! Which disks have the chunks of a file, and which of them are exceptions.

use super::policy::policy;
use super::{Commit, Refusal};
use crate::id::DiskId;
use crate::partition::{CHUNKS_PER_GROUP, Partition, partition_of};
use crate::records::{Copies, FileRecord, Key, Lookup, MoveRecord, PartitionRecord, get};
use crate::ring::ReplicationFactor;
use std::collections::BTreeSet;

/// Which disks should have the chunks of a file, as runs that cover all of them in order.
///
/// # Errors
/// If a partition's record cannot be read.
pub fn copies_of(records: &impl Lookup, file: &FileRecord) -> Result<Vec<Copies>, Refusal> {
    let replicas = file.replicas.under(policy(records)?);
    let mut runs: Vec<Copies> = Vec::new();
    let mut exceptions = file.exceptions.iter().peekable();
    let mut next = 0;
    while next < file.layout.chunk_count() {
        let exception = exceptions.next_if(|exception| exception.first_chunk == next);
        let run = match exception {
            Some(exception) => exception.clone(),
            None => {
                let disks = readable(records, partition_of(file.file, next), replicas)?;
                let limit = exceptions
                    .peek()
                    .map_or(u32::MAX, |exception| exception.first_chunk);
                let end = end_of_group(next).min(limit).min(file.layout.chunk_count());
                Copies {
                    first_chunk: next,
                    chunks: end - next,
                    disks,
                }
            }
        };
        next = run.end();
        push_run(&mut runs, run);
    }
    Ok(runs)
}

/// The chunks that are not on exactly the disks where new chunks of their partition go, or have fewer
/// copies than wanted.
///
/// # Errors
/// If a partition's record cannot be read.
pub(super) fn exceptions(
    records: &impl Lookup,
    replicas: ReplicationFactor,
    commit: &Commit,
) -> Result<Vec<Copies>, Refusal> {
    let mut found = Vec::new();
    for run in &commit.copies {
        let mut next = run.first_chunk;
        while next < run.end() {
            let end = end_of_group(next).min(run.end());
            let wanted = targets(records, partition_of(commit.file, next), replicas)?;
            let is_short = run.disks.len() < usize::from(replicas.get());
            if is_short || !same_disks(&wanted, &run.disks) {
                let disks = run.disks.clone();
                push_run(
                    &mut found,
                    Copies {
                        first_chunk: next,
                        chunks: end - next,
                        disks,
                    },
                );
            }
            next = end;
        }
    }
    Ok(found)
}

/// Appends a run, as part of the one before when it goes on from there on the same disks.
pub(super) fn push_run(runs: &mut Vec<Copies>, run: Copies) {
    match runs.last_mut() {
        Some(last) if last.end() == run.first_chunk && last.disks == run.disks => {
            last.chunks += run.chunks;
        }
        _ => runs.push(run),
    }
}

fn same_disks(some: &[DiskId], others: &[DiskId]) -> bool {
    some.iter().collect::<BTreeSet<_>>() == others.iter().collect::<BTreeSet<_>>()
}

fn end_of_group(chunk: u32) -> u32 {
    (chunk / CHUNKS_PER_GROUP)
        .saturating_add(1)
        .saturating_mul(CHUNKS_PER_GROUP)
}

/// The disks that may have the regular chunks of a partition, of which there are so many copies: its
/// holders, and those that it is moving to.
fn readable(
    records: &impl Lookup,
    partition: Partition,
    replicas: ReplicationFactor,
) -> Result<Vec<DiskId>, Refusal> {
    let (mut disks, to) = (
        holders(records, partition, replicas)?,
        moving(records, partition, replicas)?,
    );
    for disk in to.into_iter().flatten() {
        if !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    Ok(disks)
}

/// The disks that new chunks of a partition go to.
fn targets(
    records: &impl Lookup,
    partition: Partition,
    replicas: ReplicationFactor,
) -> Result<Vec<DiskId>, Refusal> {
    match moving(records, partition, replicas)? {
        Some(to) => Ok(to),
        None => holders(records, partition, replicas),
    }
}

fn moving(
    records: &impl Lookup,
    partition: Partition,
    replicas: ReplicationFactor,
) -> Result<Option<Vec<DiskId>>, Refusal> {
    let record: Option<MoveRecord> = get(records, &Key::Move(partition))?;
    Ok(record.map(|mut record| {
        record.to.truncate(usize::from(replicas.get()));
        record.to
    }))
}

fn holders(
    records: &impl Lookup,
    partition: Partition,
    replicas: ReplicationFactor,
) -> Result<Vec<DiskId>, Refusal> {
    let record: PartitionRecord =
        get(records, &Key::Partition(partition))?.ok_or(Refusal::NotBootstrapped)?;
    let mut holders = record.holders;
    holders.truncate(usize::from(replicas.get()));
    Ok(holders)
}
