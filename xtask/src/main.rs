//! The project's own commands: `cargo xtask test` runs everything that a change must pass,
//! `cargo xtask prove NAME` shows that one claim holds, `cargo xtask generate` makes the files that come
//! from the program.
//!
//! It depends on nothing else of the workspace, so it builds fast and reports on a tree that does
//! not compile.

mod child;
mod cluster;
mod generate;
mod image;
mod machine;
mod needs;
mod planted;
mod proofs;
mod prove;
mod tally;
mod test;
mod workspace;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything that a change must pass; the last line counts it
    Test {
        /// Leaves out the dependency check, the documentation and the proofs with processes
        #[arg(long)]
        quick: bool,
    },
    /// Makes the files that come from the program itself: the page and the samples of settings
    Generate {
        /// Changes nothing; fails if a file is not what it would be
        #[arg(long)]
        check: bool,
    },
    /// Writes the image, an OCI archive with one static program; needs no container tool
    Image(image::Wanted),
    /// Runs the short form of every proof on a Kubernetes of its own, or of one
    E2e {
        /// Which proof
        name: Option<String>,
        /// Keeps the proof's cluster until Enter, also when the proof fails
        #[arg(long)]
        keep: bool,
    },
    /// Runs a program in the network of the cluster that is up, such as `-- kubectl get pods`
    Kube {
        /// The program and its arguments
        #[arg(required = true, last = true)]
        words: Vec<String>,
    },
    /// Makes a cluster with kind, which needs Docker, and installs the chart
    Kind {
        /// Only says the commands
        #[arg(long)]
        dry_run: bool,
    },
    /// Shows that one claim holds; without a name, lists the claims
    Prove {
        /// Which claim
        name: Option<String>,
        /// Runs the form that `cargo xtask test` runs: small, unoptimised, without judging speed
        #[arg(long)]
        short: bool,
    },
}

/// Where tools that are built once may be kept.
#[derive(clap::Args)]
struct Folders {
    #[arg(long, env = "XDG_CACHE_HOME", hide = true, global = true)]
    cache: Option<PathBuf>,
    #[arg(long, env = "HOME", hide = true, global = true)]
    home: Option<PathBuf>,
}

impl Folders {
    /// The folder for tools, outside every clone.
    fn tools(&self) -> Option<PathBuf> {
        let cache = self
            .cache
            .clone()
            .or_else(|| Some(self.home.as_ref()?.join(".cache")))?;
        Some(cache.join("mdfs-ci").join("tools"))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Test { quick } => test::run(quick, &arguments.folders),
        Command::Generate { check } => generate::run(check),
        Command::Image(wanted) => image::run(&wanted),
        Command::E2e { name, keep } => cluster::e2e(name.as_deref(), keep, &arguments.folders),
        Command::Kube { words } => cluster::inside(&words),
        Command::Kind { dry_run } => cluster::kind(dry_run),
        Command::Prove { name: None, .. } => {
            prove::list();
            Ok(true)
        }
        Command::Prove {
            name: Some(name),
            short,
        } => prove::run(&name, short, &arguments.folders),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
