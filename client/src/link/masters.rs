//! What servers ask masters.

use super::{LinkError, Links};
use http::Method;
use mdfs_protocol::internal::{self, Heartbeat, HeartbeatReply};
use mdfs_protocol::local::{self, LookUp, LookedUp};
use std::time::Duration;

impl Links {
    /// Asks the master at `url` what a name stands for, and whether whoever asks may know.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn look_up(
        &self,
        url: &str,
        asked: &LookUp,
        within: Duration,
    ) -> Result<LookedUp, LinkError> {
        let request = self.request(Method::POST, url, None, local::LOOK_UP)?;
        self.send_json(url, request, asked, within).await
    }

    /// Beats to the master at `url`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn heartbeat(
        &self,
        url: &str,
        beat: &Heartbeat,
        within: Duration,
    ) -> Result<HeartbeatReply, LinkError> {
        let request = self.request(Method::POST, url, None, internal::HEARTBEAT)?;
        self.send_json(url, request, beat, within).await
    }
}
