//! Uploads that clients come back to: what outlives a leader, and what does not outlive its time.

use super::asking::{begin, done, ids, open, refused};
use super::healing::order;
use super::world::{IDLE, KEEP_ENDED, MIB, MOST_RECORDED, MOST_SESSIONS, World, disk};
use crate::error::Error;
use crate::leader::command::{
    BeginUpload, CommitUpload, Copies, FileInfo, FindUpload, FoundUpload, ListUploads, OpenSession,
    OpenUpload, Order, RecordChunk,
};
use crate::leader::handle::Question;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSize};
use mdfs_core::id::{DiskId, FileId, TokenId};
use mdfs_core::records::plan::Refusal;
use mdfs_core::records::{Holder, MemberState, Session, UploadEnd};
use mdfs_protocol::public::Health;
use std::time::Duration;

/// How long a session lives here without a new chunk.
const LIVES: u64 = 100_000;

fn session(text: &str) -> BeginUpload {
    BeginUpload {
        chunk_size: Some(ChunkSize::MIN),
        session: Some(Session {
            size: Some(2 * MIB),
            expires_after: Duration::from_millis(LIVES),
        }),
        ..begin(text)
    }
}

fn chunk(file: FileId, index: u32) -> ChunkId {
    ChunkId { file, index }
}

fn record(upload: &OpenUpload, index: u32, disks: &[DiskId]) -> RecordChunk {
    RecordChunk {
        chunk: chunk(upload.file, index),
        length: MIB,
        crc32: Crc32(index),
        hash: ChunkHash([1; 32]),
        alone: None,
        disks: disks.to_vec(),
        term: upload.term,
    }
}

impl World {
    pub(super) fn open_session(&mut self, text: &str) -> OpenUpload {
        open(done(self.begin_with(session(text))).unwrap())
    }

    /// Stores a chunk where it is placed, and has it recorded.
    fn store_chunk(&mut self, upload: &OpenUpload, index: u32) -> Vec<DiskId> {
        let disks = ids(self.place(upload, index).unwrap());
        self.store_chunk_on(upload, index, &disks);
        disks
    }

    /// Stores a chunk on these disks, and has it recorded.
    pub(super) fn store_chunk_on(&mut self, upload: &OpenUpload, index: u32, disks: &[DiskId]) {
        for disk in disks {
            let worker = self.workers.get_mut(disk).unwrap();
            worker.holdings.add(chunk(upload.file, index), MIB);
        }
        // A worker that has something to tell beats at once.
        self.beat_all();
        done(self.record(upload, index, disks)).unwrap();
    }

    fn record(
        &mut self,
        upload: &OpenUpload,
        index: u32,
        disks: &[DiskId],
    ) -> super::asking::Asked<()> {
        let record = record(upload, index, disks);
        self.ask(|answer| Question::RecordChunk(record, answer))
    }

    fn find(&mut self, file: FileId) -> Result<FoundUpload, Error> {
        let find = FindUpload {
            file,
            chunks_from: 0,
            most_chunks: 10,
        };
        done(self.ask(|answer| Question::FindUpload(find, answer)))
    }

    fn found(&mut self, file: FileId) -> Box<OpenSession> {
        match self.find(file).unwrap() {
            FoundUpload::Open(session) => session,
            FoundUpload::Ended(record) => panic!("{record:?}"),
        }
    }

    fn end(&mut self, file: FileId) -> UploadEnd {
        match self.find(file).unwrap() {
            FoundUpload::Ended(record) => record.end,
            FoundUpload::Open(session) => panic!("{session:?}"),
        }
    }

    fn commit_session(&mut self, file: FileId) -> Result<FileInfo, Error> {
        let session = self.found(file);
        let copies = session.chunks.iter().map(|chunk| Copies {
            first_chunk: chunk.index,
            chunks: 1,
            disks: chunk.record.disks.clone(),
        });
        let commit = CommitUpload {
            file,
            term: session.open.term,
            layout: ChunkLayout::of_file(2 * MIB, ChunkSize::MIN).unwrap(),
            crc32: Crc32(1),
            blake3: Blake3([1; 32]),
            copies: copies.collect(),
        };
        done(self.ask(|answer| Question::CommitUpload(commit, answer)))
    }
}

#[test]
fn chunks_of_a_session_are_known_to_every_later_leader() {
    let mut world = World::founded();
    let upload = world.open_session("a");
    let on = world.store_chunk(&upload, 1);
    world.run(3000);
    world.restart_master();
    world.run(6000);
    let found = world.found(upload.file);
    assert_eq!(found.stored.runs().collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(found.stored_bytes, MIB);
    assert_ne!(found.open.term, upload.term);
    assert_eq!(found.chunks[0].record.term, upload.term);
    assert_eq!(found.chunks[0].record.disks, on);
    assert_eq!(ids(found.chunks[0].sites.clone()), on);
    world.store_chunk(&found.open, 0);
    let info = world.commit_session(upload.file).unwrap();
    assert_eq!(info.record.exceptions, []);
    assert!(matches!(world.end(upload.file), UploadEnd::Committed(name, _) if name == info.name));
}

#[test]
fn a_chunk_that_a_try_may_have_sealed_has_no_other_bytes_under_any_leader() {
    let mut world = World::founded();
    let upload = world.open_session("a");
    done(world.record(&upload, 1, &[])).unwrap();
    // Of what it was placed on nobody hears again.
    world.restart_master();
    world.run(6000);
    let found = world.found(upload.file);
    assert!(found.stored.is_empty() && found.chunks.is_empty());
    assert_eq!((found.stored_bytes, world.status().upload_bytes), (0, 0));
    let other = RecordChunk {
        crc32: Crc32(7),
        ..record(&found.open, 1, &ids(world.place(&found.open, 1).unwrap()))
    };
    let other = refused(world.ask(|answer| Question::RecordChunk(other, answer)));
    let why = Refusal::OtherChunk(chunk(upload.file, 1)).to_string();
    assert!(
        matches!(&other, Error::Conflict(said) if *said == why),
        "{other}"
    );
    world.store_chunk(&found.open, 1);
    world.store_chunk(&found.open, 0);
    assert_eq!(world.found(upload.file).stored_bytes, 2 * MIB);
    world.commit_session(upload.file).unwrap();
    world.run(10_000);
    assert_eq!(world.status().health, Health::Ok);
}

#[test]
fn what_an_open_session_holds_is_wanted_and_never_a_difference() {
    let mut world = World::founded();
    let upload = world.open_session("a");
    world.store_chunk(&upload, 0);
    world.run(10_000);
    let status = world.status();
    assert_eq!((status.health, status.upload_sessions), (Health::Ok, 1));
    assert_eq!(status.upload_bytes, MIB);
    // A new leader is told all that disks hold at once, and wants it by the records.
    world.restart_master();
    world.run(10_000);
    let surveys = world.surveys;
    world.run(20_000);
    assert_eq!(world.status().health, Health::Ok);
    assert_eq!(world.surveys, surveys, "nothing differs");
    world.store_chunk(&upload, 1);
    world.commit_session(upload.file).unwrap();
    world.run(10_000);
    assert_eq!(
        (world.surveys, world.status().health),
        (surveys, Health::Ok)
    );
}

#[test]
fn a_session_lives_by_its_chunks_and_ends_in_log_time() {
    let mut world = World::founded();
    let upload = world.open_session("a");
    let on = world.store_chunk(&upload, 0);
    world.run(LIVES / 2);
    let more = world.store_chunk(&upload, 1);
    // A clock that jumps ends nothing.
    world.ahead += 365 * 24 * 3_600_000;
    world.run(LIVES * 3 / 4);
    assert_eq!(world.found(upload.file).stored.len(), 2);
    assert!(world.drops.is_empty());
    world.run(LIVES / 2);
    assert_eq!(world.end(upload.file), UploadEnd::Expired);
    let sent = on.into_iter().chain(more).collect();
    assert_eq!(world.drops, [(upload.file, sent)]);
    assert!(matches!(
        refused(world.record(&upload, 1, &[])),
        Error::UploadNotOpen { .. }
    ));
    let status = world.status();
    assert_eq!((status.upload_sessions, status.upload_bytes), (0, 0));
    world.run(KEEP_ENDED - LIVES);
    assert_eq!(world.end(upload.file), UploadEnd::Expired);
    world.run(2 * LIVES);
    assert!(matches!(
        world.find(upload.file),
        Err(Error::UploadNotFound { .. })
    ));
}

#[test]
fn an_abort_says_how_it_ended_and_after_a_commit_ends_nothing() {
    let mut world = World::founded();
    let upload = world.open_session("a");
    world.store_chunk(&upload, 0);
    for _ in 0..2 {
        done(world.abort(upload.file)).unwrap();
        assert_eq!(world.end(upload.file), UploadEnd::Aborted);
    }
    assert_eq!(world.drops.len(), 1);
    let upload = world.open_session("b");
    world.store_chunk(&upload, 0);
    world.store_chunk(&upload, 1);
    let info = world.commit_session(upload.file).unwrap();
    done(world.abort(upload.file)).unwrap();
    assert_eq!(world.drops.len(), 1);
    assert_eq!(world.names(), ["b"]);
    done(world.delete("b")).unwrap();
    world.restart_master();
    world.run(6000);
    let end = world.end(upload.file);
    assert_eq!(end, UploadEnd::Committed(info.name, Box::new(info.record)));
}

#[test]
fn a_chunk_that_is_recorded_is_recorded_anew_also_when_no_more_are_taken() {
    let mut world = World::founded();
    for name in ["a", "b"] {
        let upload = world.open_session(name);
        world.store_chunk(&upload, 0);
        world.store_chunk(&upload, 1);
    }
    let upload = world.open_session("c");
    let full = refused(world.record(&upload, 0, &[disk(1), disk(2)]));
    assert!(matches!(full, Error::TooManyUploads { .. }), "{full}");
    // A later leader's commit notes who answered it.
    world.restart_master();
    world.run(6000);
    let list = ListUploads {
        prefix: "a".to_owned(),
        after: None,
        limit: 1,
    };
    let page = done(world.ask(|answer| Question::ListUploads(list, answer))).unwrap();
    let found = world.found(page.uploads[0].open.file);
    world.store_chunk(&found.open, 1);
    let again = world.found(found.open.file);
    assert_eq!(again.chunks[1].record.term, found.open.term);
    world.commit_session(found.open.file).unwrap();
    let upload = world.found(upload.file).open;
    world.store_chunk(&upload, 0);
}

#[test]
fn one_holder_leaves_half_of_all_sessions_to_others_under_every_leader() {
    let mut world = World::founded();
    let by = |holder, text: &str| BeginUpload {
        holder: Some(holder),
        ..session(text)
    };
    let greedy = Holder::Token(TokenId::from_u128(7));
    let most = MOST_SESSIONS.div_ceil(2);
    let opened: Vec<OpenUpload> = (0..most)
        .map(|n| open(done(world.begin_with(by(greedy, &format!("a{n}")))).unwrap()))
        .collect();
    world.restart_master();
    world.run(6000);
    let full = refused(world.begin_with(by(greedy, "b")));
    assert_eq!(
        full.to_string(),
        format!("{most} uploads of one token or address are open, and no more are allowed")
    );
    done(world.begin_with(by(Holder::Address(1), "c"))).unwrap();
    let full = refused(world.begin_with(by(Holder::Address(2), "d")));
    assert!(
        matches!(&full, Error::TooManyUploads { what, .. } if what == "uploads"),
        "{full}"
    );
    done(world.abort(opened[0].file)).unwrap();
    done(world.begin_with(by(greedy, "b"))).unwrap();
}

#[test]
fn one_holder_leaves_half_of_all_chunks_to_others_under_every_leader() {
    let mut world = World::founded();
    let by = |holder, text: &str| BeginUpload {
        holder: Some(holder),
        ..session(text)
    };
    let greedy = Holder::Token(TokenId::from_u128(7));
    let opened = ["a", "b"].map(|name| open(done(world.begin_with(by(greedy, name))).unwrap()));
    world.store_chunk(&opened[0], 0);
    // Settled and then durable is one chunk.
    done(world.record(&opened[0], 1, &[])).unwrap();
    world.store_chunk(&opened[0], 1);
    world.restart_master();
    world.run(6000);
    let full = refused(world.record(&opened[1], 0, &[]));
    let most = MOST_RECORDED.div_ceil(2);
    assert_eq!(
        full.to_string(),
        format!(
            "{most} chunks of uploads of one token or address are open, and no more are allowed"
        )
    );
    let other = open(done(world.begin_with(by(Holder::Address(1), "c"))).unwrap());
    world.store_chunk(&other, 0);
    done(world.abort(opened[0].file)).unwrap();
    done(world.record(&opened[1], 0, &[])).unwrap();
}

#[test]
fn a_session_of_an_earlier_leader_keeps_no_empty_disk_from_going() {
    let mut world = World::founded();
    world.add(4);
    world.run(3000);
    let upload = world.open_session("a");
    world.store_chunk_on(&upload, 0, &[disk(1), disk(2)]);
    world.restart_master();
    world.run(6000);
    let decommission = Order::Decommission("worker-4".to_owned());
    order(&mut world, decommission).unwrap();
    let state = |world: &World| world.master.catalog.members[&disk(4)].state;
    world.run(IDLE / 2);
    assert_eq!(state(&world), MemberState::Decommissioning);
    // What was on its way there has come.
    world.run(IDLE);
    assert!(matches!(world.find(upload.file), Ok(FoundUpload::Open(_))));
    assert_eq!(state(&world), MemberState::Retired);
}

#[test]
fn only_one_chunk_of_a_session_is_not_full() {
    let mut world = World::founded();
    let begin = BeginUpload {
        session: Some(Session {
            size: None,
            expires_after: Duration::from_millis(LIVES),
        }),
        ..session("a")
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    let mut short = |index| {
        let record = RecordChunk {
            length: 5,
            ..record(&upload, index, &[])
        };
        world.ask(|answer| Question::RecordChunk(record, answer))
    };
    done(short(3)).unwrap();
    done(short(3)).unwrap();
    assert!(matches!(refused(short(2)), Error::InvalidChunk(_)));
    world.store_chunk(&upload, 0);
}

#[test]
fn no_more_sessions_are_opened_than_allowed_and_pages_show_them_all() {
    let mut world = World::founded();
    let request = world.request(1);
    let first = BeginUpload {
        request: Some(request),
        ..session("a")
    };
    let mut opened = vec![open(done(world.begin_with(first.clone())).unwrap()).file];
    for n in 1..MOST_SESSIONS {
        opened.push(world.open_session(&format!("a{n}")).file);
    }
    let full = refused(world.begin_with(session("b")));
    assert!(matches!(full, Error::TooManyUploads { .. }), "{full}");
    // A repeated request opens none, and a plain upload is none.
    assert_eq!(open(done(world.begin_with(first)).unwrap()).file, opened[0]);
    let plain = world.open("plain");
    assert!(matches!(
        world.find(plain.file),
        Err(Error::UploadNotFound { .. })
    ));
    opened.sort_unstable();
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let list = ListUploads {
            prefix: "a".to_owned(),
            after,
            limit: 2,
        };
        let page = done(world.ask(|answer| Question::ListUploads(list, answer))).unwrap();
        listed.extend(page.uploads.iter().map(|session| session.open.file));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, opened);
    done(world.abort(opened[0])).unwrap();
    world.open_session("b");
}
