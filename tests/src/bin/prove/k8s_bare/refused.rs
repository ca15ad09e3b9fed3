//! Sixty resources that make no sense. Each is refused before anything acts on it, and the field is named.

use super::bench::good;
use anyhow::{Context, Result, ensure};
use mdfs_tests::kube::Kubectl;
use serde_json::{Value, json};

/// What is wrong: where, what is there instead, and how the refusal names the field. `null` takes the
/// field out.
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    let long = "x".repeat(501);
    let many: Vec<Value> = (0..17)
        .map(|number| json!({ "worker": format!("a-{number}") }))
        .collect();
    let secrets: Vec<Value> = (0..9)
        .map(|number| json!({ "name": format!("a{number}") }))
        .collect();
    vec![
        ("/spec/image", Value::Null, "image"),
        ("/spec/image", json!(""), "image"),
        ("/spec/image", json!(7), "image"),
        ("/spec/image", json!("with space"), "image"),
        ("/spec/image", json!("-dash/first:1"), "image"),
        ("/spec/image", json!("a;b"), "image"),
        ("/spec/image", json!(long), "image"),
        (
            "/spec/imagePullPolicy",
            json!("Sometimes"),
            "imagePullPolicy",
        ),
        ("/spec/imagePullSecrets", json!("one"), "imagePullSecrets"),
        (
            "/spec/imagePullSecrets",
            json!([{ "name": "" }]),
            "imagePullSecrets",
        ),
        ("/spec/imagePullSecrets", json!([{}]), "imagePullSecrets"),
        ("/spec/imagePullSecrets", json!(secrets), "imagePullSecrets"),
        ("/spec/replication/factor", json!(0), "factor"),
        ("/spec/replication/factor", json!(8), "factor"),
        ("/spec/replication/factor", json!(4), "replicas"),
        ("/spec/replication/factor", json!("two"), "factor"),
        ("/spec/replication/factor", json!(1.5), "factor"),
        (
            "/spec/replication/minWriteCopies",
            json!(0),
            "minWriteCopies",
        ),
        (
            "/spec/replication/minWriteCopies",
            json!(3),
            "minWriteCopies",
        ),
        (
            "/spec/replication/minWriteCopies",
            json!(9),
            "minWriteCopies",
        ),
        (
            "/spec",
            json!({
                "image": "a",
                "replication": { "minWriteCopies": 1 },
                "metadata": { "voters": 1 },
                "workers": { "replicas": 3, "storage": { "size": "1Gi" } },
            }),
            "minWriteCopies",
        ),
        ("/spec/replication/chunkSize", json!("3Mi"), "chunkSize"),
        ("/spec/replication/chunkSize", json!("2Gi"), "chunkSize"),
        ("/spec/replication/chunkSize", json!("64MiB"), "chunkSize"),
        ("/spec/replication/chunkSize", json!(64), "chunkSize"),
        (
            "/spec/replication/repairDelaySeconds",
            json!(-1),
            "repairDelaySeconds",
        ),
        (
            "/spec/replication/repairDelaySeconds",
            json!(9_999_999),
            "repairDelaySeconds",
        ),
        (
            "/spec/replication/trashRetentionSeconds",
            json!(-1),
            "trashRetentionSeconds",
        ),
        ("/spec/replication/unknown", json!(1), "unknown"),
        ("/spec/master/replicas", json!(0), "replicas"),
        ("/spec/master/replicas", json!(17), "replicas"),
        ("/spec/master/unknown", json!(1), "unknown"),
        ("/spec/metadata", json!({ "voters": 2 }), "voters"),
        ("/spec/metadata", json!({ "voters": 4 }), "voters"),
        ("/spec/metadata", json!({ "voters": 5 }), "voters"),
        ("/spec/metadata", json!({ "voters": "three" }), "voters"),
        ("/spec/workers", Value::Null, "workers"),
        ("/spec/workers/replicas", json!(0), "replicas"),
        ("/spec/workers/replicas", json!(1), "replicas"),
        ("/spec/workers/replicas", json!(101), "replicas"),
        ("/spec/workers/replicas", json!(-3), "replicas"),
        ("/spec/workers/storage", Value::Null, "storage"),
        ("/spec/workers/storage/size", Value::Null, "size"),
        ("/spec/workers/storage/size", json!("0Gi"), "size"),
        ("/spec/workers/storage/size", json!("1.5Gi"), "size"),
        ("/spec/workers/storage/size", json!("-1Gi"), "size"),
        ("/spec/workers/storage/size", json!("100GB"), "size"),
        ("/spec/workers/storage/size", json!(100), "size"),
        (
            "/spec/workers/storage/storageClassName",
            json!(""),
            "storageClassName",
        ),
        ("/spec/workers/copyRate", json!("0Mi"), "copyRate"),
        ("/spec/workers/copyRate", json!("fast"), "copyRate"),
        (
            "/spec/workers/scheduling",
            json!({ "priorityClassName": "" }),
            "priorityClassName",
        ),
        (
            "/spec/decommission",
            json!([{ "worker": "UPPER" }]),
            "worker",
        ),
        ("/spec/decommission", json!([{ "worker": "" }]), "worker"),
        (
            "/spec/decommission",
            json!([{ "worker": "a-0" }, { "worker": "a-0" }]),
            "decommission",
        ),
        ("/spec/decommission", json!(many), "decommission"),
        (
            "/spec/upgrade",
            json!({ "strategy": "AllAtOnce" }),
            "strategy",
        ),
        ("/spec/upgrade", json!({}), "strategy"),
        (
            "/spec/volumeRetention",
            json!({ "whenDeleted": "Perhaps" }),
            "whenDeleted",
        ),
        ("/spec/service", json!({ "type": "ExternalName" }), "type"),
        (
            "/spec/monitoring",
            json!({ "serviceMonitor": { "intervalSeconds": 0 } }),
            "intervalSeconds",
        ),
        ("/spec/console", json!({ "enabled": "no" }), "enabled"),
        (
            "/spec/console",
            json!({ "grafanaUrl": "javascript:alert(1)" }),
            "grafanaUrl",
        ),
        (
            "/spec/console",
            json!({ "grafanaUrl": "https://name:word@grafana.example" }),
            "grafanaUrl",
        ),
        ("/spec/maintenance", json!({ "mode": "Stopped" }), "mode"),
        ("/spec/logging", json!({ "level": "loud" }), "level"),
        ("/spec/unknown", json!(true), "unknown"),
        (
            "/metadata/name",
            json!("a-name-of-forty-one-characters-which-is-41"),
            "metadata.name",
        ),
        ("/metadata/name", json!("with.dot"), "metadata.name"),
    ]
}

/// Every one of them is refused, the field is named, and nothing is stored.
pub(super) fn all(kubectl: &Kubectl) -> Result<usize> {
    let good = good("default");
    let words = [
        "create",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
    ];
    let taken = kubectl.with_input(&words, &good.to_string())?;
    ensure!(taken.code() == 0, "a good one is refused: {}", taken.stderr);
    let cases = cases();
    for (pointer, value, named) in &cases {
        let mut bad = good.clone();
        set(&mut bad, pointer, value)?;
        let answer = kubectl.with_input(&words, &bad.to_string())?;
        let said = answer.stderr.trim();
        ensure!(answer.code() != 0, "{pointer} = {value} was taken");
        ensure!(said.contains(named), "{pointer} = {value}: {said}");
    }
    Ok(cases.len())
}

fn set(object: &mut Value, pointer: &str, value: &Value) -> Result<()> {
    let (parent, field) = pointer.rsplit_once('/').context("a pointer has a field")?;
    let parent = object.pointer_mut(parent).and_then(Value::as_object_mut);
    let parent = parent.with_context(|| format!("{pointer} is in no object"))?;
    if value.is_null() {
        parent.remove(field);
    } else {
        parent.insert(field.to_owned(), value.clone());
    }
    Ok(())
}
