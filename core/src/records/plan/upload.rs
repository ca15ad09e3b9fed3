//! BeginUpload, CommitUpload, AbortUpload.

use super::copies::exceptions;
use super::policy::{cluster, policy, recovers};
use super::{At, Planned, Refusal, earlier, remember};
use crate::checksum::{Blake3, Crc32};
use crate::chunk::{ChunkLayout, ChunkSize};
use crate::id::{FileId, RequestId};
use crate::labels::Labels;
use crate::log::message::Put;
use crate::name::FileName;
use crate::records::{
    Copies, EndedRecord, FileRecord, Holder, Key, Lookup, Outcome, Precondition, Session,
    TrashRecord, UploadEnd, UploadRecord, Wanted, get, put, put_in, remove,
};
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
    /// What whoever stores it says of it.
    pub labels: Labels,
    /// Must hold now and at the commit.
    pub precondition: Precondition,
    /// Whether clients may come back to it.
    pub session: Option<Session>,
    /// Whom it counts for, if they may.
    pub holder: Option<Holder>,
}

/// What came of a [`Begin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The upload is open. An earlier attempt of the same request, `replaced`, ended with it.
    Open {
        /// An upload whose chunks nobody needs any more.
        replaced: Option<FileId>,
    },
    /// The request opened this session before, and it is open still.
    Known(FileId),
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
    let replaced = match earlier(records, begin.request, &[&begin.name], at.time)? {
        None => None,
        Some(Outcome::Begun(file)) => match get::<UploadRecord>(records, &Key::Upload(file))? {
            Some(upload)
                if upload.name != begin.name
                    || upload.session.is_some() != begin.session.is_some() =>
            {
                return Err(reused(begin.request));
            }
            Some(upload) if upload.session.is_some() => {
                return Ok(Planned {
                    puts: Vec::new(),
                    answer: Begun::Known(file),
                });
            }
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
        Some(Outcome::Stored(..) | Outcome::Deleted | Outcome::Purged | Outcome::Refused(_)) => {
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
        labels: begin.labels,
        precondition: begin.precondition,
        request: begin.request,
        session: begin.session,
        holder: begin.session.and(begin.holder),
    };
    let mut puts = Vec::new();
    if let Some(old) = replaced {
        puts.push(remove(&Key::Upload(old)));
    }
    let format = cluster(records)?.format;
    puts.push(put_in(format, &Key::Upload(begin.file), &record)?);
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
    /// The keys of all chunks that are recorded of it: their records end with it.
    pub recorded: Vec<Vec<u8>>,
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
/// record, so that every later leader finds them. A session that was committed before gives the same
/// answer again, whatever became of the file since.
///
/// # Errors
/// If the upload is not open, the precondition does not hold, or chunks and copies do not fit.
pub fn plan_commit(
    records: &impl Lookup,
    commit: Commit,
    at: At,
) -> Result<Planned<Stored>, Refusal> {
    let Some(upload) = get::<UploadRecord>(records, &Key::Upload(commit.file))? else {
        let ended: Option<EndedRecord> = get(records, &Key::Ended(commit.file))?;
        return match ended.map(|ended| ended.end) {
            Some(UploadEnd::Committed(name, record)) => Ok(Planned {
                puts: Vec::new(),
                answer: Stored {
                    name,
                    record: *record,
                },
            }),
            Some(UploadEnd::Aborted | UploadEnd::Expired) | None => {
                Err(Refusal::UploadNotOpen(commit.file))
            }
        };
    };
    let replicas = upload.replicas.under(policy(records)?);
    let wanted = upload.copies(policy(records)?);
    let least = cluster(records)?.least_copies(wanted);
    check_copies(&upload, least, &commit)?;
    let present = check(records, &upload.name, &upload.precondition)?;
    let record = FileRecord {
        version: at.index,
        file: commit.file,
        size: commit.layout.total_bytes(),
        exceptions: exceptions(records, replicas, &commit)?,
        layout: commit.layout,
        chunk_size: upload.chunk_size,
        replicas: upload.replicas.told_under(policy(records)?),
        crc32: commit.crc32,
        blake3: commit.blake3,
        content_type: upload.content_type,
        labels: upload.labels,
        modified: at.time,
    };
    let mut puts = vec![remove(&Key::Upload(commit.file))];
    puts.extend(commit.recorded.into_iter().map(removed));
    if upload.session.is_some() {
        let end = UploadEnd::Committed(upload.name.clone(), Box::new(record.clone()));
        puts.push(ended(commit.file, end, at)?);
    }
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
/// garbage by this entry. `recorded` are the keys of all chunks that are recorded of it, and `end` is
/// what is remembered if it is a session, or somebody ends it while a recovery is under way: a search
/// does not bring that back.
///
/// # Errors
/// If the record cannot be read.
pub fn plan_abort(
    records: &impl Lookup,
    file: FileId,
    recorded: Vec<Vec<u8>>,
    end: UploadEnd,
    at: At,
) -> Result<Planned<bool>, Refusal> {
    let Some(upload) = get::<UploadRecord>(records, &Key::Upload(file))? else {
        return Ok(Planned {
            puts: Vec::new(),
            answer: false,
        });
    };
    let mut puts = vec![remove(&Key::Upload(file))];
    puts.extend(recorded.into_iter().map(removed));
    let is_ordered = end == UploadEnd::Aborted;
    if upload.session.is_some() || (is_ordered && recovers(records)?) {
        puts.push(ended(file, end, at)?);
    }
    if let Some(request) = upload.request {
        puts.push(remove(&Key::Request(request)));
    }
    Ok(Planned { puts, answer: true })
}

/// Ends an upload that became a file otherwise than by its commit. The request that began it is
/// forgotten: repeated, it would take the chunks for what is left of a failed attempt.
pub(super) fn become_file(
    upload: UploadRecord,
    name: &FileName,
    record: &FileRecord,
    recorded: Vec<Vec<u8>>,
    at: At,
) -> Result<Vec<Put>, Refusal> {
    let mut puts = vec![remove(&Key::Upload(record.file))];
    puts.extend(recorded.into_iter().map(removed));
    if upload.session.is_some() {
        let end = UploadEnd::Committed(name.clone(), Box::new(record.clone()));
        puts.push(ended(record.file, end, at)?);
    }
    puts.extend(upload.request.map(|request| remove(&Key::Request(request))));
    Ok(puts)
}

pub(super) fn ended(file: FileId, end: UploadEnd, at: At) -> Result<Put, Refusal> {
    let record = EndedRecord {
        ended: at.time,
        end,
    };
    Ok(put(&Key::Ended(file), &record)?)
}

fn removed(key: Vec<u8>) -> Put {
    Put { key, value: None }
}

pub(super) fn trash(name: &FileName, file: FileRecord, at: At) -> Result<Put, Refusal> {
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
fn check_copies(upload: &UploadRecord, least: usize, commit: &Commit) -> Result<(), Refusal> {
    let size = commit.layout.total_bytes();
    let told = upload.session.and_then(|session| session.size);
    if told.is_some_and(|told| told != size) {
        return Err(Refusal::BadCommit("it has not the size that was told"));
    }
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
        if disks.is_empty() || disks.len() != run.disks.len() {
            return Err(Refusal::BadCommit("a chunk names no disk, or one twice"));
        }
        if disks.len() < least {
            return Err(Refusal::TooFewCopies {
                wanted: least,
                found: disks.len(),
            });
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
