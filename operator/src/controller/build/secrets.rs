//! Secrets: made once, never overwritten, and left when the resource goes, so that its volumes are
//! still the disks of a cluster.

use crate::names::{self, Component};
use serde_json::{Value, json};
use std::fmt::Write;

/// The key of the token in the Secret for whoever reads metrics.
pub(super) const METRICS_TOKEN: &str = "token";

/// What makes the servers a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The identity of the cluster.
    pub cluster_id: String,
    /// The key that its servers share.
    pub cluster_key: String,
}

impl Identity {
    /// The key of the identity in the Secret.
    pub const CLUSTER_ID: &str = "cluster-id";
    /// The key of the shared key in the Secret.
    pub const CLUSTER_KEY: &str = "cluster-key";

    /// A new one, from 48 random bytes.
    pub fn new(random: &[u8; 48]) -> Self {
        let (id, key) = random.split_at(16);
        Self {
            cluster_id: hex(id),
            cluster_key: hex(key),
        }
    }

    /// The Secret that holds it.
    pub fn secret(&self, cluster: &str, namespace: &str) -> Value {
        let data =
            json!({ (Self::CLUSTER_ID): self.cluster_id, (Self::CLUSTER_KEY): self.cluster_key });
        secret(cluster, namespace, names::identity_secret(cluster), &data)
    }
}

/// What lets people in.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The token that may do everything.
    pub root_token: String,
    /// The key that links are signed with.
    pub link_key: String,
}

impl Access {
    /// The key of the token in the Secret.
    pub const ROOT_TOKEN: &str = "root-token";
    /// The key of the key of links in the Secret.
    pub const LINK_KEY: &str = "link-key";

    /// A new one, from 64 random bytes.
    pub fn new(random: &[u8; 64]) -> Self {
        let (token, key) = random.split_at(32);
        Self {
            root_token: hex(token),
            link_key: hex(key),
        }
    }

    /// The Secret that holds it.
    pub fn secret(&self, cluster: &str, namespace: &str) -> Value {
        let data = json!({ (Self::ROOT_TOKEN): self.root_token, (Self::LINK_KEY): self.link_key });
        secret(cluster, namespace, names::access_secret(cluster), &data)
    }
}

/// The Secret with a token that may read metrics and nothing else.
pub(crate) fn metrics_secret(cluster: &str, namespace: &str, token: &str) -> Value {
    let data = json!({ (METRICS_TOKEN): token });
    secret(cluster, namespace, names::metrics_secret(cluster), &data)
}

fn secret(cluster: &str, namespace: &str, name: String, data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": names::labels_of(cluster, Some(Component::Master)),
        },
        "type": "Opaque",
        "stringData": data,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
