//! How tests ask, and what they do with answers.

use super::world::{MIB, World, disk, name};
use crate::error::Error;
use crate::leader::command::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, CommitUpload, Copies, Delete, FileInfo, FileView,
    List, OpenUpload, Page, Place, Rename, Site,
};
use crate::leader::handle::{Answer, Question};
use crate::leader::metadata::Event;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSize};
use mdfs_core::id::{DiskId, FileId, RequestId};
use mdfs_core::labels::Labels;
use mdfs_core::records::Precondition;
use mdfs_core::records::plan::PolicyChange;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::public::{Policy, Status};
use tokio::sync::oneshot::{self, error::TryRecvError};

/// An answer that may still come.
pub(super) type Asked<T> = oneshot::Receiver<Result<T, Error>>;

impl World {
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(Answer<T>) -> Question) -> Asked<T> {
        let (answer, asked) = oneshot::channel();
        self.step(Event::Question(question(answer)));
        asked
    }

    pub(super) fn bootstrap(&mut self, order: &[u128], replicas: u8) -> Asked<Bootstrapped> {
        let order = Bootstrap {
            disks: order.iter().copied().map(disk).collect(),
            replicas: ReplicationFactor::new(replicas).unwrap(),
            chunk_size: ChunkSize::new(MIB).unwrap(),
        };
        self.ask(|answer| Question::Bootstrap(order, answer))
    }

    pub(super) fn begin(&mut self, text: &str) -> Asked<Begun> {
        self.begin_with(begin(text))
    }

    pub(super) fn begin_with(&mut self, begin: BeginUpload) -> Asked<Begun> {
        self.ask(|answer| Question::BeginUpload(Box::new(begin), answer))
    }

    /// Begins an upload; it is open.
    pub(super) fn open(&mut self, text: &str) -> OpenUpload {
        open(done(self.begin(text)).unwrap())
    }

    pub(super) fn place(&mut self, upload: &OpenUpload, chunk: u32) -> Result<Vec<Site>, Error> {
        self.place_avoiding(upload, chunk, &[])
    }

    pub(super) fn place_avoiding(
        &mut self,
        upload: &OpenUpload,
        chunk: u32,
        avoid: &[DiskId],
    ) -> Result<Vec<Site>, Error> {
        let place = Place {
            file: upload.file,
            chunk,
            bytes: MIB,
            avoid: avoid.to_vec(),
        };
        done(self.ask(|answer| Question::Place(place, answer)))
    }

    /// Commits an upload of one chunk, on these disks.
    pub(super) fn commit_on(&mut self, upload: &OpenUpload, on: &[DiskId]) -> Asked<FileInfo> {
        let commit = commit(upload, on);
        self.ask(|answer| Question::CommitUpload(commit, answer))
    }

    /// Places and commits the one chunk of an upload.
    pub(super) fn finish(&mut self, upload: &OpenUpload) -> Asked<FileInfo> {
        let on: Vec<DiskId> = ids(self.place(upload, 0).unwrap());
        self.commit_on(upload, &on)
    }

    /// Stores a file of one chunk where it is placed.
    pub(super) fn store(&mut self, text: &str) -> FileInfo {
        let upload = self.open(text);
        done(self.finish(&upload)).unwrap()
    }

    /// Makes an empty file.
    pub(super) fn touch(&mut self, text: &str) -> FileInfo {
        let upload = self.open(text);
        let commit = CommitUpload {
            layout: ChunkLayout::new(),
            copies: Vec::new(),
            ..commit(&upload, &[])
        };
        done(self.ask(|answer| Question::CommitUpload(commit, answer))).unwrap()
    }

    pub(super) fn abort(&mut self, file: FileId) -> Asked<()> {
        self.ask(|answer| Question::AbortUpload(file, answer))
    }

    pub(super) fn look_up(&mut self, text: &str) -> Asked<FileView> {
        self.ask(|answer| Question::Lookup(name(text), answer))
    }

    pub(super) fn who_may_have(&mut self, chunk: ChunkId) -> Asked<Vec<Site>> {
        self.ask(|answer| Question::WhoMayHave(chunk, answer))
    }

    pub(super) fn delete(&mut self, text: &str) -> Asked<()> {
        self.delete_as(text, None)
    }

    pub(super) fn delete_as(&mut self, text: &str, request: Option<RequestId>) -> Asked<()> {
        let delete = Delete {
            request,
            name: name(text),
            precondition: Precondition::default(),
        };
        self.ask(|answer| Question::Delete(delete, answer))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Asked<FileInfo> {
        let rename = Rename {
            request: None,
            from: name(from),
            to: name(to),
            overwrite: false,
        };
        self.ask(|answer| Question::Rename(rename, answer))
    }

    pub(super) fn list(&mut self, list: List) -> Asked<Page> {
        self.ask(|answer| Question::List(list, answer))
    }

    /// All names.
    pub(super) fn names(&mut self) -> Vec<String> {
        let list = List {
            limit: 1000,
            ..List::default()
        };
        let page = done(self.list(list)).unwrap();
        let names = page.files.into_iter().map(|info| info.name.to_string());
        names.collect()
    }

    /// Changes the policy.
    pub(super) fn change(&mut self, change: PolicyChange) -> Result<Policy, Error> {
        done(self.ask(|answer| Question::ChangePolicy(change, answer)))
    }

    /// Has the trash kept for so many seconds.
    pub(super) fn keep_trash(&mut self, seconds: u64) {
        let change = PolicyChange {
            trash_keep_seconds: Some(seconds),
            ..PolicyChange::default()
        };
        self.change(change).unwrap();
    }

    pub(super) fn status(&mut self) -> Status {
        done(self.ask(Question::Status)).unwrap()
    }

    /// A request id issued now.
    pub(super) fn request(&self, random: u128) -> RequestId {
        RequestId::issue(self.time().wall, random)
    }
}

pub(super) fn begin(text: &str) -> BeginUpload {
    BeginUpload {
        request: None,
        name: name(text),
        chunk_size: None,
        replicas: None,
        content_type: "video/x-matroska".to_owned(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        session: None,
        holder: None,
    }
}

pub(super) fn commit(upload: &OpenUpload, on: &[DiskId]) -> CommitUpload {
    let mut layout = ChunkLayout::new();
    layout.push(MIB).unwrap();
    CommitUpload {
        file: upload.file,
        term: upload.term,
        layout,
        crc32: Crc32(7),
        blake3: Blake3::of(&upload.file.to_bytes()),
        copies: vec![Copies {
            first_chunk: 0,
            chunks: 1,
            disks: on.to_vec(),
        }],
    }
}

pub(super) fn open(begun: Begun) -> OpenUpload {
    match begun {
        Begun::Open(open) => open,
        Begun::Already(info) => panic!("{info:?} was stored already"),
    }
}

pub(super) fn ids(sites: Vec<Site>) -> Vec<DiskId> {
    sites.into_iter().map(|site| site.disk).collect()
}

/// The answer, which must have come.
#[track_caller]
pub(super) fn done<T>(mut asked: Asked<T>) -> Result<T, Error> {
    asked.try_recv().expect("no answer came")
}

/// Whether no answer has come yet.
pub(super) fn waits<T>(asked: &mut Asked<T>) -> bool {
    matches!(asked.try_recv(), Err(TryRecvError::Empty))
}

/// The error that came, by its variant and text.
#[track_caller]
pub(super) fn refused<T>(asked: Asked<T>) -> Error {
    match done(asked) {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}
