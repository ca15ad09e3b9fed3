//! Access tokens as their holders send them.

use mdfs_core::id::TokenId;
use mdfs_core::records::TokenHash;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// How a token starts, so that programs that look for lost secrets find it.
const START: &str = "mdfs_";

/// A token: its id, which is no secret, and 256 random bits, which are.
///
/// As text it is `mdfs_`, the id, `_`, and the bits, both in lower-case hexadecimal digits. The
/// text is shown once, to whoever had it made; what is stored is the hash of the bits.
#[derive(Clone)]
pub struct BearerToken {
    id: TokenId,
    bits: [u8; 32],
}

impl BearerToken {
    /// The token of this id with these random bits.
    pub const fn new(id: TokenId, bits: [u8; 32]) -> Self {
        Self { id, bits }
    }

    /// Reads a token; none if the text is not exactly the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, bits) = text.strip_prefix(START)?.split_once('_')?;
        let lower = |text: &str| text.bytes().all(|b| !b.is_ascii_uppercase());
        if bits.len() != 64 || !lower(bits) {
            return None;
        }
        let bits = blake3::Hash::from_hex(bits).ok()?;
        Some(Self {
            id: id.parse().ok()?,
            bits: *bits.as_bytes(),
        })
    }

    /// Whether a text looks like a token: such a text is never repeated in an answer or a log.
    pub fn is_in(text: &str) -> bool {
        text.match_indices(START).any(|(at, _)| {
            let token = text.get(at..at + START.len() + 32 + 1 + 64);
            token.is_some_and(|token| Self::parse(token).is_some())
        })
    }

    /// Its id.
    pub const fn id(&self) -> TokenId {
        self.id
    }

    /// The text, for the one answer that shows it.
    pub fn expose(&self) -> String {
        let bits = blake3::Hash::from(self.bits).to_hex();
        format!("{START}{}_{bits}", self.id)
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.bits).into())
    }

    /// Whether it is the one of this hash; takes the same time wherever they differ.
    pub fn matches(&self, hash: &TokenHash) -> bool {
        self.hash().0.ct_eq(&hash.0).into()
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({}, ..)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_matches_its_hash_and_is_not_shown() {
        let token = BearerToken::new(TokenId::from_u128(0xabc), [0xfe; 32]);
        let text = token.expose();
        assert_eq!(text.len(), 5 + 32 + 1 + 64);
        let again = BearerToken::parse(&text).unwrap();
        assert_eq!(again.id(), token.id());
        assert!(again.matches(&token.hash()));
        let other = BearerToken::new(token.id(), [0xff; 32]);
        assert!(!other.matches(&token.hash()));
        assert!(!format!("{token:?} {:?}", token.hash()).contains("fe"));
        assert!(BearerToken::is_in(&format!("a={text}&b")));
        assert!(!BearerToken::is_in("mdfs_a_b mdfs_"));
    }

    #[test]
    fn nothing_but_the_exact_form_is_a_token() {
        let text = BearerToken::new(TokenId::from_u128(7), [0xab; 32]).expose();
        let changed = [
            format!("{text}0"),
            text.to_uppercase(),
            text.replace("ab", "aB"),
            text.replace("mdfs_0", "mdfs_g"),
            text.replacen('_', "-", 1),
            text[1..].to_owned(),
            text[..text.len() - 1].to_owned(),
        ];
        let others = ["", "mdfs_", "mdfs__", "mdfs_äöü"].map(str::to_owned);
        for bad in changed.into_iter().chain(others) {
            assert!(BearerToken::parse(&bad).is_none(), "{bad}");
        }
    }
}
