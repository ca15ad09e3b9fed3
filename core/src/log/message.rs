//! What leaders and voters say to each other, and what the log holds.

use crate::id::{DiskId, RequestId, Term};
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A place in the log. Ordered as elections compare logs: by term, then by index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The term of the entry at `index`; the zero term for index 0.
    pub term: Term,
    /// The index of the entry; 0 is the place before the first.
    pub index: u64,
}

/// The voters of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Their disks, 1 to 5.
    pub voters: BTreeSet<DiskId>,
}

impl Config {
    /// How many voters make a commit: `n / 2 + 1`.
    pub fn commit_quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// How many voters make a promise, a lease or a read check: every such set meets every commit
    /// quorum.
    pub fn read_quorum(&self) -> usize {
        self.voters.len() + 1 - self.commit_quorum()
    }
}

/// One record written or removed. Voters store it without understanding it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Put {
    /// Sorts as bytes.
    pub key: Vec<u8>,
    /// The new value; `None` removes the record.
    pub value: Option<Vec<u8>>,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// Nothing: a leader's first own entry, which commits what it inherited.
    Blank,
    /// The voters from here on.
    Config(Config),
    /// Effects the leader computed; applied in order, all at once.
    Records(Vec<Put>),
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its index; the first is 1.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: Term,
    /// The leader's time, never below the predecessor's.
    pub time: LogTime,
    /// The request that caused it, if a client named it.
    pub request: Option<RequestId>,
    /// What it does.
    pub change: Change,
}

impl Entry {
    /// Where the entry stands.
    pub fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }
}
