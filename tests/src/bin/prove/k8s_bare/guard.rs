//! Nonsense is refused before anything acts on it, one bad resource holds up no other, and nobody may
//! more than needed: the operator works with exactly the chart's rules, masters and workers may nothing.

use super::bench::{Bench, PATIENCE, SYSTEM, Scope, USUAL, shown, text};
use super::refused;
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};

/// A release that may work in one namespace alone.
const NARROW: Scope<'static> = Scope {
    release: "narrow",
    home: "narrow-system",
    namespaces: &["series"],
};

pub(crate) fn prove() -> Result<()> {
    let bench = Bench::start()?;
    let bad = refused::all(bench.kubectl())?;
    figure("resources refused with the field named", &bad.to_string());

    store_bad(&bench)?;
    bench.ask("films", "1Gi")?;
    let mut operator = bench.operate(&USUAL)?;
    bench.wait_shown("films", &operator)?;
    operator.check()?;
    wait_for("event about the bad resource", PATIENCE, || {
        let found = bench
            .kubectl()
            .json(&["get", "events", "--namespace", "bad"])?;
        Ok(found
            .to_string()
            .contains("cannot understand")
            .then_some(()))
    })
    .with_context(|| operator.log_tail())?;
    // Nobody knows what was to become of its data, so nothing is deleted, and nothing held.
    let words = ["delete", "mdfscluster", "bad", "--namespace", "bad"];
    bench
        .kubectl()
        .call(&[&words[..], &["--timeout=80s"]].concat())
        .with_context(|| operator.log_tail())?;
    drop(operator);
    nothing_was_forbidden(&bench, &USUAL, &[])?;
    servers_may_nothing(&bench)?;
    with_roles_only(&bench)
}

/// Stores a resource that the definition would refuse, as an older one might have let it in.
fn store_bad(bench: &Bench) -> Result<()> {
    let kubectl = bench.kubectl();
    let anything = json!([
        { "op": "remove", "path": "/spec/versions/0/selectableFields" },
        {
            "op": "replace",
            "path": "/spec/versions/0/schema/openAPIV3Schema",
            "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        },
    ]);
    let crd = "mdfsclusters.mdfs.io";
    let before = kubectl.json(&["get", "crd", crd])?;
    let words = ["patch", "crd", crd, "--type=json", "--patch"];
    kubectl.call(&[&words[..], &[&anything.to_string()]].concat())?;
    bench.namespace("bad")?;
    let bad = json!({
        "apiVersion": "mdfs.io/v1alpha1",
        "kind": "MdfsCluster",
        "metadata": { "name": "bad", "namespace": "bad", "finalizers": ["mdfs.io/data"] },
        "spec": {
            "image": "a",
            "workers": { "replicas": 3, "storage": { "size": "1Gi" } },
            "logging": { "level": "loud" },
        },
    });
    // What is new of a definition takes a while to be served.
    let words = ["create", "--validate=false", "--filename", "-"];
    wait_for("bad resource", PATIENCE, || {
        let made = kubectl.with_input(&words, &bad.to_string())?;
        ensure!(made.code() == 0, "{}", made.stderr);
        Ok(Some(()))
    })?;
    let versions = json!({ "spec": { "versions": before.pointer("/spec/versions") } });
    let words = ["patch", "crd", crd, "--type=merge", "--patch"];
    kubectl.call(&[&words[..], &[&versions.to_string()]].concat())?;
    wait_for("definition as it was", PATIENCE, || {
        let made = kubectl.with_input(
            &[
                "create",
                "--validate=false",
                "--dry-run=server",
                "--filename",
                "-",
            ],
            &bad.to_string()
                .replace("\"name\":\"bad\"", "\"name\":\"worse\""),
        )?;
        Ok((made.code() != 0).then_some(()))
    })
}

/// With a list of namespaces there is no right in the whole cluster, and volumes grow all the same.
fn with_roles_only(bench: &Bench) -> Result<()> {
    bench.install(&NARROW, &["watchNamespaces={series}", "crds.install=false"])?;
    for kind in ["clusterroles", "clusterrolebindings"] {
        let selector = format!("--selector=app.kubernetes.io/instance={}", NARROW.release);
        let found = bench
            .kubectl()
            .call(&["get", kind, &selector, "--output=name"])?;
        ensure!(found.is_empty(), "with watchNamespaces: {found}");
    }
    bench.ask("series", "1Gi")?;
    bench.ask("elsewhere", "1Gi")?;
    let mut operator = bench.operate(&NARROW)?;
    bench.wait_shown("series", &operator)?;
    bench.volumes("series")?;
    bench.ask("series", "2Gi")?;
    wait_for("larger volumes", PATIENCE, || {
        Ok(bench.has_grown("series")?.then_some(()))
    })
    .with_context(|| operator.log_tail())?;
    operator.check()?;
    drop(operator);
    let words = ["get", "mdfscluster", "films", "--namespace", "elsewhere"];
    let elsewhere = bench.kubectl().json(&words)?;
    ensure!(
        elsewhere.get("status").is_none(),
        "not its namespace: {elsewhere}"
    );
    nothing_was_forbidden(bench, &NARROW, &["storageclasses"])
}

/// Nothing that the operator asked for was forbidden, except of what its page says that it tries.
fn nothing_was_forbidden(bench: &Bench, scope: &Scope<'_>, tried: &[&str]) -> Result<()> {
    let calls = bench.calls(scope)?;
    let forbidden: Vec<String> = calls
        .iter()
        .filter(|call| call.pointer("/responseStatus/code") == Some(&json!(403)))
        .filter(|call| !tried.contains(&text(call, "/objectRef/resource").unwrap_or_default()))
        .map(shown)
        .collect();
    ensure!(
        forbidden.is_empty(),
        "forbidden to the operator: {forbidden:?}"
    );
    ensure!(calls.len() > 20, "only {} calls", calls.len());
    let what = format!("calls of the operator of {}, none forbidden", scope.release);
    figure(&what, &calls.len().to_string());
    Ok(())
}

/// The accounts of masters and workers may what an account may that nobody gave anything.
fn servers_may_nothing(bench: &Bench) -> Result<()> {
    let kubectl = bench.kubectl();
    let may = |account: &str| {
        let user = format!("--as=system:serviceaccount:films:{account}");
        kubectl.call(&["auth", "can-i", "--list", "--namespace=films", &user])
    };
    let nothing = may("nobody")?;
    ensure!(!nothing.contains("secrets"), "anybody may: {nothing}");
    let found = kubectl.json(&["get", "deployments,statefulsets", "--namespace=films"])?;
    let items = found.pointer("/items").and_then(Value::as_array);
    let mut seen = 0;
    for item in items.into_iter().flatten() {
        let pod = item.pointer("/spec/template/spec").context("it has pods")?;
        ensure!(
            pod.get("automountServiceAccountToken") == Some(&json!(false))
                && !pod.to_string().contains("serviceAccountToken"),
            "pods have a token: {pod}"
        );
        let account = text(pod, "/serviceAccountName").context("pods have an account")?;
        ensure!(account != "default", "pods have an account that others use");
        kubectl.call(&["get", "serviceaccount", account, "--namespace=films"])?;
        let rights = may(account)?;
        ensure!(rights == nothing, "{account} may\n{rights}");
        seen += 1;
    }
    ensure!(seen == 2, "{seen} kinds of pods");
    // That the same question shows rights where there are some.
    let operator = format!("--as=system:serviceaccount:{SYSTEM}:mdfs-operator");
    let rights = kubectl.call(&["auth", "can-i", "--list", "--namespace=films", &operator])?;
    ensure!(rights.contains("secrets"), "the operator may\n{rights}");
    Ok(())
}
