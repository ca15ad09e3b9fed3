//! Where metrics are, for the Prometheus operator.

use super::services::METRICS_LABEL;
use super::{Kind, Prepared, owned};
use crate::controller::validate::ValidatedCluster;
use crate::crd::ServiceMonitor;
use crate::names;
use serde_json::json;

const INTERVAL_SECONDS: i32 = 30;

pub(super) fn service_monitor(cluster: &ValidatedCluster, wanted: &ServiceMonitor) -> Prepared {
    let mut labels = names::labels_of(&cluster.name, None);
    labels.extend(wanted.labels.clone());
    let mut selected = names::cluster_selector(&cluster.name);
    selected.insert(METRICS_LABEL.to_owned(), "true".to_owned());
    let interval = wanted.interval_seconds.unwrap_or(INTERVAL_SECONDS);
    let rest = json!({
        "metadata": { "labels": labels },
        "spec": {
            "selector": { "matchLabels": selected },
            "endpoints": [{
                "port": "http",
                "path": "/metrics",
                "interval": format!("{interval}s"),
                // By it alerts and dashboards tell clusters apart.
                "relabelings": [{
                    "targetLabel": "mdfs_cluster",
                    "replacement": &cluster.name,
                }],
                "authorization": {
                    "credentials": {
                        "name": names::metrics_secret(&cluster.name),
                        "key": super::secrets::METRICS_TOKEN,
                    },
                },
            }],
        },
    });
    owned(
        cluster,
        Kind::ServiceMonitor,
        cluster.name.clone(),
        None,
        rest,
    )
}
