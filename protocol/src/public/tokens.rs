//! Access tokens, made, listed and revoked under `/v1/admin/tokens`, and signed links.

use crate::link::LinkMethod;
use crate::schema;
use mdfs_core::access::Roles;
use mdfs_core::id::TokenId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `POST` [`NewToken`]: a [`CreatedToken`]. `GET`: all [`Tokens`].
pub const TOKENS: &str = "/v1/admin/tokens";
/// `DELETE`: ends a token.
pub const TOKEN: &str = "/v1/admin/tokens/{id}";
/// `POST` [`SignRequest`]: a [`SignedLink`].
pub const SIGN: &str = "/v1/sign";

/// How long a token may live at most, in seconds: ten years.
pub const TOKEN_MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;
/// The longest label, in bytes.
pub const LABEL_MAX_BYTES: usize = 128;

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for: 1 to 128 bytes without control characters.
    #[schemars(
        regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"),
        length(min = 1, max = 128)
    )]
    pub label: String,
    /// What it allows. No more than whoever asks may do.
    #[schemars(with = "schema::RoleWords")]
    pub roles: Roles,
    /// The folder that `read`, `write` and `delete` hold for; all names if it is empty.
    #[serde(default)]
    pub prefix: String,
    /// How long it works, at most 315360000; no longer than the token of whoever asks.
    #[schemars(range(min = 1, max = 315360000))]
    pub expires_seconds: u64,
}

/// A token that was just made. The only answer that shows its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// What its holder sends: `Authorization: Bearer …`.
    pub secret: String,
    /// What is known of it.
    #[serde(flatten)]
    pub info: TokenInfo,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, info } = self;
        f.debug_struct("CreatedToken")
            .field("info", info)
            .finish_non_exhaustive()
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// Names it: in `DELETE`, in the audit log, in links that it signed.
    #[schemars(with = "schema::Id")]
    pub id: TokenId,
    /// What it is for.
    pub label: String,
    /// What it allows.
    #[schemars(with = "schema::RoleWords")]
    pub roles: Roles,
    /// The folder that `read`, `write` and `delete` hold for; empty for all names.
    pub prefix: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// From when on it is refused, RFC 3339.
    pub expires: String,
    /// Whether that time has come.
    pub expired: bool,
}

/// All tokens, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// The tokens, without their secrets.
    pub tokens: Vec<TokenInfo>,
}

/// Asks for a signed link to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// The file.
    #[schemars(with = "schema::FileNameText")]
    pub name: String,
    /// How long the link works, at most 604800; no longer than the token of whoever asks.
    #[schemars(range(min = 1, max = 604800))]
    pub expires_in_seconds: u64,
    /// Whether the answer should be saved rather than shown.
    #[serde(default)]
    pub download: bool,
    /// What the link does: `GET` (which allows `HEAD`) or `PUT`.
    #[serde(default)]
    pub method: LinkMethod,
    /// The most bytes that a link to `PUT` stores.
    #[serde(default)]
    pub max_bytes: Option<u64>,
}

/// A link that reads or stores one file without a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedLink {
    /// Path and query; the host is whatever the caller uses.
    pub path: String,
    /// Unix seconds at which it ends.
    pub expires: u64,
}
