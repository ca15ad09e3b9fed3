//! What the leader knows of one voter.

use crate::log::message::Base;
use crate::log::table::Table;
use crate::time::Timestamp;

/// One who gets the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// It holds the leader's log up to here, durably: it said so, in this term.
    pub(super) matched: u64,
    /// The first entry to send next.
    pub(super) next: u64,
    /// What it has not answered yet; never more than one message.
    pub(super) in_flight: Option<Flight>,
    /// Leased to this term at least until then, by the leader's clock.
    pub(super) leased_until: Option<Timestamp>,
    /// The highest send number it answered, accepting the term.
    pub(super) answered: u64,
    /// When it is to be sent something at the latest.
    pub(super) due: Timestamp,
    /// Nothing is sent before: the last send failed.
    pub(super) pause_until: Timestamp,
    /// Nothing reached it, or no answer came back, since then.
    pub(super) silent_since: Option<Timestamp>,
    /// The table it is being sent.
    pub(super) snapshot: Option<Sending>,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) send: u64,
    pub(super) at: Timestamp,
    /// The index before the first entry it carried.
    pub(super) previous: u64,
}

/// A table under way to a voter, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sending {
    /// As of `base`; shares its pages with the leader's.
    pub(super) table: Table,
    pub(super) base: Base,
    /// The page under way.
    pub(super) page: u64,
    /// The key before that page.
    pub(super) after: Option<Vec<u8>>,
    /// The last key in that page.
    pub(super) page_end: Option<Vec<u8>>,
}

impl Peer {
    pub(super) fn new(next: u64, now: Timestamp) -> Self {
        Self {
            matched: 0,
            next,
            in_flight: None,
            leased_until: None,
            answered: 0,
            due: now,
            pause_until: Timestamp::default(),
            silent_since: None,
            snapshot: None,
        }
    }
}

impl Sending {
    pub(super) fn new(table: Table, base: Base) -> Self {
        Self {
            table,
            base,
            page: 0,
            after: None,
            page_end: None,
        }
    }

    /// The voter wants this page next: the following one, or it begins again.
    pub(super) fn go_to(&mut self, page: u64) {
        if page == self.page.saturating_add(1) {
            self.page = page;
            self.after = self.page_end.take();
        } else if page != self.page {
            self.page = 0;
            self.after = None;
            self.page_end = None;
        }
    }
}
