//! What an operator is told.

use mdfs_service::Limits;
use mdfs_service::settings::{Faults, Setting};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The settings of an operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespaces whose clusters it runs; all if there are none.
    pub namespaces: Vec<String>,
    /// The namespace of its lease; that of its pod if none.
    pub lease_namespace: Option<String>,
    /// The name of its lease.
    pub lease_name: String,
    /// Its own name among operators, such as that of its pod.
    pub identity: String,
    /// How long its lease holds without a word of it.
    pub lease: Duration,
    /// How often the state of each cluster is asked for.
    pub poll: Duration,
    /// Clusters that are looked at at a time.
    pub concurrency: usize,
    /// Where masters answer.
    pub masters: MastersAt,
    /// Limits of its own port.
    pub http: Limits,
}

/// Where the masters of a cluster answer, by its name and namespace.
#[derive(Clone)]
pub struct MastersAt(Arc<UrlOf>);

type UrlOf = dyn Fn(&str, &str) -> String + Send + Sync;

impl MastersAt {
    /// At the Service of the cluster.
    pub fn service() -> Self {
        Self(Arc::new(crate::names::api_url))
    }

    /// Somewhere else: for operators that run outside.
    pub fn new(url: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(url))
    }

    pub(crate) fn url(&self, cluster: &str, namespace: &str) -> String {
        (self.0)(cluster, namespace)
    }
}

impl fmt::Debug for MastersAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MastersAt(..)")
    }
}

impl Config {
    /// The name of its lease unless it is told another.
    pub const LEASE_NAME: &str = "mdfs-operator";
    /// How long its lease holds unless it is told otherwise.
    pub const LEASE: Duration = Duration::from_secs(15);
    /// How often clusters are asked unless it is told otherwise.
    pub const POLL: Duration = Duration::from_secs(10);
    /// Clusters that are looked at at a time unless it is told otherwise.
    pub const CONCURRENCY: usize = 4;

    /// An operator of this name, for all namespaces.
    pub fn new(identity: String) -> Self {
        Self {
            namespaces: Vec::new(),
            lease_namespace: None,
            lease_name: Self::LEASE_NAME.to_owned(),
            identity,
            lease: Self::LEASE,
            poll: Self::POLL,
            concurrency: Self::CONCURRENCY,
            masters: MastersAt::service(),
            http: Limits::default(),
        }
    }

    /// What each setting may be. What is shown must not be older than 45 seconds, so nobody may ask
    /// less often than every ten.
    pub const SETTINGS: &[Setting<Self>] = &[
        Setting::span(
            "election_lease",
            |c| Some(c.lease.into()),
            Duration::from_secs(5),
            Duration::from_secs(300),
        ),
        Setting::span(
            "poll",
            |c| Some(c.poll.into()),
            Duration::from_secs(1),
            Duration::from_secs(10),
        ),
        Setting::count("concurrency", |c| Some(c.concurrency.into()), 1, 64),
    ];

    /// Checks all settings.
    ///
    /// # Errors
    /// Each that cannot work.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Faults::new();
        Setting::check(Self::SETTINGS, self, &mut faults);
        Setting::check(Limits::SETTINGS, &self.http, &mut faults);
        for (setting, value) in [
            ("lease_name", &self.lease_name),
            ("identity", &self.identity),
        ] {
            if value.is_empty() {
                faults.note(setting, "\"\"", "must not be empty");
            }
        }
        faults.none()
    }
}
