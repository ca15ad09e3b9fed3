//! Kubernetes by hand: the test bed and what people with Docker use instead of it.

use crate::Folders;
use crate::child::Bounded;
use crate::machine;
use crate::proofs::{self, Form};
use crate::prove;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// The image that people with Docker load.
const IMAGE: &str = "target/mdfs-image.tar";

/// The short form of every proof on a Kubernetes of its own, or of one; with `keep`, that one's cluster
/// stays until Enter. Returns whether all hold.
///
/// # Errors
/// If there is no such proof, or a command cannot be started.
pub(crate) fn e2e(name: Option<&str>, keep: bool, folders: &Folders) -> Result<bool> {
    if keep {
        return kept(name.unwrap_or("k8s-first"));
    }
    let clusters = proofs::all().filter(|proof| matches!(proof.form, Form::Cluster));
    let wanted = clusters.filter(|proof| name.is_none_or(|name| name == proof.name));
    let mut all_good = true;
    let mut count = 0;
    for proof in wanted {
        all_good &= prove::run(proof.name, true, folders)?;
        count += 1;
    }
    ensure!(count > 0, "no proof on Kubernetes is called {name:?}");
    Ok(all_good)
}

/// Runs one proof with this terminal as its own.
fn kept(name: &str) -> Result<bool> {
    let workspace = Workspace::find()?;
    let root = &workspace.root;
    let needs = proofs::all().find(|proof| proof.name == name);
    let needs = needs.with_context(|| format!("no proof is called {name}"))?;
    for program in machine::provide(root, needs.needs)? {
        println!("{program} is missing; what needs it will say so");
    }
    let build = ["cargo", "build", "--package", "mdfs-tests", "--bins"];
    ensure!(
        Bounded::new(40, &build).run(root)?.success,
        "the proofs do not build"
    );
    let words = [
        &workspace.program("debug", "prove"),
        name,
        "--short",
        "--keep",
    ];
    attached(root, &words)
}

/// Runs a program in the network of the cluster that is up, such as `kubectl get pods`.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn inside(words: &[String]) -> Result<bool> {
    let workspace = Workspace::find()?;
    let build = [
        "cargo",
        "build",
        "--quiet",
        "--package",
        "mdfs-tests",
        "--bin",
        "bed",
    ];
    let build = Bounded::new(40, &build).run(&workspace.root)?;
    ensure!(build.success, "the test bed does not build");
    let bed = workspace.program("debug", "bed");
    let words = words.iter().map(String::as_str);
    let words: Vec<&str> = [bed.as_str(), "inside"].into_iter().chain(words).collect();
    attached(&workspace.root, &words)
}

/// Makes a cluster with kind and installs the chart, saying each command; it only says them with
/// `dry`.
///
/// # Errors
/// If a command cannot be started.
pub(crate) fn kind(dry: bool) -> Result<bool> {
    let workspace = Workspace::find()?;
    let name = concat!("localhost/mdfs:", env!("CARGO_PKG_VERSION"));
    let steps: [&[&str]; 5] = [
        &["cargo", "xtask", "image", "--name", name, "--output", IMAGE],
        &[
            "kind",
            "create",
            "cluster",
            "--name",
            "mdfs",
            "--config",
            "kind-config.yaml",
        ],
        &["kind", "load", "image-archive", IMAGE, "--name", "mdfs"],
        &[
            "helm",
            "upgrade",
            "--install",
            "mdfs",
            "charts/mdfs",
            "--namespace",
            "mdfs-system",
            "--create-namespace",
            "--wait",
        ],
        &["kubectl", "apply", "--filename", "manifests/cluster.yaml"],
    ];
    let lacking = ["docker", "kind", "helm", "kubectl"]
        .into_iter()
        .filter(|program| !machine::has(program));
    let lacking: Vec<&str> = lacking.collect();
    if !dry {
        ensure!(
            lacking.is_empty(),
            "{} must be installed; `cargo xtask e2e` needs none of it",
            lacking.join(", ")
        );
    }
    for step in steps {
        println!("+ {}", step.join(" "));
        if !dry && !attached(&workspace.root, step)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a command at this terminal, without a limit. Returns whether it succeeded.
fn attached(root: &Path, words: &[&str]) -> Result<bool> {
    let (program, arguments) = words.split_first().context("there is a program to run")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root);
    let status = command.status();
    Ok(status
        .with_context(|| format!("start {program}"))?
        .success())
}
