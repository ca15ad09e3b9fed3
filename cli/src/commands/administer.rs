//! `mdfs admin`: what is rarely done, and changes much.

use super::Context;
use super::bootstrap::Bootstrap;
use super::recover::Recover;
use super::transfer::{Export, Import};
use super::voters::{ForgetVoter, Voters};
use crate::error::{CliError, Exit};
use clap::{Args, Subcommand};

/// Rare acts: the start, all records out and in, who votes, and recovery
#[derive(Debug, Args)]
pub struct Admin {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Start a cluster, once, on servers that run
    ///
    /// The disks of one worker vote, or of three; all others join as they come. It waits until the servers
    /// answer and the cluster serves, and prints its id. The same again is harmless.
    Bootstrap(Bootstrap),
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
    /// Have so many disks keep the metadata log and vote: 1, 2, 3 or 5
    ///
    /// They come and go one at a time, as far as there are disks for it. Or 2: a pair reads with one of
    /// them lost, and writes with both.
    Voters(Voters),
    /// Give up a lost voter of a pair, so that the other goes on alone
    ///
    /// You vouch that its disk is lost and that no process runs with it any more. It is refused for
    /// ever, should it come back.
    ForgetVoter(ForgetVoter),
    /// Go on without voters that are lost for ever, and bring back what is left of files
    ///
    /// For when so few voters are left that nobody can lead. You vouch that the lost disks are gone and
    /// that no process runs with any of them, now and ever after; they are refused should they come back.
    /// What only they had is gone, also if it was acknowledged.
    ///
    /// Without --yes it says what would be done. With it, the log goes on with the voters that are left,
    /// and all disks are searched: files of which only chunks are left come back below recovered/, and
    /// what is not whole is listed. Until --finish nothing is dropped, so that disks that come back late
    /// can be searched too. Every step can be repeated. Exits with 5 if something is not whole.
    Recover(Recover),
}

impl Admin {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        match self.act {
            Act::Bootstrap(bootstrap) => bootstrap.execute(context).await,
            Act::Export(export) => export.execute(context).await,
            Act::Import(import) => import.execute(context).await,
            Act::Voters(voters) => voters.execute(context).await,
            Act::ForgetVoter(forget) => forget.execute(context).await,
            Act::Recover(recover) => recover.execute(context).await,
        }
    }
}
