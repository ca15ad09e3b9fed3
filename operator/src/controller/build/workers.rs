//! Workers: a StatefulSet with a volume for each pod.

use super::pods::{self, Content, SECRETS};
use super::{Circumstances, Identity, Kind, Prepared, owned};
use crate::controller::validate::ValidatedCluster;
use crate::names::{self, Component, MASTER_PORT, VOLUME, WORKER_PORT};
use serde_json::{Value, json};

const COMPONENT: Component = Component::Worker;
/// Longer than workers give requests under way, and close their disk.
const GRACE_SECONDS: i64 = 60;
/// Where the volume is.
const MOUNT: &str = "/data";

pub(super) fn account(cluster: &ValidatedCluster) -> Prepared {
    let rest = json!({ "automountServiceAccountToken": false });
    let name = names::workers(&cluster.name);
    owned(cluster, Kind::ServiceAccount, name, Some(COMPONENT), rest)
}

/// The pod template, and the name of what it is made of. Nothing of the volumes' size is in it: growth
/// restarts nobody.
pub(super) fn template(cluster: &ValidatedCluster) -> (Value, String) {
    let masters = names::masters_service(&cluster.name);
    let namespace = &cluster.namespace;
    let mut args = vec![
        "worker".to_owned(),
        format!("--listen=0.0.0.0:{WORKER_PORT}"),
        "--name=$(POD_NAME)".to_owned(),
        "--zone=$(NODE_NAME)".to_owned(),
        format!("--master=http://{masters}.{namespace}.svc:{MASTER_PORT}"),
        format!("--advertise-url=http://$(POD_IP):{WORKER_PORT}"),
        // A folder of its own: file systems may come with something in their root.
        format!("--data-dir={MOUNT}/mdfs"),
        format!("--cluster-key-file={SECRETS}/{}", Identity::CLUSTER_KEY),
        format!("--log={}", cluster.log_level.as_str()),
        "--log-json".to_owned(),
    ];
    args.extend(
        cluster
            .copy_rate
            .iter()
            .map(|rate| format!("--copy-rate={rate}")),
    );
    pods::template(
        cluster,
        Content {
            component: COMPONENT,
            image: &cluster.image,
            pods: &cluster.workers,
            args,
            env: vec![
                pods::from_field("POD_NAME", "metadata.name"),
                pods::from_field("POD_IP", "status.podIP"),
                pods::from_field("NODE_NAME", "spec.nodeName"),
            ],
            port: WORKER_PORT,
            grace_seconds: GRACE_SECONDS,
            mounts: vec![
                pods::secrets_mount(),
                json!({ "name": VOLUME, "mountPath": MOUNT }),
            ],
            volumes: vec![pods::secrets_volume(&[(
                names::identity_secret(&cluster.name),
                &[Identity::CLUSTER_KEY],
            )])],
            tolerations: Vec::new(),
        },
    )
}

pub(super) fn stateful_set(cluster: &ValidatedCluster, now: &Circumstances) -> (Prepared, String) {
    let (template, hash) = template(cluster);
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": now.template_size } },
    });
    if let (Some(class), Some(claim)) = (&cluster.storage.class, claim.as_object_mut()) {
        claim.insert("storageClassName".to_owned(), json!(class));
    }
    let rest = json!({
        "spec": {
            "replicas": now.worker_replicas,
            "revisionHistoryLimit": 2,
            "serviceName": names::workers_service(&cluster.name),
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
            "selector": { "matchLabels": names::selector(&cluster.name, COMPONENT) },
            "template": template,
            "volumeClaimTemplates": [{
                "metadata": {
                    "name": VOLUME,
                    "labels": names::labels_of(&cluster.name, Some(COMPONENT)),
                },
                "spec": claim,
            }],
        },
    });
    let name = names::workers(&cluster.name);
    (
        owned(cluster, Kind::StatefulSet, name, Some(COMPONENT), rest),
        hash,
    )
}

pub(super) fn disruption_budget(cluster: &ValidatedCluster, max_unavailable: u32) -> Prepared {
    let rest = json!({
        "spec": {
            "maxUnavailable": max_unavailable,
            "selector": { "matchLabels": names::selector(&cluster.name, COMPONENT) },
            // A pod that serves nothing anyhow holds up no drain of a node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    });
    let name = names::workers(&cluster.name);
    owned(
        cluster,
        Kind::PodDisruptionBudget,
        name,
        Some(COMPONENT),
        rest,
    )
}
