//! The control plane that operators are tested on: a real API server that enforces what it should.

use anyhow::{Result, ensure};
use mdfs_tests::kube::{ControlPlane, Options, programs};
use mdfs_tests::program::note_skipped;
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const ACCOUNT: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, namespace: default}
data: {key: value}
";

#[test]
fn a_control_plane_gives_each_its_rights_and_keeps_what_it_was_given() -> Result<()> {
    const NAME: &str = "a_control_plane_gives_each_its_rights_and_keeps_what_it_was_given";
    if let Some(reason) = programs::lacking() {
        return note_skipped(NAME, &reason);
    }
    let mut plane = ControlPlane::start(Options::default())?;
    plane.kubectl().apply(ACCOUNT)?;

    let reader = plane.as_service_account("default", "reader")?;
    let kept = reader.json(&["get", "configmap", "kept"])?;
    ensure!(kept.pointer("/data/key") == Some(&"value".into()), "{kept}");
    let refused = reader.attempt(&["get", "secrets"])?;
    ensure!(
        refused.code() == 1 && refused.stderr.contains("Forbidden"),
        "{}",
        refused.stderr
    );
    let strict = plane
        .kubectl()
        .apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nd: 1\n");
    ensure!(strict.is_err(), "an unknown field was taken");

    let calls = plane.audit()?;
    let verbs: Vec<_> = calls
        .iter()
        .filter(|call| {
            let user = call.pointer("/user/username");
            user == Some(&"system:serviceaccount:default:reader".into())
        })
        .filter_map(|call| call.pointer("/verb")?.as_str())
        .collect();
    ensure!(
        verbs.contains(&"list") && verbs.contains(&"get"),
        "{verbs:?}"
    );

    plane.stop_api_server()?;
    ensure!(plane.kubectl().call(&["get", "configmap", "kept"]).is_err());
    plane.start_api_server()?;
    plane.kubectl().call(&["get", "configmap", "kept"])?;
    Ok(())
}

#[test]
fn controllers_remove_what_is_owned_and_two_control_planes_do_not_meet() -> Result<()> {
    const NAME: &str = "controllers_remove_what_is_owned_and_two_control_planes_do_not_meet";
    if let Some(reason) = programs::lacking() {
        return note_skipped(NAME, &reason);
    }
    let options = Options {
        controllers: true,
        scheduler: false,
    };
    let plane = ControlPlane::start(options)?;
    let other = ControlPlane::start(Options::default())?;
    let owner = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner, namespace: default}\n";
    plane.kubectl().apply(owner)?;
    let found = plane.kubectl().json(&["get", "configmap", "owner"])?;
    let uid = found.pointer("/metadata/uid").and_then(|uid| uid.as_str());
    let owned = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: owned\n  namespace: default\n  \
         ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {}}}]\n",
        uid.unwrap_or_default()
    );
    plane.kubectl().apply(&owned)?;
    plane.kubectl().call(&["delete", "configmap", "owner"])?;
    let arguments = ["get", "configmaps", "--namespace", "default"];
    plane
        .kubectl()
        .wait("end of what was owned", PATIENCE, &arguments, |left| {
            let items = left.pointer("/items").and_then(|items| items.as_array());
            let names = items.into_iter().flatten();
            let mut names = names.filter_map(|item| item.pointer("/metadata/name")?.as_str());
            Ok((!names.any(|name| name == "owned")).then_some(()))
        })?;
    let missing = other.kubectl().attempt(&["get", "configmap", "owned"])?;
    ensure!(missing.stderr.contains("NotFound"), "{}", missing.stderr);
    Ok(())
}
