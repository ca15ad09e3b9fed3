//! Has all workers read their copies of a file, and compares what they say.

use super::Shared;
use super::commit::{VERIFIES, VERIFY};
use super::peers::{Failure, time_for};
use crate::leader::command::{FileView, Site};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::Stored;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{CopyState, Verified, VerifiedCopy, VerifiedWorker, VerifyProblem};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;

/// One copy, and what its worker said of it.
struct Copy {
    index: u32,
    length: u64,
    disk: DiskId,
    /// Whether the disk need not have it, as long as enough others do.
    moving: bool,
    said: Result<Stored, Failure>,
}

/// Takes what is said of each copy; whoever reads it sets the pace.
pub(super) type Lines = mpsc::Sender<VerifiedCopy>;

/// Reads every copy of every chunk, and those that should not be there any more of chunks that have no
/// good one. Takes as long as the slowest disk needs.
pub(super) async fn verify(shared: &Shared, view: &FileView, lines: Option<&Lines>) -> Verified {
    let mut copies = read(shared, view, lines, |_| true).await;
    look_again(shared, view, lines, &mut copies).await;
    look_elsewhere(shared, view, lines, &mut copies).await;
    copies.sort_by_key(|copy| copy.index);
    report(view, &copies)
}

/// Reads the chunks again of which disks have no copy, and which others should have by now.
async fn look_again(
    shared: &Shared,
    view: &FileView,
    lines: Option<&Lines>,
    copies: &mut Vec<Copy>,
) {
    let lacking: BTreeSet<u32> = copies.iter().filter(lacks).map(|it| it.index).collect();
    if lacking.is_empty() {
        return;
    }
    // While disks were reading, chunks may have come to where they belong, and left where they were.
    let newer = shared.leader.look_up(view.info.name.clone()).await;
    if let Ok(newer) = newer.as_ref()
        && newer.info.record.file == view.info.record.file
    {
        let moved = |index: u32| {
            lacking.contains(&index) && disks_of(view, index) != disks_of(newer, index)
        };
        let again = read(shared, newer, lines, moved).await;
        copies.retain(|copy| !moved(copy.index));
        copies.extend(again);
    }
}

/// Looks for chunks that no disk gave that should on all that may have them by now, or still. A disk that
/// is not reached is asked once.
async fn look_elsewhere(
    shared: &Shared,
    view: &FileView,
    lines: Option<&Lines>,
    copies: &mut Vec<Copy>,
) {
    let read: BTreeSet<u32> = copies.iter().filter(reads).map(|it| it.index).collect();
    let all: BTreeSet<u32> = copies.iter().map(|it| it.index).collect();
    let silent = Mutex::new(BTreeSet::new());
    let looks = all.difference(&read).map(|&index| {
        let silent = &silent;
        async move {
            let file = view.info.record.file;
            let told = shared.leader.who_may_have(ChunkId { file, index }).await;
            for site in told.into_iter().flatten().filter(|site| site.live) {
                let lock = || silent.lock().unwrap_or_else(PoisonError::into_inner);
                if lock().contains(&site.disk) {
                    continue;
                }
                let copy = ask(shared, view, index, site, true).await;
                match &copy.said {
                    Err(failure) if failure.is_unreachable() => drop(lock().insert(copy.disk)),
                    _ if reads(&&copy) => return Some(copy),
                    // It need not have one.
                    Ok(_) | Err(_) => {}
                }
            }
            None
        }
        .boxed()
    });
    let looks: Vec<BoxFuture<'_, Option<Copy>>> = looks.collect();
    let mut found = stream::iter(looks).buffered(VERIFIES);
    while let Some(copy) = found.next().await {
        let Some(copy) = copy else { continue };
        tell(lines, &copy).await;
        copies.retain(|before| (before.index, before.disk) != (copy.index, copy.disk));
        copies.push(copy);
    }
}

/// Whether a copy is there and as long as it should be.
fn reads(copy: &&Copy) -> bool {
    (copy.said.as_ref()).is_ok_and(|stored| stored.length == copy.length)
}

async fn tell(lines: Option<&Lines>, copy: &Copy) {
    if let Some(lines) = lines {
        // Nobody listens any more: then this ends too.
        let _ = lines.send(line(copy)).await;
    }
}

fn lacks(copy: &&Copy) -> bool {
    let failure = copy.said.as_ref().err();
    failure.and_then(Failure::code) == Some(Code::ChunkNotFound)
}

fn disks_of(view: &FileView, index: u32) -> BTreeSet<DiskId> {
    let run = view.sites.iter().find(|run| run.has(index));
    let sites = run.into_iter().flat_map(|run| &run.sites);
    sites.map(|site| site.disk).collect()
}

/// Has the copies of some chunks read; gives them in the order of chunks.
async fn read(
    shared: &Shared,
    view: &FileView,
    lines: Option<&Lines>,
    which: impl Fn(u32) -> bool,
) -> Vec<Copy> {
    let mut questions: Vec<BoxFuture<'_, Copy>> = Vec::new();
    for run in &view.sites {
        let end = run.first_chunk.saturating_add(run.chunks);
        for index in (run.first_chunk..end).filter(|&index| which(index)) {
            let asked = run.sites.iter().map(|site| {
                let moving = run.moving.contains(&site.disk);
                ask(shared, view, index, site.clone(), moving).boxed()
            });
            questions.extend(asked);
        }
    }
    let read = stream::iter(questions).buffered(VERIFIES);
    let told = read.then(|copy| async {
        tell(lines, &copy).await;
        copy
    });
    told.collect().await
}

fn line(copy: &Copy) -> VerifiedCopy {
    let crc32 = copy.said.as_ref().ok().map(|stored| stored.crc32);
    VerifiedCopy {
        chunk: copy.index,
        length: copy.length,
        disk_id: copy.disk,
        state: problem(copy, crc32).map(|(state, _)| state),
    }
}

async fn ask(shared: &Shared, view: &FileView, index: u32, site: Site, moving: bool) -> Copy {
    let record = &view.info.record;
    let chunk = ChunkId {
        file: record.file,
        index,
    };
    let length = record.layout.chunk_len(index).unwrap_or(0);
    let within = time_for(length, VERIFY);
    let said = shared.peers.verify(&site, chunk, view.term, within).await;
    Copy {
        index,
        length,
        disk: site.disk,
        moving,
        said,
    }
}

fn report(view: &FileView, copies: &[Copy]) -> Verified {
    let record = &view.info.record;
    let wanted = usize::from(record.replicas.get());
    let mut workers: BTreeMap<DiskId, VerifiedWorker> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut found = Crc32::default();
    let (mut lost, mut enough) = (0, true);
    for copies in copies.chunk_by(|left, right| left.index == right.index) {
        let said = copies.iter().filter_map(|copy| copy.said.as_ref().ok());
        // All copies of a chunk were written from the same bytes.
        let crc32 = said
            .clone()
            .find(|it| copies.iter().all(|c| c.length == it.length));
        let crc32 = crc32.map(|stored| stored.crc32);
        let good = copies.iter().filter(|it| problem(it, crc32).is_none());
        let good = good.count();
        for copy in copies {
            let worker = workers.entry(copy.disk).or_insert(VerifiedWorker {
                disk_id: copy.disk,
                asked: 0,
                good: 0,
                moving: 0,
            });
            worker.asked += 1;
            match problem(copy, crc32) {
                None => worker.good += 1,
                Some((CopyState::Missing, _)) if copy.moving && good >= wanted => {
                    worker.moving += 1;
                }
                Some((state, detail)) => problems.push(VerifyProblem {
                    chunk: copy.index,
                    bytes: bytes_of(view, copy),
                    disk_id: copy.disk,
                    state,
                    detail,
                }),
            }
        }
        lost += u64::from(good == 0);
        enough &= good >= wanted;
        if let (Some(crc32), Some(copy)) = (crc32, copies.first()) {
            found = Crc32::combine(found, crc32, copy.length);
        }
    }
    let found = (lost == 0).then_some(found);
    let same = found == Some(record.crc32);
    Verified {
        name: view.info.name.to_string(),
        good: problems.is_empty() && enough && same,
        chunks: u64::from(record.layout.chunk_count()),
        replicas: record.replicas.get(),
        lost_chunks: lost,
        crc32: record.crc32.to_string(),
        found_crc32: found.map(|crc32| crc32.to_string()),
        workers: workers.into_values().collect(),
        problems,
    }
}

fn problem(copy: &Copy, crc32: Option<Crc32>) -> Option<(CopyState, String)> {
    match &copy.said {
        Ok(stored) if stored.length == copy.length && Some(stored.crc32) == crc32 => None,
        Ok(stored) => Some((
            CopyState::Damaged,
            format!(
                "it has {} bytes with the CRC-32 {}",
                stored.length, stored.crc32
            ),
        )),
        Err(failure) => {
            let state = match failure.code() {
                Some(Code::ChunkNotFound) => CopyState::Missing,
                Some(Code::BadBlock) => CopyState::Damaged,
                _ => CopyState::Unknown,
            };
            Some((state, failure.to_string()))
        }
    }
}

fn bytes_of(view: &FileView, copy: &Copy) -> (u64, u64) {
    let start = view.info.record.layout.offset_of(copy.index).unwrap_or(0);
    (start, start.saturating_add(copy.length))
}
