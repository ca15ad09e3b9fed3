//! The feed of committed entries, which a master that follows reads from the one that leads. Postcard;
//! see [`crate::internal`].

use crate::internal::Leader;
use mdfs_core::format::Formats;
pub use mdfs_core::log::feed::{Extent, FeedFrom, FeedPage, FeedRecords, FeedStart, Have};
use serde::{Deserialize, Serialize};

/// `POST` [`FeedRequest`] to a master. Answers [`FeedReply`], after a while if there is nothing new;
/// postcard both ways.
pub const FEED: &str = "/internal/v1/feed";

/// A master asks to be fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRequest {
    /// Where the master that asks is reached.
    pub url: String,
    /// What it reads and writes.
    pub formats: Formats,
    /// What it has.
    pub from: FeedFrom,
}

/// What the leader answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedReply {
    /// What was committed since; perhaps nothing.
    Page(FeedPage),
    /// The master that was asked does not lead, or not any more: whoever wants to may take over.
    Ended {
        /// Who leads, if it knows.
        leader: Option<Leader>,
    },
}
