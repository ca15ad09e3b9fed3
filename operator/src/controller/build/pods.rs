//! What the pods of masters and workers have in common.

use super::Identity;
use crate::controller::validate::{Pods, ValidatedCluster};
use crate::names::{self, Component, TEMPLATE_ANNOTATION};
use serde_json::{Value, json};

/// The user that everything runs as: `nonroot` of the image.
const USER: i64 = 65532;
/// Where Secrets are mounted.
pub(super) const SECRETS: &str = "/run/secrets/mdfs";

/// What differs between the pods of masters and workers.
pub(super) struct Content<'a> {
    pub(super) component: Component,
    pub(super) image: &'a str,
    pub(super) pods: &'a Pods,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<Value>,
    pub(super) port: i32,
    pub(super) grace_seconds: i64,
    pub(super) mounts: Vec<Value>,
    pub(super) volumes: Vec<Value>,
    pub(super) tolerations: Vec<Value>,
}

/// A pod template, and the name of what it is made of.
pub(super) fn template(cluster: &ValidatedCluster, content: Content<'_>) -> (Value, String) {
    let component = content.component;
    let spec = pod_spec(cluster, content);
    let hash = super::fingerprint(&spec);
    let template = json!({
        "metadata": {
            "labels": names::labels_of(&cluster.name, Some(component)),
            "annotations": { (TEMPLATE_ANNOTATION): hash },
        },
        "spec": spec,
    });
    (template, hash)
}

fn pod_spec(cluster: &ValidatedCluster, content: Content<'_>) -> Value {
    let Content {
        component,
        image,
        pods,
        args,
        env,
        port,
        grace_seconds,
        mounts,
        volumes,
        tolerations,
    } = content;
    let scheduling = &pods.scheduling;
    let account = match component {
        Component::Master => names::masters(&cluster.name),
        Component::Worker => names::workers(&cluster.name),
    };
    let mut container = json!({
        "name": component.as_str(),
        "image": image,
        "args": args,
        "env": env,
        "ports": [{ "name": "http", "containerPort": port, "protocol": "TCP" }],
        "resources": pods.resources.as_ref().map_or_else(usual_resources, |it| json!(it)),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        // A worker looks through its whole disk before it opens; that is no reason to kill it.
        "livenessProbe": probe("/health/live", 10, 3),
        "readinessProbe": probe("/health/ready", 2, 2),
        "volumeMounts": mounts,
    });
    if let Some(policy) = cluster.pull_policy {
        set(&mut container, "imagePullPolicy", json!(policy.as_str()));
    }
    let mut tolerations = tolerations;
    tolerations.extend(scheduling.tolerations.iter().map(|it| json!(it)));
    let mut spec = json!({
        "serviceAccountName": account,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "affinity": apart(&cluster.name, component),
        "containers": [container],
        "volumes": volumes,
    });
    if !tolerations.is_empty() {
        set(&mut spec, "tolerations", json!(tolerations));
    }
    if !cluster.pull_secrets.is_empty() {
        let secrets: Vec<_> = cluster
            .pull_secrets
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        set(&mut spec, "imagePullSecrets", json!(secrets));
    }
    if !scheduling.node_selector.is_empty() {
        set(&mut spec, "nodeSelector", json!(scheduling.node_selector));
    }
    if let Some(class) = &scheduling.priority_class_name {
        set(&mut spec, "priorityClassName", json!(class));
    }
    spec
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(field.to_owned(), value);
    }
}

/// What a pod needs at least when the user did not say: enough that it is not the first to be evicted.
fn usual_resources() -> Value {
    json!({ "requests": { "cpu": "100m", "memory": "256Mi" } })
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "http" },
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}

/// On different nodes when possible.
fn apart(cluster: &str, component: Component) -> Value {
    json!({
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": { "matchLabels": names::selector(cluster, component) },
                },
            }],
        },
    })
}

/// A variable from a field of the pod.
pub(super) fn from_field(name: &str, path: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } })
}

/// The volume with the given keys of Secrets, as files.
pub(super) fn secrets_volume(sources: &[(String, &[&str])]) -> Value {
    let source = |(name, keys): &(String, &[&str])| {
        let items: Vec<_> = keys
            .iter()
            .map(|key| json!({ "key": key, "path": key }))
            .collect();
        json!({ "secret": { "name": name, "items": items } })
    };
    let sources: Vec<_> = sources.iter().map(source).collect();
    json!({ "name": "secrets", "projected": { "defaultMode": 0o440, "sources": sources } })
}

pub(super) fn secrets_mount() -> Value {
    json!({ "name": "secrets", "mountPath": SECRETS, "readOnly": true })
}

/// The variable with the identity of the cluster.
pub(super) fn cluster_id(cluster: &str) -> Value {
    json!({
        "name": "CLUSTER_ID",
        "valueFrom": {
            "secretKeyRef": { "name": names::identity_secret(cluster), "key": Identity::CLUSTER_ID },
        },
    })
}
