//! Uploads that clients come back to: what is recorded of their chunks, and what is told of them.

use super::super::catalog::{Upload, prefix};
use super::super::command::{
    FindUpload, FoundUpload, KnownChunk, ListUploads, OpenSession, OpenUpload, RecordChunk,
    UploadPage,
};
use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::records::plan::{Planned, Refusal, plan_chunk};
use mdfs_core::records::{
    ChunkRecord, EndedRecord, Holder, Key, Kind, Lookup, UploadRecord, decode, get,
};
use mdfs_core::time::{LogTime, Timestamp};
use std::time::Duration;

impl Metadata {
    /// Whether one more session may be opened. One holder leaves half of them to others.
    pub(super) fn check_quota(&self, holder: Option<Holder>) -> Result<(), Error> {
        let most = self.settings.most_sessions;
        let full = |what: &str, open: usize| {
            let (what, open) = (what.to_owned(), u64::try_from(open).unwrap_or(u64::MAX));
            Err(Error::TooManyUploads { what, open })
        };
        let theirs = holder.map_or(0, |holder| self.planned.held_by(holder).sessions);
        if self.planned.sessions >= most {
            return full("uploads", self.planned.sessions);
        }
        if theirs >= most.div_ceil(2) {
            return full("uploads of one token or address", theirs);
        }
        Ok(())
    }

    pub(super) fn record_chunk(
        &mut self,
        now: Now,
        deadline: Timestamp,
        chunk: RecordChunk,
        answer: Answer<()>,
    ) {
        let kept_by_retiring = self.is_kept_by_retiring(now, [&chunk.disks]);
        let planned = self.plan_chunk(now, chunk);
        let appended = self.carry_out(now, deadline, None, planned, answer, Vec::new(), |()| ());
        if appended && kept_by_retiring {
            self.note_kept_by_retiring();
        }
    }

    fn plan_chunk(&self, now: Now, chunk: RecordChunk) -> Result<Planned<()>, Error> {
        let at = self.next(now).ok_or(Error::NoLeader)?;
        let view = self.view()?;
        if view.value(&Key::Chunk(chunk.chunk).to_bytes()).is_none() {
            self.check_new_chunk(&chunk)?;
        }
        self.check_present(&chunk.disks)?;
        let record = ChunkRecord {
            length: chunk.length,
            crc32: chunk.crc32,
            hash: chunk.hash,
            alone: chunk.alone,
            disks: chunk.disks,
            term: chunk.term,
            stored: at.time,
        };
        Ok(plan_chunk(&view, chunk.chunk, &record)?)
    }

    /// Whether one more chunk may be recorded. One holder leaves half of them to others; and as only the
    /// last chunk of a file is not full, what is recorded has about as many bytes as it says.
    fn check_new_chunk(&self, chunk: &RecordChunk) -> Result<(), Error> {
        let most = self.settings.most_recorded;
        let full = |what: &str, open| {
            let what = what.to_owned();
            Err(Error::TooManyUploads { what, open })
        };
        let (open, _) = self.planned.recorded;
        let Some(upload) = self.planned.uploads.get(&chunk.chunk.file) else {
            // That it is not open is told by what follows.
            return Ok(());
        };
        let held = |holder| self.planned.held_by(holder).chunks;
        let theirs = upload.holder.map_or(0, held);
        if open >= most {
            return full("chunks of uploads", open);
        }
        if theirs >= most.div_ceil(2) {
            return full("chunks of uploads of one token or address", theirs);
        }
        if upload.short.is_some() && chunk.length < upload.full {
            let why = "another one is not full already, and only the last may be";
            return Err(Refusal::BadChunk(chunk.chunk, why).into());
        }
        Ok(())
    }

    /// Whether these disks are members still: what is on a retired one is lost.
    pub(super) fn check_present<'a>(
        &self,
        disks: impl IntoIterator<Item = &'a DiskId>,
    ) -> Result<(), Error> {
        let gone = |disk: &&DiskId| !self.planned.is_present(**disk);
        match disks.into_iter().find(gone) {
            Some(&disk) => Err(Error::CopyGone { disk }),
            None => Ok(()),
        }
    }

    /// What chunk writes of an open upload need.
    pub(super) fn open_upload(
        &self,
        records: &impl Lookup,
        file: FileId,
        term: Term,
    ) -> Result<OpenUpload, Error> {
        let record: Option<UploadRecord> =
            get(records, &Key::Upload(file)).map_err(Refusal::from)?;
        let record = record.ok_or(Error::UploadNotOpen { file })?;
        Ok(self.open_of(file, &record, term))
    }

    pub(super) fn find_upload(
        &mut self,
        now: Now,
        deadline: Timestamp,
        find: FindUpload,
        answer: Answer<FoundUpload>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            let found = metadata.and_then(|metadata| metadata.found(now, find));
            respond(answer, found);
        };
        self.read(now, deadline, Box::new(read));
    }

    fn found(&self, now: Now, find: FindUpload) -> Result<FoundUpload, Error> {
        let FindUpload {
            file,
            chunks_from,
            most_chunks,
        } = find;
        let table = self.log.committed().ok_or(Error::NoLeader)?;
        let unknown = Error::UploadNotFound { file };
        let record: Option<UploadRecord> = get(table, &Key::Upload(file)).map_err(Refusal::from)?;
        let Some((record, upload)) = record.zip(self.catalog.uploads.get(&file)) else {
            let ended: Option<EndedRecord> =
                get(table, &Key::Ended(file)).map_err(Refusal::from)?;
            return ended.map(FoundUpload::Ended).ok_or(unknown);
        };
        // A plain PUT is nobody's but its gateway's.
        let mut session = self.session(file, record, upload).ok_or(unknown)?;
        let of_file = Key::chunks_of(file);
        // Behind the chunk before, if there is one.
        let before = chunks_from.checked_sub(1);
        let before = before.map(|index| Key::Chunk(ChunkId { file, index }).to_bytes());
        for (key, value) in table.range(&of_file, before.as_deref()) {
            if session.chunks.len() >= most_chunks {
                break;
            }
            let Key::Chunk(chunk) = Key::from_bytes(key).map_err(Refusal::from)? else {
                continue;
            };
            let record: ChunkRecord = decode(value).map_err(Refusal::from)?;
            if !record.is_durable() {
                continue;
            }
            let disks = record.disks.iter();
            let sites = disks.filter(|disk| self.planned.is_present(**disk));
            session.chunks.push(KnownChunk {
                index: chunk.index,
                sites: sites.filter_map(|&disk| self.site(now, disk)).collect(),
                record,
            });
        }
        Ok(FoundUpload::Open(Box::new(session)))
    }

    fn session(&self, file: FileId, record: UploadRecord, upload: &Upload) -> Option<OpenSession> {
        Some(OpenSession {
            open: self.open_of(file, &record, self.log.term()?),
            record,
            stored: upload.stored.clone(),
            stored_bytes: upload.stored_bytes,
            expires: upload.expires()?,
            chunks: Vec::new(),
        })
    }

    pub(super) fn list_uploads(
        &mut self,
        now: Now,
        deadline: Timestamp,
        list: ListUploads,
        answer: Answer<UploadPage>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, _| {
            respond(
                answer,
                metadata.and_then(|metadata| metadata.upload_page(list)),
            );
        };
        self.read(now, deadline, Box::new(read));
    }

    fn upload_page(&self, list: ListUploads) -> Result<UploadPage, Error> {
        let table = self.log.committed().ok_or(Error::NoLeader)?;
        let after = list.after.map(|file| Key::Upload(file).to_bytes());
        let mut page = UploadPage::default();
        for (key, value) in table.range(&prefix(Kind::Upload), after.as_deref()) {
            let Key::Upload(file) = Key::from_bytes(key).map_err(Refusal::from)? else {
                continue;
            };
            let record: UploadRecord = decode(value).map_err(Refusal::from)?;
            if !record.name.as_str().starts_with(&list.prefix) {
                continue;
            }
            let upload = self.catalog.uploads.get(&file);
            let Some(session) = upload.and_then(|upload| self.session(file, record, upload)) else {
                continue;
            };
            // The page is cut before the first one that does not fit.
            if page.uploads.len() >= list.limit {
                page.next = page.uploads.last().map(|last| last.open.file);
                break;
            }
            page.uploads.push(session);
        }
        Ok(page)
    }

    /// How long ago the oldest open session was begun, in log time.
    pub(super) fn oldest_session(&self, now: Now) -> Duration {
        let sessions = self.catalog.uploads.values();
        let begun = sessions
            .filter(|upload| upload.session.is_some())
            .map(|upload| upload.begun)
            .min();
        let time: Option<LogTime> = self.log.log_time(now.mono);
        time.zip(begun)
            .map_or(Duration::ZERO, |(time, begun)| time.since(begun))
    }

    fn open_of(&self, file: FileId, record: &UploadRecord, term: Term) -> OpenUpload {
        OpenUpload {
            file,
            term,
            begun_at: record.begun_at,
            chunk_size: record.chunk_size,
            replicas: record.copies(self.planned.replicas()),
        }
    }
}
