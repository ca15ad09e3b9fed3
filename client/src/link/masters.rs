//! What servers ask masters.

use super::{Line, LinkError, Links};
use http::Method;
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

    /// A connection of one's own to the master at `url`, made when it is used first. Called in a
    /// runtime.
    pub fn line(&self, url: &str) -> Line {
        Line::new(self.clone(), url)
    }
}
