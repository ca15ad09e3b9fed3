//! Who may see figures while nobody leads: that is when they are needed most.

use super::{Entrance, bearer};
use crate::http::caller::Caller;
use crate::http::error::HttpError;
use mdfs_protocol::problem::Code;
use mdfs_protocol::token::BearerToken;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long the leader's word on a token is waited for: well below the time that Prometheus gives a
/// scrape, and longer than a leader that is there takes.
const PATIENCE: Duration = Duration::from_millis(500);

impl Entrance {
    /// As `by_token`, for figures alone. If no leader can say, or none does so soon, the token counts
    /// as it was known here last, within a day, and not past its end. So one that was revoked may see
    /// figures until there is a leader again, and nothing else.
    ///
    /// # Errors
    /// As [`identify`](Self::identify).
    pub(super) async fn for_figures(
        &self,
        authorization: &str,
        address: IpAddr,
    ) -> Result<Caller, HttpError> {
        let asked = self.by_token(authorization, address);
        let Some(last) = self.known_last(authorization) else {
            return asked.await;
        };
        match timeout(PATIENCE, asked).await {
            Err(_) => Ok(last),
            Ok(Err(error)) if error.code() == Code::NoLeader => Ok(last),
            Ok(answer) => answer,
        }
    }

    fn known_last(&self, authorization: &str) -> Option<Caller> {
        let token = BearerToken::parse(bearer(authorization)?)?;
        let record = self.known.last(&token)?;
        let holds = self.clock.wall() < record.expires;
        holds.then(|| Caller::token(token.id(), record.grant.clone(), record.expires))
    }
}
