//! What servers say among themselves, under `/internal/v1/`, with the cluster key.
//!
//! Bodies are JSON, but for chunk bytes (raw), and the metadata log, heartbeats and what is told of
//! holdings (postcard). Postcard names no fields and skips none: its types are told apart by the `v1`
//! of the path alone, so one that changes gets a new path, and servers that know only the old one
//! answer `404` instead of reading it wrongly.

use crate::{holdings, order};
use mdfs_core::chunk::ChunkId;
use mdfs_core::format::Formats;
use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Term};
use mdfs_core::log::message::Position;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET`: who answers here, an [`Identity`].
pub const IDENTITY: &str = "/internal/v1/identity";
/// `POST` [`Adopt`]: a blank disk joins the cluster.
pub const ADOPT: &str = "/internal/v1/adopt";
/// `POST`: one message of the metadata log, and its answer.
pub const LOG: &str = "/internal/v1/log";
/// `POST` [`Heartbeat`] to a master. Answers [`HeartbeatReply`]; postcard both ways.
pub const HEARTBEAT: &str = "/internal/v1/heartbeat";
/// The route of a chunk, with axum's parameters; see [`chunk_path`].
/// `GET ?offset=&length=` reads verified bytes; `PUT` with [`SEAL_HEADER`] stores a whole small
/// chunk at once.
pub const CHUNK: &str = "/internal/v1/chunks/{file}/{index}";
/// `PUT ?offset=&term=&next=`: stores one segment of a staged chunk, at most 1 MiB, and forwards it
/// to the disks in `next` (comma-separated). Answers [`HopsReply`].
pub const CHUNK_SEGMENT: &str = "/internal/v1/chunks/{file}/{index}/segment";
/// `GET`: how far a staged chunk has been received, a [`Staged`]. `DELETE`: forgets it.
pub const CHUNK_STAGED: &str = "/internal/v1/chunks/{file}/{index}/staged";
/// `GET`: what is written behind a sealed chunk, a [`Seal`]. `POST` [`SealRequest`]: makes a staged
/// chunk durable. Answers [`HopsReply`].
pub const CHUNK_SEAL: &str = "/internal/v1/chunks/{file}/{index}/seal";
/// `POST` [`PullRequest`]: copies a sealed chunk from another worker. Answers [`Stored`].
pub const CHUNK_PULL: &str = "/internal/v1/chunks/{file}/{index}/pull";
/// `POST` [`VerifyRequest`]: says in the leader's term what is stored. Answers [`Stored`].
pub const CHUNK_VERIFY: &str = "/internal/v1/chunks/{file}/{index}/verify";
/// `POST` [`DropRequest`]: removes all chunks and staged segments of a file id. Answers [`Dropped`].
pub const FILE_DROP: &str = "/internal/v1/files/{file}/drop";

/// `POST`: reads every block on the disk now, as fast as clients let it; harmless while that is under
/// way. `GET`: how far that is. Both answer [`ScrubProgress`].
pub const SCRUB: &str = "/internal/v1/scrub";

/// `GET` from a master: who it is, and which masters it knows, a [`Masters`]. `POST` [`Masters`] to a
/// worker: it is to beat at these too. Answers [`Identity`].
pub const MASTERS: &str = "/internal/v1/masters";

/// How many masters a worker beats at, at most: each costs it a connection, and a beat a second.
pub const MOST_MASTERS: usize = 16;

/// The longest URL of a server that others are told, in bytes.
pub const URL_MAX_BYTES: usize = 300;

/// The CRC-32 of a segment's bytes, 8 hexadecimal digits.
pub const CRC_HEADER: &str = "x-mdfs-crc32";
/// The [`Seal`] of a small chunk stored at once, as JSON with every character above `~` escaped.
pub const SEAL_HEADER: &str = "x-mdfs-seal";

/// The path of a chunk, or of `part` of it (`segment`, `seal`, …; empty for the chunk itself).
pub fn chunk_path(chunk: ChunkId, part: &str) -> String {
    let slash = if part.is_empty() { "" } else { "/" };
    format!(
        "/internal/v1/chunks/{}/{}{slash}{part}",
        chunk.file, chunk.index
    )
}

/// The path that drops a file id from a worker.
pub fn drop_path(file: FileId) -> String {
    format!("/internal/v1/files/{file}/drop")
}

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The disk behind this address.
    pub disk: DiskId,
    /// The cluster it belongs to; none while it is blank.
    pub cluster: Option<ClusterId>,
    /// What is durable of it: see [`Generation`].
    pub generation: Generation,
}

/// Masters, and where they are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Masters {
    /// Their URLs, at most [`MOST_MASTERS`]. Where a master says it, its own comes first, and there are
    /// none if it does not know its own.
    pub urls: Vec<String>,
}

/// Makes a blank disk a disk of this cluster. Harmless when it is already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopt {
    /// The cluster.
    pub cluster: ClusterId,
}

/// What a worker tells each master, once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub identity: Identity,
    /// A name for people, such as the pod's.
    pub name: String,
    /// Where the worker can be reached, such as `http://10.0.0.7:8081`.
    pub url: String,
    /// The failure domain, if it was given one.
    pub zone: Option<String>,
    /// What chunks may have in all, in bytes: the file system, or less if it was told so.
    pub capacity_bytes: u64,
    /// What chunks may still use: free bytes less the reserve, or what is left of the capacity.
    pub free_bytes: u64,
    /// Sealed chunks on the disk.
    pub chunks: u64,
    /// Bytes in them, without footers.
    pub chunk_bytes: u64,
    /// Bad blocks found since the disk was mounted.
    pub bad_blocks: u64,
    /// At most so long ago each chunk was read and verified, in milliseconds; none if unknown.
    pub oldest_unverified_millis: Option<u64>,
    /// How long the disk took lately to make a chunk durable, in milliseconds; none if there were too
    /// few to tell.
    pub seal_millis: Option<u64>,
    /// Whether the disk accepts writes.
    pub state: DiskState,
    /// Whether the worker takes part in the metadata log when it is asked to.
    pub voter: VoterState,
    /// The worker is about to stop: no reads or writes should go to it.
    pub leaving: bool,
    /// The version of the directory the worker has; see [`HeartbeatReply`].
    pub directory_version: u64,
    /// The chunks on the disk, as far as this master may not know them.
    pub holdings: holdings::Report,
    /// What came of this master's orders since the last beat.
    pub done: Vec<order::Done>,
    /// The versions that the worker knows of what the log and its records may hold.
    pub formats: Formats,
    /// For how long its vote is leased, in milliseconds. A leader that counts on another span must not
    /// count on this voter.
    pub lease_millis: u64,
    /// Where its metadata log ends, durably; zero if it is blank.
    pub voter_last: Position,
    /// Whether it may vote and is to hold no chunks.
    pub witness: bool,
}

/// What a disk can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// Reads and writes.
    Healthy,
    /// Took an I/O error on a write: reads only, until it is replaced.
    ReadOnly,
}

/// Whether a worker takes part in the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoterState {
    /// It votes when it is asked.
    Healthy,
    /// Its log failed, is damaged or gone: it refuses, since it cannot know what it promised. The
    /// chunks are served all the same.
    Broken,
}

/// A master's answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The leader, if this master knows one: itself or another.
    pub leader: Option<Leader>,
    /// Whether this master leads and takes the disk as it is. Only then is the disk judged: another
    /// master does not know what the log remembers of it.
    pub accepted: bool,
    /// The members and where they are, when the worker's version of it is old.
    pub directory: Option<Directory>,
    /// The masters that are known, when the worker's version of the directory is old, so that it beats
    /// at all of them: as in [`Masters`].
    pub masters: Option<Vec<String>>,
    /// How far this master knows what the worker holds; none if it need not know.
    pub known: Option<holdings::Known>,
    /// What the worker should do, at most [`order::MOST_ORDERS`].
    pub orders: Vec<order::Order>,
}

/// What the connection of a worker speaks after `GET` of [`HEARTBEAT`] was answered with 101: the worker
/// sends a [`Heartbeat`] and the master answers with a [`HeartbeatAnswer`], by turns. Each is in postcard
/// behind its length, four bytes, the least significant first.
pub const BEATS_PROTOCOL: &str = "mdfs-beats";

/// The largest heartbeat, in bytes: [`MOST_CHANGES`] changes of at most 50 bytes each, what came of
/// [`MOST_ORDERS`] orders, and the rest, twice over.
///
/// [`MOST_CHANGES`]: holdings::MOST_CHANGES
/// [`MOST_ORDERS`]: order::MOST_ORDERS
pub const HEARTBEAT_MAX_BYTES: usize = 512 * 1024;

/// The longest answer to one, in bytes: orders, and a directory of all members.
pub const HEARTBEAT_ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a master answers on a connection of heartbeats alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeartbeatAnswer {
    /// It heard.
    Heard(HeartbeatReply),
    /// It refuses the worker, or cannot hear it now. The next one is heard all the same.
    Refused {
        /// As an HTTP status.
        status: u16,
        /// A problem, as JSON.
        problem: Vec<u8>,
    },
}

/// A leader and where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The term it leads in.
    pub term: Term,
    /// Its URL.
    pub url: String,
}

/// Where the disks of the cluster are. Workers send to no other address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Differs whenever the content does, or what masters are known; zero is "none".
    pub version: u64,
    /// Every member that was heard of.
    pub disks: Vec<DiskAddress>,
}

/// A disk and its URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskAddress {
    /// The disk.
    pub disk: DiskId,
    /// Where its worker answers.
    pub url: String,
}

/// What is written behind a chunk's bytes, besides its block checksums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Bytes in the chunk; zero for the one chunk of an empty file is never written.
    pub length: u64,
    /// CRC-32 of the chunk's bytes, 8 hexadecimal digits on the wire.
    pub crc32: mdfs_core::checksum::Crc32,
    /// BLAKE3 chaining value of the chunk inside its file; the file's hash when it is the only one and
    /// `file_bytes` says so.
    pub hash: mdfs_core::checksum::ChunkHash,
    /// The chunk size of the upload, in bytes.
    pub chunk_size: mdfs_core::chunk::ChunkSize,
    /// The name at upload time.
    pub name: String,
    /// The log index of the upload's BeginUpload.
    pub begun_at: u64,
    /// The size of the file, in its last chunk, if it was known to be the last when it was stored.
    pub file_bytes: Option<u64>,
}

/// Ends a staged chunk: what it must be, and who else in the chain ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRequest {
    /// The term of the leader that answered BeginUpload, or a later one.
    pub term: Term,
    /// What the chunk must be.
    pub seal: Seal,
    /// The rest of the chain.
    pub next: Vec<DiskId>,
}

/// Copies a chunk from `from`, verifies it block by block, and makes it durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// As in [`SealRequest`].
    pub term: Term,
    /// What the chunk must be.
    pub seal: Seal,
    /// A member that has it sealed.
    pub from: DiskId,
}

/// Asks, as the leader of `term`, what is stored of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// The leader's term: raises the disk's fence first; refused if lower.
    pub term: Term,
}

/// Removes a file id's chunks, as the leader of `term`, after the log says that nobody needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRequest {
    /// The leader's term: raises the disk's fence first; refused if lower.
    pub term: Term,
}

/// What a drop removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Sealed chunks removed.
    pub chunks: u64,
}

/// A durable chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Bytes in it.
    pub length: u64,
    /// CRC-32 of them, as the disk computed it.
    pub crc32: mdfs_core::checksum::Crc32,
}

/// How far a staged chunk was received without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Bytes from the chunk's start.
    pub received: u64,
}

/// How far a scrub is: the one that was ordered last; if none was since the worker's start, the one
/// under way by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubProgress {
    /// Whether it was ordered.
    pub ordered: bool,
    /// Whether it has come to the end.
    pub finished: bool,
    /// For how long it has gone on since the worker's start, in milliseconds.
    #[serde(default)]
    pub millis: u64,
    /// Chunks read so far.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bad blocks found in them; a chunk that is damaged as a whole counts as one.
    pub bad_blocks: u64,
}

/// What each hop of a chain did, the answering worker first, then in the order of `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopsReply {
    /// One for each disk of the chain.
    pub hops: Vec<Hop>,
}

/// What one hop did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Who.
    pub disk: DiskId,
    /// What came of it.
    pub outcome: HopOutcome,
}

/// What came of a segment or seal on one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HopOutcome {
    /// The segment is written (not yet durable).
    Received(Staged),
    /// The chunk is durable.
    Durable(Stored),
    /// It is neither; `code` says why.
    Failed {
        /// A code of `problem`.
        code: crate::problem::Code,
        /// For the log.
        detail: String,
    },
}
