//! What users write.

#![expect(
    unreachable_pub,
    reason = "the derive of the schema repeats the types inside functions"
)]

use super::options::{
    Console, ImagePullSecret, Logging, Maintenance, Monitoring, NetworkPolicy, PullPolicy, Service,
    Upgrade, VolumeRetention,
};
use super::status::MdfsClusterStatus;
use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A store for large media files: masters, workers with a volume each, and all around them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mdfs.io",
    version = "v1alpha1",
    kind = "MdfsCluster",
    namespaced,
    cel,
    doc = "A replicated store for large media files.",
    status = "MdfsClusterStatus",
    derive = "PartialEq",
    shortname = "mdfs",
    category = "mdfs",
    selectable = ".spec.image",
    scale(
        spec_replicas_path = ".spec.workers.replicas",
        status_replicas_path = ".status.workers.replicas",
        label_selector_path = ".status.workers.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(name = "Data", type_ = "string", json_path = ".status.data.health"),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.workers.ready"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.workers.replicas"),
    printcolumn(name = "Used%", type_ = "integer", json_path = ".status.capacity.usedPercent"),
    printcolumn(
        name = "Under-replicated",
        type_ = "integer",
        json_path = ".status.data.underReplicated"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version.running"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Phase", type_ = "string", priority = 1, json_path = ".status.phase"),
    printcolumn(name = "Diagnosis", type_ = "string", priority = 1, json_path = ".status.diagnosis"),
    printcolumn(
        name = "Held-by",
        type_ = "string",
        priority = 1,
        json_path = ".status.rollout.blockedBy"
    ),
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("metadata.name has more than 40 characters: names of workers could not be labels"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must begin with a letter and have no dots: Services are named after it")
)]
#[x_kube(
    validation = Rule::new(
        "(has(self.replication) && has(self.replication.factor) ? self.replication.factor : 2) \
         <= self.workers.replicas"
    )
    .message("more copies than workers: lower replication.factor or raise workers.replicas")
    .field_path(".workers.replicas"),
    validation = Rule::new(
        "!has(self.replication) || !has(self.replication.minWriteCopies) || \
         self.replication.minWriteCopies <= \
         (has(self.replication.factor) ? self.replication.factor : 2)"
    )
    .message("minWriteCopies is more than factor")
    .field_path(".replication.minWriteCopies"),
    validation = Rule::new(
        "!has(self.replication) || !has(self.replication.minWriteCopies) || \
         self.replication.minWriteCopies == \
         (has(self.replication.factor) ? self.replication.factor : 2) || \
         (self.workers.replicas >= 3 && \
          (!has(self.metadata) || !has(self.metadata.voters) || self.metadata.voters >= 3))"
    )
    .message("minWriteCopies below factor needs three voters, so at least 3 workers")
    .field_path(".replication.minWriteCopies"),
    validation = Rule::new(
        "!has(self.metadata) || !has(self.metadata.voters) || \
         self.metadata.voters <= self.workers.replicas"
    )
    .message("more voters than workers")
    .field_path(".metadata.voters"),
)]
#[serde(rename_all = "camelCase")]
pub struct MdfsClusterSpec {
    /// The image of masters and workers, such as `registry.example/mdfs:0.1.0`. A change restarts one
    /// worker at a time, each only while all data is safe.
    #[schemars(
        length(min = 1, max = 500),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")
    )]
    pub image: String,
    /// When the image is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets in this namespace to pull the image with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// How many copies there are, and how they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// Masters: they keep nothing, so any number of them can come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Master>,
    /// The metadata log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Workers: each has a volume with chunks.
    pub workers: Workers,
    /// Workers to be emptied and kept empty, such as before their node or volume is taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["worker".into()]))]
    #[schemars(length(max = 16))]
    pub decommission: Vec<Decommission>,
    /// How changes of the pods reach the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// What becomes of volumes and Secrets when this resource is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_retention: Option<VolumeRetention>,
    /// The Service that clients use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Console>,
    /// Monitoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Who may connect to the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// Lets the operator stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// What masters and workers log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
}

/// How many copies there are, and how they are kept. All can be changed at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replication {
    /// Copies of each chunk, on different nodes when possible. 2 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub factor: Option<i32>,
    /// So many durable copies suffice to acknowledge a write while no more can be made. All of them if
    /// left out; fewer trade safety for availability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub min_write_copies: Option<i32>,
    /// Size of the chunks of new files: a power of two from 1Mi to 1Gi. 64Mi if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 5),
        regex(pattern = "^((1|2|4|8|16|32|64|128|256|512)Mi|1Gi)$")
    )]
    pub chunk_size: Option<String>,
    /// How long a lost worker is waited for before its chunks are copied elsewhere, in seconds. 300 if
    /// left out, so that the restart of a node copies nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_592_000))]
    pub repair_delay_seconds: Option<i64>,
    /// How long deleted and replaced files stay in the trash, in seconds. 30 days if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315_360_000))]
    pub trash_retention_seconds: Option<i64>,
}

/// Where pods may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that do not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
    /// A priority class that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

/// Masters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Master {
    /// How many; one leads, all serve. 2 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub replicas: Option<i32>,
    /// What each needs and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Where they may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
}

/// The metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// How many workers keep it and vote: 1, 3 or 5. 3 if left out, or 1 with fewer workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self in [1, 3, 5]").message("must be 1, 3 or 5"))]
    pub voters: Option<i32>,
}

/// Workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// How many. One that is too many is emptied before it goes.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// The volume of each.
    pub storage: Storage,
    /// What each needs and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Where they may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// Bytes a second that each copies from others at most, to heal or to move, such as `200Mi`. As
    /// fast as disks and network are if left out; copies yield to clients in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), regex(pattern = "^[1-9][0-9]{0,6}(Ki|Mi|Gi)$"))]
    pub copy_rate: Option<String>,
}

fn three() -> i32 {
    3
}

/// The volume of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new(
        "has(oldSelf.storageClassName) == has(self.storageClassName) && \
         (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)"
    )
    .message("the storage class of a cluster cannot be changed")
    .field_path(".storageClassName"),
)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Its size, such as `100Gi`. May grow, where the storage class allows it, and never shrink.
    #[schemars(
        length(min = 3, max = 10),
        regex(pattern = "^[1-9][0-9]{0,7}(Mi|Gi|Ti)$")
    )]
    #[x_kube(validation = Rule::new("quantity(self).compareTo(quantity(oldSelf)) >= 0")
        .message("volumes cannot shrink"))]
    pub size: String,
    /// The storage class; the default one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

/// A worker to be emptied and kept empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decommission {
    /// The worker, by the name of its pod.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub worker: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub reason: Option<String>,
}
