//! What can be typed.

use crate::commands::{
    admin, cat, generated, get, ls, mv, policy, put, rm, scrub, sign, stat, token, undelete,
    uploads, verify,
};
use crate::dev::DevArgs;
use crate::output::Format;
use crate::roles::{MasterArgs, ServerLog, WorkerArgs};
use clap::{Args, Parser, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A replicated store for large media files
#[derive(Debug, Parser)]
#[command(
    name = "mdfs",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 cluster \
                        degraded, 6 checksum mismatch."
)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of all commands for people")]
pub struct Global {
    /// Address of a master, such as http://127.0.0.1:8080; several separated by commas
    #[arg(
        long,
        global = true,
        env = "MDFS_URL",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub url: Vec<String>,
    /// File with the access token
    #[arg(long, global = true, env = "MDFS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File with `url` and `token_file` [default: ~/.config/mdfs/config.yaml]
    #[arg(long, global = true, env = "MDFS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to print results
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Show no progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more about what happens; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster on this machine
    Dev(DevArgs),
    /// Store a file; goes on where an earlier try broke off
    Put(put::Put),
    /// Fetch a file; goes on where an earlier try broke off
    Get(get::Get),
    /// Write a file to standard output
    Cat(cat::Cat),
    /// List files
    Ls(ls::Ls),
    /// Show what is known of a file
    Stat(stat::Stat),
    /// Give a file another name
    Mv(mv::Mv),
    /// Delete files: they go to the trash
    Rm(rm::Rm),
    /// Bring deleted files back from the trash
    Undelete(undelete::Undelete),
    /// Have all copies of files read and compared
    Verify(verify::Verify),
    /// List the uploads that are open, or end one
    Uploads(uploads::Uploads),
    /// Make a link that plays a file without a token, or stores one
    Sign(sign::Sign),
    /// Make, list and revoke access tokens
    Token(token::Token),
    /// Show the state of the cluster
    Status,
    /// Show the workers
    Workers,
    /// Show what goes on in the background, how far it is and how fast
    Tasks,
    /// Move everything off a worker, such as before it is taken away
    Drain(admin::Worker),
    /// Let a drained worker take part again
    Undrain(admin::Worker),
    /// Move everything off a worker, then retire its disk
    Decommission(admin::Worker),
    /// Refuse a disk for ever, such as one that is lost
    Retire(admin::Retire),
    /// Announce that a worker is going to be silent, such as before a restart
    Announce(admin::Announce),
    /// Show the policy of the cluster, or change it
    Policy(policy::Policy),
    /// Have every worker read all it holds now
    Scrub(scrub::Scrub),
    /// Even out the bytes on the workers
    Rebalance,
    /// Make missing copies now, also those of lost workers that are still waited for
    Repair,
    /// Run a master: leads the cluster, and is its HTTP interface
    Master(MasterArgs),
    /// Run a worker: keeps chunks on a disk
    Worker(WorkerArgs),
    /// List the files of the repository that are made from this program, or print one
    #[command(hide = true)]
    Generated(generated::Generated),
}

impl Command {
    /// How a server logs, and what it logs when nothing was said; none for the commands for people.
    pub(crate) fn server_log(&self) -> Option<(&ServerLog, &'static str)> {
        match self {
            Command::Dev(args) => Some((&args.log, ServerLog::DEV)),
            Command::Master(args) => Some((&args.server.log, ServerLog::SERVER)),
            Command::Worker(args) => Some((&args.server.log, ServerLog::SERVER)),
            Command::Put(_)
            | Command::Get(_)
            | Command::Cat(_)
            | Command::Ls(_)
            | Command::Stat(_)
            | Command::Mv(_)
            | Command::Rm(_)
            | Command::Undelete(_)
            | Command::Verify(_)
            | Command::Uploads(_)
            | Command::Sign(_)
            | Command::Token(_)
            | Command::Status
            | Command::Workers
            | Command::Tasks
            | Command::Scrub(_)
            | Command::Drain(_)
            | Command::Undrain(_)
            | Command::Decommission(_)
            | Command::Policy(_)
            | Command::Retire(_)
            | Command::Announce(_)
            | Command::Rebalance
            | Command::Repair
            | Command::Generated(_) => None,
        }
    }

    /// Threads that move bytes; none for as many as there are processors.
    pub(crate) fn threads(&self) -> Option<NonZeroUsize> {
        match self {
            Command::Dev(_) => None,
            Command::Master(args) => args.server.threads,
            Command::Worker(args) => args.server.threads,
            // A command waits more than it works.
            _ => NonZeroUsize::new(2),
        }
    }
}
