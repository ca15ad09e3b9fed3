//! `mdfs admin`: what is rarely done, and changes much.

use super::Context;
use super::transfer::{Export, Import};
use crate::error::{CliError, Exit};
use clap::{Args, Subcommand};

/// Rare acts: all records out and in
#[derive(Debug, Args)]
pub struct Admin {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Write all records of the cluster to a file
    ///
    /// Files, trash, policy, and access tokens if asked for, as they are at one point: one JSON object a
    /// line. Open uploads are left out, and no byte of any file is in it.
    Export(Export),
    /// Take in what is missing of an export
    ///
    /// What is there already is left as it is, so the same import again takes in the rest. Exits with 1
    /// if files were left out because other files have their names.
    Import(Import),
}

impl Admin {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        match self.act {
            Act::Export(export) => export.execute(context).await,
            Act::Import(import) => import.execute(context).await,
        }
    }
}
