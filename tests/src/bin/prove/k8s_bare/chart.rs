//! The chart: lint, every combination of its values, what its schema refuses, and each object that it
//! makes taken by a real API server.

use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{Output, run};
use mdfs_tests::kube::{ControlPlane, Options};
use mdfs_tests::program::repository;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Of so many combinations, the short form asks the API server about one.
const ASKED_SHORT: usize = 4;
/// The definition of `MdfsCluster`, beside the chart.
const DEFINITION: &str = "crds/mdfsclusters.mdfs.io.yaml";
/// What others define, so that objects of it can be taken: kinds of the Prometheus operator.
const MONITORING: &[(&str, &str)] = &[
    ("ServiceMonitor", "servicemonitors"),
    ("PrometheusRule", "prometheusrules"),
];

/// Values that are taken, each as `--set` writes them.
const TAKEN: &[&[&str]] = &[
    &[],
    &[
        "image.repository=registry.example/films/mdfs",
        "image.tag=1.2.3",
    ],
    &["image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000"],
    &["image.pullPolicy=Always", "imagePullSecrets[0].name=pull"],
    &["replicas=3"],
    &["watchNamespaces={films}"],
    &["watchNamespaces={films,series}"],
    &["crds.install=false"],
    &["crds.keep=false"],
    &["serviceAccount.create=false"],
    &["serviceAccount.create=false", "serviceAccount.name=mine"],
    &["serviceAccount.annotations.a=b"],
    &["rbac.create=false"],
    &["log.filter=debug", "log.json=false"],
    &["networkPolicy.enabled=false"],
    &[
        "serviceMonitor.enabled=true",
        "serviceMonitor.labels.release=prometheus",
    ],
    &[
        "prometheusRule.enabled=true",
        "prometheusRule.labels.release=prometheus",
        "dashboards.enabled=true",
        "dashboards.annotations.grafana_folder=MDFS",
    ],
    &[
        "nodeSelector.disk=fast",
        "priorityClassName=system-cluster-critical",
    ],
    &["podLabels.team=films", "podAnnotations.a=b"],
    &["tolerations[0].key=films", "tolerations[0].operator=Exists"],
    &["fullnameOverride=films-operator"],
    &["nameOverride=films"],
    &["resources.limits.cpu=1"],
    &[
        "replicas=2",
        "watchNamespaces={films}",
        "serviceMonitor.enabled=true",
        "networkPolicy.enabled=false",
    ],
];

/// Values that the schema refuses, and how it names them.
const REFUSED: &[(&str, &str)] = &[
    ("replicas=two", "replicas"),
    ("replicas=-1", "replicas"),
    ("replicas=9", "replicas"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("image.digest=sha256:12", "digest"),
    ("image.repository=", "repository"),
    ("imagePullSecrets=pull", "imagePullSecrets"),
    ("watchNamespaces={Films}", "watchNamespaces"),
    ("crds.install=perhaps", "install"),
    ("log.filter=", "filter"),
    ("poll=1m", "poll"),
    ("serviceMonitor.interval=often", "interval"),
    ("prometheusRule.enabled=perhaps", "prometheusRule"),
    ("prometheusRule.labels.release=1", "release"),
    ("dashboards.labels=null", "labels"),
    ("unknown=1", "unknown"),
    ("image.unknown=1", "unknown"),
];

pub(crate) fn prove(short: bool) -> Result<()> {
    let chart = repository()?.join("charts/mdfs");
    let plane = ControlPlane::start(Options::default())?;
    let kubectl = plane.kubectl();
    for namespace in ["films", "series", "mdfs-system"] {
        kubectl.call(&["create", "namespace", namespace])?;
    }
    // The controllers would have made it. The pod of the chart's test has it.
    let account = [
        "create",
        "serviceaccount",
        "default",
        "--namespace",
        "mdfs-system",
    ];
    kubectl.call(&account)?;
    let lint = run(
        &mut kubectl.helm(&["lint", "--strict", &shown(&chart)])?,
        LIMIT,
    )?;
    ensure!(lint.code() == 0, "{}{}", lint.text(), lint.stderr);

    // The definitions stay, so that objects of their kinds are taken.
    let definition = fs::read_to_string(repository()?.join(DEFINITION)).context(DEFINITION)?;
    kubectl.apply(&definition)?;
    let mut names = vec!["mdfsclusters.mdfs.io".to_owned()];
    for (kind, plural) in MONITORING {
        let name = format!("{plural}.monitoring.coreos.com");
        kubectl.apply(&definition_of(&name, kind, plural))?;
        names.push(name);
    }
    for name in names {
        kubectl.call(&[
            "wait",
            "--for=condition=Established",
            &format!("crd/{name}"),
            "--timeout=50s",
        ])?;
    }

    let template = |values: &[&str]| -> Result<Output> {
        let mut helm = kubectl.helm(&[
            "template",
            "mdfs",
            &shown(&chart),
            "--namespace",
            "mdfs-system",
        ])?;
        for value in values {
            helm.args(["--set", value]);
        }
        run(&mut helm, LIMIT)
    };
    let mut objects = 0;
    for (number, values) in TAKEN.iter().enumerate() {
        let rendered = template(values)?;
        ensure!(rendered.code() == 0, "{values:?}: {}", rendered.stderr);
        if !short || number.is_multiple_of(ASKED_SHORT) {
            objects += taken(&plane, &rendered.text()).with_context(|| format!("{values:?}"))?;
        }
        let keeps = rendered.text().contains("helm.sh/resource-policy: keep");
        let wanted = !values.iter().any(|value| value.starts_with("crds."));
        ensure!(
            keeps == wanted,
            "{values:?}: the definition is kept: {keeps}"
        );
    }
    for (value, named) in REFUSED {
        let rendered = template(&[value])?;
        ensure!(rendered.code() != 0, "{value} was taken");
        ensure!(
            rendered.stderr.contains(named),
            "{value}: {}",
            rendered.stderr
        );
    }
    figure(
        "combinations of values, objects taken of them",
        &format!("{}, {objects}", TAKEN.len()),
    );
    figure("values that the schema refuses", &REFUSED.len().to_string());

    let manifests = fs::read_dir(repository()?.join("manifests"))?;
    let mut files = 0;
    for manifest in manifests {
        let path = manifest?.path();
        taken(&plane, &fs::read_to_string(&path)?).with_context(|| shown(&path))?;
        files += 1;
    }
    figure("manifests that the API server takes", &files.to_string());
    Ok(())
}

/// A definition that takes anything.
fn definition_of(name: &str, kind: &str, plural: &str) -> String {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": name },
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
    .to_string()
}

/// Has the API server check each object, and gives how many there are.
fn taken(plane: &ControlPlane, manifest: &str) -> Result<usize> {
    let words = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
    ];
    let answer = plane.kubectl().with_input(&words, manifest)?;
    ensure!(answer.code() == 0, "{}", answer.stderr.trim());
    Ok(answer.text().lines().count())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
