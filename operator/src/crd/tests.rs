use super::*;
use crate::controller::test_support::{SPEC, cluster};
use crate::controller::validate::validate;
use serde_json::Value;

fn schema() -> Value {
    serde_json::to_value(MdfsCluster::crd()).unwrap()
}

/// Every part of a schema, with its path.
fn walk(value: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    see(path, value);
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                walk(value, &format!("{path}.{key}"), see);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(value, &format!("{path}[{index}]"), see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_definition_fits_where_kubectl_keeps_it() {
    let bytes = schema().to_string().len();
    assert!(bytes < 200_000, "{bytes}");
}

#[test]
fn no_number_is_unsigned_or_a_fraction() {
    walk(&schema(), "", &mut |path, value| {
        let format = value
            .get("format")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(!format.starts_with("uint"), "{path}");
        assert_ne!(value.get("type"), Some(&Value::from("number")), "{path}");
    });
}

#[test]
fn every_list_and_map_of_the_spec_has_a_limit() {
    let schema = schema();
    let spec = schema
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .unwrap();
    walk(spec, "spec", &mut |path, value| {
        // What Kubernetes defines has its own.
        if path.contains("resources") || path.contains("tolerations.items") {
            return;
        }
        match value.get("type").and_then(Value::as_str) {
            Some("array") => assert!(value.get("maxItems").is_some(), "{path}"),
            Some("object") if value.get("additionalProperties").is_some() => {
                assert!(value.get("maxProperties").is_some(), "{path}");
            }
            _ => {}
        }
    });
}

#[test]
fn every_field_says_what_it_is() {
    let schema = schema();
    let root = schema
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties")
        .unwrap();
    walk(root, "", &mut |path, value| {
        let known = [
            "resources.properties",
            "tolerations.items",
            "conditions.items",
        ];
        if known.iter().any(|theirs| path.contains(theirs)) {
            return;
        }
        if let Some(fields) = value.get("properties").and_then(Value::as_object) {
            for (name, field) in fields {
                assert!(field.get("description").is_some(), "{path}.{name}");
            }
        }
    });
}

#[test]
fn names_scale_and_columns_are_there() {
    let schema = schema();
    let at = |pointer: &str| schema.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/spec/names/shortNames/0"), "mdfs");
    assert_eq!(at("/spec/names/categories/0"), "mdfs");
    assert_eq!(at("/metadata/name"), "mdfsclusters.mdfs.io");
    let scale = at("/spec/versions/0/subresources/scale");
    assert_eq!(scale["specReplicasPath"], ".spec.workers.replicas");
    assert_eq!(scale["labelSelectorPath"], ".status.workers.selector");
    let columns = at("/spec/versions/0/additionalPrinterColumns");
    let shown = columns
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it.get("priority").is_none());
    assert_eq!(shown.count(), 8);
}

/// The fields that are named for a spec.
fn faults(spec: &str) -> Vec<String> {
    let faults = validate(&cluster(spec)).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn the_smallest_spec_can_be_used() {
    assert_eq!(faults(SPEC), [""; 0]);
}

#[test]
fn a_rule_that_is_broken_names_the_field_also_inside_the_operator() {
    #[track_caller]
    fn check(spec: &str, field: &str) {
        let named = faults(spec);
        assert!(
            named.iter().any(|it| it.contains(field)),
            "{spec}: {named:?}"
        );
    }
    let base = "  image: a\n";
    let storage = "storage: {size: 1Gi}";
    check(
        &format!("{base}  workers: {{replicas: 1, {storage}}}\n"),
        "workers.replicas",
    );
    check(
        &format!("{base}  workers: {{{storage}}}\n  replication: {{factor: 4}}\n"),
        "workers.replicas",
    );
    check(
        &format!("{base}  workers: {{{storage}}}\n  replication: {{minWriteCopies: 3}}\n"),
        "minWriteCopies",
    );
    check(
        &format!(
            "{base}  workers: {{replicas: 2, {storage}}}\n  replication: {{minWriteCopies: 1}}\n"
        ),
        "minWriteCopies",
    );
    check(
        &format!(
            "{base}  workers: {{{storage}}}\n  replication: {{minWriteCopies: 1}}\n  \
             metadata: {{voters: 1}}\n"
        ),
        "minWriteCopies",
    );
    check(
        &format!("{base}  workers: {{{storage}}}\n  metadata: {{voters: 5}}\n"),
        "voters",
    );
    check(
        &format!("{base}  workers: {{{storage}}}\n  metadata: {{voters: 2}}\n"),
        "voters",
    );
    check(
        &format!("{base}  workers: {{replicas: 0, {storage}}}\n"),
        "workers.replicas",
    );
    check(
        &format!("{base}  workers: {{storage: {{size: much}}}}\n"),
        "storage.size",
    );
}

#[test]
fn a_name_that_would_be_too_long_for_labels_is_refused() {
    let mut long = cluster(SPEC);
    long.metadata.name = Some("x".repeat(41));
    let faults = validate(&long).unwrap_err();
    assert!(
        faults.iter().any(|it| it.message.contains("metadata.name")),
        "{faults:?}"
    );
}

#[test]
fn volumes_only_grow_and_keep_their_class() {
    let with = |storage: &str| cluster(&format!("  image: a\n  workers: {{storage: {storage}}}\n"));
    let two = with("{size: 2Gi, storageClassName: fast}");
    assert!(
        with("{size: 4Gi, storageClassName: fast}")
            .validate_cel_update(&two)
            .is_ok()
    );
    for other in [
        "{size: 1Gi, storageClassName: fast}",
        "{size: 2Gi, storageClassName: slow}",
        "{size: 2Gi}",
    ] {
        assert!(with(other).validate_cel_update(&two).is_err(), "{other}");
    }
    let default = with("{size: 2Gi}");
    assert!(
        with("{size: 2Gi, storageClassName: fast}")
            .validate_cel_update(&default)
            .is_err()
    );
}

#[test]
fn the_install_that_is_rendered_plain_has_this_definition() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/install.yaml");
    let install = std::fs::read_to_string(path).unwrap();
    let mut rest = install.lines();
    for line in definition().lines().skip(1) {
        assert!(rest.any(|it| it == line), "render it anew: {line}");
    }
}
