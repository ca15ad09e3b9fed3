//! How servers of one cluster know each other.
//!
//! The cluster key is used here and nowhere else: a request between servers carries a credential
//! derived from it. Rotation accepts two keys at a time.

use std::fmt;
use subtle::ConstantTimeEq;

/// The header in which a request between servers names the disk it is meant for.
pub const DISK_HEADER: &str = "x-mdfs-disk";
/// The header in which a request between servers names its cluster.
pub const CLUSTER_HEADER: &str = "x-mdfs-cluster";

/// The least number of bytes of a secret.
pub const SECRET_MIN_BYTES: usize = 32;

/// A secret read from a file. Never shown.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// A secret that is too short to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret needs at least {SECRET_MIN_BYTES} bytes")]
pub struct SecretTooShort;

impl Secret {
    /// The secret with these bytes, white space at the ends left out.
    ///
    /// # Errors
    /// If fewer than 32 bytes are left.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretTooShort> {
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < SECRET_MIN_BYTES {
            return Err(SecretTooShort);
        }
        Ok(Self(trimmed.to_vec()))
    }

    /// Whether `presented` is this secret; takes the same time wherever they differ.
    pub fn matches(&self, presented: &[u8]) -> bool {
        let digest = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
        digest(&self.0).ct_eq(&digest(presented)).into()
    }

    /// The bytes, for the one place that must send them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The key that the servers of a cluster share.
#[derive(Clone, Debug)]
pub struct ClusterKey {
    credential: Secret,
}

impl ClusterKey {
    /// The key made from the secret in the cluster key file.
    pub fn new(secret: &Secret) -> Self {
        let derived = blake3::derive_key("mdfs 2026 server credential v1", &secret.0);
        Self {
            credential: Secret(blake3::Hash::from(derived).to_hex().as_bytes().to_vec()),
        }
    }

    /// The value of the `authorization` header of a request to another server.
    pub fn authorization(&self) -> String {
        format!(
            "MDFS-Cluster {}",
            String::from_utf8_lossy(self.credential.expose())
        )
    }

    /// Whether the value of an `authorization` header was made with this key.
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        authorization
            .and_then(|value| value.strip_prefix("MDFS-Cluster "))
            .is_some_and(|presented| self.credential.matches(presented.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Secret {
        Secret::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert_eq!(Secret::new(b"  short  ").unwrap_err(), SecretTooShort);
        assert_eq!(format!("{:?}", key(b'k')), "Secret(..)");
    }

    #[test]
    fn only_the_same_cluster_key_is_admitted() {
        let ours = ClusterKey::new(&key(1));
        assert!(ours.admits(Some(&ours.authorization())));
        for other in [None, Some(""), Some("MDFS-Cluster "), Some("Bearer x")] {
            assert!(!ours.admits(other), "{other:?}");
        }
        assert!(!ours.admits(Some(&ClusterKey::new(&key(2)).authorization())));
    }
}
