//! What a board tells its readers, and what they know.

use mdfs_protocol::public::{Event, Tick};
use serde::{Deserialize, Serialize};

/// What a reader knows: goes with each reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The id of the last event; empty at the beginning of all that is here.
    pub event: String,
    pub(super) ticks: u64,
}

impl Known {
    /// Knows everything up to an event.
    pub fn after(id: &str) -> Self {
        Self {
            event: id.to_owned(),
            ticks: 0,
        }
    }
}

/// What is new to a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Something was missed: comes before the events.
    pub is_reset: bool,
    /// Events, the oldest first.
    pub events: Vec<Event>,
    /// The figures, if they are others.
    pub tick: Option<Tick>,
    /// There is more: these are what goes into one piece.
    pub has_more: bool,
}

/// What one master tells another of its board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    pub(super) term: String,
    pub(super) is_reset: bool,
    pub(super) events: Vec<Event>,
    pub(super) next: u64,
    /// The figures.
    pub tick: Option<Tick>,
}

/// About the bytes of an event in a stream.
pub(super) fn size(event: &Event) -> usize {
    let texts = [&event.name, &event.from, &event.to, &event.text];
    let texts = texts.into_iter().flatten().map(String::len);
    // The words around them.
    texts.fold(256, usize::saturating_add)
}
