//! The HTTP API for people and programs, under `/v1/`.

mod admin;
mod files;
mod reading;
mod tokens;
mod uploads;

pub use admin::{Announce, Policy, PolicyChange, PolicyLowering, Retire, Task, TaskKind, Tasks};
pub use files::{Checksums, FormFiles, FormRefused, FormResult, SetAttributes};
pub use reading::{
    CopyState, HolderState, ReplicaHolder, Replicas, ReplicasOfRun, Scrub, Scrubs, Verified,
    VerifiedWorker, VerifyProblem,
};
pub use tokens::{
    CreatedToken, LABEL_MAX_BYTES, NewToken, SIGN, SignRequest, SignedLink, TOKEN,
    TOKEN_MAX_SECONDS, TOKENS, TokenInfo, Tokens,
};
pub use uploads::{
    BeginUpload, ChunkRun, CommitUpload, StoredChunk, UPLOAD, UPLOAD_CHUNK, UPLOAD_COMMIT, UPLOADS,
    UploadInfo, UploadState, Uploads, upload_path,
};

use crate::schema;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::id::{ClusterId, DiskId, FileId, Generation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file: `PUT`, `GET`, `HEAD`, `DELETE`; `GET ?replicas` answers [`Replicas`], `GET ?checksum`
/// [`Checksums`]; `DELETE ?purge` removes it for good, `POST ?undelete`
/// brings it back from the trash as a [`FileInfo`], `POST ?attributes` [`SetAttributes`] changes what is said of it, and `POST ?verify` has its copies read and
/// answers [`Verified`].
pub const FILE: &str = "/v1/files/{*name}";
/// `GET ?prefix=&delimiter=&after=&limit=`: a [`Listing`].
pub const FILES: &str = "/v1/files";
/// `GET ?after=&limit=`: a page of the [`Trash`].
pub const TRASH: &str = "/v1/trash";
/// `POST` [`Rename`].
pub const RENAME: &str = "/v1/rename";
/// `GET`, `HEAD`: a file's bytes, to be shown inline.
pub const PLAY: &str = "/play/{*name}";
/// `GET`: a [`Status`].
pub const STATUS: &str = "/v1/status";
/// `GET`: a [`Workers`].
pub const WORKERS: &str = "/v1/workers";
/// `POST` [`Bootstrap`]: a [`Bootstrapped`].
pub const BOOTSTRAP: &str = "/v1/admin/bootstrap";
/// `POST` [`WorkerOrder`]: moves everything off a worker.
pub const DRAIN: &str = "/v1/admin/drain";
/// `POST` [`WorkerOrder`]: lets a drained worker take part again.
pub const UNDRAIN: &str = "/v1/admin/undrain";
/// `POST`: evens out the bytes on the workers.
pub const REBALANCE: &str = "/v1/admin/rebalance";
/// `POST`: has every worker read all it holds now. `GET`: how far that is. Both answer [`Scrubs`].
pub const SCRUB: &str = "/v1/admin/scrub";
/// `POST` [`Announce`]: a worker is going to be silent for a while, as for a restart.
pub const ANNOUNCE: &str = "/v1/admin/announce";
/// `POST` [`WorkerOrder`]: moves everything off a worker, then retires its disk.
pub const DECOMMISSION: &str = "/v1/admin/decommission";
/// `POST` [`Retire`]: refuses a disk for ever, from now on.
pub const RETIRE: &str = "/v1/admin/retire";
/// `GET`: the [`Policy`] of the cluster. `POST` [`PolicyChange`]: changes it, and answers it.
pub const POLICY: &str = "/v1/admin/policy";
/// `GET`: what goes on in the background, [`Tasks`].
pub const TASKS: &str = "/v1/tasks";
/// `POST`: looks for missing copies now, and for lost workers without the usual delay.
pub const REPAIR: &str = "/v1/admin/repair";
/// `GET`: `OK`.
pub const HEALTH: &str = "/health";
/// `GET`: whether the process lives.
pub const HEALTH_LIVE: &str = "/health/live";
/// `GET`: whether it can take requests.
pub const HEALTH_READY: &str = "/health/ready";
/// `GET`: counters as JSON.
pub const STATS: &str = "/stats";
/// `GET`: counters for Prometheus.
pub const METRICS: &str = "/metrics";

/// Names a change, so that a repeated one gets the first answer.
pub const REQUEST_HEADER: &str = "x-mdfs-request-id";
/// The log time of the answer, in milliseconds since the Unix epoch.
pub const LOG_TIME_HEADER: &str = "x-mdfs-log-time";
/// The CRC-32 of a whole file, 8 hexadecimal digits; may be sent with `PUT`, is always answered.
pub const CRC_HEADER: &str = "x-mdfs-crc32";
/// The BLAKE3 hash of a whole file, 64 hexadecimal digits.
pub const BLAKE3_HEADER: &str = "x-mdfs-blake3";
/// The version of a file: the log index that made it.
pub const VERSION_HEADER: &str = "x-mdfs-version";
/// Copies wanted of each chunk of a file.
pub const REPLICAS_HEADER: &str = "x-mdfs-replicas";
/// When a file was changed where it came from, in milliseconds since the Unix epoch; may be sent with
/// `PUT`, and is answered if it was told.
pub const SOURCE_MODIFIED_HEADER: &str = "x-mdfs-modified";
/// What the headers of a user's attributes begin with; the attribute's name follows.
pub const ATTRIBUTE_HEADER_PREFIX: &str = "x-mdfs-attribute-";

/// The path of a file, each segment percent-encoded.
pub fn file_path(name: &str) -> String {
    format!("/v1/files/{}", encode_name(name))
}

/// The path that plays a file, each segment percent-encoded.
pub fn play_path(name: &str) -> String {
    format!("/play/{}", encode_name(name))
}

fn encode_name(name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    // The unreserved characters of RFC 3986, and the slash between folders.
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(name, KEEP).to_string()
}

/// A stored file, as `PUT`, rename and listings answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// The log index that made this version.
    pub version: u64,
    /// The identity of this version's bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of all bytes.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    #[schemars(with = "schema::Blake3Text")]
    pub blake3: Blake3,
    /// Entity tag, with quotes.
    pub etag: String,
    /// Media type.
    pub content_type: String,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// When the version was committed, RFC 3339.
    pub modified: String,
    /// When its source was changed, in milliseconds since the Unix epoch, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_modified: Option<u64>,
    /// Attributes of the user's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// One page of a listing, sorted by name bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// Files under the prefix.
    pub files: Vec<FileInfo>,
    /// What stands once for all names that go on after the delimiter.
    pub folders: Vec<String>,
    /// Where the next page starts (`after`); none on the last page.
    pub next: Option<String>,
}

/// One page of the trash, those files first that came there first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trash {
    /// Deleted and replaced files. A name may come more than once.
    pub files: Vec<TrashedFile>,
    /// Where the next page starts (`after`); none on the last page.
    pub next: Option<String>,
}

/// A deleted or replaced file that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrashedFile {
    /// The name it had.
    pub name: String,
    /// The identity of its bytes.
    #[schemars(with = "schema::Id")]
    pub file_id: FileId,
    /// Bytes.
    pub size: u64,
    /// Entity tag, with quotes.
    pub etag: String,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// When it was deleted or replaced, RFC 3339.
    pub deleted: String,
}

/// Moves one file to a new name, atomically.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The present name.
    #[schemars(with = "schema::FileNameText")]
    pub from: String,
    /// The new name.
    #[schemars(with = "schema::FileNameText")]
    pub to: String,
    /// Whether a file of the new name may be replaced (it goes to the trash).
    #[serde(default)]
    pub overwrite: bool,
}

/// Starts a cluster, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// The first voters: 1 or 3 disks.
    #[schemars(with = "Vec<schema::Id>")]
    pub disks: Vec<DiskId>,
    /// Copies of each chunk unless an upload says otherwise; 2 if left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 7))]
    pub replicas: Option<u8>,
    /// Bytes of a chunk unless an upload says otherwise; 64 MiB if left out.
    #[serde(default)]
    #[schemars(range(min = 1048576, max = 1073741824))]
    pub chunk_size: Option<u64>,
}

/// The cluster that bootstrap started, now or earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bootstrapped {
    /// Its identity.
    #[schemars(with = "schema::Id")]
    pub cluster_id: ClusterId,
}

/// An order that concerns one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerOrder {
    /// The worker's name, or the id of its disk.
    #[serde(alias = "disk")]
    pub worker: String,
}

/// The state of the cluster, as the leader knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Its identity; none before bootstrap.
    #[schemars(with = "Option<schema::Id>")]
    pub cluster_id: Option<ClusterId>,
    /// What to make of it all.
    pub health: Health,
    /// One line for each thing that keeps it from being `ok`.
    pub reasons: Vec<String>,
    /// Files that have a name.
    pub files: u64,
    /// Bytes in them, counted once.
    pub bytes: u64,
    /// Files in the trash.
    pub trashed_files: u64,
    /// Uploads that are open.
    pub open_uploads: u64,
    /// Those of them that clients may come back to.
    pub upload_sessions: u64,
    /// Bytes of their chunks that are durable, counted once.
    pub upload_bytes: u64,
    /// Seconds since the oldest of them was begun, in log time.
    pub oldest_upload_seconds: u64,
    /// Files that have a chunk with fewer reachable copies than wanted.
    pub under_replicated_files: u64,
    /// Files that have a chunk without any reachable copy.
    pub missing_files: u64,
    /// Chunks of which some copy is damaged.
    pub damaged_chunks: u64,
    /// Copies on disks that need not have them, and have not dropped them yet.
    pub excess_copies: u64,
    /// The worst of the files with too few copies, at most 1000.
    pub at_risk: Vec<AtRisk>,
    /// How old these figures are, in milliseconds: what they do not show came about later. None if
    /// nothing was counted yet.
    pub counted_millis_ago: Option<u64>,
    /// Copies that are still to be made, and are made as far as nothing stops it.
    pub copies_to_make: u64,
    /// Bytes in them.
    pub bytes_to_copy: u64,
    /// Partitions on their way to other workers.
    pub moving_partitions: u64,
    /// What the mover is doing, the largest first; at most 16. See [`Tasks`] for all.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// Many workers fell silent at once: nothing is copied for them until most are back.
    pub repair_paused: bool,
    /// Members that are live.
    pub live_workers: u64,
    /// All members.
    pub workers: u64,
    /// Voters that hold a lease of the leader, and all voters.
    pub leased_voters: u64,
    /// All voters.
    pub voters: u64,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// Bytes of a chunk.
    pub chunk_size: u64,
    /// The leader's term, as text.
    pub term: Option<String>,
    /// The last committed index of the log.
    pub commit: u64,
}

/// A file with too few good copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AtRisk {
    /// Its name.
    pub name: String,
    /// Good copies of the chunk that has the fewest.
    pub copies: u64,
    /// Copies wanted.
    pub wanted: u64,
}

/// What to make of a cluster's state. Unknown is never `ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Everything is as wanted.
    Ok,
    /// Everything can be read; something is not as wanted.
    Degraded,
    /// Something cannot be read or written.
    Critical,
    /// There is no leader that could know.
    Unknown,
}

/// The members of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Workers {
    /// Sorted by name.
    pub workers: Vec<WorkerInfo>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerInfo {
    /// Its disk.
    #[schemars(with = "schema::Id")]
    pub disk_id: DiskId,
    /// Its name for people.
    pub name: String,
    /// Where it answers; none until it was heard of.
    pub url: Option<String>,
    /// `live`, `suspect` or `dead`.
    pub state: WorkerState,
    /// Whether it accepts writes.
    pub read_only: bool,
    /// Whether everything is being moved off it, or was.
    pub draining: bool,
    /// Whether its disk is retired once that is done.
    pub decommissioning: bool,
    /// For how many more seconds its silence is announced; none if it is not.
    pub announced_seconds: Option<u64>,
    /// Whether it is to vote.
    pub voter: bool,
    /// Whether it cannot, because its metadata log failed, is damaged or gone.
    pub voter_broken: bool,
    /// Failure domain.
    pub zone: Option<String>,
    /// Rises while its disk is in use; a disk that shows less is an old copy, and refused.
    #[schemars(with = "u64")]
    pub generation: Generation,
    /// Partitions it holds a copy of.
    pub partitions: u32,
    /// Bytes of chunks on it.
    pub chunk_bytes: u64,
    /// Chunks on it.
    pub chunks: u64,
    /// What chunks may have in all, in bytes: its file system, or less if it was told so.
    pub capacity_bytes: u64,
    /// What chunks may still use.
    pub free_bytes: u64,
    /// Bad blocks found since the disk was mounted.
    pub bad_blocks: u64,
    /// At most so long ago each chunk on it was read and verified, in milliseconds; none if that is
    /// not known.
    pub oldest_unverified_millis: Option<u64>,
}

/// Whether a worker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It beats.
    Live,
    /// Its connection broke, or beats are missing: reads avoid it.
    Suspect,
    /// Silent for long: out of placement.
    Dead,
}
