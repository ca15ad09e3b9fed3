//! Masters: a Deployment without volumes.

use super::pods::{self, Content, SECRETS};
use super::{Access, Circumstances, Identity, Kind, Prepared, owned};
use crate::controller::validate::ValidatedCluster;
use crate::names::{self, Component, MASTER_PORT, WORKER_PORT};
use serde_json::{Value, json};

const COMPONENT: Component = Component::Master;
/// Longer than masters wait for their clients to go elsewhere, give requests under way, and hand their
/// lease back.
const GRACE_SECONDS: i64 = 30;
/// How long a Service may still send clients to a master that goes: nodes hear of it within a second or
/// two, and those that are busy a little later.
const SHUTDOWN_DELAY_SECONDS: u32 = 5;
/// Masters keep nothing: another takes over long before their node is given up.
const UNREACHABLE_SECONDS: i64 = 30;

pub(super) fn account(cluster: &ValidatedCluster) -> Prepared {
    let rest = json!({ "automountServiceAccountToken": false });
    let name = names::masters(&cluster.name);
    owned(cluster, Kind::ServiceAccount, name, Some(COMPONENT), rest)
}

/// The pod template with this image, and the name of what it is made of.
pub(super) fn template(cluster: &ValidatedCluster, image: &str) -> (Value, String) {
    let file = |key: &str| format!("{SECRETS}/{key}");
    let workers = names::workers_service(&cluster.name);
    let namespace = &cluster.namespace;
    let mut args = vec![
        "master".to_owned(),
        format!("--listen=0.0.0.0:{MASTER_PORT}"),
        "--cluster-id=$(CLUSTER_ID)".to_owned(),
        format!("--advertise-url=http://$(POD_IP):{MASTER_PORT}"),
        // A master that comes finds all workers, and by them all masters, whatever workers know of it.
        format!("--seed=http://{workers}.{namespace}.svc:{WORKER_PORT}"),
        format!("--root-token-file={}", file(Access::ROOT_TOKEN)),
        format!("--link-key-file={}", file(Access::LINK_KEY)),
        format!("--cluster-key-file={}", file(Identity::CLUSTER_KEY)),
        // What its console calls it.
        format!("--cluster-name={}", cluster.name),
        format!("--shutdown-delay={SHUTDOWN_DELAY_SECONDS}s"),
        format!("--log={}", cluster.log_level.as_str()),
        "--log-json".to_owned(),
    ];
    args.extend((!cluster.console).then(|| "--console=false".to_owned()));
    let grafana = cluster.grafana_url.iter();
    args.extend(grafana.map(|url| format!("--grafana-url={url}")));
    let unreachable = |key: &str| {
        json!({
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": UNREACHABLE_SECONDS,
        })
    };
    pods::template(
        cluster,
        Content {
            component: COMPONENT,
            image,
            pods: &cluster.masters,
            args,
            env: vec![
                pods::from_field("POD_IP", "status.podIP"),
                pods::cluster_id(&cluster.name),
            ],
            port: MASTER_PORT,
            grace_seconds: GRACE_SECONDS,
            mounts: vec![pods::secrets_mount()],
            volumes: vec![pods::secrets_volume(&[
                (
                    names::access_secret(&cluster.name),
                    &[Access::ROOT_TOKEN, Access::LINK_KEY],
                ),
                (
                    names::identity_secret(&cluster.name),
                    &[Identity::CLUSTER_KEY],
                ),
            ])],
            tolerations: vec![
                unreachable("node.kubernetes.io/unreachable"),
                unreachable("node.kubernetes.io/not-ready"),
            ],
        },
    )
}

pub(super) fn deployment(cluster: &ValidatedCluster, now: &Circumstances) -> Prepared {
    let (template, _) = template(cluster, &now.master_image);
    let rest = json!({
        "spec": {
            "replicas": cluster.masters.replicas,
            "revisionHistoryLimit": 2,
            "selector": { "matchLabels": names::selector(&cluster.name, COMPONENT) },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 },
            },
            "template": template,
        },
    });
    let name = names::masters(&cluster.name);
    owned(cluster, Kind::Deployment, name, Some(COMPONENT), rest)
}

pub(super) fn disruption_budget(cluster: &ValidatedCluster) -> Prepared {
    let rest = json!({
        "spec": {
            "maxUnavailable": 1,
            "selector": { "matchLabels": names::selector(&cluster.name, COMPONENT) },
        },
    });
    let name = names::masters(&cluster.name);
    owned(
        cluster,
        Kind::PodDisruptionBudget,
        name,
        Some(COMPONENT),
        rest,
    )
}
