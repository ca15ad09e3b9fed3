//! Compares the records with what disks have, and takes files in that no record has.
//!
//! What is on a disk and in no record of a table that is *younger* than the disk's word is in none for
//! good: uploads under way have records. So whatever looks like the remains of a file is looked up once
//! more before it becomes one. An upload that was begun before the recovery may have been committed, and
//! the entry that said so lost: it is the remains of a file too, and ends when that is brought back.

use super::known::{KINDS, Known, RECORDS_AT_ONCE, among, count, known};
use super::remains::{Left, Remains};
use crate::error::Error;
use crate::http::App;
use crate::leader::command::{Export, Import, ImportStep};
use bytes::Bytes;
use mdfs_client::link::{LinkError, Peer};
use mdfs_core::id::FileId;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::Imported;
use mdfs_core::records::remains::{RECOVERED, file_of};
use mdfs_core::records::{Corrupt, FileRecord};
use mdfs_core::time::LogTime;
use mdfs_protocol::public::{WorkerInfo, WorkerState, Workers};
use mdfs_protocol::recovery::{End, Found, Incomplete, Line, Missing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of lines that go out together.
const PIECE_BYTES: usize = 64 * 1024;
/// How long nothing is sent at most, but for a disk that takes longer: then an empty line is.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Files of the records that are held in memory at a time: all are gone through once for each so many.
const KNOWN_AT_ONCE: u128 = 1 << 18;
/// Remains that are gathered before they are looked up: all records are gone through each time.
const REMAINS_AT_ONCE: usize = 4096;
/// Chunks of them: about 200 bytes each, and the disks that have it.
const CHUNKS_AT_ONCE: usize = 1 << 16;
/// Files in one entry of the log.
const BATCH_FILES: usize = 256;

/// Why a search broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    /// A disk does not say what it has.
    #[error("a disk does not say what it has")]
    Disk(#[from] LinkError),
    /// A record cannot be read.
    #[error("a record cannot be read")]
    Corrupt(#[from] Corrupt),
    /// The leader refuses.
    #[error("the leader refuses")]
    Leader(#[from] Error),
    /// Another leader has come: what disks said was said to the one before. Or the recovery has been
    /// ended: what no record has may have been dropped since.
    #[error("another leader has come, or the recovery was ended")]
    Superseded,
}

/// A search under way.
pub(super) struct Scan {
    app: App,
    export: Export,
    remains: Remains,
    /// Records of the file ids from the last window on.
    known: BTreeMap<FileId, Known>,
    /// The last id of the window.
    window_end: u128,
    window: u128,
    /// Files that no record had when the search began, and uploads begun before the recovery.
    strangers: Vec<(FileId, Left)>,
    /// Chunks that are left of them.
    strange_chunks: usize,
    /// When the recovery began.
    since: Option<LogTime>,
    import: u128,
    lines: Vec<u8>,
    end: End,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Scan {
    pub(super) fn new(
        app: &App,
        export: Export,
        workers: Workers,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let mut peers = Vec::new();
        let mut end = End::default();
        for worker in workers.workers {
            let WorkerInfo {
                disk_id,
                name,
                url,
                state,
                ..
            } = worker;
            match url.filter(|_| state == WorkerState::Live) {
                Some(url) => peers.push((Peer { disk: disk_id, url }, name)),
                None => end.silent.push(name),
            }
        }
        let links = app.0.gateway.links().clone();
        let remains = Remains::new(links, export.term, peers.into_iter());
        let files = count(&export);
        let since = export.cluster.recovery.as_ref().map(|it| it.since);
        let windows = u128::try_from(files).unwrap_or(u128::MAX) / KNOWN_AT_ONCE + 1;
        Self {
            app: app.clone(),
            export,
            remains,
            known: BTreeMap::new(),
            window_end: 0,
            // Ids are random: each window has about as many.
            window: u128::MAX / windows,
            strangers: Vec::new(),
            strange_chunks: 0,
            since,
            import: app.0.chance.random_u128(),
            lines: Vec::new(),
            end,
            ended: false,
            _permit: permit,
        }
    }

    /// The next lines; none after the last one.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, ScanError> {
        if self.window_end == 0 {
            self.next_window().await?;
        }
        let clock = &self.app.0.clock.clone();
        let began = clock.now();
        while self.lines.len() < PIECE_BYTES && !self.ended {
            self.step().await?;
            if clock.now().since(began) >= SIGN_OF_LIFE {
                if self.lines.is_empty() {
                    self.lines.push(b'\n');
                }
                break;
            }
        }
        let lines = std::mem::take(&mut self.lines);
        Ok((!lines.is_empty()).then(|| Bytes::from(lines)))
    }

    /// Goes on to the next file.
    async fn step(&mut self) -> Result<(), ScanError> {
        let next = self.remains.peek().await?;
        while !self.has_many()
            && let Some(entry) = self.known.first_entry()
            && next.is_none_or(|next| *entry.key() < next)
        {
            let (file, known) = entry.remove_entry();
            match known {
                Known::Before(_) => self.strangers.push((file, Left::default())),
                Known::File { .. } | Known::Other => self.compare(file, &known, 0),
            }
        }
        if self.has_many() {
            return self.take_in().await;
        }
        let in_window = next.filter(|next| next.as_u128() <= self.window_end);
        let Some(file) = in_window else {
            if next.is_none() && self.window_end == u128::MAX {
                return self.finish().await;
            }
            return self.next_window().await;
        };
        let left = self.remains.take(file).await?;
        let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
        self.end.chunks += count(left.chunks.len() + left.unreadable.len());
        self.end.unreadable += count(left.unreadable.len());
        match self.known.remove(&file) {
            Some(Known::Before(_)) | None => {
                self.strange_chunks += left.chunks.len() + left.unreadable.len();
                self.strangers.push((file, left));
            }
            Some(known) => {
                let there = match &known {
                    Known::File { chunks, .. } => left.chunks.range(..*chunks).count(),
                    Known::Other | Known::Before(_) => 0,
                };
                self.compare(file, &known, u32::try_from(there).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }

    /// Whether so much was gathered that it is looked up first.
    fn has_many(&self) -> bool {
        self.strangers.len() >= REMAINS_AT_ONCE || self.strange_chunks >= CHUNKS_AT_ONCE
    }

    /// A file that a record has, and so many chunks of it.
    fn compare(&mut self, file: FileId, known: &Known, there: u32) {
        let Known::File { name, chunks, size } = known else {
            return;
        };
        let (chunks, size) = (*chunks, *size);
        let missing = chunks.saturating_sub(there);
        let (name, text) = (name.to_string(), file.to_string());
        let digits = text.get(..8).unwrap_or_default();
        if missing > 0 {
            self.line(Line::Missing(Missing {
                name,
                file_id: file,
                chunks: chunks.into(),
                missing_chunks: missing.into(),
            }));
        } else if name.starts_with(RECOVERED) && name.ends_with(&format!("~{digits}")) {
            // By an earlier search, which may have broken off: told of again.
            self.line(Line::Recovered(Found {
                name,
                file_id: file,
                size,
            }));
        }
    }

    /// Makes what is left of files to files, where it is whole.
    async fn take_in(&mut self) -> Result<(), ScanError> {
        let leader = self.app.0.leader.clone();
        let import = |files, step| Import {
            files,
            overwrite: false,
            import: self.import,
            step,
        };
        // From here on no other import brings any of them.
        leader.import(import(Vec::new(), ImportStep::Begin)).await?;
        let present = leader.export().await?;
        let recovery = present.cluster.recovery.as_ref().map(|it| it.since);
        if present.term != self.export.term || recovery.is_none() || recovery != self.since {
            return Err(ScanError::Superseded);
        }
        self.strange_chunks = 0;
        let strangers = std::mem::take(&mut self.strangers);
        let wanted: BTreeSet<FileId> = strangers.iter().map(|(file, _)| *file).collect();
        let known = among(&present, &wanted, recovery).await?;
        let (mut whole, mut uploads): (Vec<(FileName, FileRecord)>, Vec<_>) = Default::default();
        let mut lines = Vec::new();
        for (file, left) in strangers {
            match (known.get(&file), file_of(file, &left.chunks)) {
                (Some(Known::File { .. } | Known::Other), _) => {}
                (None, Ok(found)) => whole.push(found),
                (Some(Known::Before(_)), Ok(found)) => uploads.push(found),
                (None, Err(why)) => lines.push(incomplete(file, &left, None, why.to_string())),
                (Some(Known::Before(name)), Err(why)) => {
                    let why = format!("it was being uploaded, and may have been stored: {why}");
                    lines.push(incomplete(file, &left, Some(name), why));
                }
            }
        }
        let batches = whole.chunks(BATCH_FILES).map(|batch| (batch, false));
        // The records of an upload's chunks end with it: as many as there are.
        let uploads = uploads.chunks(1).map(|batch| (batch, true));
        for (batch, known) in batches.chain(uploads) {
            let files = batch.iter().cloned().map(|(name, record)| Imported {
                name,
                record,
                deleted: None,
                known,
            });
            let result = leader
                .import(import(files.collect(), ImportStep::Files))
                .await?;
            let taken: BTreeSet<FileName> = result.conflicts.into_iter().collect();
            let why = match known {
                true => "its upload ended just now, or another file has this name: search again",
                false => "another file has this name: rename it, and search again",
            };
            for (name, record) in batch {
                let (name_there, file_id) = (name.to_string(), record.file);
                lines.push(if taken.contains(name) {
                    Line::Incomplete(Incomplete {
                        uploaded_as: name_there,
                        file_id,
                        chunks: record.layout.chunk_count().into(),
                        bytes: record.size,
                        why: why.to_owned(),
                    })
                } else {
                    Line::Recovered(Found {
                        name: name_there,
                        file_id,
                        size: record.size,
                    })
                });
            }
        }
        leader.import(import(Vec::new(), ImportStep::End)).await?;
        lines.into_iter().for_each(|line| self.line(line));
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), ScanError> {
        if !self.strangers.is_empty() {
            self.take_in().await?;
        }
        // Before it is told of: whoever hears of it may end the recovery, if no disk was left out.
        let told = self.remains.told();
        let leader = &self.app.0.leader;
        leader.searched(self.export.term, told).await?;
        let mut end = std::mem::take(&mut self.end);
        let failed = self.remains.failed.drain(..);
        end.silent.extend(failed.map(|(_, worker)| worker));
        self.line(Line::End(end));
        self.ended = true;
        Ok(())
    }

    async fn next_window(&mut self) -> Result<(), ScanError> {
        let first = match self.window_end {
            0 => 0,
            end => end.saturating_add(1),
        };
        self.window_end = first.saturating_add(self.window);
        if u128::MAX - self.window_end < self.window {
            self.window_end = u128::MAX;
        }
        let (first, last) = (FileId::from_u128(first), FileId::from_u128(self.window_end));
        for kind in KINDS {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let mut end = None;
                let tag = [kind.tag()];
                let records = self.export.table.range(&tag, after.as_deref());
                for (key, value) in records.take(RECORDS_AT_ONCE) {
                    end = Some(key.to_vec());
                    if let Some((file, known)) = known(key, value, self.since)?
                        && (first..=last).contains(&file)
                    {
                        self.known.insert(file, known);
                    }
                }
                if end.is_none() {
                    break;
                }
                after = end;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line) {
        match &line {
            Line::Recovered(_) => self.end.recovered += 1,
            Line::Incomplete(_) => self.end.incomplete += 1,
            Line::Missing(_) => self.end.missing += 1,
            Line::End(_) => {}
        }
        // Texts and numbers: they always encode.
        if serde_json::to_writer(&mut self.lines, &line).is_ok() {
            self.lines.push(b'\n');
        }
    }
}

fn incomplete(file: FileId, left: &Left, name: Option<&FileName>, why: String) -> Line {
    let first = left.chunks.values().next().map(|chunk| &*chunk.name);
    let name = first.or(name.map(FileName::as_str));
    let chunks = left.chunks.len() + left.unreadable.len();
    Line::Incomplete(Incomplete {
        uploaded_as: name.unwrap_or_default().to_owned(),
        file_id: file,
        chunks: u64::try_from(chunks).unwrap_or(u64::MAX),
        bytes: left.chunks.values().map(|chunk| chunk.length).sum(),
        why,
    })
}
