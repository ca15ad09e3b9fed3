//! The part of the log held in memory: everything since its base.

use crate::log::membership::Membership;
use crate::log::message::{Base, Change, Config, Entry, Position};
use crate::time::LogTime;
use std::collections::VecDeque;

/// Most entries, and most bytes of them, kept after they are applied. A log that has to reach
/// further back sends the table instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Entries.
    pub entries: usize,
    /// Bytes, by [`Entry::size_bytes`].
    pub bytes: usize,
}

impl Window {
    /// What servers use: enough for a voter that was away for some seconds of heavy writing.
    pub const DEFAULT: Self = Self {
        entries: 4096,
        bytes: 8 << 20,
    };
}

/// Consecutive entries behind a committed base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Log {
    base: Base,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The config entries among `entries`, in order.
    configs: VecDeque<Named>,
}

/// A config, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    index: u64,
    config: Config,
    forced: bool,
}

impl Log {
    /// The log of these parts; `None` if the entries do not follow each other from `base` on, or
    /// their terms fall.
    pub(super) fn new(base: Base, entries: Vec<Entry>) -> Option<Self> {
        let mut log = Self::empty(base);
        entries
            .into_iter()
            .all(|entry| log.push(entry))
            .then_some(log)
    }

    pub(super) fn empty(base: Base) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    /// The base that a table applied up to `index` has; `None` outside of the log.
    pub(super) fn base_at(&self, index: u64) -> Option<Base> {
        if index == self.base.position.index {
            return Some(self.base.clone());
        }
        let entry = self.entry(index)?;
        let mut configs = self.configs.iter().rev();
        let config = configs
            .find(|named| named.index <= index)
            .map_or(&self.base.config, |named| &named.config);
        Some(Base {
            position: entry.position(),
            config: config.clone(),
            time: entry.time,
        })
    }

    /// The log time at the end.
    pub(super) fn last_time(&self) -> LogTime {
        self.entries
            .back()
            .map_or(self.base.time, |entry| entry.time)
    }

    /// Where the log ends.
    pub(super) fn last(&self) -> Position {
        self.entries
            .back()
            .map_or(self.base.position, Entry::position)
    }

    pub(super) fn entry(&self, index: u64) -> Option<&Entry> {
        let offset = index
            .checked_sub(self.base.position.index)?
            .checked_sub(1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Where `index` stands, from the base to the end.
    pub(super) fn position(&self, index: u64) -> Option<Position> {
        if index == self.base.position.index {
            return Some(self.base.position);
        }
        self.entry(index).map(Entry::position)
    }

    /// The entries behind `after`, in order.
    pub(super) fn behind(&self, after: u64) -> impl Iterator<Item = &Entry> {
        let skip =
            usize::try_from(after.saturating_sub(self.base.position.index)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    /// As many of the entries behind `after` as fit `limit_bytes`, at least one if there is one.
    pub(super) fn page(&self, after: u64, limit_bytes: usize) -> Vec<Entry> {
        let mut room = limit_bytes;
        let mut page = Vec::new();
        for entry in self.behind(after) {
            let size = entry.size_bytes();
            if size > room && !page.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            page.push(entry.clone());
        }
        page
    }

    /// Appends the entry; false, and nothing done, if it does not follow the last, or names voters
    /// of whom more than one is not as before.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let last = self.last();
        let follows = entry.index == last.index.wrapping_add(1)
            && entry.term >= last.term
            && self.is_step(&entry.change);
        if follows {
            self.bytes = self.bytes.saturating_add(entry.size_bytes());
            if let Some(config) = entry.change.config() {
                self.configs.push_back(Named {
                    index: entry.index,
                    config: config.clone(),
                    forced: matches!(entry.change, Change::Forced { .. }),
                });
            }
            self.entries.push_back(entry);
        }
        follows
    }

    /// Whether the quorums before and after the change meet: one voter came or went. The first
    /// config follows none, and one that was forced none that is asked.
    fn is_step(&self, change: &Change) -> bool {
        match change {
            Change::Blank | Change::Records(_) => true,
            Change::Config(config) => {
                let before = self.config();
                let steps = before.voters.is_empty() || before.is_one_step_from(config);
                steps && config.epoch == before.epoch
            }
            Change::Forced { config, lost } => {
                config.voters.is_disjoint(lost) && config.epoch > self.config().epoch
            }
        }
    }

    /// The newest config.
    pub(super) fn config(&self) -> &Config {
        let newest = self.configs.back();
        newest.map_or(&self.base.config, |named| &named.config)
    }

    /// Removes the entries from `index` on.
    pub(super) fn cut_from(&mut self, index: u64) {
        while self.last().index >= index {
            let Some(entry) = self.entries.pop_back() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(entry.size_bytes());
            if entry.change.config().is_some() {
                self.configs.pop_back();
            }
        }
    }

    /// Drops the oldest entries up to `applied` that are beyond the window; true if the base moved.
    pub(super) fn trim(&mut self, applied: u64, window: Window) -> bool {
        let before = self.base.position.index;
        while self.entries.len() > window.entries || self.bytes > window.bytes {
            match self.entries.front() {
                Some(entry) if entry.index <= applied => self.drop_first(),
                _ => break,
            }
        }
        self.base.position.index > before
    }

    /// Makes `base` the base. The entries behind it stay if the log holds exactly it.
    pub(super) fn rebase(&mut self, base: Base) {
        if self.position(base.position.index) == Some(base.position) {
            while self.base.position.index < base.position.index {
                self.drop_first();
            }
            self.base = base;
        } else {
            *self = Self::empty(base);
        }
    }

    /// The voters, by the newest config entry.
    pub(super) fn membership(&self) -> Membership {
        let mut configs = self.configs.iter().rev();
        match configs.next() {
            None => Membership {
                config: self.base.config.clone(),
                index: self.base.position.index,
                previous: None,
                forced: false,
            },
            Some(newest) => {
                let previous = configs
                    .next()
                    .map_or(&self.base.config, |named| &named.config);
                let asked = !newest.forced && !previous.voters.is_empty();
                Membership {
                    config: newest.config.clone(),
                    index: newest.index,
                    previous: asked.then(|| previous.clone()),
                    forced: newest.forced,
                }
            }
        }
    }

    /// The first index of the run of entries with the term that `index` has.
    pub(super) fn first_of_term(&self, index: u64) -> u64 {
        let Some(term) = self.entry(index).map(|entry| entry.term) else {
            return index;
        };
        let older = self
            .entries
            .iter()
            .rev()
            .filter(|entry| entry.index <= index);
        older
            .take_while(|entry| entry.term == term)
            .last()
            .map_or(index, |entry| entry.index)
    }

    fn drop_first(&mut self) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.size_bytes());
        self.base.position = entry.position();
        self.base.time = entry.time;
        if let Some(config) = entry.change.config() {
            self.configs.pop_front();
            self.base.config = config.clone();
        }
    }
}
