//! What checks need of a cluster, however it was started.

use crate::dev_cluster::DevCluster;
use crate::http::Connection;
use anyhow::Result;

/// A running cluster as its users see it.
pub trait Api {
    /// A connection to a master that answers; requests carry the token that may do everything.
    ///
    /// # Errors
    /// If none listens.
    fn connect(&self) -> Result<Connection>;

    /// The cluster's identity.
    fn cluster_id(&self) -> &str;
}

impl Api for DevCluster {
    fn connect(&self) -> Result<Connection> {
        Self::connect(self)
    }

    fn cluster_id(&self) -> &str {
        &self.state().cluster_id
    }
}
