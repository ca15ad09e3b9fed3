//! BeginUpload, CommitUpload, AbortUpload.

use super::policy::policy;
use super::{At, Planned, Refusal, earlier, remember};
use crate::checksum::{Blake3, Crc32};
use crate::chunk::{ChunkLayout, ChunkSize};
use crate::id::{DiskId, FileId, RequestId};
use crate::name::FileName;
use crate::partition::{CHUNKS_PER_GROUP, Partition, partition_of};
use crate::records::{
    Copies, FileRecord, Key, Lookup, MoveRecord, Outcome, PartitionRecord, Precondition,
    TrashRecord, UploadRecord, Wanted, get, put, remove,
};
use crate::ring::ReplicationFactor;
use std::collections::BTreeSet;

/// Opens an upload.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The file id, drawn at random for this upload.
    pub file: FileId,
    /// The name it will have.
    pub name: FileName,
    /// Bytes of a chunk.
    pub chunk_size: ChunkSize,
    /// Copies of each chunk.
    pub replicas: Wanted,
    /// Media type.
    pub content_type: String,
    /// Must hold now and at the commit.
    pub precondition: Precondition,
}

/// What came of a [`Begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The upload is open. An earlier attempt of the same request, `replaced`, ended with it.
    Open {
        /// An upload whose chunks nobody needs any more.
        replaced: Option<FileId>,
    },
    /// The request was committed before.
    Already(Stored),
}

/// A file as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: FileName,
    /// What is recorded.
    pub record: FileRecord,
}

/// Plans a BeginUpload.
///
/// # Errors
/// If the precondition does not hold, or the request id is outside its window or was used for
/// something else.
pub fn plan_begin(records: &impl Lookup, begin: Begin, at: At) -> Result<Planned<Begun>, Refusal> {
    let replaced = match earlier(records, begin.request, at.time)? {
        None => None,
        Some(Outcome::Begun(file)) => match get::<UploadRecord>(records, &Key::Upload(file))? {
            Some(upload) if upload.name != begin.name => return Err(reused(begin.request)),
            Some(_) | None => Some(file),
        },
        Some(Outcome::Stored(name, record)) if name == begin.name => {
            let answer = Begun::Already(Stored {
                name,
                record: *record,
            });
            return Ok(Planned {
                puts: Vec::new(),
                answer,
            });
        }
        Some(Outcome::Stored(..) | Outcome::Deleted | Outcome::Purged) => {
            return Err(reused(begin.request));
        }
    };
    check(records, &begin.name, &begin.precondition)?;
    let record = UploadRecord {
        begun_at: at.index,
        begun: at.time,
        name: begin.name,
        chunk_size: begin.chunk_size,
        replicas: begin.replicas,
        content_type: begin.content_type,
        precondition: begin.precondition,
        request: begin.request,
    };
    let mut puts = Vec::new();
    if let Some(old) = replaced {
        puts.push(remove(&Key::Upload(old)));
    }
    puts.push(put(&Key::Upload(begin.file), &record)?);
    remember(&mut puts, begin.request, &Outcome::Begun(begin.file))?;
    Ok(Planned {
        puts,
        answer: Begun::Open { replaced },
    })
}

/// Makes an upload a file.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The upload.
    pub file: FileId,
    /// Its chunks.
    pub layout: ChunkLayout,
    /// CRC-32 of all bytes.
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    pub blake3: Blake3,
    /// Who has which chunks durably; covers all of them, in order.
    pub copies: Vec<Copies>,
}

/// Plans a CommitUpload. A file that had the name goes to the trash.
///
/// Chunks that are not on exactly the first holders of their partition become exceptions of the
/// record, so that every later leader finds them.
///
/// # Errors
/// If the upload is not open, the precondition does not hold, or chunks and copies do not fit.
pub fn plan_commit(
    records: &impl Lookup,
    commit: Commit,
    at: At,
) -> Result<Planned<Stored>, Refusal> {
    let upload: UploadRecord =
        get(records, &Key::Upload(commit.file))?.ok_or(Refusal::UploadNotOpen(commit.file))?;
    check_copies(&upload, &commit)?;
    let present = check(records, &upload.name, &upload.precondition)?;
    let record = FileRecord {
        version: at.index,
        file: commit.file,
        size: commit.layout.total_bytes(),
        exceptions: exceptions(records, upload.replicas.under(policy(records)?), &commit)?,
        layout: commit.layout,
        chunk_size: upload.chunk_size,
        replicas: upload.replicas.told_under(policy(records)?),
        crc32: commit.crc32,
        blake3: commit.blake3,
        content_type: upload.content_type,
        modified: at.time,
    };
    let mut puts = vec![remove(&Key::Upload(commit.file))];
    if let Some(old) = present {
        puts.push(trash(&upload.name, old, at)?);
    }
    puts.push(put(&Key::File(upload.name.clone()), &record)?);
    let outcome = Outcome::Stored(upload.name.clone(), Box::new(record.clone()));
    remember(&mut puts, upload.request, &outcome)?;
    Ok(Planned {
        puts,
        answer: Stored {
            name: upload.name,
            record,
        },
    })
}

/// Plans an AbortUpload. The answer says whether the upload was open: only then are its chunks
/// garbage by this entry.
///
/// # Errors
/// If the record cannot be read.
pub fn plan_abort(records: &impl Lookup, file: FileId) -> Result<Planned<bool>, Refusal> {
    let Some(upload) = get::<UploadRecord>(records, &Key::Upload(file))? else {
        return Ok(Planned {
            puts: Vec::new(),
            answer: false,
        });
    };
    let mut puts = vec![remove(&Key::Upload(file))];
    if let Some(request) = upload.request {
        puts.push(remove(&Key::Request(request)));
    }
    Ok(Planned { puts, answer: true })
}

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

pub(super) fn trash(
    name: &FileName,
    file: FileRecord,
    at: At,
) -> Result<crate::log::message::Put, Refusal> {
    let key = Key::Trash(at.time, file.file);
    Ok(put(
        &key,
        &TrashRecord {
            name: name.clone(),
            file,
        },
    )?)
}

pub(super) fn check(
    records: &impl Lookup,
    name: &FileName,
    precondition: &Precondition,
) -> Result<Option<FileRecord>, Refusal> {
    let present: Option<FileRecord> = get(records, &Key::File(name.clone()))?;
    match precondition.check(present.as_ref()) {
        Ok(()) => Ok(present),
        Err(what) => Err(Refusal::PreconditionFailed {
            name: name.clone(),
            what,
        }),
    }
}

fn reused(request: Option<RequestId>) -> Refusal {
    Refusal::RequestReused(request.unwrap_or(RequestId::from_u128(0)))
}

/// Every chunk but the last is full, and each is named once, on enough different disks.
fn check_copies(upload: &UploadRecord, commit: &Commit) -> Result<(), Refusal> {
    let size = commit.layout.total_bytes();
    if ChunkLayout::of_file(size, upload.chunk_size).as_ref() != Ok(&commit.layout) {
        return Err(Refusal::BadCommit(
            "its chunks are not of the upload's chunk size",
        ));
    }
    let mut next = 0;
    for run in &commit.copies {
        if run.first_chunk != next || run.chunks == 0 {
            return Err(Refusal::BadCommit(
                "its copies do not cover its chunks in order",
            ));
        }
        let disks: BTreeSet<_> = run.disks.iter().collect();
        if disks.len() != run.disks.len() || disks.len() < usize::from(upload.replicas.get()) {
            return Err(Refusal::BadCommit(
                "a chunk has fewer copies than asked for",
            ));
        }
        next = next.checked_add(run.chunks).ok_or(Refusal::BadCommit(
            "its copies name more chunks than there can be",
        ))?;
    }
    if next != commit.layout.chunk_count() {
        return Err(Refusal::BadCommit("its copies do not cover its chunks"));
    }
    Ok(())
}

fn exceptions(
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
            if !same_disks(&wanted, &run.disks) {
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
fn push_run(runs: &mut Vec<Copies>, run: Copies) {
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
