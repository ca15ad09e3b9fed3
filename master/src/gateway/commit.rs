//! The end of an upload: the leader makes it a file.

use super::Shared;
use super::again::Again;
use super::chunk::ChunkDone;
use super::peers::time_for;
use super::segments::Sums;
use crate::error::Error;
use crate::leader::command::{CommitUpload, Copies, FileInfo, OpenUpload, Site};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mdfs_core::chunk::ChunkLayout;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::name::FileName;
use std::time::Duration;

/// How often a commit is tried anew after a change of leader, or of what disks have.
pub(super) const TRIES: usize = 5;
/// Verifications under way at a time.
pub(super) const VERIFIES: usize = 8;
/// In which a worker must say what it has stored of a chunk of usual size: it reads it whole.
pub(super) const VERIFY: Duration = Duration::from_secs(10);

/// Commits. When another leader has come since the copies were answered, has them verified in its
/// term first.
pub(super) async fn commit(
    shared: &Shared,
    open: OpenUpload,
    name: &FileName,
    chunks: Vec<ChunkDone>,
    sums: Sums,
) -> Result<FileInfo, Error> {
    let mut layout = ChunkLayout::new();
    for chunk in &chunks {
        let broken = |error| Error::Broken(format!("upload {}: {error}", open.file));
        layout.push(chunk.length).map_err(broken)?;
    }
    let copies = runs(&chunks);
    let mut term = open.term;
    let (mut leaders, mut again) = (1..TRIES, Again::new(shared));
    loop {
        let outcome = shared
            .leader
            .commit_upload(CommitUpload {
                file: open.file,
                term,
                layout: layout.clone(),
                crc32: sums.crc32,
                blake3: sums.blake3,
                copies: copies.clone(),
            })
            .await;
        match outcome {
            Err(Error::VerifyFirst { term: now }) if leaders.next().is_some() => {
                term = now;
                verify(shared, term, &chunks).await?;
                again = Again::new(shared);
            }
            // Whether it took effect is not known; a repeated commit tells.
            Err(error @ (Error::NoLeader | Error::NoQuorum)) => {
                if !again.wait().await {
                    return Err(error);
                }
            }
            // An earlier leader may have committed it, and nobody have heard: only that one remembered.
            Err(Error::UploadNotOpen { .. }) if term != open.term => {
                return look_for(shared, open.file, name).await;
            }
            outcome => return outcome,
        }
    }
}

/// The file that an upload became, if its name has it.
///
/// # Errors
/// If not: what became of it is not known, as it may have been replaced or deleted since.
async fn look_for(shared: &Shared, file: FileId, name: &FileName) -> Result<FileInfo, Error> {
    let found = shared.leader.look_up(name.clone()).await;
    let info = found.map(|view| view.info).ok();
    info.filter(|info| info.record.file == file)
        .ok_or(Error::NoLeader)
}

/// Who has which chunks, neighbours with the same disks together.
pub(super) fn runs(chunks: &[ChunkDone]) -> Vec<Copies> {
    let mut runs: Vec<Copies> = Vec::new();
    for done in chunks {
        let disks: Vec<DiskId> = done.sites.iter().map(|site| site.disk).collect();
        match runs.last_mut() {
            Some(run) if run.disks == disks => run.chunks += 1,
            _ => runs.push(Copies {
                first_chunk: done.chunk.index,
                chunks: 1,
                disks,
            }),
        }
    }
    runs
}

/// Has every disk say in `term` what it has stored.
///
/// # Errors
/// If one cannot, or has something else.
async fn verify(shared: &Shared, term: Term, chunks: &[ChunkDone]) -> Result<(), Error> {
    let mut questions: Vec<BoxFuture<'_, Result<(), Error>>> = Vec::new();
    for done in chunks {
        for site in &done.sites {
            questions.push(verify_copy(shared, term, done, site).boxed());
        }
    }
    stream::iter(questions)
        .buffer_unordered(VERIFIES)
        .try_collect::<Vec<()>>()
        .await
        .map(|_| ())
}

pub(super) async fn verify_copy(
    shared: &Shared,
    term: Term,
    done: &ChunkDone,
    site: &Site,
) -> Result<(), Error> {
    let within = time_for(done.length, VERIFY);
    let answer = shared.peers.verify(site, done.chunk, term, within).await;
    if answer.is_ok_and(|it| it.length == done.length && it.crc32 == done.crc32) {
        return Ok(());
    }
    let (disk, chunk) = (site.disk, done.chunk);
    tracing::warn!(%disk, %chunk, "a copy cannot be verified for a new leader");
    Err(Error::Unavailable {
        name: format!("upload {}", chunk.file),
        index: chunk.index,
    })
}
