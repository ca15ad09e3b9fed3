//! From what a user wrote to what can be built: every default filled in, every rule checked again.
//!
//! The rules are those of the definition, run here too: a resource may have been stored before a rule
//! was there, or under a definition that is older than this operator.

use crate::crd::{
    DeletionPolicy, LogLevel, MaintenanceMode, MdfsCluster, PullPolicy, Scheduling, Service,
    ServiceMonitor, UpgradeStrategy,
};
use crate::names;
use crate::quantity;
use k8s_openapi::api::core::v1::ResourceRequirements;
use std::fmt;

/// A cluster whose spec can be built. Only [`validate`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedCluster {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The identity of the resource.
    pub uid: String,
    /// What masters and workers run.
    pub image: String,
    /// When it is pulled; as Kubernetes thinks if none.
    pub pull_policy: Option<PullPolicy>,
    /// Secrets to pull it with.
    pub pull_secrets: Vec<String>,
    /// What the cluster's policy should be.
    pub policy: WantedPolicy,
    /// Masters.
    pub masters: Pods,
    /// How many disks should vote.
    pub voters: u8,
    /// Workers.
    pub workers: Pods,
    /// Their volumes.
    pub storage: Storage,
    /// Bytes a second that each copies at most, as the worker takes it.
    pub copy_rate: Option<String>,
    /// Workers to be kept empty.
    pub decommission: Vec<String>,
    /// Whether changes reach workers.
    pub rolling: bool,
    /// Whether the operator stands still.
    pub paused: bool,
    /// The Service for clients.
    pub service: Service,
    /// Whether masters have a console.
    pub console: bool,
    /// Dashboards that it links to.
    pub grafana_url: Option<String>,
    /// The ServiceMonitor, if one is wanted.
    pub service_monitor: Option<ServiceMonitor>,
    /// Whether there are network policies.
    pub network_policy: bool,
    /// What is logged.
    pub log_level: LogLevel,
}

/// What the policy of the cluster should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPolicy {
    /// Copies of each chunk.
    pub factor: u8,
    /// Copies that suffice for a write; none if all are needed.
    pub min_write_copies: Option<u8>,
    /// Bytes of a chunk.
    pub chunk_size: u64,
    /// How long a lost worker is waited for.
    pub repair_delay_seconds: u64,
    /// How long files stay in the trash.
    pub trash_keep_seconds: u64,
}

/// Pods of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Pods {
    /// How many.
    pub replicas: u32,
    /// What each needs; the operator's own if none.
    pub resources: Option<ResourceRequirements>,
    /// Where they may run.
    pub scheduling: Scheduling,
}

/// The volumes of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Their size, as it was written.
    pub size: String,
    /// The same in bytes.
    pub size_bytes: u64,
    /// Their class; the default one if none.
    pub class: Option<String>,
}

/// A field that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its path.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, message } = self;
        write!(f, "{field}: {message}")
    }
}

const FACTOR: i32 = 2;
const CHUNK_SIZE: &str = "64Mi";
const REPAIR_DELAY_SECONDS: i64 = 300;
const TRASH_SECONDS: i64 = 30 * 24 * 3600;
const MASTERS: i32 = 2;

/// Checks a cluster, and fills in what was left out.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate(cluster: &MdfsCluster) -> Result<ValidatedCluster, Vec<Fault>> {
    let mut faults = Faults(broken_rules(cluster));
    let spec = &cluster.spec;
    let meta = &cluster.metadata;
    let replication = spec.replication.clone().unwrap_or_default();
    let master = spec.master.clone().unwrap_or_default();
    let console = spec.console.clone().unwrap_or_default();
    let workers = &spec.workers;
    let replicas = faults.whole("spec.workers.replicas", workers.replicas, 1, 100);
    let factor = replication.factor.unwrap_or(FACTOR);
    let factor = faults.small("spec.replication.factor", factor, 1, 7);
    let voters = spec.metadata.as_ref().and_then(|metadata| metadata.voters);
    let usual = if replicas >= 3 { 3 } else { 1 };
    let valid = ValidatedCluster {
        name: meta.name.clone().unwrap_or_default(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        image: spec.image.clone(),
        pull_policy: spec.image_pull_policy,
        pull_secrets: spec
            .image_pull_secrets
            .iter()
            .map(|it| it.name.clone())
            .collect(),
        policy: WantedPolicy {
            factor,
            min_write_copies: replication
                .min_write_copies
                .map(|it| faults.small("spec.replication.minWriteCopies", it, 1, 7))
                .filter(|it| *it < factor),
            chunk_size: faults.bytes(
                "spec.replication.chunkSize",
                replication.chunk_size.as_deref().unwrap_or(CHUNK_SIZE),
            ),
            repair_delay_seconds: faults.seconds(
                "spec.replication.repairDelaySeconds",
                replication
                    .repair_delay_seconds
                    .unwrap_or(REPAIR_DELAY_SECONDS),
            ),
            trash_keep_seconds: faults.seconds(
                "spec.replication.trashRetentionSeconds",
                replication.trash_retention_seconds.unwrap_or(TRASH_SECONDS),
            ),
        },
        masters: Pods {
            replicas: faults.whole(
                "spec.master.replicas",
                master.replicas.unwrap_or(MASTERS),
                1,
                16,
            ),
            resources: master.resources,
            scheduling: master.scheduling.unwrap_or_default(),
        },
        voters: faults.small("spec.metadata.voters", voters.unwrap_or(usual), 1, 5),
        workers: Pods {
            replicas,
            resources: workers.resources.clone(),
            scheduling: workers.scheduling.clone().unwrap_or_default(),
        },
        storage: Storage {
            size: workers.storage.size.clone(),
            size_bytes: faults.bytes("spec.workers.storage.size", &workers.storage.size),
            class: workers.storage.storage_class_name.clone(),
        },
        // The worker has the same units with a B behind them.
        copy_rate: workers.copy_rate.as_ref().map(|rate| format!("{rate}B")),
        decommission: spec
            .decommission
            .iter()
            .map(|it| it.worker.clone())
            .collect(),
        rolling: spec
            .upgrade
            .is_none_or(|it| it.strategy == UpgradeStrategy::Rolling),
        paused: is_paused(cluster),
        service: spec.service.clone().unwrap_or_default(),
        console: console.enabled.unwrap_or(true),
        grafana_url: console.grafana_url,
        service_monitor: spec
            .monitoring
            .as_ref()
            .and_then(|it| it.service_monitor.clone())
            .filter(|it| it.enabled),
        network_policy: spec.network_policy.is_none_or(|it| it.enabled),
        log_level: spec.logging.map(|it| it.level).unwrap_or_default(),
    };
    match faults.0.is_empty() {
        true => Ok(valid),
        false => Err(faults.0),
    }
}

/// Whether the operator is to stand still, also when the rest of the spec cannot be used.
pub fn is_paused(cluster: &MdfsCluster) -> bool {
    let mode = cluster
        .spec
        .maintenance
        .map(|it| it.mode)
        .unwrap_or_default();
    mode == MaintenanceMode::ReconciliationPaused
}

/// Whether volumes and Secrets are to go with the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// They stay.
    Retain,
    /// They would go if that were confirmed.
    Unconfirmed,
    /// They go.
    Delete,
}

/// What is to become of the data of a cluster when its resource is deleted.
pub fn deletion(cluster: &MdfsCluster) -> Deletion {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    match &cluster.spec.volume_retention {
        None => Deletion::Retain,
        Some(retention) => match retention.when_deleted {
            DeletionPolicy::Retain => Deletion::Retain,
            DeletionPolicy::Delete => {
                let typed = retention.deletion_confirmation.as_deref();
                match typed == Some(names::deletion_phrase(name).as_str()) {
                    true => Deletion::Delete,
                    false => Deletion::Unconfirmed,
                }
            }
        },
    }
}

/// The rules of the definition that do not hold.
fn broken_rules(cluster: &MdfsCluster) -> Vec<Fault> {
    let Err(errors) = cluster.validate_cel() else {
        return Vec::new();
    };
    let fault = |error: &kube::core::cel::ValidationError| Fault {
        field: error.field_path.trim_start_matches('.').to_owned(),
        message: error.message.clone(),
    };
    errors.iter().map(fault).collect()
}

struct Faults(Vec<Fault>);

impl Faults {
    fn note(&mut self, field: &str, message: String) {
        self.0.push(Fault {
            field: field.to_owned(),
            message,
        });
    }

    fn whole(&mut self, field: &str, value: i32, least: u32, most: u32) -> u32 {
        match u32::try_from(value) {
            Ok(value) if (least..=most).contains(&value) => value,
            _ => {
                self.note(field, format!("{value} is not {least} to {most}"));
                least
            }
        }
    }

    fn small(&mut self, field: &str, value: i32, least: u8, most: u8) -> u8 {
        let whole = self.whole(field, value, least.into(), most.into());
        u8::try_from(whole).unwrap_or(least)
    }

    fn seconds(&mut self, field: &str, value: i64) -> u64 {
        u64::try_from(value).unwrap_or_else(|_| {
            self.note(field, format!("{value} is negative"));
            0
        })
    }

    fn bytes(&mut self, field: &str, value: &str) -> u64 {
        quantity::bytes(value).unwrap_or_else(|| {
            self.note(field, format!("{value:?} is no size"));
            0
        })
    }
}
