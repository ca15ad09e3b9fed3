//! Signed links: a URL that does one thing for a while, for programs that cannot send a token.
//!
//! Nothing is brought into a canonical form: the path and the query are signed as the bytes that
//! stand in the request line, so there are no two ways to read them.

use crate::access::Secret;
use crate::session::SessionKey;
use hmac::{Hmac, KeyInit, Mac};
use mdfs_core::id::TokenId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a signed link may live at most, in seconds.
pub const LINK_MAX_SECONDS: u64 = 7 * 24 * 3600;
/// How far the clocks of two masters may be apart, in seconds, before one takes the other's longest
/// links for too long.
const CLOCK_SKEW_SECONDS: u64 = 60;

/// The query parameter with the signature; always the last one.
pub const LINK_SIGNATURE: &str = "signature";
/// The query parameter that says which key signed a link.
pub const LINK_KEY: &str = "key";
const EXPIRES: &str = "expires";
const BY: &str = "by";
const MAX_BYTES: &str = "max_bytes";

/// The query parameters that only a signed link has.
pub const LINK_PARAMETERS: [&str; 5] = [MAX_BYTES, BY, LINK_KEY, EXPIRES, LINK_SIGNATURE];

/// What a link does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LinkMethod {
    /// It reads: by `GET` and `HEAD`.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// It stores: by `PUT`, as often as it is used.
    #[serde(rename = "PUT")]
    Put,
}

impl LinkMethod {
    /// What a request's method asks of a link; none for methods that no link has.
    pub fn of(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// What it does.
    pub method: LinkMethod,
    /// The path as it stands in the URL.
    pub path: &'a str,
    /// The query that comes first, without `?`; may be empty. Has no parameter of
    /// [`LINK_PARAMETERS`].
    pub query: &'a str,
    /// The token of whoever signed it, with which it ends; none for a root token.
    pub by: Option<TokenId>,
    /// The most bytes it stores.
    pub max_bytes: Option<u64>,
    /// Unix seconds at which it ends.
    pub expires: u64,
}

/// What a sound link says besides what the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The token of whoever signed it; none for a root token.
    pub by: Option<TokenId>,
    /// The most bytes it stores.
    pub max_bytes: Option<u64>,
}

/// Why a signed link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// The link's time is over.
    #[error("the link has expired")]
    Expired,
    /// Method, path, query or signature were altered, or the key is not one of these.
    #[error("the link's signature does not match")]
    Altered,
    /// It claims to live longer than allowed.
    #[error("the link lives longer than 7 days")]
    TooLong,
}

/// Signs links.
#[derive(Clone, Debug)]
pub struct LinkKey {
    secret: Secret,
    id: String,
}

impl LinkKey {
    /// The key made from the secret in the link key file.
    pub fn new(secret: Secret) -> Self {
        let derived = blake3::derive_key("mdfs 2026 link key id v1", secret.expose());
        let id = blake3::Hash::from(derived).to_hex();
        Self {
            id: id.chars().take(8).collect(),
            secret,
        }
    }

    /// The key of the sessions that are opened with this key.
    pub fn sessions(&self) -> SessionKey {
        SessionKey::new(&self.secret, &self.id)
    }

    /// Signs a link. Returns the whole query.
    pub fn sign(&self, link: &Link<'_>) -> String {
        let mut query = String::new();
        let mut add = |parameter: &str, value: &str| {
            let separator = if query.is_empty() { "" } else { "&" };
            query.push_str(&format!("{separator}{parameter}{value}"));
        };
        if !link.query.is_empty() {
            add(link.query, "");
        }
        if let Some(bytes) = link.max_bytes {
            add("max_bytes=", &bytes.to_string());
        }
        if let Some(by) = link.by {
            add("by=", &by.to_string());
        }
        add("key=", &self.id);
        add("expires=", &link.expires.to_string());
        let signature = self.signature(link.method, link.path, &query);
        format!("{query}&{LINK_SIGNATURE}={signature}")
    }

    /// Checks a link: `raw_query` is everything after the `?`, `now` is in Unix seconds.
    ///
    /// # Errors
    /// If it is altered, expired, or lives longer than allowed.
    pub fn check(
        &self,
        method: LinkMethod,
        raw_path: &str,
        raw_query: &str,
        now: u64,
    ) -> Result<Signed, LinkRefused> {
        let (signed, signature) = raw_query
            .rsplit_once("&signature=")
            .ok_or(LinkRefused::Altered)?;
        let wanted = self.signature(method, raw_path, signed);
        if !bool::from(wanted.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(LinkRefused::Altered);
        }
        // What was signed is sound; read from its end, as it was put together.
        let mut parts = signed.rsplit('&').peekable();
        let mut next = |name: &str| {
            let part: &str = parts.peek().copied()?;
            let value = part.strip_prefix(name)?.strip_prefix('=')?;
            parts.next();
            Some(value)
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| LinkRefused::Altered);
        let expires = number(next(EXPIRES).ok_or(LinkRefused::Altered)?)?;
        next(LINK_KEY).ok_or(LinkRefused::Altered)?;
        let by = next(BY).map(|text| text.parse().map_err(|_| LinkRefused::Altered));
        let max_bytes = next(MAX_BYTES).map(number);
        if expires <= now {
            return Err(LinkRefused::Expired);
        }
        if expires - now > LINK_MAX_SECONDS + CLOCK_SKEW_SECONDS {
            return Err(LinkRefused::TooLong);
        }
        Ok(Signed {
            by: by.transpose()?,
            max_bytes: max_bytes.transpose()?,
        })
    }

    /// Whether a query names this key. Which keys there are is no secret.
    pub fn is_named_in(&self, raw_query: &str) -> bool {
        let mut keys = raw_query.split('&');
        keys.any(|pair| pair.strip_prefix("key=") == Some(&self.id))
    }

    fn signature(&self, method: LinkMethod, raw_path: &str, signed_query: &str) -> String {
        // HMAC fills keys up with zeros to the block size of the hash: 64 bytes.
        let mut key = [0; 64];
        let (derived, _) = key.split_at_mut(32);
        derived.copy_from_slice(&blake3::derive_key(
            "mdfs 2026 signed link v2",
            self.secret.expose(),
        ));
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&key.into());
        for part in [method.as_str(), "\n", raw_path, "\n", signed_query] {
            mac.update(part.as_bytes());
        }
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        blake3::Hash::from(bytes).to_hex().to_string()
    }
}

/// Checks a link with the key that it names, of those there are.
///
/// # Errors
/// As [`LinkKey::check`]; a link of another key is altered.
pub fn check_link(
    keys: &[LinkKey],
    method: LinkMethod,
    raw_path: &str,
    raw_query: &str,
    now: u64,
) -> Result<Signed, LinkRefused> {
    let key = keys.iter().find(|key| key.is_named_in(raw_query));
    let key = key.ok_or(LinkRefused::Altered)?;
    key.check(method, raw_path, raw_query, now)
}

#[cfg(test)]
mod tests;
