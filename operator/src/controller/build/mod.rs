//! From a valid cluster to the objects that it needs. Pure: the same cluster gives the same objects.

mod masters;
mod monitor;
mod network;
mod pods;
mod secrets;
mod services;
mod workers;

pub(crate) use secrets::metrics_secret;
pub use secrets::{Access, Identity};

use super::validate::ValidatedCluster;
use crate::names::{self, APPLIED_ANNOTATION, Component};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What the rest of the world says to what is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Pods of workers that there should be by now: more than wanted while some are emptied.
    pub worker_replicas: u32,
    /// The size in the template of claims. An existing StatefulSet keeps its own until it is replaced.
    pub template_size: String,
    /// The image of masters: that of before until all workers run the new one.
    pub master_image: String,
    /// Workers that may be evicted at present.
    pub max_unavailable: u32,
    /// Whether there is a kind ServiceMonitor.
    pub service_monitors: bool,
}

/// A kind of objects that the operator makes and owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Who the pods are.
    ServiceAccount,
    /// Addresses.
    Service,
    /// Who may connect.
    NetworkPolicy,
    /// Who may be evicted.
    PodDisruptionBudget,
    /// Where metrics are.
    ServiceMonitor,
    /// Masters.
    Deployment,
    /// Workers; last, so that all it needs is there.
    StatefulSet,
}

impl Kind {
    /// All, in the order in which they are applied.
    pub const ALL: [Self; 7] = [
        Self::ServiceAccount,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::ServiceMonitor,
        Self::Deployment,
        Self::StatefulSet,
    ];

    /// Its name, as in `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }

    /// Its group and version, as in `apiVersion`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::Service => "v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::ServiceMonitor => "monitoring.coreos.com/v1",
            Self::Deployment | Self::StatefulSet => "apps/v1",
        }
    }
}

/// An object to be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// All of it that the operator wants.
    pub object: Value,
}

impl Prepared {
    /// What it is, for people.
    pub fn subject(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

/// Everything that a cluster needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// In the order in which it is applied.
    pub objects: Vec<Prepared>,
    /// Names what the pods of workers should be.
    pub worker_template: String,
}

/// Builds everything.
pub fn build(cluster: &ValidatedCluster, circumstances: &Circumstances) -> Desired {
    let (set, worker_template) = workers::stateful_set(cluster, circumstances);
    let mut objects = vec![
        workers::account(cluster),
        masters::account(cluster),
        services::masters(cluster),
        services::workers(cluster),
        services::api(cluster),
    ];
    if cluster.network_policy {
        objects.push(network::masters(cluster));
        objects.push(network::workers(cluster));
    }
    objects.push(masters::disruption_budget(cluster));
    objects.push(workers::disruption_budget(
        cluster,
        circumstances.max_unavailable,
    ));
    if let Some(wanted) = &cluster.service_monitor
        && circumstances.service_monitors
    {
        objects.push(monitor::service_monitor(cluster, wanted));
    }
    objects.push(masters::deployment(cluster, circumstances));
    objects.push(set);
    Desired {
        objects,
        worker_template,
    }
}

/// Names what the pods of workers of this cluster should be.
pub fn worker_template(cluster: &ValidatedCluster) -> String {
    workers::template(cluster).1
}

/// Names what the pods of masters of this cluster should be.
pub fn master_template(cluster: &ValidatedCluster) -> String {
    masters::template(cluster, &cluster.image).1
}

/// The budget of workers alone, which is kept also while the operator stands still.
pub fn worker_budget(cluster: &ValidatedCluster, max_unavailable: u32) -> Prepared {
    workers::disruption_budget(cluster, max_unavailable)
}

/// An object of a cluster that goes with it.
fn owned(
    cluster: &ValidatedCluster,
    kind: Kind,
    name: String,
    component: Option<Component>,
    rest: Value,
) -> Prepared {
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": names::labels_of(&cluster.name, component),
            "ownerReferences": [owner(cluster)],
        },
    });
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        for (field, value) in rest {
            if field == "metadata" {
                let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
                if let (Some(metadata), Value::Object(value)) = (metadata, value) {
                    metadata.extend(value);
                }
            } else {
                object.insert(field, value);
            }
        }
    }
    let applied = fingerprint(&object);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(APPLIED_ANNOTATION.to_owned(), json!(applied));
        }
    }
    Prepared { kind, name, object }
}

fn owner(cluster: &ValidatedCluster) -> Value {
    json!({
        "apiVersion": "mdfs.io/v1alpha1",
        "kind": "MdfsCluster",
        "name": cluster.name,
        "uid": cluster.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A short name for a value: equal values have equal ones, on all machines and in all versions.
fn fingerprint(value: &Value) -> String {
    // Objects of `serde_json` are sorted by key.
    let digest = Sha256::digest(value.to_string());
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
