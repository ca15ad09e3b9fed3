//! The cluster's time, as far as its answers have told it.

use crate::error::Error;
use http::HeaderMap;
use mdfs_core::id::RequestId;
use mdfs_core::time::LogTime;
use mdfs_protocol::public::LOG_TIME_HEADER;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The last log time that an answer named, and when it came.
#[derive(Debug, Default)]
pub(crate) struct LogClock(Mutex<Option<(LogTime, Instant)>>);

impl LogClock {
    /// Takes note of what an answer says.
    pub(crate) fn learn(&self, headers: &HeaderMap) {
        let told = headers.get(LOG_TIME_HEADER);
        let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(millis) = told {
            let seen = (LogTime::from_millis(millis), Instant::now());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        }
    }

    /// About the present log time; this machine's clock if no answer has named one yet.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client has no clock of a server; a wrong time costs it the id, no more"
    )]
    pub(crate) fn now(&self) -> LogTime {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, since) = match seen {
            Some((told, at)) => (told.as_millis(), at.elapsed()),
            // A clock before 1970 gives an id that the cluster refuses.
            None => (
                0,
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
        };
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        LogTime::from_millis(from.saturating_add(since))
    }
}

/// A new id for a change, issued at `now`.
pub(crate) fn new_request_id(now: LogTime) -> Result<RequestId, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|why| Error::Config(format!("the system gives no random bytes: {why}")))?;
    Ok(RequestId::issue(now, u128::from_ne_bytes(random)))
}
