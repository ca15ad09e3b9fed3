//! What goes into a leader and what comes out.

use super::warm::Copied;
use crate::id::{DiskId, Term};
use crate::log::entries::Window;
use crate::log::message::{Config, PAGE_BYTES, Reply, Request};
use crate::log::violation::Violation;
use crate::time::LogTime;
use std::collections::BTreeSet;
use std::time::Duration;

/// Spans and bounds of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderSettings {
    /// How long voters lease themselves; the same in the whole cluster. The leader counts half.
    pub lease: Duration,
    /// How long a voter goes without a message from the leader.
    pub heartbeat: Duration,
    /// How long a master waits between two attempts when voters do not tell how long.
    pub retry: Duration,
    /// The most that chance adds to a wait, so that masters do not campaign all at once.
    pub jitter: Duration,
    /// How much of the committed log is kept for voters that are behind.
    pub window: Window,
    /// About how many bytes of entries or records go in one message.
    pub page_bytes: usize,
    /// Where this master is reached by other masters.
    pub url: String,
}

impl LeaderSettings {
    /// What servers use.
    pub fn new(url: String) -> Self {
        Self {
            lease: Duration::from_secs(3),
            heartbeat: Duration::from_millis(500),
            retry: Duration::from_millis(250),
            jitter: Duration::from_millis(100),
            window: Window::DEFAULT,
            page_bytes: PAGE_BYTES,
            url,
        }
    }

    /// The lease in milliseconds, as voters are told.
    pub(super) fn lease_millis(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What can happen to a leader from outside; requests come by its methods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time has passed. At least every 50 ms, or waits are longer than they need be.
    Tick,
    /// A voter answered.
    Reply {
        /// The disk that answered.
        from: DiskId,
        /// Its answer.
        reply: Reply,
    },
    /// A request could not be delivered, or its answer is lost.
    Unreachable {
        /// The disk it was sent to.
        disk: DiskId,
    },
    /// The disks of this cluster that can be reached; replaces what was told before.
    Seen {
        /// All of them, voters or not.
        disks: BTreeSet<DiskId>,
    },
    /// The order to found the cluster. Disks that hold chunks are the caller's to refuse.
    Bootstrap {
        /// Named in the effect that answers.
        ticket: u64,
        /// The first voters.
        disks: BTreeSet<DiskId>,
        /// The wall clock, where log time begins.
        wall: LogTime,
    },
}

/// What the driver has to do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send this to a disk, and report the answer, or that there will be none.
    Send {
        /// The disk.
        to: DiskId,
        /// The request.
        request: Request,
    },
    /// This master leads; whether it can write and read yet is to be asked.
    Elected {
        /// In this term.
        term: Term,
    },
    /// It leads no more. What was appended and not committed may be kept or lost.
    SteppedDown {
        /// The term in which it led.
        term: Term,
    },
    /// The committed records in memory became others, otherwise than by commits of this leader:
    /// before it leads, and when it begins to. They answer nobody before this master may read.
    Copied(Box<Copied>),
    /// All up to here is committed and in the table: answer those who wait for it.
    Committed {
        /// The new commit index.
        up_to: u64,
    },
    /// The read may be answered, now, from the committed table.
    ReadReady {
        /// As given to `read`.
        ticket: u64,
    },
    /// The read cannot be answered here and now.
    ReadRefused {
        /// As given to `read`.
        ticket: u64,
    },
    /// The cluster is founded with the disks of the order, perhaps by an earlier one.
    Bootstrapped {
        /// As in the order.
        ticket: u64,
    },
    /// The order to found the cluster is refused, and not pending any more.
    BootstrapRefused {
        /// As in the order.
        ticket: u64,
        /// Why.
        refusal: BootstrapRefusal,
    },
    /// A broken invariant: stop the process, carry out nothing that follows.
    Broken(Violation),
}

/// Why a cluster was not founded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapRefusal {
    /// A cluster is founded with one to five disks.
    #[error("a cluster is founded with 1 to 5 disks, the order names {named}")]
    WrongNumber {
        /// How many the order names.
        named: usize,
    },
    /// A disk holds a log with other voters.
    #[error("disk {disk} belongs to a log with other voters")]
    OtherVoters {
        /// The disk.
        disk: DiskId,
        /// The voters of its log.
        config: Config,
    },
    /// Not every disk answered in time.
    #[error("not every disk of the order and of the cluster answered in time")]
    Silent {
        /// Those that did not, as far as known.
        disks: BTreeSet<DiskId>,
    },
    /// Another order came, or this master stops.
    #[error("another order to found the cluster took this one's place, or the master stops")]
    Superseded,
}

/// Why an entry was not appended. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotLeading {
    /// This master does not lead.
    #[error("this master does not lead")]
    Follower,
    /// It leads, but too few voters are known to be there.
    #[error("too few voters answer for a write")]
    NoQuorum,
    /// Too much is waiting to be committed.
    #[error("{waiting} entries wait to be committed")]
    Overloaded {
        /// Entries appended and not committed.
        waiting: u64,
    },
}
