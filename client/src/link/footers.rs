//! What stands behind the chunks on a disk.

use super::{LinkError, Links, Peer};
use mdfs_protocol::footers::{FOOTERS, Footers, FootersRequest};
use std::time::Duration;

impl Links {
    /// What is written behind the chunks that the peer holds, a page of them.
    ///
    /// # Errors
    /// [`LinkError`]; `fenced` if a later leader's term is known there.
    pub async fn footers(
        &self,
        peer: &Peer,
        request: &FootersRequest,
        within: Duration,
    ) -> Result<Footers, LinkError> {
        self.compact(peer, FOOTERS, request, within).await
    }
}
