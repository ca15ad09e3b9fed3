//! How servers of one cluster know each other, and how links are signed.
//!
//! The cluster key is used here and nowhere else: a request between servers carries a credential
//! derived from it. Rotation accepts two keys at a time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
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

/// Signs links, so that players that cannot send tokens can read one file for a while.
#[derive(Clone, Debug)]
pub struct LinkKey(Secret);

/// Why a signed link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// The link's time is over.
    #[error("the link has expired")]
    Expired,
    /// Method, path, query or signature were altered, or the key is another.
    #[error("the link's signature does not match")]
    Altered,
    /// It claims to live longer than allowed.
    #[error("the link lives longer than 7 days")]
    TooLong,
}

/// How long a signed link may live at most, in seconds.
pub const LINK_MAX_SECONDS: u64 = 7 * 24 * 3600;
/// The query parameter with the Unix time, in seconds, at which a link ends.
pub const LINK_EXPIRES: &str = "expires";
/// The query parameter with the signature; always the last one.
pub const LINK_SIGNATURE: &str = "signature";

impl LinkKey {
    /// The key made from the secret in the link key file.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Signs `raw_path` with `query` (as they will stand in the URL, without `?`; may be empty) for
    /// requests with `GET` or `HEAD` until `expires` (Unix seconds). Returns the whole query.
    pub fn sign(&self, raw_path: &str, query: &str, expires: u64) -> String {
        let separator = if query.is_empty() { "" } else { "&" };
        let signed = format!("{query}{separator}{LINK_EXPIRES}={expires}");
        let signature = self.signature(raw_path, &signed);
        format!("{signed}&{LINK_SIGNATURE}={signature}")
    }

    /// Checks a link: `raw_query` is everything after the `?`, `now` is in Unix seconds. The caller
    /// admits it for `GET` and `HEAD` only.
    ///
    /// # Errors
    /// If it is altered, expired, or lives longer than allowed.
    pub fn check(&self, raw_path: &str, raw_query: &str, now: u64) -> Result<(), LinkRefused> {
        let separator = format!("&{LINK_SIGNATURE}=");
        let (signed, signature) = raw_query
            .rsplit_once(&separator)
            .ok_or(LinkRefused::Altered)?;
        let wanted = self.signature(raw_path, signed);
        if !bool::from(wanted.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(LinkRefused::Altered);
        }
        let expires = signed
            .rsplit('&')
            .next()
            .and_then(|last| {
                last.strip_prefix(LINK_EXPIRES)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            })
            .ok_or(LinkRefused::Altered)?;
        if expires <= now {
            return Err(LinkRefused::Expired);
        }
        if expires - now > LINK_MAX_SECONDS {
            return Err(LinkRefused::TooLong);
        }
        Ok(())
    }

    fn signature(&self, raw_path: &str, signed_query: &str) -> String {
        // HMAC fills keys up with zeros to the block size of the hash: 64 bytes.
        let mut key = [0; 64];
        let (derived, _) = key.split_at_mut(32);
        derived.copy_from_slice(&blake3::derive_key(
            "mdfs 2026 signed link v1",
            self.0.expose(),
        ));
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&key.into());
        for part in ["GET", "\n", raw_path, "\n", signed_query] {
            mac.update(part.as_bytes());
        }
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        blake3::Hash::from(bytes).to_hex().to_string()
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

    #[test]
    fn a_link_works_until_it_expires_and_only_as_it_was_signed() {
        let links = LinkKey::new(key(1));
        let query = links.sign("/play/a.mp4", "download=1", 1000);
        assert_eq!(links.check("/play/a.mp4", &query, 999), Ok(()));
        assert_eq!(
            links.check("/play/a.mp4", &query, 1000),
            Err(LinkRefused::Expired)
        );
        assert_eq!(
            links.check("/play/b.mp4", &query, 999),
            Err(LinkRefused::Altered)
        );
        assert_eq!(
            LinkKey::new(key(2)).check("/play/a.mp4", &query, 999),
            Err(LinkRefused::Altered)
        );
        let long = links.sign("/play/a.mp4", "", 1001 + LINK_MAX_SECONDS);
        assert_eq!(
            links.check("/play/a.mp4", &long, 1000),
            Err(LinkRefused::TooLong)
        );
    }

    #[test]
    fn no_single_changed_character_of_a_link_is_accepted() {
        let links = LinkKey::new(key(1));
        let query = links.sign("/play/a.mp4", "", 1000);
        for at in 0..query.len() {
            let mut altered = query.clone().into_bytes();
            altered[at] ^= 1;
            let altered = String::from_utf8(altered).unwrap();
            assert!(
                links.check("/play/a.mp4", &altered, 1).is_err(),
                "{altered}"
            );
            assert!(links.check("/play/a.mp4", &query[..at], 1).is_err());
        }
        for added in ["&", "&x=1", " "] {
            assert!(
                links
                    .check("/play/a.mp4", &format!("{query}{added}"), 1)
                    .is_err()
            );
        }
    }
}
