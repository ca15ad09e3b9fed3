//! The settings of an operator.

use super::{CONNECTIONS, FileArgs, HttpArgs, KUBERNETES, NETWORK, PROCESS, ServerLog};
use clap::Args;
use mdfs_service::settings::Span;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// What an operator is started with.
#[derive(Args, Clone, Debug)]
pub struct OperatorArgs {
    /// Address to listen on, for probes and metrics
    #[arg(
        long,
        help_heading = NETWORK,
        env = "MDFS_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8082"
    )]
    pub listen: SocketAddr,
    /// Namespace whose clusters it runs; may be given more than once [default: all]
    #[arg(
        long,
        help_heading = KUBERNETES,
        env = "MDFS_NAMESPACES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub namespace: Vec<String>,
    /// Namespace of its lease [default: that of its pod]
    #[arg(long, help_heading = KUBERNETES, env = "MDFS_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Name of its lease: of operators with the same lease, one works
    #[arg(
        long,
        help_heading = KUBERNETES,
        env = "MDFS_LEASE_NAME",
        value_name = "NAME",
        default_value = mdfs_operator::Config::LEASE_NAME
    )]
    pub lease_name: String,
    /// Its name among operators, such as that of its pod [default: drawn at random]
    #[arg(long, help_heading = KUBERNETES, env = "MDFS_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// How long its lease holds without a word of it
    #[arg(
        long,
        help_heading = KUBERNETES,
        env = "MDFS_ELECTION_LEASE",
        value_name = "TIME",
        default_value_t = Span(mdfs_operator::Config::LEASE)
    )]
    pub election_lease: Span,
    /// How often the state of each cluster is asked for
    #[arg(
        long,
        help_heading = KUBERNETES,
        env = "MDFS_POLL",
        value_name = "TIME",
        default_value_t = Span(mdfs_operator::Config::POLL)
    )]
    pub poll: Span,
    /// Where masters answer, with `{name}` and `{namespace}` for those of the cluster, if that is not
    /// its Service
    #[arg(long, hide = true, value_name = "URL")]
    pub masters_url: Option<String>,
    /// Clusters that are looked at at a time
    #[arg(
        long,
        help_heading = KUBERNETES,
        env = "MDFS_CONCURRENCY",
        value_name = "N",
        default_value_t = mdfs_operator::Config::CONCURRENCY
    )]
    pub concurrency: usize,
    /// Only ask the operator at this URL whether it is ready
    #[arg(long, hide = true, value_name = "URL")]
    pub probe: Option<String>,
    /// Where settings come from
    #[command(flatten)]
    pub file: FileArgs,
    /// Threads [default: one for each processor that it may use]
    #[arg(long, help_heading = PROCESS, env = "MDFS_THREADS", value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// What the HTTP interface bears
    #[command(flatten)]
    pub http: HttpArgs,
    /// For requests under way when the server stops
    #[arg(
        long,
        help_heading = CONNECTIONS,
        env = "MDFS_GRACE",
        value_name = "TIME",
        default_value_t = Span(Duration::from_secs(2))
    )]
    pub grace: Span,
    /// How it logs
    #[command(flatten)]
    pub log: ServerLog,
}
