//! Uploads that clients come back to.

use super::*;
use crate::checksum::ChunkHash;
use crate::chunk::ChunkId;
use crate::id::Term;
use crate::records::{ChunkRecord, EndedRecord, Session};
use std::time::Duration;

const MIB: u64 = 1 << 20;

impl World {
    fn begin_session(
        &mut self,
        file: u128,
        size: Option<u64>,
        request: Option<RequestId>,
    ) -> Begun {
        let begin = Begin {
            request,
            file: FileId::from_u128(file),
            name: name("a"),
            chunk_size: ChunkSize::MIN,
            replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
            content_type: String::new(),
            labels: Labels::default(),
            precondition: Precondition::default(),
            session: Some(Session {
                size,
                expires_after: Duration::from_secs(60),
            }),
            holder: None,
        };
        let planned = plan_begin(self, begin, self.at()).unwrap();
        self.apply(planned)
    }

    fn record(&mut self, index: u32, length: u64, crc32: u32) -> Result<(), Refusal> {
        self.record_in(1, index, length, crc32)
    }

    fn record_in(
        &mut self,
        round: u64,
        index: u32,
        length: u64,
        crc32: u32,
    ) -> Result<(), Refusal> {
        self.record_on(&[1, 2], round, index, length, crc32)
    }

    /// Without disks, what its bytes are is settled.
    fn record_on(
        &mut self,
        disks: &[u128],
        round: u64,
        index: u32,
        length: u64,
        crc32: u32,
    ) -> Result<(), Refusal> {
        let chunk = ChunkId {
            file: FileId::from_u128(7),
            index,
        };
        let record = ChunkRecord {
            length,
            crc32: Crc32(crc32),
            hash: ChunkHash([1; 32]),
            alone: None,
            disks: disks.iter().map(|&number| disk(number)).collect(),
            term: Term {
                round,
                ..Term::default()
            },
            stored: self.at().time,
        };
        let planned = plan_chunk(self, chunk, &record)?;
        self.apply(planned);
        Ok(())
    }

    fn recorded(&self) -> Vec<Vec<u8>> {
        let prefix = Key::chunks_of(FileId::from_u128(7));
        let keys = self.records.keys().filter(|key| key.starts_with(&prefix));
        keys.cloned().collect()
    }

    fn commit_session(&mut self, bytes: u64, chunks: u32) -> Result<Stored, Refusal> {
        let commit = Commit {
            file: FileId::from_u128(7),
            recorded: self.recorded(),
            layout: ChunkLayout::of_file(bytes, ChunkSize::MIN).unwrap(),
            crc32: Crc32(1),
            blake3: Blake3([7; 32]),
            copies: vec![copies(0, chunks, &[1, 2])],
        };
        let planned = plan_commit(self, commit, self.at())?;
        Ok(self.apply(planned))
    }

    fn end(&self) -> Option<UploadEnd> {
        let ended: Option<EndedRecord> = get(self, &Key::Ended(FileId::from_u128(7))).unwrap();
        ended.map(|ended| ended.end)
    }
}

#[test]
fn a_repeated_begin_finds_the_session_and_its_commit_is_remembered_whatever_follows() {
    let mut world = World::new();
    let size = Some(MIB + 5);
    world.begin_session(7, size, request(1));
    world.record(1, 5, 3).unwrap();
    let again = world.begin_session(8, size, request(1));
    assert_eq!(again, Begun::Known(FileId::from_u128(7)));
    world.record(0, MIB, 4).unwrap();
    assert_eq!(world.recorded().len(), 2);
    let stored = world.commit_session(MIB + 5, 2).unwrap();
    assert_eq!(world.recorded().len(), 0);
    world.delete("a", None).unwrap();
    assert_eq!(world.commit_session(MIB + 5, 2).unwrap(), stored);
    assert!(world.file("a").is_none());
    assert!(!world.abort(7).answer);
    let planned = plan_forget_ended([FileId::from_u128(7)].into_iter());
    world.apply(planned);
    assert_eq!(
        world.commit_session(MIB + 5, 2),
        Err(Refusal::UploadNotOpen(FileId::from_u128(7)))
    );
}

#[test]
fn a_session_that_was_ended_is_remembered_and_nothing_of_it_is_left() {
    let mut world = World::new();
    world.begin_session(7, None, None);
    world.record(0, MIB, 4).unwrap();
    let (file, recorded) = (FileId::from_u128(7), world.recorded());
    let planned = plan_abort(&world, file, recorded, UploadEnd::Expired, world.at()).unwrap();
    assert!(world.apply(planned));
    assert_eq!(world.recorded().len(), 0);
    assert_eq!(world.end(), Some(UploadEnd::Expired));
    assert!(matches!(
        world.commit_session(MIB, 1),
        Err(Refusal::UploadNotOpen(_))
    ));
    assert!(matches!(
        world.record(1, 5, 1),
        Err(Refusal::UploadNotOpen(_))
    ));
}

#[test]
fn a_chunk_has_the_length_of_its_place_and_never_other_bytes() {
    let mut world = World::new();
    world.begin(9, "plain", None).unwrap();
    world.begin_session(7, Some(2 * MIB + 5), None);
    for (index, length) in [(0, MIB - 1), (0, MIB + 1), (1, 0), (2, 6), (2, MIB), (3, 5)] {
        let refused = world.record(index, length, 1);
        assert!(
            matches!(refused, Err(Refusal::BadChunk(..))),
            "{index}: {length}"
        );
    }
    world.record(2, 5, 1).unwrap();
    let before = world.index;
    world.record(2, 5, 1).unwrap();
    assert_eq!(world.index, before, "a repeated chunk writes nothing");
    let chunk = ChunkId {
        file: FileId::from_u128(7),
        index: 2,
    };
    let known = |world: &World| {
        get::<ChunkRecord>(world, &Key::Chunk(chunk))
            .unwrap()
            .unwrap()
    };
    let first = known(&world);
    // It was stored once more, elsewhere.
    world.record_on(&[3, 2], 1, 2, 5, 1).unwrap();
    let again = known(&world);
    assert_eq!(
        (again.disks, again.stored),
        (vec![disk(3), disk(2)], first.stored)
    );
    let before = world.index;
    world.record_on(&[2, 3], 1, 2, 5, 1).unwrap();
    assert_eq!(world.index, before, "the same disks");
    world.record_in(2, 2, 5, 1).unwrap();
    let later = known(&world);
    assert_eq!((later.term.round, later.stored), (2, first.stored));
    world.record(2, 5, 1).unwrap();
    assert_eq!(
        known(&world),
        later,
        "what an earlier term answered is no news"
    );
    assert!(matches!(world.record(2, 5, 2), Err(Refusal::OtherChunk(_))));
    world.begin_session(8, None, None);
    let plain = ChunkId {
        file: FileId::from_u128(9),
        index: 0,
    };
    let upload: UploadRecord = get(&world, &Key::Upload(plain.file)).unwrap().unwrap();
    assert_eq!(
        check_length(&upload, plain, 1),
        Err(Refusal::NoSession(plain.file))
    );
    let open: UploadRecord = get(&world, &Key::Upload(FileId::from_u128(8)))
        .unwrap()
        .unwrap();
    assert_eq!(check_length(&open, plain, 1), Ok(()));
    let last = ChunkId {
        index: MOST_CHUNKS,
        ..plain
    };
    assert!(matches!(
        check_length(&open, last, 1),
        Err(Refusal::BadChunk(..))
    ));
}

#[test]
fn what_the_bytes_of_a_chunk_are_is_settled_before_it_is_durable_and_stays() {
    let mut world = World::new();
    world.begin_session(7, Some(2 * MIB + 5), None);
    let known = |world: &World| {
        let (file, index) = (FileId::from_u128(7), 2);
        let record = get::<ChunkRecord>(world, &Key::Chunk(ChunkId { file, index }));
        record.unwrap().unwrap()
    };
    world.record_on(&[], 1, 2, 5, 1).unwrap();
    let settled = known(&world);
    assert!(!settled.is_durable());
    for disks in [&[][..], &[3, 4]] {
        let other = world.record_on(disks, 2, 2, 5, 2);
        assert!(matches!(other, Err(Refusal::OtherChunk(_))));
    }
    let before = world.index;
    world.record_on(&[], 2, 2, 5, 1).unwrap();
    assert_eq!(world.index, before, "settled before");
    world.record(2, 5, 1).unwrap();
    let durable = known(&world);
    assert!(durable.is_durable() && durable.stored > settled.stored);
    world.record_on(&[], 9, 2, 5, 1).unwrap();
    assert_eq!(known(&world), durable);
}

#[test]
fn a_commit_of_another_size_than_was_told_is_refused() {
    let mut world = World::new();
    world.begin_session(7, Some(5), None);
    world.record(0, 5, 1).unwrap();
    assert!(matches!(
        world.commit_session(4, 1),
        Err(Refusal::BadCommit(_))
    ));
    world.commit_session(5, 1).unwrap();
}
