//! What an onlooker who sees everything remembers, and the invariants.

use super::bounds::Bounds;
use super::disk::Stored;
use super::world::{Master, World, hash_of};
use mdfs_core::id::{RequestId, Term};
use mdfs_core::log::message::{Change, Entry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the onlooker remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Who led in which term.
    pub leaders: BTreeMap<Term, u64>,
    /// The committed log.
    pub committed: Vec<Committed>,
    /// The highest promise each voter ever made.
    pub promised: Vec<Term>,
    /// A read was answered in another term than the first that led.
    pub late_read: bool,
    /// The invariant that was broken.
    pub broken: Option<&'static str>,
}

/// What the onlooker compares of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    pub term: Term,
    pub request: Option<RequestId>,
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    pub entry: Seen,
    /// The term of the leader that committed it first.
    pub by: Term,
    /// How often voters had been forced in that leader's log.
    pub epoch: u32,
}

impl Seen {
    pub fn of(entry: &Entry) -> Self {
        Self {
            term: entry.term,
            request: entry.request,
        }
    }
}

impl History {
    /// All but what is remembered of each disk.
    pub fn hash_unnamed(&self) -> u64 {
        let Self {
            leaders,
            committed,
            promised: _,
            late_read,
            broken,
        } = self;
        hash_of(&(leaders, committed, late_read, broken))
    }
}

impl Master {
    /// The entry at `index` of a leader's log, also below its base.
    fn seen(&self, index: u64) -> Option<Seen> {
        let at = usize::try_from(index).ok()?.checked_sub(1)?;
        self.below.get(at).cloned().or_else(|| {
            Some(Seen {
                term: self.leader.position(index)?.term,
                request: self.leader.request(index),
            })
        })
    }

    /// A leader's log from its beginning up to `index`.
    pub fn seen_up_to(&self, index: u64) -> Vec<Seen> {
        (1..=index).filter_map(|index| self.seen(index)).collect()
    }

    /// After a step: keeps what the leader's log had up to its base. `loaded` is the log it loaded
    /// in this step, if it did.
    pub fn remember(&mut self, before: &Self, loaded: &[Seen]) {
        let Some(term) = self.leader.term() else {
            self.below.clear();
            return;
        };
        let known = self.below.len() as u64;
        let Some(last) = self.leader.last() else {
            return;
        };
        let mut held = known..=last.index;
        let base = held.find(|index| self.leader.position(*index).is_some());
        let base = base.unwrap_or(known);
        if before.leader.term() == Some(term) {
            let passed = (known + 1..=base).filter_map(|index| before.seen(index));
            self.below.extend(passed);
        } else {
            let up_to = usize::try_from(base).unwrap_or(usize::MAX);
            self.below = loaded.iter().take(up_to).cloned().collect();
        }
    }

    fn epoch(&self) -> u32 {
        self.leader.membership().map_or(0, |it| it.config.epoch)
    }

    /// M3: a leader's log holds what was committed in lower terms. But for one that was elected
    /// through a disk that was given up since: nobody follows it any more.
    fn holds(&self, committed: &[Committed]) -> bool {
        let Some(own) = self.leader.term() else {
            return true;
        };
        committed
            .iter()
            .zip(1..)
            .filter(|(known, _)| known.by < own && known.epoch <= self.epoch())
            .all(|(known, index)| self.seen(index).as_ref() == Some(&known.entry))
    }

    /// The table of a leader holds what its log says, up to the commit.
    fn table_fits(&self) -> bool {
        let (Some(table), Some(commit)) = (self.leader.committed(), self.leader.commit()) else {
            return true;
        };
        let keys: BTreeSet<_> = self.seen_up_to(commit).iter().filter_map(key).collect();
        table.len() == keys.len() && keys.iter().all(|key| table.get(key).is_some())
    }
}

/// The record that an entry writes.
fn key(entry: &Seen) -> Option<Vec<u8>> {
    let id = u8::try_from(entry.request?.as_u128()).ok()?;
    Some(vec![b'r', id])
}

impl World {
    pub fn broken(&mut self, invariant: &'static str) {
        let history = Arc::make_mut(&mut self.history);
        history.broken = history.broken.or(Some(invariant));
    }

    /// M1, and M3 for a new leader.
    pub fn elected(&mut self, master: usize, term: Term) {
        let process = self.masters[master].process;
        let first = *Arc::make_mut(&mut self.history)
            .leaders
            .entry(term)
            .or_insert(process);
        if first != process {
            self.broken("M1");
        }
        if !self.masters[master].holds(&self.history.committed) {
            self.broken("M3");
        }
        if !self.masters[master].table_fits() {
            self.broken("table");
        }
    }

    /// M3 for what two leaders commit, and M6.
    pub fn committed(&mut self, master: usize, up_to: u64) {
        let leader = &self.masters[master].leader;
        let mut broken = None;
        let mut committed = self.history.committed.clone();
        let by = leader.term().unwrap_or_default();
        let epoch = self.masters[master].epoch();
        for (entry, at) in self.masters[master].seen_up_to(up_to).iter().zip(0..) {
            match committed.get(at) {
                Some(known) if known.entry != *entry => broken = Some("M3"),
                Some(_) => {}
                None => committed.push(Committed {
                    entry: entry.clone(),
                    by,
                    epoch,
                }),
            }
        }
        if committed.len() < usize::try_from(up_to).unwrap_or(usize::MAX) {
            broken = Some("assertion");
        }
        if !self.masters[master].table_fits() {
            broken = Some("table");
        }
        // Leaders of higher terms may have been elected before.
        if !self.masters.iter().all(|other| other.holds(&committed)) {
            broken = Some("M3");
        }
        let requests: Vec<_> = committed
            .iter()
            .filter_map(|known| known.entry.request)
            .collect();
        if requests.iter().collect::<BTreeSet<_>>().len() < requests.len() {
            broken = broken.or(Some("M6"));
        }
        Arc::make_mut(&mut self.history).committed = committed;
        if let Some(broken) = broken {
            self.broken(broken);
        }
    }

    /// M3 and the table for the copy of a master that does not lead: all of it is committed.
    pub fn look_at_copy(&mut self, master: usize) {
        let leader = &self.masters[master].leader;
        let committed = &self.history.committed;
        let same = committed.iter().zip(1..).all(|(known, index)| {
            let own = leader.warm_entry(index).map(Seen::of);
            own.is_none_or(|own| own == known.entry)
        });
        let further = leader.warm_entry(committed.len() as u64 + 1).is_some();
        let fits = leader.warm_table().is_none_or(|(end, table)| {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            let entries = committed.iter().take(end).map(|known| &known.entry);
            let keys: BTreeSet<_> = entries.filter_map(key).collect();
            table.len() == keys.len() && keys.iter().all(|key| table.get(key).is_some())
        });
        if !same || further {
            self.broken("M3");
        } else if !fits {
            self.broken("table");
        }
    }

    /// M5.
    pub fn read_answered(&mut self, master: usize, ticket: u64) {
        let asked = Arc::make_mut(&mut self.masters[master]);
        let must_see = asked.reads.remove(&ticket).unwrap_or_default();
        let sees = asked.leader.commit().unwrap_or_default();
        let term = asked.leader.term();
        if sees < must_see {
            self.broken("M5");
        }
        if self.history.leaders.len() > 1
            && self.history.leaders.keys().next_back() == term.as_ref()
        {
            Arc::make_mut(&mut self.history).late_read = true;
        }
    }

    /// M4 for this disk, M2 for this disk and each other.
    pub fn look_at_disk(&mut self, bounds: &Bounds, disk: usize) {
        let own = &self.disks[disk];
        let promised = own.voter.promised();
        let log = own.live.whole_log();
        let others = self.disks.iter().enumerate();
        let matches = others
            .filter(|(other, _)| *other != disk)
            .all(|(_, other)| same_where_equal(&log, &other.live.whole_log()));
        let fits = own.live.table_fits(&log);
        let open = own.live.open_changes(&self.history.committed);
        if promised < self.history.promised[disk] && bounds.check_promises {
            self.broken("M4");
        }
        if !matches {
            self.broken("M2");
        }
        if open > 1 {
            self.broken("I13");
        }
        if !fits {
            self.broken("table");
        }
        if promised > self.history.promised[disk] {
            Arc::make_mut(&mut self.history).promised[disk] = promised;
        }
    }
}

impl Stored {
    /// The log from its beginning.
    pub fn whole_log(&self) -> Vec<Seen> {
        let held = self.voter.entries.iter().map(Seen::of);
        self.below.iter().cloned().chain(held).collect()
    }

    /// The changes of the voters that are not committed.
    fn open_changes(&self, committed: &[Committed]) -> usize {
        let open = |entry: &&Entry| {
            let at = usize::try_from(entry.index.saturating_sub(1)).unwrap_or(usize::MAX);
            let known = committed.get(at);
            matches!(entry.change, Change::Config(_))
                && known.is_none_or(|known| known.entry != Seen::of(entry))
        };
        self.voter.entries.iter().filter(open).count()
    }

    /// The table holds what the log says, as far as it is applied.
    fn table_fits(&self, log: &[Seen]) -> bool {
        let applied = usize::try_from(self.voter.applied).unwrap_or(usize::MAX);
        let keys: BTreeSet<_> = log.iter().take(applied).filter_map(key).collect();
        self.records.len() == keys.len() && keys.iter().all(|key| self.records.contains_key(key))
    }
}

/// Two logs that agree on a place agree on everything before it.
fn same_where_equal(one: &[Seen], other: &[Seen]) -> bool {
    let both = one.iter().zip(other);
    let agreed = both
        .clone()
        .rposition(|(own, other)| own.term == other.term);
    agreed.is_none_or(|last| both.take(last + 1).all(|(own, other)| own == other))
}
