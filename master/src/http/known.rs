//! The tokens that came here lately, so that not every request asks the leader.

use crate::error::Error;
use crate::leader::handle::LeaderHandle;
use mdfs_core::id::TokenId;
use mdfs_core::records::{MOST_TOKENS, TokenRecord};
use mdfs_core::time::Timestamp;
use mdfs_protocol::token::BearerToken;
use mdfs_service::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For how long what the leader said of a token is used: a token that is revoked ends everywhere
/// within this time.
const FRESH: Duration = Duration::from_secs(1);

/// For how long what the leader said of a token is remembered for figures, where no leader can say
/// more: a night and a day without one, in which alerts go on.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What the leader said of tokens, and when it was asked.
#[derive(Debug)]
pub(super) struct KnownTokens {
    leader: LeaderHandle,
    clock: Clock,
    /// Only tokens that there are: as many as there may be at most, and as many again that were
    /// revoked and not asked for since.
    known: Mutex<HashMap<TokenId, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    record: Arc<TokenRecord>,
    asked: Timestamp,
}

impl KnownTokens {
    pub(super) fn new(leader: LeaderHandle, clock: Clock) -> Self {
        Self {
            leader,
            clock,
            known: Mutex::default(),
        }
    }

    /// What is known of a token, by the leader's word of at most a second ago; none if there is no
    /// such token.
    ///
    /// # Errors
    /// If no leader can say.
    pub(super) async fn find(&self, token: TokenId) -> Result<Option<Arc<TokenRecord>>, Error> {
        let asked = self.clock.now();
        let known = self.lock().get(&token).cloned();
        if let Some(known) = known.filter(|known| asked.since(known.asked) < FRESH) {
            return Ok(Some(known.record));
        }
        let record = self.leader.token(token).await?.map(Arc::new);
        let mut all = self.lock();
        let Some(record) = record else {
            all.remove(&token);
            return Ok(None);
        };
        if all.len() >= 2 * MOST_TOKENS {
            all.clear();
        }
        let known = Known {
            record: Arc::clone(&record),
            asked,
        };
        all.insert(token, known);
        Ok(Some(record))
    }

    /// Whether this very token was sound when it came here last.
    pub(super) fn was_sound(&self, token: &BearerToken) -> bool {
        let known = self.lock();
        let known = known.get(&token.id());
        known.is_some_and(|known| token.matches(&known.record.hash))
    }

    /// Whether there was such a token when the leader was asked last.
    pub(super) fn was_there(&self, token: TokenId) -> bool {
        self.lock().contains_key(&token)
    }

    /// What was known last of this very token, by the leader's word of at most a day ago.
    pub(super) fn last(&self, token: &BearerToken) -> Option<Arc<TokenRecord>> {
        let now = self.clock.now();
        let known = self.lock().get(&token.id()).cloned()?;
        let holds = token.matches(&known.record.hash) && now.since(known.asked) < REMEMBERED;
        holds.then_some(known.record)
    }

    /// Asks the leader next time, whatever is known.
    pub(super) fn forget(&self, token: TokenId) {
        self.lock().remove(&token);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TokenId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
