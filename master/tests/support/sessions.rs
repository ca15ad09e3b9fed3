//! What the leader of the tests knows of uploads that clients come back to.

use super::leader::{CHUNK_SIZE, NOW, State};
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::records::plan::Refusal;
use mdfs_core::records::{ChunkRecord, EndedRecord, UploadEnd, UploadRecord, Wanted};
use mdfs_master::error::Error;
use mdfs_master::leader::command::{
    BeginUpload, FindUpload, FoundUpload, KnownChunk, ListUploads, OpenSession, OpenUpload,
    RecordChunk, UploadPage,
};

impl State {
    /// Retires the disk that is to be, if a copy is said to be there.
    pub(super) fn retire<'a>(
        &mut self,
        disks: impl IntoIterator<Item = &'a DiskId>,
    ) -> Result<(), Error> {
        let is_it = |&&disk: &&DiskId| Some(disk) == self.retires;
        let Some(&disk) = disks.into_iter().find(is_it) else {
            return Ok(());
        };
        self.retires = None;
        self.sites.retain(|site| site.disk != disk);
        Err(Error::CopyGone { disk })
    }

    pub(super) fn record(&mut self, chunk: RecordChunk) -> Result<(), Error> {
        let file = chunk.chunk.file;
        if !self.open.contains_key(&file) {
            return Err(Error::UploadNotOpen { file });
        }
        self.retire(&chunk.disks)?;
        let recorded = self.recorded.entry(file).or_default();
        if let Some(known) = recorded.get(&chunk.chunk.index) {
            if (known.length, known.crc32) != (chunk.length, chunk.crc32) {
                return Err(Refusal::OtherChunk(chunk.chunk).into());
            }
            if chunk.disks.is_empty() {
                return Ok(());
            }
        }
        recorded.insert(chunk.chunk.index, chunk);
        Ok(())
    }

    pub(super) fn find(&self, find: FindUpload) -> Result<FoundUpload, Error> {
        let file = find.file;
        if let Some(end) = self.ended.get(&file) {
            let end = match end {
                Some(name) => {
                    UploadEnd::Committed(name.clone(), Box::new(self.files[name].0.clone()))
                }
                None => UploadEnd::Aborted,
            };
            return Ok(FoundUpload::Ended(EndedRecord { ended: NOW, end }));
        }
        let begin = self.open.get(&file).filter(|begin| begin.session.is_some());
        let begin = begin.ok_or(Error::UploadNotFound { file })?;
        let mut session = self.session(file, begin);
        let recorded = self.recorded.get(&file).into_iter().flatten();
        session.chunks = recorded
            .filter(|(index, _)| **index >= find.chunks_from)
            .filter(|(_, chunk)| !chunk.disks.is_empty())
            .take(find.most_chunks)
            .map(|(&index, chunk)| KnownChunk {
                index,
                record: ChunkRecord {
                    length: chunk.length,
                    crc32: chunk.crc32,
                    hash: chunk.hash,
                    alone: chunk.alone,
                    disks: chunk.disks.clone(),
                    term: chunk.term,
                    stored: NOW,
                },
                sites: self
                    .sites
                    .iter()
                    .filter(|site| chunk.disks.contains(&site.disk))
                    .cloned()
                    .collect(),
            })
            .collect();
        Ok(FoundUpload::Open(Box::new(session)))
    }

    pub(super) fn upload_page(&self, list: ListUploads) -> UploadPage {
        let sessions = self
            .open
            .iter()
            .filter(|(_, begin)| begin.session.is_some())
            .filter(|(_, begin)| begin.name.as_str().starts_with(&list.prefix));
        let mut uploads: Vec<_> = sessions
            .filter(|(file, _)| list.after.is_none_or(|after| **file > after))
            .map(|(&file, begin)| self.session(file, begin))
            .collect();
        let next = (uploads.len() > list.limit).then(|| uploads[list.limit - 1].open.file);
        uploads.truncate(list.limit);
        UploadPage { uploads, next }
    }

    fn session(&self, file: FileId, begin: &BeginUpload) -> OpenSession {
        let recorded = self.recorded.get(&file).into_iter().flatten();
        let recorded = recorded.filter(|(_, chunk)| !chunk.disks.is_empty());
        OpenSession {
            open: OpenUpload {
                file,
                term: self.term,
                begun_at: 1,
                chunk_size: begin.chunk_size.unwrap_or(CHUNK_SIZE),
                replicas: begin.replicas.unwrap_or_default(),
            },
            record: UploadRecord {
                begun_at: 1,
                begun: NOW,
                name: begin.name.clone(),
                chunk_size: begin.chunk_size.unwrap_or(CHUNK_SIZE),
                replicas: Wanted::exactly(begin.replicas.unwrap_or_default()),
                content_type: begin.content_type.clone(),
                labels: begin.labels.clone(),
                precondition: begin.precondition.clone(),
                request: begin.request,
                session: begin.session,
                holder: begin.holder,
            },
            stored: recorded.clone().map(|(&index, _)| index).collect(),
            stored_bytes: recorded.map(|(_, chunk)| chunk.length).sum(),
            expires: NOW,
            chunks: Vec::new(),
        }
    }
}
