//! Tokens that are made and revoked.

use super::{Planned, Refusal};
use crate::id::TokenId;
use crate::records::{Key, Lookup, MOST_TOKENS, TokenRecord, get, put, remove};

/// Plans a new token. `present` are all tokens there are; when they are as many as there may be,
/// those that have expired at the new one's making end with it.
///
/// # Errors
/// If none of them has expired.
pub fn plan_token<'a>(
    token: TokenId,
    record: &TokenRecord,
    present: impl ExactSizeIterator<Item = (TokenId, &'a TokenRecord)>,
) -> Result<Planned<()>, Refusal> {
    let mut puts = Vec::new();
    if present.len() >= MOST_TOKENS {
        let expired = present.filter(|(_, other)| other.expires <= record.created);
        puts.extend(expired.map(|(token, _)| remove(&Key::Token(token))));
        if puts.is_empty() {
            return Err(Refusal::TooManyTokens);
        }
    }
    puts.push(put(&Key::Token(token), record)?);
    Ok(Planned { puts, answer: () })
}

/// Plans the end of a token; the answer is what it was.
///
/// # Errors
/// If there is no such token.
pub fn plan_revoke(records: &impl Lookup, token: TokenId) -> Result<Planned<TokenRecord>, Refusal> {
    let key = Key::Token(token);
    let answer = get(records, &key)?.ok_or(Refusal::TokenNotFound(token))?;
    Ok(Planned {
        puts: vec![remove(&key)],
        answer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Grant;
    use crate::records::TokenHash;
    use crate::time::LogTime;

    fn record(created: u64, expires: u64) -> TokenRecord {
        TokenRecord {
            hash: TokenHash([7; 32]),
            label: "player".to_owned(),
            grant: Grant::all(),
            created: LogTime::from_millis(created),
            expires: LogTime::from_millis(expires),
        }
    }

    fn keys(planned: &Planned<()>) -> Vec<(Vec<u8>, bool)> {
        let puts = planned.puts.iter();
        puts.map(|put| (put.key.clone(), put.value.is_some()))
            .collect()
    }

    #[test]
    fn tokens_are_bounded_and_expired_ones_make_room() {
        let id = TokenId::from_u128;
        let key = |n, there| (Key::Token(id(n)).to_bytes(), there);
        let mut present: Vec<_> = (0..999).map(|n| (id(n), record(0, 100))).collect();
        let plan = |present: &[(TokenId, TokenRecord)], created| {
            let present = present.iter().map(|(id, record)| (*id, record));
            plan_token(id(5000), &record(created, 9000), present)
        };
        assert_eq!(keys(&plan(&present, 200).unwrap()), [key(5000, true)]);
        present.push((id(999), record(0, 300)));
        assert_eq!(plan(&present, 99), Err(Refusal::TooManyTokens));
        let planned = plan(&present, 100).unwrap();
        assert_eq!(planned.puts.len(), 1000);
        assert_eq!(keys(&planned).last(), Some(&key(5000, true)));
        assert!(!keys(&planned).contains(&key(999, false)));
    }
}
