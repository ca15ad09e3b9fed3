//! Pods that nobody runs, in front of masters and workers that do: the test is the controllers.

use super::bench::{Bench, PATIENCE, good, text};
use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::{DevCluster, Role};
use mdfs_tests::http::Connection;
use mdfs_tests::process::{Fault, inflict, is_running};
use mdfs_tests::wait::{now, pause, wait_for};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

const NAMESPACE: &str = "films";
/// How often is looked.
const PERIOD: Duration = Duration::from_millis(200);
/// Refuses every change of a StatefulSet.
const FREEZE: &str = r#"{ "apiVersion": "v1", "kind": "List", "items": [
{ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
  "metadata": { "name": "freeze" },
  "spec": { "failurePolicy": "Fail",
    "matchConstraints": { "resourceRules": [{ "apiGroups": ["apps"], "apiVersions": ["v1"],
      "operations": ["UPDATE"], "resources": ["statefulsets"] }] },
    "validations": [{ "expression": "false", "message": "frozen" }] } },
{ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
  "metadata": { "name": "freeze" },
  "spec": { "policyName": "freeze", "validationActions": ["Deny"] } } ] }"#;

/// A cluster that runs, and its resource.
pub(super) struct Stage<'a> {
    bench: &'a Bench,
    url: String,
    token: String,
    keeps_master: Cell<bool>,
}

impl<'a> Stage<'a> {
    /// Has the workers called as their pods, and makes the resource with what the operator would have made
    /// to start it.
    pub(super) fn set(bench: &'a Bench, cluster: &mut DevCluster) -> Result<Self> {
        for ordinal in 0..3 {
            let process = cluster.process(&format!("worker-{ordinal}"))?;
            let mut role = Role::of(&process)?;
            role.set("--name", &format!("films-worker-{ordinal}"));
            inflict(Fault::Kill, process.pid)?;
            wait_for("end of a worker", PATIENCE, || {
                Ok((!is_running(process.pid)).then_some(()))
            })?;
            cluster.start_by_hand(&role)?;
        }
        let stage = Self {
            bench,
            url: cluster.url().to_owned(),
            token: cluster.token().to_owned(),
            keeps_master: Cell::new(false),
        };
        bench.namespace(NAMESPACE)?;
        let id = cluster.state().cluster_id.clone();
        let secret = |name: &str, data: Value| {
            let secret = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": name, "namespace": NAMESPACE },
                "stringData": data,
            });
            bench.kubectl().apply(&secret.to_string())
        };
        secret(
            "films-access",
            json!({ "root-token": stage.token, "link-key": "k".repeat(32) }),
        )?;
        secret(
            "films-identity",
            json!({ "cluster-id": id, "cluster-key": "k".repeat(32) }),
        )?;
        bench.kubectl().apply(&good(NAMESPACE).to_string())?;
        bench.volumes(NAMESPACE)?;
        stage.wait_healthy()?;
        Ok(stage)
    }

    fn wait_healthy(&self) -> Result<()> {
        wait_for("a healthy cluster", PATIENCE, || {
            let named = self.worker(2).is_ok();
            let status = self.ask("/v1/status")?;
            let well = status.get("health") == Some(&json!("ok"));
            Ok((named && well).then_some(()))
        })
    }

    /// What the masters answer.
    pub(super) fn ask(&self, path: &str) -> Result<Value> {
        let mut connection = Connection::open(&self.url, Some(&self.token))?;
        connection.request("GET", path, &[], &[])?.json()
    }

    /// Has the masters do something.
    pub(super) fn order(&self, path: &str, order: &Value) -> Result<()> {
        let mut connection = Connection::open(&self.url, Some(&self.token))?;
        let kind = [("content-type", "application/json")];
        let answer = connection.request("POST", path, &kind, order.to_string().as_bytes())?;
        ensure!(answer.status() < 300, "{path}: {}", answer.text());
        Ok(())
    }

    /// What the masters say of a worker.
    pub(super) fn worker(&self, ordinal: u32) -> Result<Value> {
        let workers = self.ask("/v1/workers")?;
        let name = format!("films-worker-{ordinal}");
        let workers = workers.get("workers").and_then(Value::as_array);
        let mut workers = workers.into_iter().flatten();
        let found = workers.find(|it| text(it, "/name") == Some(name.as_str()));
        found
            .cloned()
            .with_context(|| format!("no worker is called {name}"))
    }

    /// An object, or objects.
    pub(super) fn get(&self, words: &[&str]) -> Result<Value> {
        let words = [&["get"], words, &["--namespace", NAMESPACE]].concat();
        self.bench.kubectl().json(&words)
    }

    /// Changes an object.
    pub(super) fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<()> {
        let change = change.to_string();
        let words = ["patch", kind, name, "--type=merge", "--patch", &change];
        let words = [&words[..], &["--namespace", NAMESPACE]].concat();
        self.bench.kubectl().call(&words).map(drop)
    }

    /// Replaces a field of the resource.
    pub(super) fn change(&self, pointer: &str, value: Value) -> Result<()> {
        let change = json!([{ "op": "replace", "path": pointer, "value": value }]).to_string();
        let words = [
            "patch",
            "mdfscluster",
            "films",
            "--type=json",
            "--patch",
            &change,
        ];
        let words = [&words[..], &["--namespace", NAMESPACE]].concat();
        self.bench.kubectl().call(&words).map(drop)
    }

    /// Whether the present generation is ready; none if nothing is said of it yet.
    fn readiness(&self) -> Result<Option<(bool, String)>> {
        let resource = self.get(&["mdfscluster", "films"])?;
        let generation = resource.pointer("/metadata/generation");
        let Some(ready) = condition(&resource, "Ready") else {
            return Ok(None);
        };
        let is_of_now = ready.get("observedGeneration") == generation;
        let is_ready = ready.get("status") == Some(&json!("True"));
        let reason = text(ready, "/reason").unwrap_or_default().to_owned();
        Ok(is_of_now.then_some((is_ready, reason)))
    }

    pub(super) fn is_ready(&self) -> Result<bool> {
        Ok(self.readiness()?.is_some_and(|(is_ready, _)| is_ready))
    }

    /// Waits until the present generation is ready.
    pub(super) fn wait_ready(&self) -> Result<()> {
        let ready = wait_for("a ready generation", PATIENCE, || {
            Ok(self.is_ready()?.then_some(()))
        });
        let status = || self.get(&["mdfscluster", "films"]).unwrap_or_default();
        ready.with_context(|| format!("{:#}", status().get("status").unwrap_or(&Value::Null)))
    }

    /// Looks for so long that the present generation is not ready, and that the reason is told.
    pub(super) fn never_ready(&self, reason: &str, time: Duration) -> Result<()> {
        let (began, mut told) = (now(), String::new());
        while began.elapsed() < time {
            if let Some((is_ready, why)) = self.readiness()? {
                ensure!(!is_ready, "ready, though not {reason}");
                told = why;
            }
            pause(PERIOD);
        }
        ensure!(told == reason, "not ready because of {told}, not {reason}");
        Ok(())
    }

    /// The truth and the reason of a condition.
    pub(super) fn condition(&self, kind: &str) -> Result<(String, String)> {
        let resource = self.get(&["mdfscluster", "films"])?;
        let found = condition(&resource, kind).with_context(|| format!("no {kind}"))?;
        let of = |field: &str| text(found, field).unwrap_or_default().to_owned();
        Ok((of("/status"), of("/reason")))
    }

    /// Has every change of a StatefulSet refused, or not any more.
    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        let verb = if frozen { "create" } else { "delete" };
        let made = self
            .bench
            .kubectl()
            .with_input(&[verb, "--filename", "-"], FREEZE)?;
        ensure!(made.code() == 0, "{}", made.stderr);
        let words = [
            "label",
            "statefulset",
            "films-worker",
            "a=b",
            "--dry-run=server",
            "--overwrite",
        ];
        let words = [&words[..], &["--namespace", NAMESPACE]].concat();
        wait_for("rules to hold", PATIENCE, || {
            let refused = self.bench.kubectl().attempt(&words)?.code() != 0;
            Ok((refused == frozen).then_some(()))
        })
    }

    /// A claim that nobody binds.
    pub(super) fn claim(&self, ordinal: u32) -> Result<()> {
        let claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": format!("data-films-worker-{ordinal}"), "namespace": NAMESPACE },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        self.bench.kubectl().apply(&claim.to_string()).map(drop)
    }

    /// Whether a master of before is kept when new ones are there.
    pub(super) fn keep_a_master_of_before(&self, keeps: bool) {
        self.keeps_master.set(keeps);
    }

    /// The uids of pods, by name.
    pub(super) fn pods(&self, component: &str) -> Result<BTreeMap<String, String>> {
        let named = |pod: &Value| {
            let of = |pointer| text(pod, pointer).map(ToOwned::to_owned);
            Some((of("/metadata/name")?, of("/metadata/uid")?))
        };
        Ok(self.list(component)?.iter().filter_map(named).collect())
    }

    /// How many pods have this image.
    pub(super) fn pods_of(&self, image: &str, component: &str) -> Result<usize> {
        let pods = self.list(component)?;
        let has = |pod: &&Value| text(pod, "/spec/containers/0/image") == Some(image);
        Ok(pods.iter().filter(has).count())
    }

    fn list(&self, component: &str) -> Result<Vec<Value>> {
        let selector = format!("--selector=app.kubernetes.io/component={component}");
        let pods = self.get(&["pods", &selector])?;
        let items = pods.get("items").and_then(Value::as_array).cloned();
        Ok(items.unwrap_or_default())
    }

    /// Does what the controllers would: pods of what is wanted, and counts of them.
    pub(super) fn obey(&self) -> Result<()> {
        let set = self.get(&["statefulset", "films-worker"])?;
        let there = self.pods("worker")?;
        for ordinal in 0..3 {
            let name = format!("films-worker-{ordinal}");
            if !there.contains_key(&name) {
                self.make(&set, &name)?;
            }
        }
        let counts = json!({ "replicas": 3, "readyReplicas": 3, "availableReplicas": 3 });
        self.count("statefulset", "films-worker", &set, counts)?;

        let masters = self.get(&["deployment", "films-master"])?;
        let hash = template_of(&masters, "/spec/template").to_owned();
        let old = self.list("master")?;
        let old = old.iter().filter(|pod| template_of(pod, "") != hash);
        let keep = usize::from(self.keeps_master.get());
        for pod in old.skip(keep) {
            let name = text(pod, "/metadata/name").unwrap_or_default();
            let words = ["delete", "pod", name, "--now", "--namespace", NAMESPACE];
            self.bench.kubectl().call(&words)?;
        }
        let there = self.pods("master")?;
        for number in 0..2 {
            let name = format!("films-master-{hash}-{number}");
            if !there.contains_key(&name) {
                self.make(&masters, &name)?;
            }
        }
        let counts = json!({
            "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        });
        self.count("deployment", "films-master", &masters, counts)
    }

    /// A pod of a template, which is ready.
    fn make(&self, of: &Value, name: &str) -> Result<()> {
        let template = of.pointer("/spec/template").context("it makes pods")?;
        let part = |pointer: &str| template.pointer(pointer).cloned().unwrap_or_default();
        let container = json!({
            "name": "a",
            "image": part("/spec/containers/0/image"),
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": part("/metadata/labels"),
                "annotations": part("/metadata/annotations"),
            },
            "spec": {
                "serviceAccountName": part("/spec/serviceAccountName"),
                "automountServiceAccountToken": false,
                "containers": [container],
            },
        });
        self.bench.kubectl().apply(&pod.to_string())?;
        let ready = json!({ "status": { "phase": "Running", "conditions": [
            { "type": "Ready", "status": "True" },
        ] } });
        self.bench.patch_status(NAMESPACE, "pod", name, &ready)
    }

    fn count(&self, kind: &str, name: &str, seen: &Value, mut counts: Value) -> Result<()> {
        let generation = seen.pointer("/metadata/generation").cloned();
        if let Some(counts) = counts.as_object_mut() {
            counts.insert("observedGeneration".to_owned(), json!(generation));
        }
        let status = json!({ "status": counts });
        self.bench.patch_status(NAMESPACE, kind, name, &status)
    }
}

fn condition<'v>(resource: &'v Value, kind: &str) -> Option<&'v Value> {
    let conditions = resource.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|one| text(one, "/type") == Some(kind))
}

/// What a pod is made of, or the pods of a template.
fn template_of<'v>(object: &'v Value, pointer: &str) -> &'v str {
    let pointer = format!("{pointer}/metadata/annotations/mdfs.io~1template");
    object
        .pointer(&pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
