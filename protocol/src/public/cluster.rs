//! The cluster: how it starts, what its state is, and its members.

use super::Task;
use crate::schema;
use mdfs_core::id::{ClusterId, DiskId, Generation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// nothing was counted yet, or some of it is still to be compared.
    pub counted_millis_ago: Option<u64>,
    /// Copies that are still to be made, and are made as far as nothing stops it.
    pub copies_to_make: u64,
    /// Bytes in them.
    pub bytes_to_copy: u64,
    /// Partitions on their way to other workers.
    pub moving_partitions: u64,
    /// What the mover is doing, the largest first; at most 16. `GET /v1/tasks` has all.
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
    /// Where the master that leads answers, as far as the one that says this knows.
    #[serde(default)]
    pub leader_url: Option<String>,
    /// The masters, at most 16: the one that says this first, then the leader, if that is another one,
    /// then those that follow the one that says this.
    #[serde(default)]
    pub masters: Vec<MasterInfo>,
    /// The last committed index of the log.
    pub commit: u64,
    /// The version of what the log and its records may hold: what every server knows. None while it is
    /// not known.
    #[serde(default)]
    pub format: Option<u32>,
}

/// One master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MasterInfo {
    /// Where it answers.
    pub url: String,
    /// Whether it leads.
    pub role: MasterRole,
    /// When it was last heard of, in milliseconds ago; none if only voters say that it is there. One that
    /// was not heard of for 5 seconds is left out.
    pub heard_millis_ago: Option<u64>,
    /// The last committed index of the log that it has a copy of; none if it has none, or that is not
    /// known.
    pub copied: Option<u64>,
    /// Committed entries that it does not have yet; none if that is not known.
    pub behind: Option<u64>,
    /// Whether it has a copy of all records, so that it takes over at once.
    pub warm: bool,
    /// The version of its program, if it is known.
    pub version: Option<String>,
    /// The oldest version that it knows of what the log may hold.
    pub format_least: Option<u32>,
    /// The newest version that it knows of what the log may hold.
    pub format_most: Option<u32>,
}

/// What a master does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MasterRole {
    /// It leads the cluster.
    Leader,
    /// It answers by what the leader says, and can take over.
    Follower,
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
    /// Whether it is there to vote, and gets no chunks.
    pub witness: bool,
    /// Whether it cannot vote, because its metadata log failed, is damaged or gone.
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
