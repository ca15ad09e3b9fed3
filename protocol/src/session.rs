//! Sessions of browsers: a cookie that stands for a token, for a while.
//!
//! A cookie says whose it is and until when, and carries a code under a key that is made of the link
//! key. So every master of a cluster takes it, and none keeps anything. It has no secret of its own:
//! when the token ends, so does every session that it opened.

use crate::access::Secret;
use crate::schema;
use mdfs_core::access::Roles;
use mdfs_core::id::{ClusterId, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `POST` [`OpenSession`]: opens a session and answers [`SessionInfo`] with the cookie. `GET`: a
/// [`SessionInfo`] of whoever asks. `DELETE`: has the browser forget the cookie.
pub const SESSION: &str = "/v1/session";

/// How long a session lasts at most, in seconds.
pub const SESSION_SECONDS: u64 = 12 * 3600;

/// What the names of the cookies begin with; the rest tells clusters apart that have one host.
const COOKIE: &str = "mdfs-session-";
/// Before the name of a cookie that browsers take from this very host alone, over TLS alone.
const OVER_TLS: &str = "__Host-";

/// Opens a session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The token that it stands for.
    pub token: String,
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession").finish_non_exhaustive()
    }
}

/// Who somebody is, and what there is for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// What their token is for, in the words of who made it; `root` for a root token.
    pub who: String,
    /// The id of their token; none for a root token.
    #[schemars(with = "Option<schema::Id>")]
    pub token_id: Option<TokenId>,
    /// Whether they may administer the cluster.
    pub admin: bool,
    /// What they may do.
    #[schemars(with = "schema::RoleWords")]
    pub roles: Roles,
    /// The folder that `read`, `write` and `delete` hold for; all names if it is empty.
    pub prefix: String,
    /// When the session ends, or the token, in Unix seconds; none if that is never.
    pub expires: Option<u64>,
    /// The cluster.
    pub cluster: SessionCluster,
    /// The version of the program that answers.
    pub version: String,
    /// Other places.
    pub links: SessionLinks,
}

/// What tells a cluster from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionCluster {
    /// What people call it, if the master was told.
    pub name: Option<String>,
    /// Its identity; none while it is not known.
    #[schemars(with = "Option<schema::Id>")]
    pub id: Option<ClusterId>,
}

/// Where else something is told of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionLinks {
    /// Dashboards, if the master was told of any.
    pub grafana: Option<String>,
}

/// Whose session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOf {
    /// The holder of a token.
    Token(TokenId),
    /// The holder of the root token of this mark: see [`root_mark`].
    Root(u128),
}

/// Why a cookie is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionRefused {
    /// It was made elsewhere, or altered.
    #[error("the session is not known here")]
    Altered,
    /// Its time is over.
    #[error("the session has ended")]
    Ended,
}

/// What tells one root token from another, and does not show it.
pub fn root_mark(root: &Secret) -> u128 {
    let derived = blake3::derive_key("mdfs 2026 root token of a session v1", root.expose());
    let (mark, _) = derived.split_at(16);
    mark.iter()
        .fold(0, |mark, byte| mark << 8 | u128::from(*byte))
}

/// Makes the values of cookies, and reads them.
#[derive(Clone)]
pub struct SessionKey {
    key: [u8; 32],
    name: String,
    over_tls: String,
}

impl SessionKey {
    pub(crate) fn new(link: &Secret, id: &str) -> Self {
        Self {
            key: blake3::derive_key("mdfs 2026 session of a browser v1", link.expose()),
            name: format!("{COOKIE}{id}"),
            over_tls: format!("{OVER_TLS}{COOKIE}{id}"),
        }
    }

    /// The name of the cookie.
    pub fn cookie(&self) -> &str {
        &self.name
    }

    /// The name of the cookie where the browser speaks TLS.
    pub fn cookie_over_tls(&self) -> &str {
        &self.over_tls
    }

    /// The value of a cookie that works until `expires`, in Unix seconds.
    pub fn sign(&self, of: SessionOf, expires: u64) -> String {
        let said = match of {
            SessionOf::Token(token) => format!("t{token}.{expires}"),
            SessionOf::Root(mark) => format!("r{mark:032x}.{expires}"),
        };
        let code = blake3::keyed_hash(&self.key, said.as_bytes()).to_hex();
        format!("{said}.{code}")
    }

    /// Whose a value is, and until when, in Unix seconds; `now` too.
    ///
    /// # Errors
    /// If it was not made with this key, or its time is over.
    pub fn check(&self, value: &str, now: u64) -> Result<(SessionOf, u64), SessionRefused> {
        let (said, code) = value.rsplit_once('.').ok_or(SessionRefused::Altered)?;
        let code = blake3::Hash::from_hex(code).map_err(|_| SessionRefused::Altered)?;
        // Compared in the same time wherever they differ.
        if blake3::keyed_hash(&self.key, said.as_bytes()) != code {
            return Err(SessionRefused::Altered);
        }
        let (of, expires) = read(said).ok_or(SessionRefused::Altered)?;
        if now >= expires {
            return Err(SessionRefused::Ended);
        }
        Ok((of, expires))
    }
}

fn read(said: &str) -> Option<(SessionOf, u64)> {
    let (of, expires) = said.split_once('.')?;
    let of = match of.split_at_checked(1)? {
        ("t", token) => SessionOf::Token(token.parse().ok()?),
        ("r", mark) => SessionOf::Root(u128::from_str_radix(mark, 16).ok()?),
        _ => return None,
    };
    Some((of, expires.parse().ok()?))
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkKey;

    fn key(fill: u8) -> SessionKey {
        LinkKey::new(Secret::new(&[fill; 32]).unwrap()).sessions()
    }

    #[test]
    fn a_cookie_is_good_for_whom_it_was_made_until_it_ends() {
        let token = SessionOf::Token(TokenId::from_u128(7));
        let root = SessionOf::Root(root_mark(&Secret::new(&[b'r'; 32]).unwrap()));
        for of in [token, root] {
            let value = key(1).sign(of, 1000);
            assert_eq!(key(1).check(&value, 999), Ok((of, 1000)));
            assert_eq!(key(1).check(&value, 1000), Err(SessionRefused::Ended));
            assert_eq!(key(2).check(&value, 999), Err(SessionRefused::Altered));
        }
        assert_ne!(key(1).cookie(), key(2).cookie());
    }

    #[test]
    fn any_other_character_makes_it_worthless() {
        let value = key(1).sign(SessionOf::Token(TokenId::from_u128(7)), 1000);
        for at in 0..value.len() {
            for other in ["0", "1", ".", "r", "t", ""] {
                let mut altered = value.clone();
                altered.replace_range(at..=at, other);
                let same = altered == value;
                assert_eq!(key(1).check(&altered, 0).is_ok(), same, "{altered}");
            }
        }
        for odd in ["", ".", "..", "t", "é.1.2"] {
            assert_eq!(key(1).check(odd, 0), Err(SessionRefused::Altered));
        }
    }
}
