//! Raises the disk's generation, so that a copy of the disk taken before shows less than the leader
//! remembers: once a leader has accepted the disk after a mount, hourly, and at a clean stop.
//!
//! A disk that was refused, or that no leader has judged yet, is left as it is: it may be an old copy
//! that must not catch up with what is remembered.

use crate::error::Error;
use crate::node::Node;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is raised: what an old copy of the disk may hide is at most so old.
const EVERY: Duration = Duration::from_secs(3600);

/// How soon it is tried again when the disk had no room, or no time.
const RETRY: Duration = Duration::from_secs(60);

/// How long a worker that stops waits for it: its disk may hang.
const AT_STOP: Duration = Duration::from_secs(1);

/// Raises the generation until `stop` fires.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let raise = async {
        loop {
            node.verdict.until_accepted().await;
            let pause = match raise(&node).await {
                Ok(()) => EVERY,
                Err(error) => {
                    tracing::warn!(%error, "the disk's generation was not raised");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = raise => {}
    }
}

/// Raises it once more, if the disk was accepted. What stops goes on stopping in any case.
pub(crate) async fn raise_at_stop(node: &Node) {
    if !node.verdict.is_accepted() {
        return;
    }
    match tokio::time::timeout(AT_STOP, raise(node)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the disk's generation was not raised at the stop")
        }
        Err(_) => tracing::warn!("the disk's generation was not raised at the stop: it hangs"),
    }
}

async fn raise(node: &Node) -> Result<(), Error> {
    let store = node.store.clone();
    let raise = move || store.raise_generation();
    Ok(node.write_threads.run(raise).await??)
}
