//! Load: the chosen log and its table come over in pages, from the voter that holds it.

use super::campaign::Preparing;
use super::leading::{Inherited, Leading};
use super::{Effect, Leader, LeaderSettings, State};
use crate::id::{DiskId, Term};
use crate::log::entries::Log;
use crate::log::message::{Append, Base, Entry, LoadFrom, Loaded, Position, Request};
use crate::log::table::Table;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// The pages so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Loading {
    pub(super) term: Term,
    pub(super) preparing: Preparing,
    pub(super) source: DiskId,
    /// Without progress until then, the source counts as dead.
    pub(super) expires: Timestamp,
    /// Where the source's log ends.
    pub(super) end: Position,
    pub(super) send: u64,
    pub(super) next: LoadFrom,
    /// Base of the log and applied index, from the first page on.
    pub(super) state: Option<(Base, u64)>,
    pub(super) table: Table,
    pub(super) entries: Vec<Entry>,
    pub(super) next_lease: Timestamp,
}

impl Loading {
    /// Begins with the newest of these promises: `source`'s, whose log ends at `end`.
    pub(super) fn start(
        now: Timestamp,
        source: DiskId,
        end: Position,
        preparing: Preparing,
        settings: &LeaderSettings,
    ) -> Self {
        Self {
            term: preparing.term,
            source,
            expires: now.plus(settings.lease / 2),
            end,
            send: 0,
            next: LoadFrom::Table { after: None },
            state: None,
            table: Table::default(),
            entries: Vec::new(),
            next_lease: now.plus(settings.heartbeat),
            preparing,
        }
    }

    /// Those who may have leased themselves to the term.
    pub(super) fn leased(&self) -> BTreeSet<DiskId> {
        self.preparing.promises.keys().copied().collect()
    }

    /// Whether this is the page asked for last.
    pub(super) fn is_asked(&self, from: DiskId, term: Term, send: u64) -> bool {
        from == self.source && term == self.term && send == self.send
    }

    /// Holds the promises by leases, so that a long Load is not cut short by other masters.
    pub(super) fn keep_leases(
        &mut self,
        now: Timestamp,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) {
        if now < self.next_lease {
            return;
        }
        self.next_lease = now.plus(settings.heartbeat);
        let promises = self.preparing.promises.values();
        let epoch = promises.map(|vote| vote.membership.config.epoch).max();
        for to in self.leased() {
            // It names nothing: whenever it arrives, it contradicts no log.
            let append = Append {
                term: self.term,
                previous: Position::default(),
                entries: Vec::new(),
                commit: 0,
                epoch: epoch.unwrap_or_default(),
                send: 0,
                leader_url: settings.url.clone(),
                lease_millis: settings.lease_millis(),
            };
            effects.push(Effect::Send {
                to,
                request: Request::Append(append),
            });
        }
    }

    /// The request for the next page.
    fn ask(&mut self) -> Effect {
        self.send += 1;
        let request = Request::Load {
            term: self.term,
            from: self.next.clone(),
            send: self.send,
        };
        Effect::Send {
            to: self.source,
            request,
        }
    }

    /// Adds a page; false if it does not fit the earlier ones.
    fn add(&mut self, page: Loaded) -> bool {
        match &self.state {
            Some((base, applied)) if *base != page.base || *applied != page.applied => {
                return false;
            }
            Some(_) => {}
            None => self.state = Some((page.base, page.applied)),
        }
        for (key, value) in &page.records {
            self.table.insert(key, value);
        }
        self.entries.extend(page.entries);
        if page.more_records {
            let after = page.records.into_iter().next_back().map(|(key, _)| key);
            self.next = LoadFrom::Table { after };
        } else {
            let base = self.state.as_ref().map(|(base, _)| base.position);
            let last = self.entries.last().map(Entry::position);
            let after = last.or(base).unwrap_or_default();
            self.next = LoadFrom::Log { after };
        }
        true
    }

    /// What was loaded; `None` if it is not the log that was promised.
    fn finish(&self) -> Option<Inherited> {
        let (base, applied) = self.state.clone()?;
        let log = Log::new(base, self.entries.clone())?;
        if log.last() != self.end {
            return None;
        }
        let votes = self.preparing.promises.values();
        let known = votes.map(|vote| vote.commit).max().unwrap_or_default();
        let known = known.max(applied);
        (known <= log.last().index).then(|| Inherited {
            log,
            table: self.table.clone(),
            applied,
            known,
        })
    }
}

impl Leader {
    /// Asks for the next page.
    pub(super) fn load_on(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if let State::Loading(loading) = &mut self.state {
            loading.expires = now.plus(self.settings.lease / 2);
            effects.push(loading.ask());
        }
    }

    pub(super) fn loaded(
        &mut self,
        now: Timestamp,
        from: DiskId,
        page: Loaded,
        effects: &mut Vec<Effect>,
    ) {
        let State::Loading(loading) = &mut self.state else {
            return;
        };
        let asked = loading.is_asked(from, page.term, page.send) && page.from == loading.next;
        if !asked {
            return;
        }
        let more = page.more_records || page.more_entries;
        // A page that says there is more and brings nothing would go on for ever.
        let stuck = more && page.records.is_empty() && page.entries.is_empty();
        if stuck || !loading.add(page) {
            self.drop_source(now, effects);
            return;
        }
        if more {
            self.load_on(now, effects);
            return;
        }
        match loading.finish() {
            Some(inherited) => {
                let term = loading.term;
                let leading = Leading::inherit(now, term, inherited, self.mutants.clone());
                self.lead(now, leading, effects);
            }
            None => self.drop_source(now, effects),
        }
    }
}
