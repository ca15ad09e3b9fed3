//! What masters tell each other of what goes on.

use serde::{Deserialize, Serialize};

/// Asks for what happened after an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsAfter {
    /// Its id; the oldest that is known if none.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// What a master has moved since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The master.
    pub url: String,
    /// Bytes of files sent to clients.
    pub read: u64,
    /// Bytes of files taken from clients, counted once.
    pub written: u64,
    /// Requests answered.
    pub requests: u64,
    /// Those of them that failed here: status 500 and above.
    pub errors: u64,
}
