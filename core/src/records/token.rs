//! Access tokens.

use crate::access::Grant;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most tokens at a time: one page of a listing, and a bound for what every master remembers.
pub const MOST_TOKENS: usize = 1000;

/// A token, without the secret that its holder sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The secret's hash.
    pub hash: TokenHash,
    /// What it is for, in the words of who made it.
    pub label: String,
    /// What it allows.
    pub grant: Grant,
    /// When it was made, in wall time.
    pub created: LogTime,
    /// From when on it is refused, in wall time.
    pub expires: LogTime,
}

/// SHA-256 of a token's secret. The secret has 256 random bits, so no slower hash makes it any
/// harder to find.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

/// Not shown: whoever knows it cannot use it, and has no use for it either.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}
