//! Records, and entries that change them.

use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSize};
use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Incarnation, RequestId, Term};
use mdfs_core::labels::Labels;
use mdfs_core::log::message::Put;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::{At, Begin, Commit, NewMember, plan_bootstrap};
use mdfs_core::records::{
    ClusterRecord, Copies, FileRecord, Key, Lookup, MemberRecord, MemberState, Precondition,
    TrashRecord, Wanted, decode,
};
use mdfs_core::ring::{Assignment, ReplicationFactor};
use mdfs_core::time::LogTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Committed records.
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Begin(u8),
    Finish(u8),
    Abort(u8),
    Delete,
    Empty,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub what: What,
    pub puts: Vec<Put>,
    /// Who appended it.
    pub term: u8,
}

/// Records with entries behind them that are not committed: what a leader plans by.
pub struct View<'a> {
    pub records: &'a Records,
    pub tail: &'a [Entry],
}

impl Lookup for View<'_> {
    fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let entries = self.tail.iter().rev();
        let put = entries
            .flat_map(|entry| entry.puts.iter().rev())
            .find(|put| put.key == key);
        match put {
            Some(put) => put.value.as_deref(),
            None => self
                .records
                .get(key)
                .or_else(|| FOUNDED.get(key))
                .map(Vec::as_slice),
        }
    }
}

/// A cluster of two disks that hold everything: what never changes.
static FOUNDED: LazyLock<Records> = LazyLock::new(|| {
    let mut assignment = Assignment::empty();
    for file in 0..2 {
        assignment.set_holders(chunk(file).partition(), &[disk(0), disk(1)]);
    }
    let cluster = ClusterRecord {
        cluster: ClusterId::from_u128(5),
        replicas: ReplicationFactor::DEFAULT,
        lowering: None,
        repair_delay_seconds: 300,
        trash_keep_seconds: 1000,
        lower_after_seconds: 600,
        chunk_size: ChunkSize::MIN,
        founders: [disk(0), disk(1)].into(),
        format: 1,
        recovery: None,
        voters_wanted: 1,
        min_write_copies: None,
    };
    let member = |number| NewMember {
        disk: disk(number),
        record: MemberRecord {
            generation: Generation(1),
            weight: 1,
            zone: None,
            name: format!("w{number}"),
            state: MemberState::Active,
            announced_until: None,
        },
    };
    let planned = plan_bootstrap(&cluster, &[member(0), member(1)], &assignment).unwrap();
    let mut records = Records::new();
    apply(&mut records, &planned.puts);
    records
});

pub fn apply(records: &mut Records, puts: &[Put]) {
    for Put { key, value } in puts {
        match value {
            Some(value) => records.insert(key.clone(), value.clone()),
            None => records.remove(key),
        };
    }
}

pub fn disk(number: u8) -> DiskId {
    DiskId::from_u128(u128::from(number) + 1)
}

pub fn file_id(number: u8) -> FileId {
    FileId::from_u128(u128::from(number) + 1)
}

pub fn chunk(file: u8) -> ChunkId {
    ChunkId {
        file: file_id(file),
        index: 0,
    }
}

pub fn number_of(file: FileId) -> u8 {
    u8::try_from(file.as_u128() - 1).unwrap()
}

pub fn term(number: u8) -> Term {
    Term {
        round: u64::from(number),
        incarnation: Incarnation(u64::from(number)),
    }
}

/// All files have the same name.
pub fn name() -> FileName {
    FileName::parse("film").unwrap()
}

/// Log time stands still.
pub fn time() -> LogTime {
    LogTime::from_millis(1_000_000)
}

/// The request of the one who deletes.
pub fn request() -> Option<RequestId> {
    Some(RequestId::issue(time(), 1))
}

pub fn at(index: u64) -> At {
    At {
        index,
        time: time(),
    }
}

pub fn begin(file: u8) -> Begin {
    Begin {
        request: None,
        file: file_id(file),
        name: name(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        content_type: String::new(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        session: None,
        holder: None,
    }
}

pub fn commit(file: u8) -> Commit {
    Commit {
        file: file_id(file),
        recorded: Vec::new(),
        layout: ChunkLayout::of_file(10, ChunkSize::MIN).unwrap(),
        crc32: Crc32::default(),
        blake3: Blake3([0; 32]),
        copies: vec![Copies {
            first_chunk: 0,
            chunks: 1,
            disks: vec![disk(0), disk(1)],
        }],
    }
}

/// The files in records: those with the name or in the trash, and open uploads.
#[derive(Default)]
pub struct Needed {
    pub files: Vec<FileRecord>,
    pub uploads: BTreeSet<FileId>,
    pub trash: Vec<Vec<u8>>,
}

impl Needed {
    pub fn by(records: &Records) -> Self {
        let mut needed = Self::default();
        for (key, value) in records {
            match Key::from_bytes(key).unwrap() {
                Key::File(_) => needed.files.push(decode(value).unwrap()),
                Key::Trash(..) => {
                    needed
                        .files
                        .push(decode::<TrashRecord>(value).unwrap().file);
                    needed.trash.push(key.clone());
                }
                Key::Upload(file) => {
                    needed.uploads.insert(file);
                }
                _ => {}
            }
        }
        needed
    }

    /// Whether some record needs this file.
    pub fn has(&self, file: u8) -> bool {
        let file = file_id(file);
        self.uploads.contains(&file) || self.files.iter().any(|record| record.file == file)
    }
}

/// What `entries` make of `records`.
pub fn with(records: &Arc<Records>, entries: &[Entry]) -> Arc<Records> {
    let mut after = Arc::clone(records);
    for entry in entries {
        apply(Arc::make_mut(&mut after), &entry.puts);
    }
    after
}
