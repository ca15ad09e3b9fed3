//! What leaders and voters say to each other, and what the log holds.

use crate::id::{DiskId, RequestId, Term};
use crate::log::membership::Membership;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

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
    /// How often voters were forced before. Whoever was elected through a disk that was given up
    /// knows of fewer, and who knows of more does not follow it.
    pub epoch: u32,
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

    /// Whether exactly one voter came or went between the two.
    pub fn is_one_step_from(&self, other: &Self) -> bool {
        self.voters.symmetric_difference(&other.voters).count() == 1
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

/// The place behind which a log begins: all up to it is committed, and in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Base {
    /// The last entry before the log; zero if there is none.
    pub position: Position,
    /// The voters as of `position`; none in a blank log.
    pub config: Config,
    /// The log time of the entry at `position`.
    pub time: LogTime,
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
    /// The voters from here on, without the consent of those before: somebody vouched that the
    /// lost ones run nowhere. Committed only on all of its voters.
    Forced {
        /// Those that are left.
        config: Config,
        /// The voters that are given up.
        lost: BTreeSet<DiskId>,
    },
}

impl Change {
    /// The voters that it names.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Self::Blank | Self::Records(_) => None,
            Self::Config(config) | Self::Forced { config, lost: _ } => Some(config),
        }
    }
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
    /// The records it writes and removes.
    pub fn puts(&self) -> &[Put] {
        match &self.change {
            Change::Blank | Change::Config(_) | Change::Forced { .. } => &[],
            Change::Records(puts) => puts,
        }
    }

    /// Where the entry stands.
    pub fn position(&self) -> Position {
        Position {
            term: self.term,
            index: self.index,
        }
    }
}

/// A record of the table: key and value.
pub type Record = (Vec<u8>, Vec<u8>);

/// Most bytes of entries or records in one message, by estimate; one larger item goes alone.
pub const PAGE_BYTES: usize = 1 << 20;

impl Entry {
    /// How many bytes the entry takes on the wire and in memory, roughly.
    pub fn size_bytes(&self) -> usize {
        let change = match &self.change {
            Change::Blank => 0,
            Change::Config(config) => 16 * config.voters.len(),
            Change::Forced { config, lost } => 16 * (config.voters.len() + lost.len()),
            Change::Records(puts) => puts
                .iter()
                .map(|put| 16 + put.key.len() + put.value.as_ref().map_or(0, Vec::len))
                .sum(),
        };
        64 + change
    }
}

/// What a leader or candidate asks of a voter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Request {
    /// Would you promise this term? Changes nothing.
    PreVote {
        /// The term the master would campaign with.
        term: Term,
    },
    /// Promise this term: answer no lower one from here on.
    Prepare {
        /// The term the master campaigns with.
        term: Term,
    },
    /// One page of the voter's table and log; served only while the voter's promise is this term.
    Load {
        /// The candidate's term.
        term: Term,
        /// Where the page begins.
        from: LoadFrom,
        /// Echoed in the answer.
        send: u64,
    },
    /// Entries, or none: then it is the heartbeat that renews the lease.
    Append(Append),
    /// One page of the table, for a voter whose log cannot reach.
    Snapshot(SnapshotPage),
    /// Ends the lease this term holds.
    Release {
        /// The term of the leader that stops.
        term: Term,
    },
}

/// Where a page of [`Request::Load`] begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LoadFrom {
    /// The table behind this key, or from its start; a page that ends the table begins the log.
    Table {
        /// The last key already held.
        after: Option<Vec<u8>>,
    },
    /// The log behind this place. A log that does not have it, or begins behind it, is served as
    /// [`LoadFrom::Table`] from the start.
    Log {
        /// The last entry already held.
        after: Position,
    },
}

/// Entries that follow `previous`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Append {
    /// The leader's term.
    pub term: Term,
    /// Where the entry before the first of `entries` stands.
    pub previous: Position,
    /// Consecutive entries behind `previous`; none in a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: u64,
    /// Of the newest config in the leader's log.
    pub epoch: u32,
    /// Echoed in the answer: tells the leader when this was sent.
    pub send: u64,
    /// Where the leader is reached, for other masters.
    pub leader_url: String,
    /// How long a lease the leader counts on, in milliseconds: a voter that leases itself for
    /// another span refuses.
    pub lease_millis: u64,
}

impl Append {
    /// The last index this message names: what an answer vouches for.
    pub fn last_named(&self) -> u64 {
        self.entries
            .last()
            .map_or(self.previous.index, |entry| entry.index)
    }
}

/// One page of the table as of `base`. The pages of one table are sent in order; the last one
/// makes the voter swap table, base and log in one step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotPage {
    /// The leader's term.
    pub term: Term,
    /// The committed entry up to which the table is applied: the base of the log that follows.
    pub base: Base,
    /// Of the newest config in the leader's log, which may stand behind the base.
    pub epoch: u32,
    /// The number of this page, from 0.
    pub page: u64,
    /// Records in order of their keys.
    pub records: Vec<Record>,
    /// Whether this page ends the table.
    pub last: bool,
    /// Echoed in the answer.
    pub send: u64,
    /// Where the leader is reached.
    pub leader_url: String,
    /// As in [`Append`].
    pub lease_millis: u64,
}

/// What a voter answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// To PreVote.
    PreVoted(Vote),
    /// To Prepare.
    Prepared(Vote),
    /// To Load.
    Loaded(Box<Loaded>),
    /// To Append and Snapshot: the voter holds the leader's log up to `index`, durably.
    Appended {
        /// The term asked in.
        term: Term,
        /// The last index the request named, never the voter's own last index.
        index: u64,
        /// As in the request.
        send: u64,
        /// A higher term that this voter refused while its lease ran.
        higher: Option<Term>,
    },
    /// To Append: the voter leases the term, but its log lacks `previous`.
    Mismatch {
        /// The term asked in.
        term: Term,
        /// The last index at which the logs may agree.
        hint: u64,
        /// As in the request.
        send: u64,
        /// A higher term that this voter refused while its lease ran.
        higher: Option<Term>,
    },
    /// To Snapshot, but for its last page.
    Staged {
        /// The term asked in.
        term: Term,
        /// The page wanted next: 0 when the voter lost the earlier ones.
        next_page: u64,
        /// As in the request.
        send: u64,
        /// A higher term that this voter refused while its lease ran.
        higher: Option<Term>,
    },
    /// To Load, Append and Snapshot: the term is too low, or another term's lease runs. If neither
    /// is told, voters were forced whom the sender does not know.
    Refused {
        /// The term asked in.
        term: Term,
        /// As in the request.
        send: u64,
        /// The term the voter promised.
        promised: Term,
        /// How long the lease of another term runs on; only a hint.
        lease_left: Option<Duration>,
    },
    /// To Release.
    Released {
        /// The term asked in.
        term: Term,
    },
    /// To Append and Snapshot: leader and voter were told leases of different lengths, so a leader
    /// might count on one that is over. Nothing was promised or leased.
    OtherLease {
        /// The term asked in.
        term: Term,
        /// As in the request.
        send: u64,
        /// For how long the voter leases itself, in milliseconds.
        lease_millis: u64,
    },
}

/// Answer to PreVote and Prepare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The term asked for.
    pub term: Term,
    /// Whether it is promised (would be, for PreVote).
    pub granted: bool,
    /// The term the voter promised, after this request.
    pub promised: Term,
    /// How long the lease of another term runs on; only a hint.
    pub lease_left: Option<Duration>,
    /// The leader the voter leases to, if a lease runs.
    pub leader_url: Option<String>,
    /// The voters, as this voter's log has them.
    pub membership: Membership,
    /// Up to here the log is committed; the truth may be further on.
    pub commit: u64,
    /// Where the voter's log ends.
    pub last: Position,
}

/// One page of a voter's table and log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Loaded {
    /// The term asked in.
    pub term: Term,
    /// As in the request.
    pub send: u64,
    /// The index up to which the table is applied. The same in all pages of one Load.
    pub applied: u64,
    /// Where the log begins: the first entry it holds follows this place.
    pub base: Base,
    /// Where the page begins: not where it was asked to if the log does not have that place.
    pub from: LoadFrom,
    /// Records in order of their keys.
    pub records: Vec<Record>,
    /// Whether the table goes on behind this page.
    pub more_records: bool,
    /// Entries in order, from `base` on; only once the table has ended.
    pub entries: Vec<Entry>,
    /// Whether the log goes on behind this page.
    pub more_entries: bool,
}
