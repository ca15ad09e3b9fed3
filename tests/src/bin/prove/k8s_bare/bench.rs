//! A control plane with the chart's objects, and operators that run beside it.

use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::kube::{ControlPlane, Kubectl, Options};
use mdfs_tests::program::{mdfs, repository};
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// The namespace of the operator.
pub(super) const SYSTEM: &str = "mdfs-system";
/// Where no master listens.
pub(super) const NOBODY: &str = "http://127.0.0.1:9";
/// A class whose volumes can grow; nothing makes them.
const CLASS: &str = "grows";
/// How many conditions a status has.
const CONDITIONS: usize = 12;

pub(super) struct Bench {
    pub(super) plane: ControlPlane,
    pub(super) folder: TempDir,
}

/// What a namespace in which the operator works is to it.
pub(crate) struct Scope<'a> {
    /// The release whose account it has.
    pub(crate) release: &'a str,
    /// The namespace of that release.
    pub(crate) home: &'a str,
    /// The namespaces whose clusters it runs; all if there are none.
    pub(crate) namespaces: &'a [&'a str],
}

/// The chart as it is usually installed.
pub(crate) const USUAL: Scope<'static> = Scope {
    release: "mdfs",
    home: SYSTEM,
    namespaces: &[],
};

impl Bench {
    /// Starts the control plane, and gives it the objects of the chart.
    pub(super) fn start() -> Result<Self> {
        let bench = Self {
            plane: ControlPlane::start(Options::default())?,
            folder: TempDir::with_prefix("mdfs-k8s-bare-")?,
        };
        bench.install(&USUAL, &[])?;
        let definition = "crd/mdfsclusters.mdfs.io";
        let established = "--for=condition=Established";
        bench
            .kubectl()
            .call(&["wait", established, definition, "--timeout=50s"])?;
        let class = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": { "name": CLASS },
            "provisioner": "mdfs.io/nobody",
            "allowVolumeExpansion": true,
        });
        bench.kubectl().apply(&class.to_string())?;
        Ok(bench)
    }

    pub(super) fn kubectl(&self) -> &Kubectl {
        self.plane.kubectl()
    }

    /// Applies what helm makes of the chart.
    pub(super) fn install(&self, scope: &Scope<'_>, values: &[&str]) -> Result<()> {
        for namespace in [&[scope.home], scope.namespaces].concat() {
            self.namespace(namespace)?;
        }
        let chart = repository()?.join("charts/mdfs").display().to_string();
        let words = [
            "template",
            scope.release,
            &chart,
            "--no-hooks",
            "--namespace",
            scope.home,
        ];
        let mut helm = self.kubectl().helm(&words)?;
        for value in values {
            helm.args(["--set", value]);
        }
        let rendered = succeed(&mut helm, PATIENCE)?.text();
        self.kubectl().apply(&rendered).map(drop)
    }

    pub(super) fn namespace(&self, name: &str) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name },
        });
        self.kubectl().apply(&namespace.to_string()).map(drop)
    }

    /// Asks for the cluster `films` with volumes of this size.
    pub(super) fn ask(&self, namespace: &str, size: &str) -> Result<()> {
        self.namespace(namespace)?;
        let mut cluster = good(namespace);
        if let Some(storage) = cluster.pointer_mut("/spec/workers/storage/size") {
            *storage = json!(size);
        }
        self.kubectl().apply(&cluster.to_string()).map(drop)
    }

    /// Starts an operator with the rights of a release.
    pub(super) fn operate(&self, scope: &Scope<'_>) -> Result<Operator> {
        let kubectl = self.account(scope)?;
        Operator::start(kubectl.config(), self.folder.path(), scope, NOBODY)
    }

    /// `kubectl` with the rights of a release's operator.
    pub(super) fn account(&self, scope: &Scope<'_>) -> Result<Kubectl> {
        self.plane
            .as_service_account(scope.home, &scope.full_name())
    }

    /// Waits until the operator has shown all it can of `films`, and made what is made last.
    pub(super) fn wait_shown(&self, namespace: &str, operator: &Operator) -> Result<Value> {
        let found = wait_for(&format!("status of films in {namespace}"), PATIENCE, || {
            let words = ["get", "mdfscluster", "films", "--namespace", namespace];
            let cluster = self.kubectl().json(&words)?;
            let conditions = cluster.pointer("/status/conditions");
            let all = conditions.and_then(Value::as_array).map_or(0, Vec::len) >= CONDITIONS;
            let words = [
                "get",
                "statefulset",
                "films-worker",
                "--namespace",
                namespace,
            ];
            let made = all && self.kubectl().attempt(&words)?.code() == 0;
            Ok(made.then_some(cluster))
        });
        found.with_context(|| operator.log_tail())
    }

    /// What the operator of a release asked of the API server.
    pub(super) fn calls(&self, scope: &Scope<'_>) -> Result<Vec<Value>> {
        let user = format!("system:serviceaccount:{}:{}", scope.home, scope.full_name());
        let mut calls = self.plane.audit()?;
        calls.retain(|call| text(call, "/user/username") == Some(user.as_str()));
        Ok(calls)
    }

    /// What it wrote, its lease apart.
    pub(super) fn written(&self, scope: &Scope<'_>) -> Result<Vec<String>> {
        let calls = self.calls(scope)?;
        let writes = calls.iter().filter(|call| {
            let reads = matches!(text(call, "/verb"), Some("get" | "list" | "watch"));
            !reads && text(call, "/objectRef/resource") != Some("leases")
        });
        Ok(writes.map(shown).collect())
    }

    /// Gives the three workers of `films` bound volumes of 1 GiB, as a provisioner would, and says that
    /// the cluster was started.
    pub(super) fn volumes(&self, namespace: &str) -> Result<()> {
        for ordinal in 0..3 {
            let name = format!("data-films-worker-{ordinal}");
            let claim = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {
                        "app.kubernetes.io/name": "mdfs",
                        "app.kubernetes.io/instance": "films",
                        "app.kubernetes.io/managed-by": "mdfs-operator",
                        "app.kubernetes.io/component": "worker",
                    },
                },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": CLASS,
                    "volumeName": format!("{namespace}-{ordinal}"),
                    "resources": { "requests": { "storage": "1Gi" } },
                },
            });
            self.kubectl().apply(&claim.to_string())?;
            let bound = json!({ "status": { "phase": "Bound", "capacity": { "storage": "1Gi" } } });
            self.patch_status(namespace, "pvc", &name, &bound)?;
        }
        let born = json!({ "status": { "bootstrap": {
            "clusterId": "00000000000000000000000000000000",
            "completedTime": "2026-01-01T00:00:00Z",
        } } });
        self.patch_status(namespace, "mdfscluster", "films", &born)
    }

    pub(super) fn patch_status(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        patch: &Value,
    ) -> Result<()> {
        let patch = patch.to_string();
        let words = [
            "patch",
            kind,
            name,
            "--namespace",
            namespace,
            "--subresource=status",
        ];
        let rest = ["--type=merge", "--patch", &patch];
        self.kubectl().call(&[&words[..], &rest].concat()).map(drop)
    }

    /// Whether all volumes were asked to have 2 GiB, and the StatefulSet says so too. Stands in for the
    /// collector of garbage, which lets an object go once what it owns is orphaned.
    pub(super) fn has_grown(&self, namespace: &str) -> Result<bool> {
        let words = ["get", "statefulset,pvc", "--namespace", namespace];
        let found = self.kubectl().json(&words)?;
        let items = found.pointer("/items").and_then(Value::as_array);
        let mut sizes = Vec::new();
        for item in items.into_iter().flatten() {
            let is_set = text(item, "/kind") == Some("StatefulSet");
            if is_set && item.pointer("/metadata/deletionTimestamp").is_some() {
                let words = [
                    "patch",
                    "statefulset",
                    "films-worker",
                    "--namespace",
                    namespace,
                ];
                let rest = [
                    "--type=merge",
                    "--patch",
                    r#"{"metadata":{"finalizers":null}}"#,
                ];
                self.kubectl().call(&[&words[..], &rest].concat())?;
                return Ok(false);
            }
            let place = match is_set {
                true => "/spec/volumeClaimTemplates/0/spec/resources/requests/storage",
                false => "/spec/resources/requests/storage",
            };
            sizes.push(text(item, place).unwrap_or_default().to_owned());
        }
        Ok(sizes == ["2Gi"; 4])
    }
}

/// A call as errors show it.
pub(super) fn shown(call: &Value) -> String {
    let part = |pointer| text(call, pointer).unwrap_or_default();
    format!("{} {}", part("/verb"), part("/requestURI"))
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// A resource that is taken.
pub(super) fn good(namespace: &str) -> Value {
    json!({
        "apiVersion": "mdfs.io/v1alpha1",
        "kind": "MdfsCluster",
        "metadata": { "name": "films", "namespace": namespace },
        "spec": {
            "image": "localhost/mdfs:e2e",
            "imagePullPolicy": "IfNotPresent",
            "replication": { "factor": 2, "repairDelaySeconds": 5 },
            "master": { "replicas": 2 },
            "workers": { "replicas": 3, "storage": { "size": "1Gi", "storageClassName": CLASS } },
        },
    })
}

impl Scope<'_> {
    /// How the chart names what it makes.
    pub(crate) fn full_name(&self) -> String {
        match self.release {
            "mdfs" => "mdfs-operator".to_owned(),
            other => format!("{other}-mdfs-operator"),
        }
    }
}

/// A running operator. Dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts one that reaches the API server by this file, and the masters of every cluster at this URL.
    pub(crate) fn start(
        config: &Path,
        folder: &Path,
        scope: &Scope<'_>,
        masters: &str,
    ) -> Result<Self> {
        let log = folder.join("operator.log");
        let file = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(mdfs()?);
        command.args([
            "operator",
            "--listen=127.0.0.1:0",
            "--poll=1s",
            "--log-json=true",
        ]);
        command.arg(format!("--masters-url={masters}"));
        // The next one of the same name need not wait for the lease.
        command.arg("--identity=operator");
        command.arg(format!("--lease-namespace={}", scope.home));
        command.arg(format!("--lease-name={}", scope.full_name()));
        for namespace in scope.namespaces {
            command.arg(format!("--namespace={namespace}"));
        }
        command.env("KUBECONFIG", config).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().context("start the operator")?;
        Ok(Self { child, log })
    }

    /// Whether it runs.
    pub(crate) fn check(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(
            ended.is_none(),
            "the operator ended: {ended:?}\n{}",
            self.log_tail()
        );
        Ok(())
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let first = lines.len().saturating_sub(20);
        let last = lines.get(first..).unwrap_or_default();
        format!("the log of the operator ends with:\n{}", last.join("\n"))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
