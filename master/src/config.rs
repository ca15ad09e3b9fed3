//! What a master is told at its start, checked.

use crate::error::Error;
use crate::gateway;
use mdfs_core::detect::DetectSettings;
use mdfs_core::id::ClusterId;
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use mdfs_service::Network;
use std::time::Duration;

/// Everything a master is told. It keeps nothing on disk, so this and the voters are all it has.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where workers and other masters reach this one; the address it listens on if none.
    pub url: Option<String>,
    /// The cluster it serves. Without it, a master serves the cluster that all disks agree on that
    /// beat at it.
    pub cluster: Option<ClusterId>,
    /// The key that the servers of the cluster share.
    pub cluster_key: ClusterKey,
    /// The token that may do everything; a second one while it is rotated.
    pub root_tokens: Vec<Secret>,
    /// The key that links are signed with; a second one while it is rotated.
    pub link_keys: Vec<LinkKey>,
    /// Proxies that say for whom they ask, and are believed.
    pub trusted_proxies: Vec<Network>,
    /// The lease that voters give: the same as the workers are told.
    pub lease: Duration,
    /// When the silence of a worker means something.
    pub detect: DetectSettings,
    /// How long a request is held while nobody leads.
    pub hold: Duration,
    /// How long an upload may be idle before it is ended.
    pub upload_idle: Duration,
    /// Uploads that clients may come back to, open at a time.
    pub most_sessions: usize,
    /// How long a dead worker is waited for before its chunks are copied elsewhere: what the policy of
    /// a cluster says that this master starts, in whole seconds.
    pub repair_delay: Duration,
    /// How long a deleted or replaced file stays in the trash, in log time; likewise.
    pub trash_keep: Duration,
    /// How long requests under way may take when the process stops.
    pub grace: Duration,
    /// Connections at a time.
    pub max_connections: usize,
    /// Connections at a time of one address that is no trusted proxy.
    pub max_connections_of_one: usize,
    /// What the gateway bears.
    pub gateway: gateway::Limits,
}

impl Config {
    /// How long a deleted or replaced file usually stays in the trash: 30 days.
    pub const TRASH_KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

    /// Uploads that clients may come back to, usually open at a time at most.
    pub const MOST_SESSIONS: usize = 1024;

    /// How long it is remembered how such an upload ended: a day of log time.
    pub const KEEP_ENDED: Duration = Duration::from_secs(24 * 3600);

    /// Chunks recorded of them all together at most: an entry of the log, and about 150 bytes of the
    /// leader's memory, for each.
    pub const MOST_RECORDED: u64 = 1_000_000;

    /// The usual spans and bounds.
    pub fn new(cluster_key: ClusterKey, root_token: Secret, link_key: LinkKey) -> Self {
        Self {
            url: None,
            cluster: None,
            cluster_key,
            root_tokens: vec![root_token],
            link_keys: vec![link_key],
            trusted_proxies: Vec::new(),
            lease: Duration::from_secs(3),
            detect: DetectSettings::default(),
            hold: Duration::from_secs(10),
            upload_idle: Duration::from_secs(24 * 3600),
            most_sessions: Self::MOST_SESSIONS,
            repair_delay: Duration::from_secs(300),
            trash_keep: Self::TRASH_KEEP,
            grace: Duration::from_secs(8),
            max_connections: 4096,
            max_connections_of_one: 1024,
            gateway: gateway::Limits::default(),
        }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// Names the setting and what it must be.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::Config(why.to_owned()));
        if self.root_tokens.is_empty() || self.root_tokens.len() > 2 {
            return refuse("one root token is needed, or two while it is rotated");
        }
        if self.link_keys.is_empty() || self.link_keys.len() > 2 {
            return refuse("one link key is needed, or two while it is rotated");
        }
        if self.lease < Duration::from_millis(100) {
            return refuse("the lease must be at least 100 ms");
        }
        if self.max_connections == 0 || self.max_connections_of_one == 0 {
            return refuse("the number of connections must not be zero");
        }
        if let Some(url) = &self.url
            && !url.starts_with("http://")
        {
            return refuse("the URL must start with http://");
        }
        Ok(())
    }
}
