//! What users are shown. Integers count whole things, times are of facts; nothing here is a secret.

#![expect(
    unreachable_pub,
    reason = "the derive of the schema repeats the types inside functions"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a cluster, as the operator last saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MdfsClusterStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for all, for display only: the conditions tell.
    #[serde(default)]
    pub phase: String,
    /// One line: what is wrong and what to do about it; empty if nothing is.
    #[serde(default)]
    pub diagnosis: String,
    /// What runs.
    #[serde(default)]
    pub version: Version,
    /// What is the case, one for each kind of fact. All are always there.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 32))]
    pub conditions: Vec<Condition>,
    /// How the cluster was started. Once this is there, it is never started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// Masters.
    #[serde(default)]
    pub master: MasterStatus,
    /// Workers.
    #[serde(default)]
    pub workers: WorkersStatus,
    /// The files.
    #[serde(default)]
    pub data: Data,
    /// The room.
    #[serde(default)]
    pub capacity: Capacity,
    /// How far a change of the pods has come.
    #[serde(default)]
    pub rollout: Rollout,
    /// Workers that are being emptied.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["worker".into()]))]
    #[schemars(length(max = 100))]
    pub drains: Vec<Drain>,
    /// The volumes.
    #[serde(default)]
    pub volumes: Volumes,
    /// Where to go.
    #[serde(default)]
    pub endpoints: Endpoints,
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The tag of the image that most pods run; empty if none does.
    pub running: String,
    /// The tag of the image that is wanted.
    pub target: String,
    /// Whether pods run different images.
    pub mixed: bool,
}

/// How the cluster was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The identity of the cluster.
    pub cluster_id: String,
    /// When it was seen to be there.
    pub completed_time: Time,
}

/// Masters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MasterStatus {
    /// Wanted.
    pub desired: i32,
    /// That take requests.
    pub ready: i32,
    /// That run what is wanted.
    pub updated: i32,
    /// That have a whole copy of the records, so that each could take over at once.
    #[serde(default)]
    pub warm: i32,
    /// The pod that leads, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Voters that follow it.
    pub leased_voters: i32,
    /// All voters.
    pub voters: i32,
}

/// Workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkersStatus {
    /// Wanted.
    pub desired: i32,
    /// Pods that there should be by now.
    pub replicas: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that run what is wanted.
    pub updated: i32,
    /// Members of the cluster that are live.
    pub registered: i32,
    /// Members that are being emptied, or are empty and kept so.
    pub draining: i32,
    /// Members that are not live.
    pub lost: i32,
    /// Selects their pods.
    pub selector: String,
}

/// What to make of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataHealth {
    /// All copies are there.
    Healthy,
    /// All can be read; some copies are missing.
    Degraded,
    /// Some files have a single copy.
    AtRisk,
    /// Some files cannot be read.
    Unavailable,
    /// Nobody knows.
    #[default]
    Unknown,
}

/// The files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// What to make of them.
    pub health: DataHealth,
    /// The time that the figures are of; none if nobody knows them. While the figures stay as they are,
    /// this does too: the lease of the operator says that somebody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<Time>,
    /// Files.
    pub files: i64,
    /// Bytes in them, counted once.
    pub bytes: i64,
    /// Files with fewer copies than wanted.
    pub under_replicated: i64,
    /// Of the worst of these, those with a single copy; at most 1000 are looked at.
    pub single_copy: i64,
    /// Files that cannot be read.
    pub missing: i64,
    /// Chunks of which a copy is damaged.
    pub damaged_chunks: i64,
    /// Copies that are still to be made.
    pub copies_to_make: i64,
    /// Bytes in them.
    pub bytes_to_copy: i64,
    /// Partitions on their way to other workers.
    pub moving_partitions: i64,
    /// Files in the trash.
    pub trashed: i64,
}

/// The room on the workers that are live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// What chunks may have in all.
    pub total_bytes: i64,
    /// What they have.
    pub used_bytes: i64,
    /// What they may still have.
    pub available_bytes: i64,
    /// How much of it is used, of 100.
    pub used_percent: i32,
    /// Whether the largest worker's chunks would find room on the others.
    pub can_lose_one_worker: bool,
    /// The worker that is fullest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fullest_worker: Option<String>,
}

/// How far a change of the pods has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Names what the pods of workers should be.
    pub target: String,
    /// The worker that is restarted at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The pod of it that went, by its UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_uid: Option<String>,
    /// Workers that are as they should be.
    pub updated: i32,
    /// All workers.
    pub total: i32,
    /// The rule that holds the next step back; empty if none does.
    pub blocked_by: String,
    /// What that rule says, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub blocked_message: String,
}

/// A worker that is being emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// The worker.
    pub worker: String,
    /// Its disk.
    pub disk_id: String,
    /// Chunks that are still on it.
    pub chunks_remaining: i64,
    /// Bytes in them.
    pub bytes_remaining: i64,
    /// Whether nothing is left on it.
    pub empty: bool,
}

/// The volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volumes {
    /// Claims that are on their way to the size that is wanted.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub resizing: Vec<String>,
    /// Claims whose size cannot be changed.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub unresizable: Vec<String>,
}

/// Where to go, from inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The HTTP API.
    pub api: String,
    /// Metrics of a master.
    pub metrics: String,
    /// The Secret with the root token, under `root-token`.
    pub token_secret: String,
}
