//! What can be typed.

use crate::commands::{
    admin, administer, cat, completions, generated, get, ls, mv, policy, put, rm, scrub, sign,
    stat, token, undelete, uploads, verify,
};
use crate::dev::DevArgs;
use crate::examples;
use crate::output::Format;
use crate::roles::{MasterArgs, OperatorArgs, ServerLog, WorkerArgs};
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
    #[command(after_help = examples::DEV)]
    Dev(DevArgs),
    /// Store a file or a folder; goes on where an earlier try broke off
    ///
    /// A file of more than one chunk is sent chunk by chunk. What is durable stays so if this is
    /// interrupted: the same command again sends the rest, if the file has not changed.
    ///
    /// With --recursive, all files of a folder go under NAME/, with their times of change. What is there
    /// already, by size and time, is skipped, so the same command again sends the rest and what changed.
    /// Nothing is deleted. A file that cannot go is told of and the rest goes on; then the exit code is 1.
    /// Links and what is no regular file are left out; empty folders are not kept.
    #[command(after_help = examples::PUT)]
    Put(put::Put),
    /// Fetch a file or a folder; goes on where an earlier try broke off
    ///
    /// Bytes are gathered in a hidden file beside FILE, which becomes FILE when all have come and the
    /// checksum matches.
    ///
    /// With --recursive, all files under NAME/ go into the folder FILE, with their times of change. What is
    /// there already, by size and time, is skipped, so the same command again fetches the rest and what
    /// changed. A name that cannot be a file there is told of and the rest goes on; then the exit code is 1.
    /// No link in the folder is followed.
    #[command(after_help = examples::GET)]
    Get(get::Get),
    /// Write a file to standard output
    #[command(after_help = examples::CAT)]
    Cat(cat::Cat),
    /// List files
    #[command(after_help = examples::LS)]
    Ls(ls::Ls),
    /// Show what is known of a file
    #[command(after_help = examples::STAT)]
    Stat(stat::Stat),
    /// Give a file another name
    #[command(after_help = examples::MV)]
    Mv(mv::Mv),
    /// Delete files: they go to the trash
    #[command(after_help = examples::RM)]
    Rm(rm::Rm),
    /// Bring deleted files back from the trash
    ///
    /// Of files that had the same name, the one that was deleted last comes back.
    #[command(after_help = examples::UNDELETE)]
    Undelete(undelete::Undelete),
    /// Have all copies of files read and compared
    ///
    /// Copies that are found damaged are mended by and by. Exits with 6 if a copy is damaged, with 5 if
    /// one is missing or its worker does not answer.
    #[command(after_help = examples::VERIFY)]
    Verify(verify::Verify),
    /// List the uploads that are open, or end one
    #[command(after_help = examples::UPLOADS)]
    Uploads(uploads::Uploads),
    /// Make a link that plays a file without a token, or stores one
    ///
    /// The link ends when the token does that it is made with.
    #[command(after_help = examples::SIGN)]
    Sign(sign::Sign),
    /// Make, list and revoke access tokens
    #[command(after_help = examples::TOKEN)]
    Token(token::Token),
    /// Show the state of the cluster
    #[command(after_help = examples::STATUS)]
    Status,
    /// Show the workers
    #[command(after_help = examples::WORKERS)]
    Workers,
    /// Show what goes on in the background, how far it is and how fast
    #[command(after_help = examples::TASKS)]
    Tasks,
    /// Move everything off a worker, such as before it is taken away
    #[command(after_help = examples::DRAIN)]
    Drain(admin::Worker),
    /// Let a drained worker take part again
    #[command(after_help = examples::UNDRAIN)]
    Undrain(admin::Worker),
    /// Move everything off a worker, then retire its disk
    #[command(after_help = examples::DECOMMISSION)]
    Decommission(admin::Worker),
    /// Refuse a disk for ever, such as one that is lost
    #[command(after_help = examples::RETIRE)]
    Retire(admin::Retire),
    /// Announce that a worker is going to be silent, such as before a restart
    #[command(after_help = examples::ANNOUNCE)]
    Announce(admin::Announce),
    /// Show the policy of the cluster, or change it
    ///
    /// More copies are made from the moment they are asked for. Fewer hold after a while; until then it
    /// can be taken back at no cost.
    #[command(after_help = examples::POLICY)]
    Policy(policy::Policy),
    /// Have every worker read all it holds now
    ///
    /// Workers do so by themselves once a week, slowly. What is found damaged is mended by and by.
    #[command(after_help = examples::SCRUB)]
    Scrub(scrub::Scrub),
    /// Even out the bytes on the workers
    #[command(after_help = examples::REBALANCE)]
    Rebalance,
    /// Make missing copies now, also those of lost workers that are still waited for
    #[command(after_help = examples::REPAIR)]
    Repair,
    /// Rare acts: the start of a cluster, all records out and in, who votes, and recovery
    #[command(after_help = examples::ADMIN)]
    Admin(administer::Admin),
    /// Check this machine, the way to the cluster, and the cluster; say what to do
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// Ask a server whether it takes requests, such as for a container's health check
    ///
    /// No token is needed; --url names a master or a worker. Exits with 1 if it does not.
    #[command(after_help = examples::HEALTH)]
    Health,
    /// Print what a shell needs to complete commands and options
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Completions),
    /// Write manual pages, one for each command
    #[command(after_help = examples::MAN)]
    Man(completions::Man),
    /// Run a master: leads the cluster, and is its HTTP interface
    #[command(after_help = examples::MASTER)]
    Master(Box<MasterArgs>),
    /// Run a worker: keeps chunks on a disk
    #[command(after_help = examples::WORKER)]
    Worker(WorkerArgs),
    /// Run the Kubernetes operator: makes clusters of MdfsCluster resources and runs them
    #[command(after_help = examples::OPERATOR)]
    Operator(OperatorArgs),
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
            Command::Operator(args) => Some((&args.log, ServerLog::SERVER)),
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
            | Command::Admin(_)
            | Command::Doctor
            | Command::Health
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Generated(_) => None,
        }
    }

    /// Threads that move bytes; none for as many as there are processors.
    pub(crate) fn threads(&self) -> Option<NonZeroUsize> {
        match self {
            Command::Dev(_) => None,
            Command::Master(args) => args.server.threads,
            Command::Worker(args) => args.server.threads,
            Command::Operator(args) => args.threads,
            // A command waits more than it works.
            _ => NonZeroUsize::new(2),
        }
    }
}
