//! What the leader derives from the records and keeps at hand: counts, members, who holds what.

mod occupied;
mod uploads;
mod wanted;

use mdfs_core::chunk::{ChunkId, ChunkSet};
use mdfs_core::desired::Desired;
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::log::message::Put;
use mdfs_core::name::FileName;
use mdfs_core::partition::Partition;
use mdfs_core::records::{
    ChunkRecord, ClusterRecord, Corrupt, EndedRecord, FileRecord, Holder, Key, Kind, Lookup,
    MemberRecord, MemberState, MoveRecord, PartitionRecord, Session, TrashRecord, UploadRecord,
    decode,
};
use mdfs_core::ring::{Assignment, BytesPerPartition, ReplicationFactor};
use mdfs_core::time::LogTime;
use mdfs_protocol::internal::Heartbeat;
use std::collections::{BTreeMap, BTreeSet};

/// Figures and small records, kept in step with the table.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    pub(super) cluster: Option<ClusterRecord>,
    pub(super) members: BTreeMap<DiskId, MemberRecord>,
    pub(super) assignment: Assignment,
    /// Where partitions are moving to.
    pub(super) moves: BTreeMap<Partition, Vec<DiskId>>,
    /// Open uploads.
    pub(super) uploads: BTreeMap<FileId, Upload>,
    /// Those of them that clients may come back to.
    pub(super) sessions: usize,
    /// What each has of these.
    held: BTreeMap<Holder, Held>,
    /// Chunks recorded of them, and bytes in those that are durable.
    pub(super) recorded: (u64, u64),
    /// Sessions that have ended, those first that ended first.
    pub(super) ended: BTreeSet<(LogTime, FileId)>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) trashed_files: u64,
    /// Bytes in each partition, trash included, counted once.
    pub(super) load: BytesPerPartition,
    /// What disks should hold for all files, trash included.
    pub(super) desired: Desired,
    /// Chunks in each partition, counted like `load`.
    chunks: Vec<u64>,
    /// How many files, trash included, asked for each number of copies.
    explicit: BTreeMap<ReplicationFactor, u64>,
    /// How many files, trash included, have chunks in each partition.
    occupants: Vec<u32>,
}

/// An open upload.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) begun: LogTime,
    pub(super) session: Option<Session>,
    pub(super) holder: Option<Holder>,
    /// When it was begun, or got its last chunk.
    pub(super) last: LogTime,
    /// Chunks recorded of it, durable or not.
    recorded: u64,
    /// One of them that is not full: it can only be the last one.
    pub(super) short: Option<u32>,
    /// Bytes in a full one.
    pub(super) full: u64,
    /// The chunks of it that are durable.
    pub(super) stored: ChunkSet,
    pub(super) stored_bytes: u64,
}

/// What somebody has of open sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) sessions: usize,
    /// Chunks recorded of them.
    pub(super) chunks: u64,
}

impl Upload {
    /// When a session expires if nobody goes on with it.
    pub(super) fn expires(&self) -> Option<LogTime> {
        self.session
            .map(|session| self.last.plus(session.expires_after))
    }
}

/// One thing that an entry changes in a catalog.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Cluster(Box<ClusterRecord>),
    Member(DiskId, Option<Box<MemberRecord>>),
    Holders(Partition, Vec<DiskId>),
    Move(Partition, Option<Vec<DiskId>>),
    FileAdded(FileName, Box<FileRecord>),
    FileRemoved(FileName, Box<FileRecord>),
    TrashAdded(LogTime, Box<TrashRecord>),
    TrashRemoved(LogTime, Box<TrashRecord>),
    UploadAdded(FileId, Box<UploadRecord>),
    UploadRemoved(FileId),
    ChunkAdded(ChunkId, Box<ChunkRecord>),
    ChunkRemoved(ChunkId, Box<ChunkRecord>),
    EndedAdded(FileId, LogTime),
    EndedRemoved(FileId, LogTime),
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            cluster: None,
            members: BTreeMap::new(),
            assignment: Assignment::empty(),
            moves: BTreeMap::new(),
            uploads: BTreeMap::new(),
            sessions: 0,
            held: BTreeMap::new(),
            recorded: (0, 0),
            ended: BTreeSet::new(),
            files: 0,
            bytes: 0,
            trashed_files: 0,
            load: BytesPerPartition::empty(),
            desired: Desired::default(),
            chunks: vec![0; Partition::COUNT],
            explicit: BTreeMap::new(),
            occupants: vec![0; Partition::COUNT],
        }
    }
}

impl Catalog {
    /// Takes one step.
    pub(super) fn apply(&mut self, step: &Step) {
        match step {
            Step::Cluster(record) => self.cluster = Some((**record).clone()),
            Step::Member(disk, Some(record)) => {
                self.members.insert(*disk, (**record).clone());
            }
            Step::Member(disk, None) => {
                self.members.remove(disk);
            }
            Step::Holders(partition, holders) => self.assignment.set_holders(*partition, holders),
            Step::Move(partition, Some(to)) => {
                self.moves.insert(*partition, to.clone());
            }
            Step::Move(partition, None) => {
                self.moves.remove(partition);
            }
            Step::FileAdded(_, file) => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(file.size);
                self.occupy(file);
            }
            Step::FileRemoved(_, file) => {
                self.files = self.files.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(file.size);
                self.vacate(file);
            }
            Step::TrashAdded(_, trashed) => {
                self.trashed_files += 1;
                self.occupy(&trashed.file);
            }
            Step::TrashRemoved(_, trashed) => {
                self.trashed_files = self.trashed_files.saturating_sub(1);
                self.vacate(&trashed.file);
            }
            Step::UploadAdded(file, record) => self.add_upload(*file, record),
            Step::UploadRemoved(file) => self.remove_upload(*file),
            Step::ChunkAdded(chunk, record) => self.add_chunk(*chunk, record),
            Step::ChunkRemoved(chunk, record) => self.remove_chunk(*chunk, record),
            Step::EndedAdded(file, ended) => {
                self.ended.insert((*ended, *file));
            }
            Step::EndedRemoved(file, ended) => {
                self.ended.remove(&(*ended, *file));
            }
        }
    }

    /// Whether a disk may take part, as far as these records say: it belongs to this cluster or to
    /// none yet, is no older than it was, and was not retired.
    pub(super) fn admits(&self, disk: DiskId, beat: &Heartbeat) -> bool {
        let ours = self.cluster.as_ref().map(|record| record.cluster);
        let same = ours
            .zip(beat.identity.cluster)
            .is_none_or(|(ours, theirs)| ours == theirs);
        let member = self.members.get(&disk);
        same && member.is_none_or(|member| {
            member.generation <= beat.identity.generation && member.state != MemberState::Retired
        })
    }

    /// The members that were not retired.
    pub(super) fn present(&self) -> impl Iterator<Item = (DiskId, &MemberRecord)> {
        let members = self.members.iter().map(|(&disk, record)| (disk, record));
        members.filter(|(_, record)| record.state != MemberState::Retired)
    }

    /// Whether the records name a disk as one that has or should have chunks.
    pub(super) fn names(&self, disk: DiskId) -> bool {
        let moves = self.moves.values();
        let mut places = self.assignment.iter().map(|(_, holders)| holders);
        let mut exceptions = self.desired.exception_places();
        places.any(|holders| holders.contains(&disk))
            || moves.into_iter().any(|to| to.contains(&disk))
            || exceptions.any(|(other, _)| other == disk)
    }

    /// The disks that should have what is in a partition: where it is, or where it is moving to.
    pub(super) fn targets(&self, partition: Partition) -> &[DiskId] {
        match self.moves.get(&partition) {
            Some(to) => to,
            None => self.assignment.holders(partition),
        }
    }

    /// Whether new chunks may go to a disk, as far as the records say.
    pub(super) fn accepts(&self, disk: DiskId) -> bool {
        let member = self.members.get(&disk);
        member.is_some_and(|member| member.state == MemberState::Active && member.weight > 0)
    }
}

/// What `puts` would change, looked at before they are applied. No key stands in them twice.
pub(super) fn steps(before: &impl Lookup, puts: &[Put]) -> Result<Vec<Step>, Corrupt> {
    let mut steps = Vec::new();
    for Put { key, value } in puts {
        steps.extend(steps_of(key, before.value(key), value.as_deref())?);
    }
    Ok(steps)
}

/// What it changes that a record becomes another one.
pub(super) fn steps_of(
    key: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<Vec<Step>, Corrupt> {
    let mut steps = Vec::new();
    let key = Key::from_bytes(key)?;
    if let Some(old) = old {
        removed(&mut steps, &key, old)?;
    }
    if let Some(new) = new {
        added(&mut steps, &key, new)?;
    }
    Ok(steps)
}

fn added(steps: &mut Vec<Step>, key: &Key, value: &[u8]) -> Result<(), Corrupt> {
    steps.push(match key {
        Key::Cluster => Step::Cluster(Box::new(decode(value)?)),
        Key::Member(disk) => Step::Member(*disk, Some(Box::new(decode(value)?))),
        Key::Partition(partition) => {
            Step::Holders(*partition, decode::<PartitionRecord>(value)?.holders)
        }
        Key::Move(partition) => Step::Move(*partition, Some(decode::<MoveRecord>(value)?.to)),
        Key::File(name) => Step::FileAdded(name.clone(), Box::new(decode(value)?)),
        Key::Upload(file) => Step::UploadAdded(*file, Box::new(decode(value)?)),
        Key::Chunk(chunk) => Step::ChunkAdded(*chunk, Box::new(decode(value)?)),
        Key::Ended(file) => Step::EndedAdded(*file, decode::<EndedRecord>(value)?.ended),
        Key::Trash(deleted, _) => Step::TrashAdded(*deleted, Box::new(decode(value)?)),
        Key::Request(_) | Key::Token(_) => return Ok(()),
    });
    Ok(())
}

fn removed(steps: &mut Vec<Step>, key: &Key, value: &[u8]) -> Result<(), Corrupt> {
    steps.push(match key {
        Key::Member(disk) => Step::Member(*disk, None),
        Key::Move(partition) => Step::Move(*partition, None),
        Key::File(name) => Step::FileRemoved(name.clone(), Box::new(decode(value)?)),
        Key::Upload(file) => Step::UploadRemoved(*file),
        Key::Chunk(chunk) => Step::ChunkRemoved(*chunk, Box::new(decode(value)?)),
        Key::Ended(file) => Step::EndedRemoved(*file, decode::<EndedRecord>(value)?.ended),
        Key::Trash(deleted, _) => Step::TrashRemoved(*deleted, Box::new(decode(value)?)),
        // What takes their place says it all.
        Key::Cluster | Key::Partition(_) | Key::Request(_) | Key::Token(_) => return Ok(()),
    });
    Ok(())
}

/// The prefix of all keys of a kind.
pub(super) const fn prefix(kind: Kind) -> [u8; 1] {
    [kind.tag()]
}
