//! Files of the repository that are made from this program, so that they say what it does.

use crate::config::{Role, page, sample};
use crate::error::{CliError, Exit};
use crate::metrics;
use crate::output;
use clap::Args;

/// Lists the files that are made from this program, or prints one.
#[derive(Args, Debug)]
pub struct Generated {
    /// The file to print, by its path in the repository
    #[arg(value_name = "PATH")]
    path: Option<String>,
}

/// A file, and what makes it.
struct File {
    path: &'static str,
    make: fn() -> String,
}

const FILES: &[File] = &[
    File {
        path: "docs/configuration.md",
        make: page,
    },
    File {
        path: "docs/metrics.md",
        make: metrics::page,
    },
    File {
        path: "docs/samples/master.yaml",
        make: || sample(Role::Master),
    },
    File {
        path: "docs/samples/worker.yaml",
        make: || sample(Role::Worker),
    },
    File {
        path: "docs/samples/operator.yaml",
        make: || sample(Role::Operator),
    },
    File {
        path: mdfs_operator::crd::CRD_PATH,
        make: mdfs_operator::crd::definition,
    },
    File {
        path: mdfs_operator::crd::CHART_PATH,
        make: mdfs_operator::crd::chart_template,
    },
];

impl Generated {
    pub(crate) fn execute(self) -> Result<Exit, CliError> {
        let Some(path) = self.path else {
            let paths = FILES.iter().map(|file| format!("{}\n", file.path));
            output::print_text(&paths.collect::<String>())?;
            return Ok(Exit::Ok);
        };
        let file = FILES.iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| CliError::Usage(format!("{path} is not made from here")))?;
        output::print_text(&(file.make)())?;
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_the_repository_say_what_the_program_does() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let is_stale = |file: &&File| {
            let there = std::fs::read_to_string(root.join(file.path));
            there.ok() != Some((file.make)())
        };
        let stale: Vec<_> = FILES
            .iter()
            .filter(is_stale)
            .map(|file| file.path)
            .collect();
        assert!(
            stale.is_empty(),
            "{stale:?} are out of date: `cargo xtask generate` makes them anew"
        );
    }
}
