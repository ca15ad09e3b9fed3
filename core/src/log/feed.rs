//! The feed: what a leader committed, for masters that follow it and keep a copy.
//!
//! It has no part in any quorum, and a copy answers no question: a master that takes the lead needs
//! to load only what it lacks. The leader keeps nothing for those it feeds. A table is copied a page
//! at a time while the log goes on: an answer brings the entries committed since the last one, and
//! the page as of the last of these entries, so what was copied is always the table as of one entry,
//! up to some key.

use crate::id::Term;
use crate::log::message::{Base, Entry, Position, Record};
use serde::{Deserialize, Serialize};

/// How much of a table was copied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What is not behind this key; nothing without one.
    UpTo(Option<Vec<u8>>),
}

impl Extent {
    /// Whether a record with this key was copied.
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Self::Whole => true,
            Self::UpTo(last) => last.as_ref().is_some_and(|last| key <= last.as_slice()),
        }
    }
}

/// What a copy has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Have {
    /// The last entry, which is committed.
    pub position: Position,
    /// How much of the table as of it.
    pub extent: Extent,
}

/// From where on a master wants to be fed: from what it has, or from nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeedFrom {
    /// What it has.
    pub have: Option<Have>,
}

/// What a page of the feed goes on from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FeedStart {
    /// From this entry, as the leader's log has it.
    Behind(Position),
    /// The log does not reach back so far: the copy begins anew, with an empty table.
    Anew(Base),
}

/// Records of the table, in order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeedRecords {
    /// The last key before them.
    pub after: Option<Vec<u8>>,
    /// Keys and values.
    pub records: Vec<Record>,
    /// Whether the table goes on behind them.
    pub more: bool,
}

/// One page of the feed. All it holds is committed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FeedPage {
    /// The term of the leader.
    pub term: Term,
    /// What it goes on from.
    pub start: FeedStart,
    /// Consecutive entries behind `start`.
    pub entries: Vec<Entry>,
    /// Of the table as of the last of these entries.
    pub records: Option<FeedRecords>,
    /// How often voters were forced, by what the leader has committed: a copy of before may hold what
    /// was given up with them.
    pub epoch: u32,
}

impl FeedPage {
    /// Whether it brings nothing.
    pub fn is_empty(&self) -> bool {
        let goes_on = matches!(self.start, FeedStart::Behind(_));
        goes_on && self.entries.is_empty() && self.records.is_none()
    }
}
