//! Compares the records with what disks have, and takes files in that no record has.
//!
//! What is on a disk and in no record of a table that is *younger* than the disk's word is in none for
//! good: uploads under way have records. So whatever looks like the remains of a file is looked up once
//! more before it becomes one.

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
use mdfs_core::records::{Corrupt, FileRecord, Key, Kind, TrashRecord, decode};
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
/// Files in one entry of the log.
const BATCH_FILES: usize = 256;
/// Records looked at before others have their turn.
const RECORDS_AT_ONCE: usize = 4096;

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
    /// Another leader has come: what disks said was said to the one before.
    #[error("another leader has come")]
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
    /// Files that no record had when the search began.
    strangers: Vec<(FileId, Left)>,
    import: u128,
    lines: Vec<u8>,
    end: End,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

/// A file that a record has.
struct Known {
    /// Its name; none in the trash, and of an upload.
    name: Option<FileName>,
    chunks: u32,
    size: u64,
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
                Some(url) => peers.push(Peer { disk: disk_id, url }),
                None => end.silent.push(name),
            }
        }
        let links = app.0.gateway.links().clone();
        let remains = Remains::new(links, export.term, peers.into_iter());
        let files = count(&export);
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
        while let Some(entry) = self.known.first_entry()
            && next.is_none_or(|next| *entry.key() < next)
        {
            let (file, known) = entry.remove_entry();
            self.compare(file, &known, 0);
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
            Some(known) => {
                let there = left.chunks.range(..known.chunks).count();
                self.compare(file, &known, u32::try_from(there).unwrap_or(u32::MAX));
            }
            None => self.strangers.push((file, left)),
        }
        if self.strangers.len() >= REMAINS_AT_ONCE {
            self.take_in().await?;
        }
        Ok(())
    }

    /// A file that a record has, and so many chunks of it.
    fn compare(&mut self, file: FileId, known: &Known, there: u32) {
        let Some(name) = &known.name else { return };
        let missing = known.chunks.saturating_sub(there);
        let (name, text) = (name.to_string(), file.to_string());
        let digits = text.get(..8).unwrap_or_default();
        if missing > 0 {
            self.line(Line::Missing(Missing {
                name,
                file_id: file,
                chunks: known.chunks.into(),
                missing_chunks: missing.into(),
            }));
        } else if name.starts_with(RECOVERED) && name.ends_with(&format!("~{digits}")) {
            // By an earlier search, which may have broken off: told of again.
            let size = known.size;
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
        if present.term != self.export.term {
            return Err(ScanError::Superseded);
        }
        let strangers = std::mem::take(&mut self.strangers);
        let wanted: BTreeSet<FileId> = strangers.iter().map(|(file, _)| *file).collect();
        let known = among(&present, &wanted).await?;
        let mut whole: Vec<(FileName, FileRecord)> = Vec::new();
        let mut lines = Vec::new();
        for (file, left) in strangers {
            if known.contains(&file) {
                continue;
            }
            match file_of(file, &left.chunks) {
                Ok(found) => whole.push(found),
                Err(why) => lines.push(incomplete(file, &left, why.to_string())),
            }
        }
        for batch in whole.chunks(BATCH_FILES) {
            let files = batch.iter().cloned().map(|(name, record)| Imported {
                name,
                record,
                deleted: None,
                known: false,
            });
            let result = leader
                .import(import(files.collect(), ImportStep::Files))
                .await?;
            let taken: BTreeSet<FileName> = result.conflicts.into_iter().collect();
            for (name, record) in batch {
                let (name_there, file_id) = (name.to_string(), record.file);
                lines.push(if taken.contains(name) {
                    Line::Incomplete(Incomplete {
                        uploaded_as: name_there,
                        file_id,
                        chunks: record.layout.chunk_count().into(),
                        bytes: record.size,
                        why: "another file has this name: rename it, and search again".to_owned(),
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
        let end = std::mem::take(&mut self.end);
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
                    if let Some((file, known)) = known(key, value)?
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

/// The records that name file ids.
const KINDS: [Kind; 3] = [Kind::File, Kind::Trash, Kind::Upload];

fn count(export: &Export) -> usize {
    let of = |kind: Kind| export.table.range(&[kind.tag()], None).count();
    KINDS.into_iter().map(of).sum()
}

/// Those of the ids that a record has.
async fn among(export: &Export, wanted: &BTreeSet<FileId>) -> Result<BTreeSet<FileId>, ScanError> {
    let mut found = BTreeSet::new();
    for kind in KINDS {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut end = None;
            let tag = [kind.tag()];
            let records = export.table.range(&tag, after.as_deref());
            for (key, value) in records.take(RECORDS_AT_ONCE) {
                end = Some(key.to_vec());
                let file = known(key, value)?.map(|(file, _)| file);
                found.extend(file.filter(|file| wanted.contains(file)));
            }
            if end.is_none() {
                break;
            }
            after = end;
            tokio::task::yield_now().await;
        }
    }
    Ok(found)
}

fn known(key: &[u8], value: &[u8]) -> Result<Option<(FileId, Known)>, Corrupt> {
    let of = |name: Option<FileName>, record: FileRecord| {
        let known = Known {
            name,
            chunks: record.layout.chunk_count(),
            size: record.size,
        };
        Some((record.file, known))
    };
    Ok(match Key::from_bytes(key)? {
        Key::File(name) => of(Some(name), decode(value)?),
        Key::Trash(..) => of(None, decode::<TrashRecord>(value)?.file),
        Key::Upload(file) => {
            let (name, chunks, size) = (None, 0, 0);
            Some((file, Known { name, chunks, size }))
        }
        _ => None,
    })
}

fn incomplete(file: FileId, left: &Left, why: String) -> Line {
    let first = left.chunks.values().next();
    let chunks = left.chunks.len() + left.unreadable.len();
    Line::Incomplete(Incomplete {
        uploaded_as: first.map(|chunk| chunk.name.clone()).unwrap_or_default(),
        file_id: file,
        chunks: u64::try_from(chunks).unwrap_or(u64::MAX),
        bytes: left.chunks.values().map(|chunk| chunk.length).sum(),
        why,
    })
}
