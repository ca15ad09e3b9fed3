//! `MdfsCluster`: what users write, and what they are shown.
//!
//! A field is here only together with its behaviour. Defaults that may change with a release stand in
//! code ([`MdfsClusterSpec`]'s methods), so that no stored object freezes them.

pub mod options;
pub mod spec;
pub mod status;

pub use options::{
    Console, DeletionPolicy, ImagePullSecret, LogLevel, Logging, Maintenance, MaintenanceMode,
    Monitoring, NetworkPolicy, PullPolicy, Service, ServiceKind, ServiceMonitor, Upgrade,
    UpgradeStrategy, VolumeRetention,
};
pub use spec::{
    Decommission, Master, MdfsCluster, MdfsClusterSpec, Metadata, Replication, Scheduling, Storage,
    Workers,
};
pub use status::{
    Bootstrap, Capacity, Data, DataHealth, Drain, Endpoints, MasterStatus, MdfsClusterStatus,
    Rollout, Version, Volumes, WorkersStatus,
};

use kube::CustomResourceExt;
use kube::core::DeserializeGuard;

/// A resource that may not be what this operator understands: one such must not keep it from all others.
pub(crate) type Guarded = DeserializeGuard<MdfsCluster>;

/// The path of the generated definition in the repository.
pub const CRD_PATH: &str = "crds/mdfsclusters.mdfs.io.yaml";

/// The path of the same in the chart.
pub const CHART_PATH: &str = "charts/mdfs/templates/crd.yaml";

/// The definition as a template of the chart, which can leave it out, and has it stay when the release
/// goes: with it, all clusters would go.
///
/// # Panics
/// As [`definition`].
pub fn chart_template() -> String {
    let mut lines = Vec::new();
    for line in definition().lines() {
        lines.push(line.to_owned());
        if line == "metadata:" {
            lines.push("  {{- if .Values.crds.keep }}".to_owned());
            lines.push("  annotations:".to_owned());
            lines.push("    helm.sh/resource-policy: keep".to_owned());
            lines.push("  {{- end }}".to_owned());
        }
    }
    format!(
        "{{{{- if .Values.crds.install }}}}\n{}\n{{{{- end }}}}\n",
        lines.join("\n")
    )
}

/// The definition of `MdfsCluster`, as `kubectl apply` takes it.
///
/// # Panics
/// Never: the definition consists of what YAML can say.
#[expect(
    clippy::expect_used,
    reason = "the definition consists of what YAML can say"
)]
pub fn definition() -> String {
    let yaml = serde_yaml::to_string(&MdfsCluster::crd()).expect("a definition is YAML");
    format!("# Made by `cargo xtask generate` from operator/src/crd.\n{yaml}")
}

#[cfg(test)]
mod tests;
