//! Claims that can be shown: each has a full form and the short one that the test command runs.

use crate::Folders;
use crate::child::Bounded;
use crate::machine;
use crate::planted;
use crate::proofs::{self, Form, Proof};
use crate::workspace::Workspace;
use anyhow::{Context, Result};

/// What the proofs on Kubernetes call the image.
pub(crate) const CLUSTER_IMAGE: &str = "localhost/mdfs:e2e";

/// Prints every claim with its name.
pub(crate) fn list() {
    for proof in proofs::all() {
        println!("{:<12} {}", proof.name, proof.claim);
    }
}

/// Shows one claim; returns whether it holds. Where something was left out, it was not shown.
///
/// # Errors
/// If there is no such claim, or a command cannot be started.
pub(crate) fn run(name: &str, short: bool, folders: &Folders) -> Result<bool> {
    let proof = proofs::all().find(|proof| proof.name == name);
    let proof = proof.with_context(|| {
        let names: Vec<_> = proofs::all().map(|proof| proof.name).collect();
        format!("no proof is called {name}; there are {}", names.join(", "))
    })?;
    let workspace = Workspace::find()?;
    for program in machine::provide(&workspace.root, proof.needs)? {
        println!("{program} is missing; what needs it will say so");
    }
    let finished = match (&proof.form, short) {
        (Form::Planted, short) => {
            return planted::run(&workspace, short, proof.minutes, folders);
        }
        (Form::Processes | Form::Cluster | Form::ControlPlane, short) => {
            let profile = if short { "debug" } else { "release" };
            let mut build = vec![
                "cargo",
                "build",
                "--package",
                "mdfs",
                "--package",
                "mdfs-tests",
                "--package",
                "mdfs-fuzz",
            ];
            build.extend((!short).then_some("--release"));
            build.push("--bins");
            if !Bounded::new(40, &build).run(&workspace.root)?.success {
                return Ok(false);
            }
            let mut proof = with_processes(&workspace, profile, name, short, proof.minutes);
            if let Some(pinned) = machine::pinned(name) {
                match machine::install(pinned, &workspace.root, folders)? {
                    Ok(python) => proof = proof.env(pinned.variable, python),
                    Err(why) => println!("{why}"),
                }
            }
            proof.run(&workspace.root)?
        }
        (Form::Program { package, program }, false) => {
            let mut words = vec!["cargo", "run", "--release", "--package", package];
            words.extend(["--bin", program, "--", "--proof"]);
            Bounded::new(proof.minutes, &words).run(&workspace.root)?
        }
        (Form::Program { package, program }, true) => {
            let words = ["cargo", "test", "--package", package, "--test", program];
            Bounded::new(proof.minutes, &words).run(&workspace.root)?
        }
        (
            Form::Example {
                package,
                example,
                part,
                features,
            },
            false,
        ) => {
            let mut words = vec![
                "cargo",
                "run",
                "--release",
                "--package",
                package,
                "--example",
                example,
            ];
            words.extend(features.iter().flat_map(|it| ["--features", it]));
            words.extend(part.iter().flat_map(|part| ["--", part]));
            Bounded::new(proof.minutes, &words).run(&workspace.root)?
        }
        (
            Form::Example {
                package,
                example,
                part,
                ..
            },
            true,
        ) => {
            let mut words = vec!["cargo", "test", "--package", package, "--test", example];
            words.extend(part.iter().flat_map(|part| ["--", part]));
            Bounded::new(proof.minutes, &words).run(&workspace.root)?
        }
    };
    if finished.timed_out {
        println!("FAILED {name}: not done after {} minutes", proof.minutes);
    } else if !finished.success && !finished.skipped {
        println!("FAILED {name}");
    }
    Ok(finished.success)
}

/// What the test command runs of a proof that is no test.
pub(crate) struct ShortForm {
    /// The proof's name.
    pub(crate) name: &'static str,
    /// The programs without which it cannot run, each with its Debian package.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Whether it needs the programs of Kubernetes.
    pub(crate) on_kubernetes: bool,
    /// Whether it needs root.
    pub(crate) needs_root: bool,
    /// What runs it; the programs must have been built.
    pub(crate) command: Bounded,
}

/// The short forms that run beside the tests; those of the other proofs are tests themselves.
pub(crate) fn short_forms(workspace: &Workspace) -> Vec<ShortForm> {
    let short = |proof: &Proof| {
        let name = proof.name;
        let command = match proof.form {
            Form::Processes | Form::ControlPlane => {
                with_processes(workspace, "debug", name, true, 6)
            }
            // A cluster that comes up on a busy machine is most of a proof on it.
            Form::Cluster => with_processes(workspace, "debug", name, true, 10),
            Form::Planted => {
                let xtask = workspace.program("debug", "xtask");
                Bounded::new(6, &[&xtask, "prove", name, "--short"])
            }
            Form::Example { .. } | Form::Program { .. } => return None,
        };
        Some(ShortForm {
            name,
            // Only the full form of `speed` compares itself with nginx, and only that of `k8s-crash` has
            // nodes.
            needs: match name {
                "speed" | "k8s-crash" => &[],
                _ => proof.needs,
            },
            on_kubernetes: matches!(proof.form, Form::Cluster | Form::ControlPlane),
            needs_root: matches!(proof.form, Form::Cluster),
            command,
        })
    };
    proofs::all().filter_map(short).collect()
}

fn with_processes(
    workspace: &Workspace,
    profile: &str,
    name: &str,
    short: bool,
    minutes: u32,
) -> Bounded {
    let program = workspace.program(profile, "prove");
    let mut words = vec![program.as_str(), name];
    words.extend(short.then_some("--short"));
    Bounded::new(minutes, &words).env("MDFS_PROGRAM", workspace.program(profile, "mdfs"))
}
