//! The settings of a master.

use super::{CLUSTER, CONNECTIONS, FILES, NETWORK, SECRETS, ServerArgs, TRANSFERS};
use clap::Args;
use mdfs_core::id::ClusterId;
use mdfs_service::settings::Span;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a master is started with.
#[derive(Args, Clone, Debug)]
pub struct MasterArgs {
    /// Address to listen on
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,
    /// Where to look for workers, so that they beat here: URL of one, or with a name that stands for all,
    /// such as a headless Service; may be given more than once [default: none, they know their masters]
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_SEEDS",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub seed: Vec<String>,
    /// Cluster to serve; without it, disks of two clusters that beat here keep it from leading either
    /// [default: the one that all disks that beat here agree on]
    #[arg(long, help_heading = NETWORK, env = "MDFS_CLUSTER_ID", value_name = "ID")]
    pub cluster_id: Option<ClusterId>,
    /// Address or network of a proxy whose `X-Forwarded-For` is believed, such as 10.0.0.0/8; may be
    /// given more than once [default: none]
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_TRUSTED_PROXIES",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub trusted_proxy: Vec<mdfs_service::Network>,
    /// Whether browsers find the console here: its pages, and logging in to them
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_CONSOLE",
        value_name = "BOOL",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = mdfs_master::config::Console::default().enabled,
        default_missing_value = "true"
    )]
    pub console: bool,
    /// What people call the cluster, as the console shows it [default: none]
    #[arg(long, help_heading = NETWORK, env = "MDFS_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// Dashboards of this cluster, which the console links to [default: none]
    #[arg(long, help_heading = NETWORK, env = "MDFS_GRAFANA_URL", value_name = "URL")]
    pub grafana_url: Option<String>,
    /// File with the token that may do everything, at least 32 bytes; twice while it is rotated
    #[arg(
        long,
        help_heading = SECRETS,
        env = "MDFS_ROOT_TOKEN_FILE",
        value_name = "FILE",
        required = true,
        value_delimiter = ','
    )]
    pub root_token_file: Vec<PathBuf>,
    /// File with the key that links are signed with, at least 32 bytes; twice while it is rotated
    #[arg(
        long,
        help_heading = SECRETS,
        env = "MDFS_LINK_KEY_FILE",
        value_name = "FILE",
        required = true,
        value_delimiter = ','
    )]
    pub link_key_file: Vec<PathBuf>,
    /// What all servers have in common
    #[command(flatten)]
    pub server: ServerArgs,
    /// Silence after which a worker is dead
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_DEAD_AFTER",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().dead_after)
    )]
    pub dead_after: Span,
    /// How long a dead worker is waited for before its chunks are copied elsewhere, when the cluster
    /// is started; `mdfs policy` changes it
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_REPAIR_DELAY",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().repair_delay)
    )]
    pub repair_delay: Span,
    /// How long a voter may be away before another worker votes in its place
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_VOTER_PATIENCE",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().voter_patience)
    )]
    pub voter_patience: Span,
    /// How long a few workers must have been silent before anything is dropped without their word
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_DROP_AFTER",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().drop_after)
    )]
    pub drop_after: Span,
    /// How long a request is held while nobody leads
    #[arg(
        long,
        help_heading = CLUSTER,
        env = "MDFS_LEADER_WAIT",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().leader_wait)
    )]
    pub leader_wait: Span,
    /// How long deleted and replaced files stay in the trash; a full disk ends the oldest earlier. When
    /// the cluster is started; `mdfs policy` changes it
    #[arg(
        long,
        help_heading = FILES,
        env = "MDFS_TRASH_KEEP",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().trash_keep)
    )]
    pub trash_keep: Span,
    /// Uploads that clients may come back to, open at a time
    #[arg(
        long,
        help_heading = FILES,
        env = "MDFS_MAX_UPLOADS",
        value_name = "N",
        default_value_t = mdfs_master::Limits::default().most_sessions
    )]
    pub max_uploads: usize,
    /// How long an upload in one request may bring nothing before it is ended
    #[arg(
        long,
        help_heading = FILES,
        env = "MDFS_UPLOAD_IDLE",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().upload_idle)
    )]
    pub upload_idle: Span,
    /// Connections at a time of one address that is no trusted proxy
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_MAX_CONNECTIONS_OF_ONE",
        value_name = "N",
        default_value_t = mdfs_master::Config::MAX_CONNECTIONS_OF_ONE
    )]
    pub max_connections_of_one: usize,
    /// From SIGTERM to the stop: whoever is still sent here is served, and told to go elsewhere
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_SHUTDOWN_DELAY",
        value_name = "TIME",
        default_value_t = Span(mdfs_service::Limits::default().shutdown_delay)
    )]
    pub shutdown_delay: Span,
    /// For requests under way when the server stops
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_GRACE",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Config::GRACE)
    )]
    pub grace: Span,
    /// What wrong credentials cost
    #[command(flatten)]
    pub failures: FailureArgs,
    /// What the gateway bears
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// How many wrong tokens and links are looked at.
#[derive(Args, Clone, Debug)]
pub struct FailureArgs {
    /// Wrong tokens and links of one address that are looked at at once
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_FAILURES_OF_ONE",
        value_name = "N",
        default_value_t = mdfs_master::Limits::default().failures.of_one
    )]
    pub failures_of_one: usize,
    /// After which one more of one address is looked at
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_FAILURES_OF_ONE_EVERY",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().failures.of_one_every)
    )]
    pub failures_of_one_every: Span,
    /// Wrong tokens and links of all addresses that are looked at at once
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_FAILURES_OF_ALL",
        value_name = "N",
        default_value_t = mdfs_master::Limits::default().failures.of_all
    )]
    pub failures_of_all: usize,
    /// After which one more of all addresses is looked at
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_FAILURES_OF_ALL_EVERY",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::Limits::default().failures.of_all_every)
    )]
    pub failures_of_all_every: Span,
}

/// What the gateway bears, and how long it waits for workers.
#[derive(Args, Clone, Debug)]
pub struct GatewayArgs {
    /// Reads at a time, half of them by one user; each keeps about 1 MiB in memory
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_MAX_READS",
        value_name = "N",
        default_value_t = mdfs_master::gateway::Limits::default().reads
    )]
    pub max_reads: usize,
    /// Writes at a time, half of them by one user; each keeps about 3 MiB in memory
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_MAX_WRITES",
        value_name = "N",
        default_value_t = mdfs_master::gateway::Limits::default().uploads
    )]
    pub max_writes: usize,
    /// Writes that may keep 2 MiB more, to be faster
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_FAST_WRITES",
        value_name = "N",
        default_value_t = mdfs_master::gateway::Limits::default().fast_uploads
    )]
    pub fast_writes: usize,
    /// How long a request waits for its turn before it is told that the server is busy
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_QUEUE_WAIT",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().turn)
    )]
    pub queue_wait: Span,
    /// Without the first byte of a chunk from a worker, before another copy is asked as well
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_READ_FIRST_BYTE",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().first_byte)
    )]
    pub read_first_byte: Span,
    /// Without a byte in the middle of a chunk, before another copy is asked as well
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_READ_STALL",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().stall)
    )]
    pub read_stall: Span,
    /// In which some copy must give a byte before a read fails
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_READ_PATIENCE",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().patience)
    )]
    pub read_patience: Span,
    /// For how long a worker that failed or was slow is asked after all others
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_WORKER_AVOID",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().grudge)
    )]
    pub worker_avoid: Span,
    /// In which a worker must have taken a segment of 1 MiB and passed it on
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_SEGMENT_WITHIN",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().segment)
    )]
    pub segment_within: Span,
    /// In which a worker must have made a chunk of 64 MiB durable, or copied it; larger ones get more,
    /// in proportion
    #[arg(
        long,
        help_heading = TRANSFERS,
        env = "MDFS_SEAL_WITHIN",
        value_name = "TIME",
        default_value_t = Span(mdfs_master::gateway::Limits::default().seal)
    )]
    pub seal_within: Span,
}

impl MasterArgs {
    pub(in crate::roles) fn limits(&self) -> mdfs_master::Limits {
        mdfs_master::Limits {
            lease: self.server.lease.0,
            heartbeat: self.server.heartbeat.0,
            dead_after: self.dead_after.0,
            repair_delay: self.repair_delay.0,
            trash_keep: self.trash_keep.0,
            voter_patience: self.voter_patience.0,
            drop_after: self.drop_after.0,
            leader_wait: self.leader_wait.0,
            upload_idle: self.upload_idle.0,
            most_sessions: self.max_uploads,
            failures: mdfs_master::Failures {
                of_one: self.failures.failures_of_one,
                of_one_every: self.failures.failures_of_one_every.0,
                of_all: self.failures.failures_of_all,
                of_all_every: self.failures.failures_of_all_every.0,
            },
        }
    }
}

impl GatewayArgs {
    pub(in crate::roles) fn limits(&self) -> mdfs_master::gateway::Limits {
        mdfs_master::gateway::Limits {
            reads: self.max_reads,
            uploads: self.max_writes,
            fast_uploads: self.fast_writes,
            turn: self.queue_wait.0,
            first_byte: self.read_first_byte.0,
            stall: self.read_stall.0,
            patience: self.read_patience.0,
            grudge: self.worker_avoid.0,
            segment: self.segment_within.0,
            seal: self.seal_within.0,
        }
    }
}
