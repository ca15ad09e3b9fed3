//! MDFS on the test bed: the chart installed, and clusters that its operator runs.

use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::kube::{Bed, Kubectl};
use mdfs_tests::program::repository;
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long anything may take before a proof gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// How long the image may take to be built.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);
/// The namespace of the operator.
pub(super) const SYSTEM: &str = "mdfs-system";
/// The image, as every node has it.
pub(super) const IMAGE: &str = "localhost/mdfs:e2e";

/// The archive of the image: the one that was given, else built now.
pub(super) fn image(folder: &Path) -> Result<PathBuf> {
    let archive = match given() {
        Some(given) => given,
        None => {
            let output = folder.join("mdfs-e2e.tar");
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--package", "xtask", "--", "image"]);
            cargo
                .args(["--dev", "--name", IMAGE, "--output"])
                .arg(&output);
            succeed(cargo.current_dir(repository()?), BUILD_LIMIT)?;
            output
        }
    };
    ensure!(archive.is_file(), "{} is not there", archive.display());
    Ok(archive)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the image is does not change what is proved"
)]
fn given() -> Option<PathBuf> {
    std::env::var_os("MDFS_IMAGE").map(PathBuf::from)
}

/// Installs the chart as a user does, and waits until the operator is ready.
pub(super) fn install(bed: &Bed) -> Result<()> {
    let chart = repository()?.join("charts/mdfs").display().to_string();
    let (repository, tag) = IMAGE.rsplit_once(':').context("the image has a tag")?;
    let mut helm = bed.kubectl().helm(&[
        "install",
        "mdfs",
        &chart,
        "--namespace",
        SYSTEM,
        "--create-namespace",
        "--wait",
        "--timeout",
        "120s",
        "--set",
        &format!("image.repository={repository}"),
        "--set",
        &format!("image.tag={tag}"),
    ])?;
    succeed(&mut helm, PATIENCE).map(drop)
}

/// What the operator asked of the API server, as that one noted it.
pub(super) fn calls_of_operator(bed: &mut Bed) -> Result<Vec<Value>> {
    let user = format!("system:serviceaccount:{SYSTEM}:");
    let mut calls = bed.plane().audit()?;
    calls.retain(|call| {
        let name = call.pointer("/user/username").and_then(Value::as_str);
        name.is_some_and(|name| name.starts_with(&user))
    });
    Ok(calls)
}

/// A cluster of MDFS that the operator runs.
#[derive(Clone, Debug)]
pub(super) struct Mdfs {
    pub(super) kubectl: Kubectl,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Mdfs {
    /// A cluster that is asked for but need not be there yet.
    pub(super) fn new(bed: &Bed, namespace: &str, name: &str) -> Self {
        Self {
            kubectl: bed.kubectl().clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Asks for it with this spec, in a namespace whose pods are restricted.
    pub(super) fn create(&self, spec: &Value) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self.namespace,
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        });
        self.kubectl.apply(&namespace.to_string())?;
        self.change(spec)
    }

    /// Asks for this spec, as whoever edits the YAML does.
    pub(super) fn change(&self, spec: &Value) -> Result<()> {
        let cluster = json!({
            "apiVersion": "mdfs.io/v1alpha1",
            "kind": "MdfsCluster",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": spec,
        });
        self.kubectl.apply(&cluster.to_string()).map(drop)
    }

    /// `kubectl` in its namespace.
    pub(super) fn call(&self, words: &[&str]) -> Result<String> {
        self.kubectl
            .call(&[words, &["--namespace", &self.namespace]].concat())
    }

    /// An object, or objects, in its namespace.
    pub(super) fn get(&self, words: &[&str]) -> Result<Value> {
        let words = [&["get"], words, &["--namespace", &self.namespace]].concat();
        self.kubectl.json(&words)
    }

    /// The resource itself.
    pub(super) fn resource(&self) -> Result<Value> {
        self.get(&["mdfscluster", &self.name])
    }

    /// Waits until the resource's present generation is ready.
    pub(super) fn wait_ready(&self, limit: Duration) -> Result<()> {
        self.wait_condition("Ready", "True", limit)
    }

    /// Whether a condition of the resource's present generation has this status.
    pub(super) fn is(&self, kind: &str, status: &str) -> Result<bool> {
        Ok(says(&self.resource()?, kind, status))
    }

    /// Waits until a condition of the resource's present generation has this status.
    pub(super) fn wait_condition(&self, kind: &str, status: &str, limit: Duration) -> Result<()> {
        let mut last = Value::Null;
        let found = wait_for(&format!("{kind}={status}"), limit, || {
            let resource = self.resource()?;
            last = resource.get("status").cloned().unwrap_or_default();
            Ok(says(&resource, kind, status).then_some(()))
        });
        found.with_context(|| format!("the status is {last:#}"))
    }

    /// Where clients reach it from the tests' network.
    pub(super) fn url(&self) -> Result<String> {
        let service = self.get(&["service", &format!("{}-api", self.name)])?;
        let address = service.pointer("/spec/clusterIP").and_then(Value::as_str);
        Ok(format!(
            "http://{}:8080",
            address.context("a Service has an address")?
        ))
    }

    /// The token that may do everything.
    pub(super) fn token(&self) -> Result<String> {
        let template = "--output=go-template={{index .data \"root-token\" | base64decode}}";
        let secret = format!("{}-access", self.name);
        self.call(&["get", "secret", &secret, template])
    }

    /// A connection through the Service that may do everything.
    pub(super) fn connect(&self) -> Result<Connection> {
        let (url, token) = (self.url()?, self.token()?);
        // Pods are ready before the rules of Services lead to them.
        wait_for("a connection", PATIENCE, || {
            Connection::open(&url, Some(&token)).map(Some)
        })
    }

    /// One request through the Service.
    pub(super) fn ask(&self, method: &str, path: &str) -> Result<Answer> {
        self.connect()?.request(method, path, &[], &[])
    }

    /// The uids of the pods of a component, by name. Those that are being deleted count.
    pub(super) fn pods(&self, component: &str) -> Result<BTreeMap<String, String>> {
        let selector = format!(
            "--selector=app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
            self.name
        );
        let found = self.get(&["pods", &selector])?;
        let items = found.pointer("/items").and_then(Value::as_array);
        let named = |pod: &Value| {
            let text = |pointer| Some(pod.pointer(pointer)?.as_str()?.to_owned());
            Some((text("/metadata/name")?, text("/metadata/uid")?))
        };
        Ok(items.into_iter().flatten().filter_map(named).collect())
    }

    /// How many workers have a pod that is ready and stays.
    pub(super) fn ready_workers(&self) -> Result<usize> {
        let selector = format!(
            "--selector=app.kubernetes.io/instance={},app.kubernetes.io/component=worker",
            self.name
        );
        let found = self.get(&["pods", &selector])?;
        let items = found.pointer("/items").and_then(Value::as_array);
        let is_ready = |pod: &&Value| {
            let ready = condition(pod, "Ready").and_then(|one| one.get("status"));
            ready == Some(&json!("True")) && pod.pointer("/metadata/deletionTimestamp").is_none()
        };
        Ok(items.into_iter().flatten().filter(is_ready).count())
    }

    /// The node that a pod is on.
    pub(super) fn node_of(&self, pod: &str) -> Result<String> {
        let found = self.get(&["pod", pod])?;
        let node = found.pointer("/spec/nodeName").and_then(Value::as_str);
        Ok(node
            .with_context(|| format!("{pod} is on no node"))?
            .to_owned())
    }

    /// The folder of a worker's volume that is its disk, as this process sees it.
    pub(super) fn disk(&self, bed: &Bed, worker: &str) -> Result<PathBuf> {
        let claim = self.get(&["pvc", &format!("data-{worker}")])?;
        let volume = claim.pointer("/spec/volumeName").and_then(Value::as_str);
        let volume = volume.with_context(|| format!("the claim of {worker} is not bound"))?;
        let mount = bed.mounts().path(&self.node_of(worker)?, volume);
        Ok(mount.context("its node does not run")?.join("mdfs"))
    }

    /// Kills the process of a worker, as a fault of its own does; its container is started again.
    pub(super) fn kill_worker(&self, bed: &Bed, node: &str, worker: &str) -> Result<()> {
        let script = "for file in $(grep -slz \"^HOSTNAME=$1\\$\" /proc/[0-9]*/environ); do \
                      pid=${file#/proc/}; pid=${pid%/environ}; \
                      if [ \"$(cat \"/proc/$pid/comm\")\" = mdfs ]; then kill -KILL \"$pid\"; echo \"$pid\"; fi; \
                      done";
        let mut shell = bed.on_node(node, "sh")?;
        let killed = succeed(shell.args(["-c", script, "sh", worker]), PATIENCE)?.text();
        ensure!(
            killed.lines().count() == 1,
            "processes of {worker}: {killed:?}"
        );
        Ok(())
    }
}

/// A condition of a resource, if it has it.
pub(super) fn condition<'a>(resource: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = resource.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|one| one.get("type").and_then(Value::as_str) == Some(kind))
}

/// Whether a condition of the resource's present generation has this status.
fn says(resource: &Value, kind: &str, status: &str) -> bool {
    let condition = condition(resource, kind);
    let generation = resource.pointer("/metadata/generation");
    let is_of_now = condition.and_then(|one| one.get("observedGeneration")) == generation;
    is_of_now && condition.and_then(|one| one.get("status")?.as_str()) == Some(status)
}

/// The smallest spec that shows everything: three workers with a volume of 1 GiB each.
pub(super) fn small_spec() -> Value {
    json!({
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "replication": { "factor": 2, "repairDelaySeconds": 5 },
        "master": { "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } } },
        "workers": {
            "replicas": 3,
            "storage": { "size": "1Gi" },
            "resources": { "requests": { "cpu": "10m", "memory": "32Mi" } },
        },
    })
}
