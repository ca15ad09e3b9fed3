//! Load: the chosen log and its table come over in pages, from the voter that holds it.

use super::campaign::Preparing;
use super::epoch::{committed, newest};
use super::leading::{Inherited, Leading};
use super::warm::{Copied, Warm};
use super::{Effect, Leader, LeaderSettings, State};
use crate::id::{DiskId, Term};
use crate::log::entries::Log;
use crate::log::feed::Extent;
use crate::log::message::{Append, Base, Entry, LoadFrom, Loaded, Position, Record, Request, Vote};
use crate::log::table::Table;
use crate::log::violation::Violation;
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
    /// What comes follows what this master has already.
    pub(super) behind_warm: bool,
    /// Base of the log and applied index, from the first page on.
    pub(super) state: Option<(Base, u64)>,
    pub(super) table: Table,
    pub(super) entries: Vec<Entry>,
    pub(super) next_lease: Timestamp,
    /// Who promised when there were enough.
    pub(super) late: BTreeSet<DiskId>,
}

impl Loading {
    /// Begins with the newest of these promises: `source`'s, whose log ends at `end`. All up to
    /// `have` is here already.
    pub(super) fn start(
        now: Timestamp,
        source: DiskId,
        end: Position,
        have: Option<Position>,
        preparing: Preparing,
        settings: &LeaderSettings,
    ) -> Self {
        Self {
            term: preparing.term,
            source,
            expires: now.plus(settings.lease / 2),
            end,
            send: 0,
            next: have.map_or(LoadFrom::Table { after: None }, |after| LoadFrom::Log {
                after,
            }),
            behind_warm: have.is_some(),
            state: None,
            table: Table::default(),
            entries: Vec::new(),
            next_lease: now.plus(settings.heartbeat),
            late: BTreeSet::new(),
            preparing,
        }
    }

    /// Those who may have leased themselves to the term.
    pub(super) fn leased(&self) -> BTreeSet<DiskId> {
        let first = self.preparing.promises.keys();
        first.chain(&self.late).copied().collect()
    }

    /// Takes a promise that came after there were enough: it is held like the others.
    pub(super) fn promised_late(&mut self, from: DiskId, vote: &Vote) {
        if vote.granted && vote.term == self.term && self.preparing.asked.contains(&from) {
            self.late.insert(from);
        }
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
        let (term, leased) = (self.term, self.leased());
        for to in leased.iter().copied() {
            // It names nothing: whenever it arrives, it contradicts no log.
            let append = Append {
                term,
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
        // Who has not promised is asked for nothing, and says if it promised a higher term: that is
        // better told now than when everything is loaded.
        for to in self.preparing.asked.difference(&leased).copied() {
            let request = Request::PreVote { term };
            effects.push(Effect::Send { to, request });
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

    /// Adds a page, and gives its records back; `None` if it does not fit the earlier ones.
    fn add(&mut self, page: Loaded) -> Option<Vec<Record>> {
        match &self.state {
            Some((base, applied)) if *base != page.base || *applied != page.applied => {
                return None;
            }
            Some(_) => {}
            None => self.state = Some((page.base, page.applied)),
        }
        for (key, value) in &page.records {
            self.table.insert(key, value);
        }
        self.entries.extend(page.entries);
        if page.more_records {
            let after = page.records.last().map(|(key, _)| key.clone());
            self.next = LoadFrom::Table { after };
        } else {
            let base = self.state.as_ref().map(|(base, _)| base.position);
            let last = self.entries.last().map(Entry::position);
            let after = last.or(base).unwrap_or_default();
            self.next = LoadFrom::Log { after };
        }
        Some(page.records)
    }

    /// What was loaded, behind what was here if it follows that; `None` if it is not the log that
    /// was promised.
    fn finish(&mut self, warm: Option<Box<Warm>>, heard_epoch: u32) -> Option<Inherited> {
        let (base, mut applied) = self.state.clone()?;
        let told = committed(&self.preparing.promises, heard_epoch).max(applied);
        let entries = std::mem::take(&mut self.entries);
        let (log, table) = if self.behind_warm {
            let Warm { mut log, table, .. } = *warm?;
            applied = log.last().index;
            let follow = entries.into_iter().all(|entry| log.push(entry));
            (follow.then_some(log)?, table)
        } else {
            (Log::new(base, entries)?, std::mem::take(&mut self.table))
        };
        let known = told.max(applied);
        let whole = log.last() == self.end && known <= log.last().index;
        whole.then_some(Inherited {
            log,
            table,
            applied,
            known,
        })
    }
}

impl Leader {
    /// Loads the log that was chosen, or what this master lacks of it.
    pub(super) fn load(
        &mut self,
        now: Timestamp,
        source: DiskId,
        end: Position,
        preparing: Preparing,
        effects: &mut Vec<Effect>,
    ) {
        let vote = preparing.promises.get(&source);
        self.drop_given_up(vote.map_or(0, |vote| vote.membership.config.epoch));
        if !preparing.vouched.is_empty() && self.recover_from_copy(now, end, &preparing, effects) {
            return;
        }
        let warm = self.warm.as_ref();
        let known = warm.map(|warm| warm.position()).unwrap_or_default();
        let term = preparing.term;
        if end.index < known.index {
            let (commit, last) = (known.index, end.index);
            let lost = Violation::CommitLost { term, commit, last };
            self.break_off(now, lost, effects);
            return;
        }
        if end < known {
            let index = known.index;
            let other = Violation::CopyContradicted { term, index };
            self.break_off(now, other, effects);
            return;
        }
        let have = warm
            .filter(|warm| warm.extent == Extent::Whole)
            .map(|_| known);
        let loading = Loading::start(now, source, end, have, preparing, &self.settings);
        self.state = State::Loading(Box::new(loading));
        self.load_on(now, effects);
    }

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
        if !loading.is_asked(from, page.term, page.send) {
            return;
        }
        let first = loading.state.is_none();
        let begins = page.from == LoadFrom::Table { after: None };
        if page.from != loading.next {
            if !(first && begins) {
                return;
            }
            let known = self.warm.as_ref().map(|warm| warm.position().index);
            if let Some(index) = known.filter(|known| page.base.position.index <= *known) {
                // It reaches back so far, and holds another entry there.
                let term = loading.term;
                let violation = Violation::CopyContradicted { term, index };
                self.break_off(now, violation, effects);
                return;
            }
            loading.behind_warm = false;
        }
        let more = page.more_records || page.more_entries;
        // A page that says there is more and brings nothing would go on for ever.
        let stuck = more && page.records.is_empty() && page.entries.is_empty();
        let Some(records) = loading.add(page).filter(|_| !stuck) else {
            self.drop_source(now, effects);
            return;
        };
        let anew = first && !loading.behind_warm;
        if anew {
            self.warm = None;
        }
        let copied = Copied {
            anew,
            changes: Vec::new(),
            records,
        };
        effects.extend((!copied.is_empty()).then(|| Effect::Copied(Box::new(copied))));
        if more {
            if first {
                // It takes longer. Another master that has to load as long would campaign before the
                // next heartbeat, and be cut short by this one in the same way.
                loading.next_lease = now;
                loading.keep_leases(now, &self.settings, effects);
            }
            self.load_on(now, effects);
            return;
        }
        match loading.finish(self.warm.take(), self.epoch) {
            Some(mut inherited) => {
                let term = loading.term;
                let copied = Copied {
                    changes: inherited.apply_known(),
                    ..Copied::default()
                };
                effects.extend((!copied.is_empty()).then(|| Effect::Copied(Box::new(copied))));
                let vouched = loading.preparing.vouched.clone();
                let mutants = self.mutants.clone();
                let leading = Leading::inherit(now, term, inherited, mutants);
                let leading = leading.without(now, vouched);
                self.lead(now, leading, effects);
            }
            None => self.drop_source(now, effects),
        }
    }

    /// The source of the log died: its promise is dropped, and the choice is made again.
    pub(super) fn drop_source(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let State::Loading(loading) = &mut self.state else {
            return;
        };
        let mut preparing = loading.preparing.clone();
        preparing.promises.remove(&loading.source);
        preparing.lost.insert(loading.source);
        preparing.expires = now.plus(self.settings.retry);
        // Leases the others gave run on; they are renewed or given back like before.
        let promises = &preparing.promises;
        let enough = newest(promises, self.epoch).is_some_and(|(_, vote)| {
            let commit = committed(promises, self.epoch);
            let quorums = vote.membership.quorums(commit);
            commit <= vote.last.index && preparing.suffice(&quorums)
        });
        if enough {
            self.state = State::Preparing(preparing);
            self.choose(now, effects);
        } else {
            self.step_down(now, effects);
        }
    }
}
