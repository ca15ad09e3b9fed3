//! The settings of the server roles, each of them once: flag, environment variable, name in the
//! configuration file, default, unit and what it is. Everything that shows settings reads them here.

mod master;
mod operator;
mod worker;

pub use master::{FailureArgs, GatewayArgs, MasterArgs};
pub use operator::OperatorArgs;
pub use worker::WorkerArgs;

use super::read_secret;
use crate::telemetry::Telemetry;
use anyhow::Result;
use clap::{ArgAction, Args};
use mdfs_protocol::access::ClusterKey;
use mdfs_service::settings::{Size, Span};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const CONFIGURATION: &str = "Configuration";
pub(super) const NETWORK: &str = "Network and identity";
pub(super) const SECRETS: &str = "Secrets, as files";
pub(super) const CLUSTER: &str = "Leases and failures";
pub(super) const FILES: &str = "Files";
pub(super) const DISK: &str = "Disk";
pub(super) const KUBERNETES: &str = "Kubernetes";
pub(super) const CONNECTIONS: &str = "Connections";
pub(super) const TRANSFERS: &str = "Reads and writes";
pub(super) const PROCESS: &str = "Process";

/// How a server logs, to standard error.
#[derive(Args, Clone, Debug)]
pub struct ServerLog {
    /// What to log, such as `info` or `warn,mdfs_master=debug` [default: info, `dev`: warn]
    #[arg(long, help_heading = PROCESS, env = "MDFS_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Log one JSON object a line
    #[arg(
        long,
        help_heading = PROCESS,
        env = "MDFS_LOG_JSON",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub log_json: bool,
}

impl ServerLog {
    /// What is logged when nothing was said: all that a server does.
    pub(crate) const SERVER: &'static str = "info";
    /// For `dev`, whose output people read: what is not as it should be.
    pub(crate) const DEV: &'static str = "warn";

    /// The filter, or `usual` if none was given.
    pub(crate) fn filter(&self, usual: &str, verbose: u8) -> String {
        let usual = if verbose > 0 { "debug" } else { usual };
        self.log.clone().unwrap_or_else(|| usual.to_owned())
    }

    pub(crate) fn telemetry(&self, usual: &str, verbose: u8) -> Telemetry {
        Telemetry {
            filter: self.filter(usual, verbose),
            json: self.log_json,
        }
    }
}

/// Where settings come from. `MDFS_CONFIG` names the file of the commands for people, in which other
/// things stand: so that one environment serves both, a server's file has a variable of its own.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// YAML file with any of the settings below, by the flag's name with `_` for `-`; flags and
    /// environment come first
    #[arg(
        long,
        help_heading = CONFIGURATION,
        env = "MDFS_SERVER_CONFIG",
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// Print all settings as such a file, and where each comes from; start nothing
    #[arg(long, help_heading = CONFIGURATION)]
    pub print_config: bool,
    /// Stop when the process with this id is no longer the parent
    #[arg(long, hide = true, value_name = "PID")]
    pub exit_with_parent: Option<u32>,
}

/// What every server is started with.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Where settings come from
    #[command(flatten)]
    pub file: FileArgs,
    /// URL at which other servers reach this one [default: the listening address]
    #[arg(long, help_heading = NETWORK, env = "MDFS_ADVERTISE_URL", value_name = "URL")]
    pub advertise_url: Option<String>,
    /// File with the key that the servers of the cluster share, at least 32 bytes
    #[arg(long, help_heading = SECRETS, env = "MDFS_CLUSTER_KEY_FILE", value_name = "FILE")]
    pub cluster_key_file: PathBuf,
    /// Lease that voters give a leader; the same for all servers
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_LEASE",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Config::LEASE)
    )]
    pub lease: Span,
    /// How often workers beat; the same for all servers
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_HEARTBEAT",
        value_name = "TIME",
        default_value_t = Span(mdfs_worker::Config::HEARTBEAT)
    )]
    pub heartbeat: Span,
    /// Threads that move bytes between connections; calls to disks have their own [default: one for
    /// each processor that it may use]
    #[arg(long, help_heading = PROCESS, env = "MDFS_THREADS", value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// What the HTTP interface bears
    #[command(flatten)]
    pub http: HttpArgs,
    /// How it logs
    #[command(flatten)]
    pub log: ServerLog,
}

impl ServerArgs {
    pub(in crate::roles) fn cluster_key(&self) -> Result<ClusterKey> {
        Ok(ClusterKey::new(&read_secret(&self.cluster_key_file)?))
    }
}

/// What the HTTP interface of a server bears.
#[derive(Args, Clone, Debug)]
pub struct HttpArgs {
    /// Connections at a time; further ones wait until one ends
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = mdfs_service::Limits::default().max_connections
    )]
    pub max_connections: usize,
    /// From the first byte of a request's head to its last
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_HEADER_TIMEOUT",
        value_name = "TIME",
        default_value_t = Span(mdfs_service::Limits::default().header_timeout)
    )]
    pub header_timeout: Span,
    /// Between two requests on one connection
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_IDLE_TIMEOUT",
        value_name = "TIME",
        default_value_t = Span(mdfs_service::Limits::default().idle_timeout)
    )]
    pub idle_timeout: Span,
    /// Without a byte of a request's body while one is waited for
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_BODY_STALL",
        value_name = "TIME",
        default_value_t = Span(mdfs_service::Limits::default().body_stall)
    )]
    pub body_stall: Span,
    /// What a request's body must bring, in bytes a second, over each 30 s in which it is waited for
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_BODY_RATE",
        value_name = "SIZE/s",
        default_value_t = Size(mdfs_service::Limits::default().body_rate)
    )]
    pub body_rate: Size,
    /// Without the client taking a byte of an answer
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_WRITE_STALL",
        value_name = "TIME",
        default_value_t = Span(mdfs_service::Limits::default().write_stall)
    )]
    pub write_stall: Span,
}

impl HttpArgs {
    pub(in crate::roles) fn limits(
        &self,
        grace: Duration,
        usual: &mdfs_service::Limits,
    ) -> mdfs_service::Limits {
        mdfs_service::Limits {
            max_connections: self.max_connections,
            header_timeout: self.header_timeout.0,
            idle_timeout: self.idle_timeout.0,
            body_stall: self.body_stall.0,
            body_rate: self.body_rate.0,
            write_stall: self.write_stall.0,
            grace,
            ..usual.clone()
        }
    }
}
