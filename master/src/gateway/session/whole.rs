//! The commit of a session: all its chunks, made sure of.

use super::super::Shared;
use super::super::again::Again;
use super::super::chunk::{ChunkDone, Chunks};
use super::super::commit::{TRIES, VERIFIES, runs, verify_copy};
use super::super::store::StoreError;
use super::{note, seal_of};
use crate::error::Error;
use crate::leader::command::{
    CommitUpload, FileInfo, FindUpload, FoundUpload, KnownChunk, OpenUpload, Site,
};
use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32, join};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSet};
use mdfs_core::id::{FileId, Term};
use mdfs_core::records::{ChunkRecord, EndedRecord, UploadEnd, UploadRecord};

/// Chunks asked for at a time: the leader does nothing else meanwhile.
const PAGE: usize = 1024;
/// Runs of missing chunks that an error names.
const MOST_NAMED: usize = 16;

/// What the whole file must be, as far as the client says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Bytes in it.
    pub size: Option<u64>,
    /// CRC-32 of them.
    pub crc32: Option<Crc32>,
    /// BLAKE3 of them.
    pub blake3: Option<Blake3>,
}

/// Makes sure of all chunks, and commits.
pub(in crate::gateway) async fn commit(
    shared: &Shared,
    file: FileId,
    whole: Whole,
) -> Result<FileInfo, StoreError> {
    let (mut changes, mut again) = (1..TRIES, Again::new(shared));
    loop {
        let (open, upload, known) = match load(shared, file).await? {
            Loaded::Open(open, upload, known) => (open, upload, known),
            Loaded::Committed(info) => return Ok(info),
        };
        let size = size_of(&upload, whole)?;
        let layout = layout_of(file, &upload, size, &known)?;
        let sums = joined(&known);
        compare(whole, layout.total_bytes(), sums)?;
        let done = match make_sure(shared, open, &upload, known).await {
            Err(Error::CopyGone { .. }) if changes.next().is_some() => continue,
            done => done?,
        };
        let outcome = shared
            .leader
            .commit_upload(CommitUpload {
                file,
                term: open.term,
                layout,
                crc32: sums.0,
                blake3: sums.1,
                copies: runs(&done),
            })
            .await;
        match outcome {
            // Another leader has come, a disk has gone, or the policy asks for more copies: everything
            // is looked at again.
            Err(
                Error::VerifyFirst { .. } | Error::CopyGone { .. } | Error::TooFewWorkers { .. },
            ) if changes.next().is_some() => {}
            Err(error @ (Error::NoLeader | Error::NoQuorum)) => {
                if !again.wait().await {
                    return Err(error.into());
                }
            }
            outcome => return Ok(outcome?),
        }
    }
}

enum Loaded {
    Open(OpenUpload, Box<UploadRecord>, Vec<KnownChunk>),
    Committed(FileInfo),
}

/// A session with all its chunks, all as one leader tells them in one term.
async fn load(shared: &Shared, file: FileId) -> Result<Loaded, Error> {
    let mut known: Vec<KnownChunk> = Vec::new();
    loop {
        let next = known.last().map_or(0, |last| last.index.saturating_add(1));
        let find = FindUpload {
            file,
            chunks_from: next,
            most_chunks: PAGE,
        };
        let session = match shared.leader.find_upload(find).await? {
            FoundUpload::Open(session) => session,
            FoundUpload::Ended(EndedRecord {
                end: UploadEnd::Committed(name, record),
                ..
            }) => {
                let record = *record;
                return Ok(Loaded::Committed(FileInfo { name, record }));
            }
            FoundUpload::Ended(_) => return Err(Error::UploadNotOpen { file }),
        };
        let is_last = session.chunks.len() < PAGE;
        known.extend(session.chunks);
        if is_last {
            // Commits are refused in another term than the leader's: what an earlier page said of
            // terms is no harm.
            return Ok(Loaded::Open(session.open, Box::new(session.record), known));
        }
    }
}

fn size_of(upload: &UploadRecord, whole: Whole) -> Result<Option<u64>, StoreError> {
    let told = upload.session.and_then(|session| session.size);
    match (told, whole.size) {
        (Some(told), Some(wanted)) if told != wanted => Err(StoreError::ChecksumMismatch {
            name: "size",
            wanted: wanted.to_string(),
            got: told.to_string(),
        }),
        (told, wanted) => Ok(told.or(wanted)),
    }
}

/// The chunks of the file, if all are there.
fn layout_of(
    file: FileId,
    upload: &UploadRecord,
    size: Option<u64>,
    known: &[KnownChunk],
) -> Result<ChunkLayout, Error> {
    let full = upload.chunk_size.bytes();
    let set: ChunkSet = known.iter().map(|chunk| chunk.index).collect();
    let after_last = known.last().map_or(0, |last| last.index.saturating_add(1));
    let wanted = size.map_or(u64::from(after_last).max(1), |size| size.div_ceil(full));
    let missing = set.missing(u32::try_from(wanted).unwrap_or(u32::MAX));
    if !missing.is_empty() {
        return Err(Error::MissingChunks {
            file,
            missing: named(&missing),
        });
    }
    let mut layout = ChunkLayout::new();
    for chunk in known {
        let broken = |error| Error::Broken(format!("upload {file}: {error}"));
        layout.push(chunk.record.length).map_err(broken)?;
    }
    let total = layout.total_bytes();
    if size.is_some_and(|size| size != total)
        || ChunkLayout::of_file(total, upload.chunk_size).as_ref() != Ok(&layout)
    {
        return Err(Error::Conflict(format!(
            "the chunks of upload {file} have {total} bytes, and fill no file of the size meant"
        )));
    }
    Ok(layout)
}

/// Runs of chunks as people write them.
fn named(runs: &[(u32, u32)]) -> String {
    let mut texts: Vec<String> = runs
        .iter()
        .take(MOST_NAMED)
        .map(|&(first, count)| match count {
            1 => first.to_string(),
            _ => format!("{first}-{}", first.saturating_add(count - 1)),
        })
        .collect();
    if runs.len() > MOST_NAMED {
        texts.push("and more".to_owned());
    }
    texts.join(", ")
}

/// What all bytes hash to.
fn joined(known: &[KnownChunk]) -> (Crc32, Blake3) {
    let crc32 = known.iter().fold(Crc32::default(), |crc32, chunk| {
        Crc32::combine(crc32, chunk.record.crc32, chunk.record.length)
    });
    let hashes: Vec<ChunkHash> = known.iter().map(|chunk| chunk.record.hash).collect();
    let alone = match known {
        [only] => only.record.alone,
        _ => None,
    };
    (crc32, alone.unwrap_or_else(|| join(&hashes)))
}

fn compare(whole: Whole, size: u64, (crc32, blake3): (Crc32, Blake3)) -> Result<(), StoreError> {
    let differs =
        |name, wanted: String, got: String| Err(StoreError::ChecksumMismatch { name, wanted, got });
    match whole {
        Whole {
            size: Some(wanted), ..
        } if wanted != size => differs("size", wanted.to_string(), size.to_string()),
        Whole {
            crc32: Some(wanted),
            ..
        } if wanted != crc32 => differs("CRC-32", wanted.to_string(), crc32.to_string()),
        Whole {
            blake3: Some(wanted),
            ..
        } if wanted != blake3 => differs("BLAKE3", wanted.to_string(), blake3.to_string()),
        Whole { .. } => Ok(()),
    }
}

/// Makes sure that all copies of all chunks are there; what is missing is copied.
async fn make_sure(
    shared: &Shared,
    open: OpenUpload,
    upload: &UploadRecord,
    known: Vec<KnownChunk>,
) -> Result<Vec<ChunkDone>, Error> {
    let chunks = Chunks::new(shared, open);
    let sure = known
        .into_iter()
        .map(|known| make_sure_of(&chunks, upload, known).boxed());
    let sure: Vec<_> = sure.collect();
    stream::iter(sure).buffered(VERIFIES).try_collect().await
}

/// A copy counts if its disk answered for it in the present term and beats; any other has to say
/// again what it has.
async fn make_sure_of(
    chunks: &Chunks<'_>,
    upload: &UploadRecord,
    known: KnownChunk,
) -> Result<ChunkDone, Error> {
    let KnownChunk {
        index,
        record,
        sites,
    } = known;
    let term: Term = chunks.open().term;
    let chunk = ChunkId {
        file: chunks.open().file,
        index,
    };
    let done = |sites: Vec<Site>| ChunkDone {
        chunk,
        length: record.length,
        crc32: record.crc32,
        sites,
    };
    let mut durable = Vec::new();
    // Those that were retired are not told.
    let mut all_counted = record.term == term && sites.len() == record.disks.len();
    for site in sites {
        let counts = record.term == term && site.live
            || verify_copy(chunks.shared(), term, &done(Vec::new()), &site)
                .await
                .is_ok();
        if counts {
            durable.push(site);
        } else {
            all_counted = false;
        }
    }
    if durable.is_empty() {
        return Err(Error::Unavailable {
            name: format!("upload {}", chunk.file),
            index,
        });
    }
    let seal = seal_of(upload, index, &record);
    let sites = chunks.complete(chunk, &seal, durable).await?;
    if !all_counted {
        // A commit that breaks off need not read everything again.
        let disks = sites.iter().map(|site| site.disk).collect();
        let record = ChunkRecord {
            disks,
            term,
            ..record.clone()
        };
        note(chunks.shared(), chunk, &record).await?;
    }
    Ok(done(sites))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_chunks_are_named_as_runs_and_not_without_end() {
        assert_eq!(named(&[(0, 1), (3, 3)]), "0, 3-5");
        let many: Vec<(u32, u32)> = (0..40).map(|n| (2 * n, 1)).collect();
        let text = named(&many);
        assert!(text.ends_with("28, 30, and more"), "{text}");
    }
}
