//! The test bed is a real Kubernetes: restricted pods, Services, names, volumes that are full and grow,
//! and nodes that die and come back. What the other proofs on it rely on is shown here without MDFS.

use super::{NODES, with_bed};
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::content::Content;
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::kube::{Bed, POD_IMAGE};
use mdfs_tests::wait::{now, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long anything may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(120);
const NAMESPACE: &str = "bed-proof";

pub(crate) fn prove(keep: bool) -> Result<()> {
    let started = now();
    let folder = with_bed(keep, &[], |bed| {
        figure(
            "three nodes are ready",
            &format!("within {:.1} s", started.elapsed().as_secs_f64()),
        );
        on_bed(bed)?;
        Ok(bed.folder().to_owned())
    })?;
    leaves_nothing(&folder)
}

fn on_bed(bed: &mut Bed) -> Result<()> {
    restricted_pods_run(bed)?;
    services_and_names_lead_to_them(bed)?;
    volumes_are_full_and_grow(bed)?;
    a_node_dies_and_comes_back(bed)?;
    volumes_go_with_their_claims(bed)
}

/// A server of files on each node, with a volume of its own.
fn manifest() -> String {
    let labels = json!({ "app": "files" });
    let objects = [
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "files", "namespace": NAMESPACE },
            "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": 8080 }] },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": "each", "namespace": NAMESPACE },
            "spec": { "selector": labels, "clusterIP": "None", "ports": [{ "port": 8080 }] },
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": { "name": "files", "namespace": NAMESPACE },
            "spec": {
                "serviceName": "each",
                "replicas": NODES,
                "podManagementPolicy": "Parallel",
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": pod_spec(&labels) },
                "volumeClaimTemplates": [{
                    "metadata": { "name": "data" },
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": { "requests": { "storage": "400Mi" } },
                    },
                }],
            },
        }),
    ];
    json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string()
}

fn pod_spec(labels: &Value) -> Value {
    json!({
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "affinity": { "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{
                "labelSelector": { "matchLabels": labels },
                "topologyKey": "kubernetes.io/hostname",
            }],
        } },
        "containers": [{
            "name": "files",
            "image": POD_IMAGE,
            "args": ["serve", "/data"],
            "ports": [{ "containerPort": 8080 }],
            "readinessProbe": {
                "httpGet": { "path": "/", "port": 8080 },
                "periodSeconds": 1,
            },
            "resources": { "limits": { "memory": "64Mi" } },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        }],
    })
}

fn restricted_pods_run(bed: &Bed) -> Result<()> {
    bed.kubectl().apply(&manifest())?;
    let privileged = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: no, namespace: {NAMESPACE}}}, \
         spec: {{containers: [{{name: no, image: {POD_IMAGE}, securityContext: {{privileged: true}}}}]}}}}"
    );
    let refused = bed.kubectl().apply(&privileged);
    ensure!(refused.is_err(), "a privileged pod was let in");
    let asked = now();
    wait_ready(bed)?;
    figure(
        "three restricted pods with volumes are ready",
        &format!("within {:.1} s", asked.elapsed().as_secs_f64()),
    );
    Ok(())
}

fn wait_ready(bed: &Bed) -> Result<()> {
    let arguments = ["get", "statefulset", "files", "--namespace", NAMESPACE];
    bed.kubectl()
        .wait("three ready pods", PATIENCE, &arguments, |set| {
            let ready = set.pointer("/status/readyReplicas");
            Ok((ready == Some(&json!(NODES))).then_some(()))
        })
}

fn services_and_names_lead_to_them(bed: &Bed) -> Result<()> {
    let service = bed
        .kubectl()
        .json(&["get", "service", "files", "--namespace", NAMESPACE])?;
    let address = service.pointer("/spec/clusterIP").and_then(Value::as_str);
    let url = format!("http://{}:80", address.context("a Service has an address")?);
    let mut seen = BTreeSet::new();
    wait_for("answers of all three pods", PATIENCE, || {
        seen.insert(ask(&url, "GET", "/", &[])?.text());
        Ok((seen.len() == usize::from(NODES)).then_some(()))
    })?;
    let names = ["files-0", "files-1", "files-2"];
    ensure!(
        seen.iter()
            .all(|name| names.iter().any(|one| name.contains(one))),
        "{seen:?}"
    );

    // Names of pods and of Services resolve inside of pods, and nothing outside does.
    for name in ["files-2.each", "files.bed-proof.svc.cluster.local"] {
        let found = wait_for("a name that resolves", PATIENCE, || {
            let answer = ask(&url, "GET", &format!("/resolve/{name}"), &[])?;
            Ok((answer.status() == 200).then_some(answer))
        })?;
        ensure!(found.text().contains("198.1"), "{name} is {}", found.text());
    }
    let outside = ask(&url, "GET", "/resolve/www.example.org", &[])?;
    ensure!(
        outside.status() != 200,
        "a name outside is {}",
        outside.text()
    );
    let logs = bed
        .kubectl()
        .attempt(&["logs", "files-0", "--namespace", NAMESPACE])?;
    ensure!(logs.code() == 0, "no logs: {}", logs.stderr);
    Ok(())
}

fn volumes_are_full_and_grow(bed: &Bed) -> Result<()> {
    let (url, uid) = pod(bed, "files-0")?;
    let large = 450 << 20;
    let content = Content::new(7);
    let put = |length: u64| -> Result<Answer> {
        Connection::open(&url, None)?.upload(
            "PUT",
            "/film",
            &[],
            content.reader(length),
            Some(length),
        )
    };
    let full = put(large)?;
    ensure!(full.status() == 507, "450 MiB in 400 MiB: {}", full.text());
    let grow = json!({ "spec": { "resources": { "requests": { "storage": "600Mi" } } } });
    let grow = grow.to_string();
    let claim = ["pvc", "data-files-0", "--namespace", NAMESPACE];
    bed.kubectl()
        .call(&[&["patch"], &claim[..], &["--patch", &grow]].concat())?;
    bed.kubectl().wait(
        "a larger claim",
        PATIENCE,
        &[&["get"], &claim[..]].concat(),
        |claim| {
            let capacity = claim.pointer("/status/capacity/storage");
            Ok((capacity == Some(&json!("600Mi"))).then_some(()))
        },
    )?;
    let stored = put(large)?;
    ensure!(
        stored.status() == 201,
        "450 MiB in 600 MiB: {}",
        stored.text()
    );
    ensure!(pod(bed, "files-0")?.1 == uid, "the pod was started again");
    let film = ask(&url, "GET", "/film", &[])?;
    ensure!(
        u64::try_from(film.body.len())? == large,
        "{} bytes",
        film.body.len()
    );
    content.check(0, &film.body)
}

fn a_node_dies_and_comes_back(bed: &mut Bed) -> Result<()> {
    let found = bed
        .kubectl()
        .json(&["get", "pod", "files-0", "--namespace", NAMESPACE])?;
    let node = found.pointer("/spec/nodeName").and_then(Value::as_str);
    let node = node.context("a pod is on a node")?.to_owned();
    let (url, _) = pod(bed, "files-0")?;
    bed.cut_node(&node)?;
    let cut = now();
    let gone = Connection::open(&url, None);
    ensure!(gone.is_err(), "the pod of a dead node is there");
    let arguments = ["get", "node", &node];
    bed.kubectl()
        .wait("a node that is not ready", PATIENCE, &arguments, |found| {
            let conditions = found
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            let mut ready = conditions.into_iter().flatten();
            let ready = ready.find(|one| one.get("type") == Some(&json!("Ready")));
            let status = ready.and_then(|ready| ready.get("status")?.as_str());
            Ok((status != Some("True")).then_some(()))
        })?;
    figure(
        "a dead node is known to be",
        &format!("after {:.1} s", cut.elapsed().as_secs_f64()),
    );
    let started = now();
    bed.start_node(&node)?;
    bed.wait_node(&node)?;
    wait_ready(bed)?;
    let film = wait_for("the film of the node that came back", PATIENCE, || {
        let (url, _) = pod(bed, "files-0")?;
        ask(&url, "GET", "/film", &[]).map(Some)
    })?;
    Content::new(7).check(0, &film.body)?;
    figure(
        "a node that comes back serves again",
        &format!("after {:.1} s", started.elapsed().as_secs_f64()),
    );
    Ok(())
}

fn volumes_go_with_their_claims(bed: &Bed) -> Result<()> {
    let arguments = ["delete", "namespace", NAMESPACE, "--wait=false"];
    bed.kubectl().call(&arguments)?;
    bed.kubectl()
        .wait("end of all volumes", PATIENCE, &["get", "pv"], |left| {
            let items = left.pointer("/items").and_then(Value::as_array);
            Ok(items.is_some_and(Vec::is_empty).then_some(()))
        })?;
    for node in bed.nodes() {
        let files = fs::read_dir(bed.folder().join(&node).join("volumes"))?;
        ensure!(files.count() == 0, "{node} still has files of volumes");
    }
    Ok(())
}

/// The URL of a pod, and its uid.
fn pod(bed: &Bed, name: &str) -> Result<(String, String)> {
    let found = bed
        .kubectl()
        .json(&["get", "pod", name, "--namespace", NAMESPACE])?;
    let text = |pointer: &str| {
        let found = found.pointer(pointer).and_then(Value::as_str);
        found
            .with_context(|| format!("{name} has no {pointer}"))
            .map(str::to_owned)
    };
    let url = format!("http://{}:8080", text("/status/podIP")?);
    Ok((url, text("/metadata/uid")?))
}

fn ask(url: &str, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
    Connection::open(url, None)?.request(method, path, &[], body)
}

/// Once a bed has ended, nothing on the machine tells that it was there.
fn leaves_nothing(folder: &Path) -> Result<()> {
    let name = folder.file_name().context("a folder has a name")?;
    let name = name.to_string_lossy().into_owned();
    ensure!(!folder.exists(), "{} is left", folder.display());
    let looks = [
        "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '",
        "cat /proc/mounts",
        "losetup --list --noheadings --output BACK-FILE",
        "find /sys/fs/cgroup -maxdepth 2 -name 'mdfs-bed-*'",
    ];
    for look in looks {
        let found = succeed(Command::new("sh").args(["-c", look]), PATIENCE)?;
        let line = found.text();
        let line = line.lines().find(|line| line.contains(&name));
        ensure!(line.is_none(), "left after the bed: {line:?}");
    }
    Ok(())
}
