//! The copy of the committed log and table that a master keeps while it does not lead.
//!
//! It never holds an entry that is not committed, and nobody reads it but [`super::loading`]: what
//! it lacks cannot be known here.

use super::leading::Leading;
use super::{Effect, Leader, State};
use crate::log::entries::Log;
use crate::log::feed::{Extent, FeedFrom, FeedPage, FeedRecords, FeedStart, Have};
use crate::log::message::{Base, Entry, Position, Put, Record, Vote};
use crate::log::mutant::Mutant;
use crate::log::table::Table;
use crate::log::violation::Violation;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A record that became another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Changed {
    /// Its key.
    pub key: Vec<u8>,
    /// What it was; none if there was none.
    pub old: Option<Vec<u8>>,
    /// What it is; none if it was removed.
    pub new: Option<Vec<u8>>,
}

/// What the committed records in memory became, other than by [`Effect::Committed`]: in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Copied {
    /// All of them were forgotten.
    pub anew: bool,
    /// These changed, one after the other.
    pub changes: Vec<Changed>,
    /// These were added: no record had their keys.
    pub records: Vec<Record>,
}

impl Copied {
    /// All were forgotten.
    pub(super) fn anew() -> Self {
        Self {
            anew: true,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.anew && self.changes.is_empty() && self.records.is_empty()
    }
}

/// The copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Warm {
    /// Ends where `table` is applied up to; all of it is committed.
    pub(super) log: Log,
    /// As of the end of `log`, as far as `extent` goes.
    pub(super) table: Table,
    pub(super) extent: Extent,
}

impl Warm {
    fn at(base: Base) -> Self {
        Self {
            log: Log::empty(base),
            table: Table::default(),
            extent: Extent::UpTo(None),
        }
    }

    /// What a leader that stops leading had committed; none before the first entry.
    pub(super) fn of(leading: Leading) -> Option<Self> {
        let Leading {
            mut log,
            table,
            commit,
            ..
        } = leading;
        log.cut_from(commit.saturating_add(1));
        (commit > 0).then_some(Self {
            log,
            table,
            extent: Extent::Whole,
        })
    }

    pub(super) fn position(&self) -> Position {
        self.log.last()
    }

    /// Adds an entry and what it changes in what was copied; false if it does not follow.
    fn add(&mut self, entry: Entry, changes: &mut Vec<Changed>) -> bool {
        let puts = entry.puts().iter();
        let puts: Vec<Put> = puts
            .filter(|put| self.extent.covers(&put.key))
            .cloned()
            .collect();
        let follows = self.log.push(entry);
        if follows {
            changes.extend(puts.into_iter().map(|put| change(&mut self.table, put)));
        }
        follows
    }

    /// Adds a page of the table, if it is the one that comes next.
    fn take(&mut self, page: FeedRecords) -> Vec<Record> {
        let FeedRecords {
            after,
            records,
            more,
        } = page;
        if self.extent != Extent::UpTo(after) {
            return Vec::new();
        }
        for (key, value) in &records {
            self.table.insert(key, value);
        }
        match records.last() {
            Some((key, _)) if more => self.extent = Extent::UpTo(Some(key.clone())),
            None if more => {}
            Some(_) | None => self.extent = Extent::Whole,
        }
        records
    }
}

/// Writes or removes one record, and says what it was.
pub(super) fn change(table: &mut Table, put: Put) -> Changed {
    let old = table.get(&put.key).map(<[u8]>::to_vec);
    table.apply(&put);
    Changed {
        key: put.key,
        old,
        new: put.value,
    }
}

impl Leader {
    /// From where on another leader's feed is wanted; none while this master campaigns or leads.
    pub fn feed_from(&self) -> Option<FeedFrom> {
        let State::Waiting(_) = &self.state else {
            return None;
        };
        let have = self.warm.as_ref().map(|warm| Have {
            position: warm.position(),
            extent: warm.extent.clone(),
        });
        Some(FeedFrom { have })
    }

    /// Takes a page of another leader's feed. One that does not go on from what this master has is
    /// left out: it was asked for before something else happened. A leader that was deposed and
    /// does not know yet feeds only what is committed too.
    pub fn feed(&mut self, now: Timestamp, page: FeedPage) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !matches!(self.state, State::Waiting(_)) {
            return effects;
        }
        let mut copied = Copied::default();
        match self.take_page(page, &mut copied) {
            Ok(()) if copied.is_empty() => {}
            Ok(()) => effects.push(Effect::Copied(Box::new(copied))),
            Err(violation) => self.break_off(now, violation, &mut effects),
        }
        effects
    }

    fn take_page(&mut self, page: FeedPage, copied: &mut Copied) -> Result<(), Violation> {
        let FeedPage {
            term,
            start,
            entries,
            records,
            epoch,
        } = page;
        self.heard_epoch(epoch);
        self.drop_given_up(epoch);
        let own = self.warm.as_ref().map(|warm| warm.position());
        let from = match &start {
            FeedStart::Behind(position) => *position,
            FeedStart::Anew(base) => base.position,
        };
        if let Some(own) = own.filter(|own| own.index == from.index && *own != from) {
            let index = own.index;
            return Err(Violation::CopyContradicted { term, index });
        }
        match start {
            FeedStart::Behind(_) if own != Some(from) => return Ok(()),
            // What is held is newer.
            FeedStart::Anew(_) if own.is_some_and(|own| own.index > from.index) => return Ok(()),
            FeedStart::Behind(_) => {}
            FeedStart::Anew(base) => {
                copied.anew = true;
                self.warm = Some(Box::new(Warm::at(base)));
            }
        }
        let window = self.settings.window;
        let Some(warm) = &mut self.warm else {
            return Ok(());
        };
        for entry in entries {
            let index = entry.index;
            if entry.term > term || !warm.add(entry, &mut copied.changes) {
                return Err(Violation::OutOfOrder { term, index });
            }
        }
        if let Some(records) = records {
            copied.records = warm.take(records);
        }
        let last = warm.position().index;
        warm.log.trim(last, window);
        let epoch = warm.log.config().epoch;
        self.heard_epoch(epoch);
        Ok(())
    }

    /// A page of the feed for another master; none unless this one leads and has committed an entry
    /// of its own. It brings nothing when there is nothing new.
    pub fn serve_feed(&self, from: &FeedFrom) -> Option<FeedPage> {
        let leading = self.leading().filter(|leading| leading.is_established())?;
        Some(leading.feed_page(from, self.settings.page_bytes / 2))
    }

    /// Asks the voters at once whether they would follow this master: whoever led has gone.
    pub fn poll_now(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.state, State::Waiting(_)) && !self.resigned {
            self.poll(now, &mut effects);
            if let State::Waiting(waiting) = &mut self.state
                && let Some(poll) = &mut waiting.poll
            {
                poll.leader_gone = true;
            }
        }
        effects
    }

    /// Forgets who leads if that one does not answer this master, and no disk leases itself to anybody.
    pub(super) fn forget_leader(&mut self) {
        let State::Waiting(waiting) = &self.state else {
            return;
        };
        let Some(poll) = waiting.poll.as_ref().filter(|poll| poll.leader_gone) else {
            return;
        };
        let leased = |vote: &Vote| vote.lease_left.is_some() || vote.leader_url.is_some();
        if poll.is_over() && !poll.votes.values().any(leased) {
            self.leader_url = None;
        }
    }

    /// The entries that are appended and not committed, and what each would change; only while
    /// leading.
    pub fn tail(&self) -> Vec<(u64, Vec<Changed>)> {
        let Some(leading) = self.leading() else {
            return Vec::new();
        };
        let mut over: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        let entries = leading.log.behind(leading.commit);
        entries
            .map(|entry| {
                let puts = entry.puts().iter();
                let changes = puts.map(|Put { key, value }| {
                    let before = over.insert(key, value.as_deref());
                    let old = before.unwrap_or_else(|| leading.table.get(key));
                    Changed {
                        key: key.clone(),
                        old: old.map(<[u8]>::to_vec),
                        new: value.clone(),
                    }
                });
                (entry.index, changes.collect())
            })
            .collect()
    }
}

impl Leading {
    /// Entries of at most so many bytes, and records of at most so many, but one of them at least.
    fn feed_page(&self, from: &FeedFrom, limit_bytes: usize) -> FeedPage {
        let commit = match self.mutants.has(Mutant::FeedUncommitted) {
            true => self.log.last().index,
            false => self.commit,
        };
        let term = self.term;
        let have = from.have.as_ref();
        // What is not committed yet may never be.
        let epoch = self.log.base_at(commit).map_or(0, |base| base.config.epoch);
        if let Some(have) = have.filter(|have| have.position.index > commit) {
            // Deposed, and not told yet: others have committed more.
            let start = FeedStart::Behind(have.position);
            let (entries, records) = (Vec::new(), None);
            return FeedPage {
                term,
                start,
                entries,
                records,
                epoch,
            };
        }
        let known = have.and_then(|have| {
            let position = self.log.position(have.position.index)?;
            Some((position, have.extent.clone()))
        });
        let (start, behind, extent) = match known {
            Some((position, extent)) => (FeedStart::Behind(position), position.index, extent),
            None => {
                let base = self.log.base_at(commit).unwrap_or_default();
                (FeedStart::Anew(base), commit, Extent::UpTo(None))
            }
        };
        let mut entries = self.log.page(behind, limit_bytes);
        entries.retain(|entry| entry.index <= commit);
        let end = entries.last().map_or(behind, |entry| entry.index);
        // The table is as of the commit, and so must the copy be.
        let records = match extent {
            Extent::UpTo(after) if end == commit => {
                let (records, more) = self.table.page(after.as_deref(), limit_bytes);
                Some(FeedRecords {
                    after,
                    records,
                    more,
                })
            }
            Extent::UpTo(_) | Extent::Whole => None,
        };
        FeedPage {
            term,
            start,
            entries,
            records,
            epoch,
        }
    }
}

/// The committed copy as a model sees it.
impl Leader {
    /// Where `index` stands in the copy that a master keeps while it does not lead, and which request
    /// was behind it. For models.
    #[doc(hidden)]
    pub fn warm_entry(&self, index: u64) -> Option<&Entry> {
        self.warm.as_ref().and_then(|warm| warm.log.entry(index))
    }

    /// Where that copy ends, with its table if that is whole. For models.
    #[doc(hidden)]
    pub fn warm_table(&self) -> Option<(u64, &Table)> {
        let warm = self.warm.as_ref()?;
        (warm.extent == Extent::Whole).then(|| (warm.position().index, &warm.table))
    }

    /// Forgets that copy, as a process that has just started. For models.
    #[doc(hidden)]
    pub fn forget_warm(&mut self) {
        self.warm = None;
        self.epoch = 0;
    }
}
