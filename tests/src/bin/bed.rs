//! The test bed by hand: `bed build` builds its programs, `bed up` starts it until Enter, and
//! `bed inside COMMAND` runs `kubectl`, `helm` or any other program in the network of one that runs.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use mdfs_tests::kube::{self, Bed, programs};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Builds the programs of Kubernetes and helm, unless they are there
    Build,
    /// Starts a cluster, and ends it with Enter
    Up {
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: u8,
        /// Archives of images that every node has
        images: Vec<PathBuf>,
    },
    /// Runs a program in the network of a cluster that is up, as its administrator
    Inside {
        /// `kubectl`, `helm` or another program, and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    match act(&Arguments::parse().act) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(act: &Act) -> Result<()> {
    match act {
        Act::Build => {
            println!("{}", programs::kube()?.display());
            println!("{}", programs::helm()?.display());
            Ok(())
        }
        Act::Up { nodes, images } => {
            let bed = Bed::start(*nodes, images)?;
            println!(
                "{} nodes are ready; files are in {}",
                nodes,
                bed.folder().display()
            );
            bed.hold()
        }
        Act::Inside { words } => inside(words),
    }
}

fn inside(words: &[String]) -> Result<()> {
    let Some((control, folder)) = kube::running()? else {
        bail!("no test bed is up: `cargo xtask e2e --keep` leaves one");
    };
    let (program, arguments) = words.split_first().context("there is a program to run")?;
    let mut command = Command::new("nsenter");
    command.args(["--target", &control.to_string(), "--net", "--"]);
    match program.as_str() {
        "kubectl" => command.arg(programs::kube()?).arg("kubectl"),
        "helm" => command.arg(programs::helm()?),
        other => command.arg(other),
    };
    command.args(arguments);
    command.env("KUBECONFIG", folder.join("admin.kubeconfig"));
    // Returns only if it could not be started.
    Err(command.exec()).context("start nsenter")
}
