//! What the objects of a namespace are, without what differs each time they are made.

use super::bench::Bench;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The kinds that the operator makes or changes.
const KINDS: &str = "mdfscluster,serviceaccounts,services,networkpolicies,poddisruptionbudgets,\
deployments,statefulsets,secrets,pvc";

/// Drawn anew, counted or timed for each object; and marks that also tell the namespace.
const DRAWN: &[&str] = &[
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "generation",
    "clusterIP",
    "clusterIPs",
    "data",
    "mdfs.io/template",
    "mdfs.io/applied",
];

/// All objects of a namespace, by kind and name.
pub(super) fn all(bench: &Bench, namespace: &str) -> Result<BTreeMap<String, String>> {
    let objects = objects(bench, namespace)?;
    let named = objects.into_iter().map(|(name, mut object)| {
        let status = object.get("status").map(conditions);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".to_owned(), json!(status));
        }
        strip(&mut object);
        (name, format!("{object:#}").replace(namespace, "NAMESPACE"))
    });
    Ok(named.collect())
}

/// What is in each Secret.
pub(super) fn secrets(bench: &Bench, namespace: &str) -> Result<BTreeMap<String, Value>> {
    let objects = objects(bench, namespace)?.into_iter();
    let secrets = objects.filter(|(name, _)| name.starts_with("Secret "));
    Ok(secrets
        .map(|(name, secret)| (name, secret.get("data").cloned().unwrap_or_default()))
        .collect())
}

fn objects(bench: &Bench, namespace: &str) -> Result<BTreeMap<String, Value>> {
    let list = bench
        .kubectl()
        .json(&["get", KINDS, "--namespace", namespace])?;
    let items = list.get("items").and_then(Value::as_array).cloned();
    let named = |object: Value| {
        let text = |pointer| Some(object.pointer(pointer)?.as_str()?.to_owned());
        Some((
            format!("{} {}", text("/kind")?, text("/metadata/name")?),
            object,
        ))
    };
    Ok(items.into_iter().flatten().filter_map(named).collect())
}

/// The type, the truth and the reason of each condition.
fn conditions(status: &Value) -> Vec<Value> {
    let all = status.get("conditions").and_then(Value::as_array);
    let short = |one: &Value| json!([one.get("type"), one.get("status"), one.get("reason")]);
    all.into_iter().flatten().map(short).collect()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !DRAWN.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
