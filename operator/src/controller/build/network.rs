//! Who may connect to whom: clients to masters; pods of a cluster to each other.

use super::{Kind, Prepared, owned};
use crate::controller::validate::ValidatedCluster;
use crate::names::{self, Component, MASTER_PORT, WORKER_PORT};
use serde_json::{Value, json};

/// Where pods answer for names on OpenShift: policies see the port behind the Service.
const POD_DNS_PORT: i32 = 5353;

/// Anybody may ask masters, who ask for a token.
pub(super) fn masters(cluster: &ValidatedCluster) -> Prepared {
    let component = Component::Master;
    let ingress = json!([{ "ports": [tcp(MASTER_PORT)] }]);
    policy(cluster, names::masters(&cluster.name), component, &ingress)
}

/// Pods of the cluster may ask workers, and the operator, which has the cluster's key. Whoever reads
/// metrics may come from any namespace once that is wanted.
pub(super) fn workers(cluster: &ValidatedCluster) -> Prepared {
    let component = Component::Worker;
    let mut from = vec![
        pods_of(cluster),
        json!({
            "namespaceSelector": {},
            "podSelector": { "matchLabels": { "app.kubernetes.io/name": names::MANAGER } },
        }),
    ];
    if cluster.service_monitor.is_some() {
        from.push(json!({
            "namespaceSelector": {},
            "podSelector": { "matchLabels": { "app.kubernetes.io/name": "prometheus" } },
        }));
    }
    let ingress = json!([{ "from": from, "ports": [tcp(WORKER_PORT)] }]);
    policy(cluster, names::workers(&cluster.name), component, &ingress)
}

fn policy(
    cluster: &ValidatedCluster,
    name: String,
    component: Component,
    ingress: &Value,
) -> Prepared {
    let rest = json!({
        "spec": {
            "podSelector": { "matchLabels": names::selector(&cluster.name, component) },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": [
                { "to": [pods_of(cluster)], "ports": [tcp(MASTER_PORT), tcp(WORKER_PORT)] },
                { "ports": [tcp(53), udp(53), tcp(POD_DNS_PORT), udp(POD_DNS_PORT)] },
            ],
        },
    });
    owned(cluster, Kind::NetworkPolicy, name, Some(component), rest)
}

fn pods_of(cluster: &ValidatedCluster) -> Value {
    json!({ "podSelector": { "matchLabels": names::cluster_selector(&cluster.name) } })
}

fn tcp(port: i32) -> Value {
    json!({ "protocol": "TCP", "port": port })
}

fn udp(port: i32) -> Value {
    json!({ "protocol": "UDP", "port": port })
}
