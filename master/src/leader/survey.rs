//! Compares what the records want with what disks hold, chunk by chunk, where digests differ. Reads
//! a copy of the table, so it runs beside the leader's loop.

mod counted;
mod places;

pub use counted::survey;

use super::progress::Amount;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::log::table::Table;
use mdfs_core::name::FileName;
use mdfs_core::partition::Partition;
use mdfs_core::records::Copies;
use mdfs_core::ring::{Assignment, ReplicationFactor};
use mdfs_core::time::LogTime;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most copies to make that one survey names; the next one names others.
const MOST_NEEDS: usize = 4096;
/// Most chunks to drop that one survey names, for each disk.
const MOST_DROPS: usize = 4096;
/// Most exceptions that one survey finds to have ended, and most files that it finds other places for.
const MOST_HOME: usize = 256;
/// Most names that one survey gives of files whose last copies may be on a disk.
const MOST_SOLE: usize = 10;
/// Most names of files that one survey gives.
pub(super) const MOST_NAMES: usize = 1000;

/// What a survey looks at. The lists are older than the table: what they show and no record wants is
/// wanted by nobody.
#[derive(Clone, Debug)]
pub struct SurveyRequest {
    /// The committed records; shares its pages with the leader's table.
    pub table: Table,
    /// The holders of partitions, as of the same commit.
    pub assignment: Assignment,
    /// How many copies files have that follow the policy.
    pub replicas: ReplicationFactor,
    /// Where partitions are moving to.
    pub moves: BTreeMap<Partition, Vec<DiskId>>,
    /// Uploads that are open, or were when the lists were made.
    pub uploads: BTreeSet<FileId>,
    /// The disks that can be read and whose holdings are known. A copy on any other counts as
    /// missing.
    pub reachable: BTreeSet<DiskId>,
    /// Those of them that take new chunks, and the bytes that have room.
    pub accepting: BTreeMap<DiskId, u64>,
    /// The disks that may hold chunks for good: members that were not told to leave, and that have not been
    /// silent for longer than a repair waits. None while that is not known.
    pub eligible: BTreeSet<DiskId>,
    /// The index of the commit when the lists were asked for: of later files they say nothing.
    pub listed_at: u64,
    /// Copies that failed and are not tried again yet: they take no place among those to make.
    pub put_off: BTreeSet<(DiskId, ChunkId)>,
    /// Partitions that differ somewhere and were not listed, because there were too many chunks to
    /// list at once: nothing is said of them but who can be read.
    pub unlisted: BTreeSet<Partition>,
    /// What disks hold of some partitions. Of all other partitions they hold exactly what they
    /// should.
    pub lists: BTreeMap<DiskId, Listed>,
}

/// What a disk holds of some partitions.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The partitions.
    pub partitions: BTreeSet<Partition>,
    /// Good chunks and their lengths.
    pub chunks: HashMap<ChunkId, u64>,
    /// Chunks that are damaged, but may have good blocks.
    pub damaged: BTreeSet<ChunkId>,
}

/// What a survey found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Files that have a chunk with fewer good reachable copies than wanted.
    pub under_replicated_files: u64,
    /// Files in the trash that have such a chunk.
    pub under_replicated_trash: u64,
    /// Files that have a chunk without any good reachable copy.
    pub missing_files: u64,
    /// Files whose record cannot be read: never counted as well.
    pub unreadable_files: u64,
    /// Chunks with a copy that is not good.
    pub damaged_chunks: u64,
    /// Copies that are not needed where they are.
    pub excess_copies: u64,
    /// Copies to make, those of chunks with the fewest good copies first; not all, if many.
    pub needs: Vec<Need>,
    /// How many there are in all, those that failed just now too.
    pub copies_to_make: u64,
    /// Bytes in them.
    pub bytes_to_copy: u64,
    /// The same by partition.
    pub to_copy: BTreeMap<Partition, Amount>,
    /// Chunks of no file: disks may drop them, whatever happens meanwhile.
    pub garbage: BTreeMap<DiskId, Vec<ChunkId>>,
    /// Copies that are not needed where they are: disks may drop them if that is still so.
    pub excess: BTreeMap<DiskId, Vec<ExcessCopy>>,
    /// Moving partitions whose goal had everything when the lists were made.
    pub moved: BTreeSet<Partition>,
    /// Exceptions of files with a name that have ended: the holders have these chunks.
    pub home: Vec<Home>,
    /// Files of which more copies are wanted than partitions have holders, and whose chunks get other
    /// places than their records name; not all, if many.
    pub other_places: Vec<OtherPlaces>,
    /// Partitions with chunks that differ somewhere and were not listed: the figures are without what
    /// is wrong there.
    pub unlisted_partitions: u64,
    /// Disks that may have the last good copy of something, in the trash or out of it.
    pub sole: BTreeMap<DiskId, Sole>,
    /// Files with too few good copies, the worst first; not all, if many.
    pub names: Vec<AtRisk>,
}

/// Files of which a disk may have the last good copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sole {
    /// How many.
    pub files: u64,
    /// The first of their names; not all, if many.
    pub names: Vec<FileName>,
}

/// A copy to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Of which chunk.
    pub chunk: ChunkId,
    /// Bytes in it.
    pub length: u64,
    /// The disk that should have it.
    pub target: DiskId,
    /// Disks that have good blocks of it, whole copies first.
    pub sources: Vec<DiskId>,
    /// Good copies there are.
    pub good: usize,
}

/// A copy that is not needed where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExcessCopy {
    /// Of which chunk.
    pub chunk: ChunkId,
    /// How many copies of it are wanted.
    pub wanted: usize,
    /// Whether the chunk stays where an exception says, in the trash or for want of holders, so that not
    /// even a holder has to have it.
    pub stays_elsewhere: bool,
}

/// An exception that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The file's name.
    pub name: FileName,
    /// When it was deleted, if it is in the trash.
    pub deleted: Option<LogTime>,
    /// The version.
    pub file: FileId,
    /// The exception, as it is recorded.
    pub exception: Copies,
}

/// Chunks of a file that get other places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlaces {
    /// The file's name.
    pub name: FileName,
    /// When it was deleted, if it is in the trash.
    pub deleted: Option<LogTime>,
    /// The version.
    pub file: FileId,
    /// Its exceptions, as they are recorded.
    pub before: Vec<Copies>,
    /// The chunks with their new places, in order.
    pub runs: Vec<Copies>,
}

/// A file with too few good copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtRisk {
    /// The name.
    pub name: FileName,
    /// The fewest good copies of one of its chunks.
    pub good: usize,
    /// How many are wanted.
    pub wanted: usize,
}

#[cfg(test)]
mod tests;
