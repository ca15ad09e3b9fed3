//! What reads bytes of strangers, and what must hold for any bytes.

pub mod compact;
pub mod footer;
pub mod form;
pub mod link;
pub mod name;
pub mod range;
pub mod segment;
pub mod token;

use std::hash::{DefaultHasher, Hash, Hasher};

/// What kind of bytes these were, as one number.
fn kind(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
