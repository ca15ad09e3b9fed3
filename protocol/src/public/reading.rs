//! What workers say when they are asked to read what they hold.

use crate::problem::Problem;
use crate::schema;
use mdfs_core::id::{DiskId, FileId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What workers said when they were asked to read a file's copies, `POST …?verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// The file's name.
    pub name: String,
    /// Whether as many good copies of every chunk were found as are wanted, and no other, and all
    /// chunks together have the checksum of the file.
    pub good: bool,
    /// Chunks in the file.
    pub chunks: u64,
    /// Copies of each that are wanted.
    pub replicas: u8,
    /// Chunks without any good copy.
    pub lost_chunks: u64,
    /// CRC-32 of the file as it is recorded, 8 hexadecimal digits.
    pub crc32: String,
    /// The same of the copies that were read; none if a chunk has no good copy.
    pub found_crc32: Option<String>,
    /// Each worker that should have a part of it, or is about to.
    pub workers: Vec<VerifiedWorker>,
    /// Each copy that was not found good, in the order of chunks.
    pub problems: Vec<VerifyProblem>,
}

/// How many chunks of a file a worker has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedWorker {
    /// Its disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// Chunks that it was asked for.
    pub asked: u64,
    /// Those that are good.
    pub good: u64,
    /// Those that it does not have as they are moving to it or away from it, of which there are as
    /// many good copies as wanted elsewhere: nothing is wrong with them.
    #[serde(default)]
    pub moving: u64,
}

/// A copy that is not good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyProblem {
    /// Which chunk, counted from zero.
    pub chunk: u32,
    /// Bytes of the file in it: the first, and behind the last.
    pub bytes: (u64, u64),
    /// The worker's disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// What is wrong.
    pub state: CopyState,
    /// What the worker said.
    pub detail: String,
}

/// A line of `POST …?verify` with `Accept: application/x-ndjson`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLine {
    /// A worker has read a copy of a chunk, or says why not.
    Copy(VerifiedCopy),
    /// The last line: what came of it all.
    Verified(Verified),
    /// Likewise, if it broke off.
    Failed(Problem),
}

/// What a worker says of a copy of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifiedCopy {
    /// Which chunk, counted from zero.
    pub chunk: u32,
    /// Bytes in it.
    pub length: u64,
    /// The worker's disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// What is wrong with it; none if it is good in itself. The last line compares it with others.
    pub state: Option<CopyState>,
}

/// What is wrong with a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It has a bad block, or another length or checksum than other copies.
    Damaged,
    /// The worker does not have it.
    Missing,
    /// The worker does not answer: nothing is known.
    Unknown,
}

/// Where a file's chunks are, `GET …?replicas`, as the leader knows it without asking the workers:
/// `POST …?verify` has the copies read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replicas {
    /// The file's name.
    pub name: String,
    /// The log index that made this version.
    pub version: u64,
    /// The identity of this version's bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// Copies of each chunk that are wanted.
    pub replicas: u8,
    /// Runs of chunks that are on the same disks, in order, covering all.
    pub runs: Vec<ReplicasOfRun>,
}

/// Where a run of chunks is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicasOfRun {
    /// The first chunk, counted from zero.
    pub first_chunk: u32,
    /// Chunks in the run.
    pub chunks: u32,
    /// The disks that have them, or are about to, those first that readers are sent to first.
    pub holders: Vec<ReplicaHolder>,
}

/// A disk that should have a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaHolder {
    /// The disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// Where its worker answers; empty while a leader that has just come does not know.
    pub url: String,
    /// Whether its worker answers: a copy on any other counts as missing.
    pub state: HolderState,
}

/// Whether the worker of a copy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HolderState {
    /// It beats.
    Live,
    /// It does not.
    Silent,
}

/// How far workers are with reading everything they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scrubs {
    /// One for each member, sorted by name.
    pub workers: Vec<Scrub>,
}

/// How far one worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scrub {
    /// Its disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// Its name for people.
    pub name: String,
    /// What it says; none if it does not answer.
    pub progress: Option<crate::internal::ScrubProgress>,
}
