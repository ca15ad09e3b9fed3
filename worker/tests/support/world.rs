//! A worker on a simulated disk, and what it is asked to do.

use super::sim_disk::SimDisk;
use super::{CLUSTER, bytes_of, chunk_of, seal_of};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, SEGMENT_BYTES};
use mdfs_core::id::{DiskId, Incarnation, Term};
use mdfs_core::log::message::{Append, Change, Config, Entry, Position, Put, Reply, Request};
use mdfs_core::log::persist::Answer;
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_worker::store::{ChunkStore, DiskIdentity, Error, StoreSettings};
use mdfs_worker::voter::VoterStorage;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One thing a worker is asked to do. Each may be asked again.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Starts the worker again.
    Mount,
    Adopt,
    /// Raises the generation.
    Raise,
    /// A write of this round comes in.
    Admit(u64),
    /// An order of this round comes in.
    Fence(u64),
    OpenLog,
    Prepare(u64),
    /// Appends entries in this round, behind the entry of that round and index.
    Append {
        round: u64,
        previous: (u64, u64),
        entries: Vec<Entry>,
        commit: u64,
    },
    /// Stores a chunk with so many bytes, segment by segment.
    Put(ChunkId, usize),
    /// Stores a small chunk at once.
    PutWhole(ChunkId, usize),
    /// Asks what is stored of a chunk.
    Verify(ChunkId),
    /// Drops the file of this chunk.
    Drop(ChunkId),
    /// Bytes of this chunk change on the disk, and a reader meets them.
    Rot(ChunkId),
}

/// What a step answered.
pub(crate) enum Told {
    Nothing,
    Identity(DiskIdentity),
    Absent,
}

/// Put, overwrite, delete, with two leaders and a restart.
pub(crate) fn story() -> Vec<Step> {
    // The second file shares a directory with the first, the third does not.
    let (first, second, third) = (0xaaa1 << 48, 0xaaa2 << 48, 0xbbb1 << 48);
    let put = |key: &str, value: &str| Put {
        key: key.into(),
        value: Some(value.into()),
    };
    let gone = |key: &str| Put {
        key: key.into(),
        value: None,
    };
    let records = |round, index, puts| entry(round, index, Change::Records(puts));
    let voters = BTreeSet::from([DiskId::from_u128(1)]);
    let append = |round, previous, entries, commit| Step::Append {
        round,
        previous,
        entries,
        commit,
    };
    vec![
        Step::Mount,
        Step::Adopt,
        Step::Raise,
        Step::OpenLog,
        Step::Prepare(1),
        append(
            1,
            (0, 0),
            vec![entry(1, 1, Change::Config(Config { voters, epoch: 0 }))],
            0,
        ),
        Step::Admit(2),
        append(
            1,
            (1, 1),
            vec![records(1, 2, vec![put("upload", "first")])],
            1,
        ),
        Step::Put(chunk_of(first, 0), SEGMENT_BYTES as usize + 70_000),
        Step::PutWhole(chunk_of(first, 1), 3_000),
        append(
            1,
            (1, 2),
            vec![records(1, 3, vec![put("film", "first"), gone("upload")])],
            2,
        ),
        Step::PutWhole(chunk_of(second, 0), 70_000),
        Step::Verify(chunk_of(second, 0)),
        Step::Rot(chunk_of(second, 0)),
        Step::Mount,
        Step::PutWhole(chunk_of(second, 0), 70_000),
        Step::Rot(chunk_of(first, 1)),
        append(
            1,
            (1, 3),
            vec![records(1, 4, vec![put("film", "second")])],
            4,
        ),
        append(
            1,
            (1, 4),
            vec![records(1, 5, vec![put("film", "of a lost leader")])],
            4,
        ),
        Step::Prepare(3),
        append(3, (1, 4), vec![entry(3, 5, Change::Blank)], 4),
        Step::Fence(3),
        append(
            3,
            (3, 5),
            vec![records(3, 6, vec![gone("film"), put("trash", "second")])],
            6,
        ),
        Step::Drop(chunk_of(first, 0)),
        Step::Raise,
        Step::Mount,
        Step::Verify(chunk_of(second, 0)),
        Step::PutWhole(chunk_of(third, 0), 5_000),
        append(
            3,
            (3, 6),
            vec![records(3, 7, vec![put("film", "third")])],
            7,
        ),
        Step::Drop(chunk_of(second, 0)),
        Step::Mount,
    ]
}

pub(crate) fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(round),
    }
}

fn entry(round: u64, index: u64, change: Change) -> Entry {
    Entry {
        index,
        term: term(round),
        time: LogTime::from_millis(index),
        request: None,
        change,
    }
}

pub(crate) fn content(chunk: ChunkId, len: usize) -> Vec<u8> {
    bytes_of(
        u64::from(chunk.index) + (chunk.file.as_u128() >> 112) as u64,
        len,
    )
}

/// A worker.
pub(crate) struct World {
    disk: SimDisk,
    store: Option<ChunkStore>,
    voter: Option<(Voter, VoterStorage)>,
    now: Timestamp,
}

impl World {
    pub(crate) fn new(disk: SimDisk) -> Self {
        Self {
            disk,
            store: None,
            voter: None,
            now: Timestamp::from_millis(0),
        }
    }

    /// The next process on this disk.
    pub(crate) fn restarted(&self, disk: SimDisk) -> Self {
        Self {
            now: self.now.plus(Duration::from_secs(5)),
            ..Self::new(disk)
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    pub(crate) fn run(&mut self, step: &Step) -> Result<Told, String> {
        if matches!(step, Step::Mount) {
            (self.voter, self.store) = (None, None);
        }
        let store = self.store()?;
        let done = match step {
            Step::Mount => return Ok(Told::Identity(store.identity())),
            Step::Adopt => store.adopt(CLUSTER),
            Step::Raise => {
                store
                    .raise_generation()
                    .map_err(|error| error.to_string())?;
                return Ok(Told::Identity(store.identity()));
            }
            Step::Admit(round) => store.admit_write(term(*round)),
            Step::Fence(round) => store.raise_fence(term(*round)),
            Step::OpenLog => return self.voter().map(|_| Told::Nothing),
            Step::Prepare(round) => return self.ask(Request::Prepare { term: term(*round) }),
            Step::Append {
                round,
                previous: (of, index),
                entries,
                commit,
            } => {
                let previous = if *index == 0 {
                    Term::default()
                } else {
                    term(*of)
                };
                return self.ask(Request::Append(Append {
                    term: term(*round),
                    previous: Position {
                        term: previous,
                        index: *index,
                    },
                    entries: entries.clone(),
                    commit: *commit,
                    epoch: 0,
                    send: 1,
                    leader_url: String::new(),
                    lease_millis: 3000,
                }));
            }
            Step::Put(chunk, len) => put(&store, *chunk, *len),
            Step::PutWhole(chunk, len) => {
                let bytes = content(*chunk, *len);
                let seal = seal_of(&bytes);
                store
                    .store_whole(*chunk, &bytes, seal.crc32, &seal)
                    .map(|_| ())
            }
            Step::Verify(chunk) => match store.verify(*chunk, true) {
                Err(Error::ChunkNotFound { .. }) => return Ok(Told::Absent),
                verified => verified.map(|_| ()),
            },
            Step::Drop(chunk) => store.drop_file(chunk.file).map(|_| ()),
            Step::Rot(chunk) => {
                rot(&self.disk, *chunk);
                return match store.verify(*chunk, true) {
                    Err(Error::BadBlock { .. }) if store.is_damaged(*chunk) => Ok(Told::Nothing),
                    found => Err(format!("damage was not told of: {found:?}")),
                };
            }
        };
        done.map(|()| Told::Nothing)
            .map_err(|error| error.to_string())
    }

    fn store(&mut self) -> Result<ChunkStore, String> {
        match &self.store {
            Some(store) => Ok(store.clone()),
            None => Ok(self.store.insert(mount(&self.disk)?).clone()),
        }
    }

    fn voter(&mut self) -> Result<&mut (Voter, VoterStorage), String> {
        if self.voter.is_none() {
            let storage = VoterStorage::open(&self.store()?).map_err(|error| error.to_string())?;
            let durable = storage.load().map_err(|error| error.to_string())?;
            // The lease given at the start has run out when the next request comes.
            let start = Timestamp::from_millis(0);
            let voter = Voter::restore(durable, start, VoterSettings::DEFAULT)
                .map_err(|error| error.to_string())?;
            self.voter = Some((voter, storage));
        }
        Ok(self.voter.as_mut().unwrap())
    }

    fn ask(&mut self, request: Request) -> Result<Told, String> {
        let now = self.now;
        let (voter, storage) = self.voter()?;
        let output = voter
            .step(now, request)
            .map_err(|error| error.to_string())?;
        if let Some(persist) = &output.persist {
            storage
                .persist(persist)
                .map_err(|error| error.to_string())?;
        }
        match output.answer {
            Answer::Ready(reply) => match *reply {
                Reply::Appended { .. } => Ok(Told::Nothing),
                Reply::Prepared(vote) if vote.granted => Ok(Told::Nothing),
                other => Err(format!("refused: {other:?}")),
            },
            Answer::Read(_) => Err("no such request was made".to_owned()),
        }
    }
}

/// Changes a byte of a chunk, to the same one each time.
fn rot(disk: &SimDisk, chunk: ChunkId) {
    let name = format!("{}.{}", chunk.file, chunk.index);
    let path = Path::new("chunks").join(&name[..3]).join(&name);
    disk.tamper(&path, |file| file[500] = !content(chunk, 501)[500]);
}

pub(crate) fn mount(disk: &SimDisk) -> Result<ChunkStore, String> {
    let settings = StoreSettings {
        reserve_bytes: Some(0),
        ..StoreSettings::default()
    };
    ChunkStore::open(Arc::new(disk.clone()), settings, DiskId::from_u128(1))
        .map_err(|error| error.to_string())
}

pub(crate) fn put(store: &ChunkStore, chunk: ChunkId, len: usize) -> Result<(), Error> {
    let bytes = content(chunk, len);
    for (number, segment) in bytes.chunks(SEGMENT_BYTES as usize).enumerate() {
        let offset = number as u64 * u64::from(SEGMENT_BYTES);
        store.write_segment(chunk, offset, segment, Crc32::of(segment))?;
    }
    store.seal(chunk, &seal_of(&bytes)).map(|_| ())
}
