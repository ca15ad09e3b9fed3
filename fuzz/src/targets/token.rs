//! Access tokens, as their holders send them.

use super::kind;
use crate::Target;
use mdfs_core::id::TokenId;
use mdfs_protocol::token::BearerToken;

/// The target: the bytes are what stands behind `Bearer`.
pub const TARGET: Target = Target {
    name: "token",
    run,
    seeds: || {
        vec![
            BearerToken::new(TokenId::from_u128(7), [9; 32])
                .expose()
                .into_bytes(),
        ]
    },
    words: &[
        "mdfs_",
        "_",
        "00000000000000000000000000000000",
        "A",
        "mdfs__",
    ],
};

fn run(bytes: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return 0;
    };
    let is_in = BearerToken::is_in(text);
    let Some(token) = BearerToken::parse(text) else {
        let words = text.split('_').count().min(5);
        return kind((
            1,
            is_in,
            text.starts_with("mdfs_"),
            words,
            text.len().min(105) / 13,
        ));
    };
    assert!(token.expose() == text, "one token has one text");
    assert!(is_in, "a token is recognised");
    assert!(token.matches(&token.hash()), "a token is its own");
    let around = format!("?a=mdfs_{text}&b=c");
    assert!(
        BearerToken::is_in(&around),
        "a token is recognised among others"
    );
    assert!(!format!("{token:?}").contains(text), "a token is not shown");
    let mut other = token.hash();
    if let Some(byte) = other.0.first_mut() {
        *byte ^= 1;
    }
    assert!(!token.matches(&other), "a token is no other");
    kind((2, bytes.get(5).copied()))
}
