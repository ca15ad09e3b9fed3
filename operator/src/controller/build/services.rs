//! Addresses of masters and workers.

use super::{Kind, Prepared, owned};
use crate::controller::validate::ValidatedCluster;
use crate::names::{self, Component, MASTER_PORT, WORKER_PORT};
use serde_json::{Value, json};

/// The label of Services behind which metrics are, each pod once.
pub(super) const METRICS_LABEL: &str = "mdfs.io/metrics";

/// Over all masters, ready or not: workers beat to each.
pub(super) fn masters(cluster: &ValidatedCluster) -> Prepared {
    headless(
        cluster,
        names::masters_service(&cluster.name),
        Component::Master,
        MASTER_PORT,
    )
}

/// Over all workers, ready or not.
pub(super) fn workers(cluster: &ValidatedCluster) -> Prepared {
    headless(
        cluster,
        names::workers_service(&cluster.name),
        Component::Worker,
        WORKER_PORT,
    )
}

/// For clients: any master that takes requests.
pub(super) fn api(cluster: &ValidatedCluster) -> Prepared {
    let component = Component::Master;
    let service = &cluster.service;
    let mut rest = json!({
        "spec": {
            "type": service.kind.unwrap_or_default().as_str(),
            "selector": names::selector(&cluster.name, component),
            "ports": [port(MASTER_PORT)],
        },
    });
    if let (Some(rest), false) = (rest.as_object_mut(), service.annotations.is_empty()) {
        rest.insert(
            "metadata".to_owned(),
            json!({ "annotations": service.annotations }),
        );
    }
    owned(
        cluster,
        Kind::Service,
        names::api_service(&cluster.name),
        Some(component),
        rest,
    )
}

fn headless(cluster: &ValidatedCluster, name: String, component: Component, at: i32) -> Prepared {
    let mut labels = names::labels_of(&cluster.name, Some(component));
    labels.insert(METRICS_LABEL.to_owned(), "true".to_owned());
    let rest = json!({
        "metadata": { "labels": labels },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": names::selector(&cluster.name, component),
            "ports": [port(at)],
        },
    });
    owned(cluster, Kind::Service, name, Some(component), rest)
}

fn port(number: i32) -> Value {
    json!({ "name": "http", "port": number, "targetPort": "http", "protocol": "TCP" })
}
