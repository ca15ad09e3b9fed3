//! What a voter has its driver make durable, and what it gets back after a restart.

use crate::id::Term;
use crate::log::message::{Base, Entry, Loaded, Put, Record, Reply};

/// A voter's disk, as it is read back at the start: all of it but the table of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DurableVoter {
    /// The promised term; the zero term on a blank disk.
    pub promised: Term,
    /// The place behind which the log begins; the default on a blank disk.
    pub base: Base,
    /// The log behind `base`, in order.
    pub entries: Vec<Entry>,
    /// The index up to which the table is applied, never below `base`.
    pub applied: u64,
}

/// One atomic transaction on a voter's disk. Carried out in the order of the fields, all or
/// nothing, before the answer leaves.
///
/// It maps onto three tables: `records` (key to value), `log` (index to entry) and `meta`
/// (promised, base, applied), and a fourth, `staged`, like `records`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Persist {
    /// The new promised term.
    pub promised: Option<Term>,
    /// Empty `staged`.
    pub clear_staged: bool,
    /// Records to insert in `staged`.
    pub stage: Vec<Record>,
    /// Replace all of `records` by `staged`, and empty `staged`.
    pub install: bool,
    /// Remove the log's entries from this index on.
    pub cut_from: Option<u64>,
    /// Entries to insert in the log.
    pub append: Vec<Entry>,
    /// Changes of `records`, in order.
    pub apply: Vec<Put>,
    /// The new applied index; rises with `apply` or `install`.
    pub applied: Option<u64>,
    /// The new base: remove the log's entries up to it.
    pub base: Option<Base>,
    /// Whether it must be synced before the answer leaves. If not, a crash may lose all of it, but
    /// not a part.
    pub sync: bool,
}

impl Persist {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                sync: self.sync,
                ..Self::default()
            }
    }
}

/// What a voter wants done about a request, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output {
    /// First make this durable. If that fails, the voter must not be stepped again and nothing is
    /// answered.
    pub persist: Option<Persist>,
    /// Then answer.
    pub answer: Answer,
}

/// How to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// With this.
    Ready(Box<Reply>),
    /// With a page of the table, which the driver reads from `records`.
    Read(TableRead),
}

/// A page of the table that the driver has to read, before it steps the voter again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableRead {
    /// Read the records behind this key, or from the first one.
    pub after: Option<Vec<u8>>,
    /// Read about so many bytes of keys and values, one record at least.
    pub limit_bytes: usize,
    /// The answer but for the records. `entries` counts only if the page ends the table.
    pub(super) loaded: Box<Loaded>,
}

impl TableRead {
    /// The answer: `records` are those asked for, in order of their keys; `more` tells whether
    /// there are others behind them.
    pub fn finish(self, records: Vec<Record>, more: bool) -> Reply {
        let mut loaded = self.loaded;
        loaded.records = records;
        loaded.more_records = more;
        if more {
            loaded.entries.clear();
            loaded.more_entries = true;
        }
        Reply::Loaded(loaded)
    }
}
