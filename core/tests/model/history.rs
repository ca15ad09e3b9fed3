//! What an onlooker who sees everything remembers, and the invariants.

use super::bounds::Bounds;
use super::world::{Master, World};
use mdfs_core::id::{RequestId, Term};
use mdfs_core::log::message::Entry;
use mdfs_core::log::persist::DurableVoter;
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

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    pub term: Term,
    /// The term of the leader that committed it first.
    pub by: Term,
    pub request: Option<RequestId>,
}

impl Master {
    /// M3: a leader's log holds what was committed in lower terms.
    fn holds(&self, committed: &[Committed]) -> bool {
        let (Some(own), Some(last)) = (self.leader.term(), self.leader.last()) else {
            return true;
        };
        committed
            .iter()
            .zip(1..)
            .filter(|(entry, _)| entry.by < own)
            .all(|(entry, index)| {
                // Below its base a log tells no terms.
                let differs = self
                    .leader
                    .position(index)
                    .is_some_and(|at| at.term != entry.term);
                index <= last.index && !differs
            })
    }
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
    }

    /// M3 for what two leaders commit, and M6.
    pub fn committed(&mut self, master: usize, up_to: u64) {
        let leader = &self.masters[master].leader;
        let mut broken = None;
        let mut committed = self.history.committed.clone();
        let by = leader.term().unwrap_or_default();
        for index in 1..=up_to {
            let Some(term) = leader.position(index).map(|own| own.term) else {
                continue;
            };
            let known = usize::try_from(index)
                .ok()
                .and_then(|index| committed.get(index - 1));
            match known {
                Some(known) if known.term != term => broken = Some("M3"),
                Some(_) => {}
                None => committed.push(Committed {
                    term,
                    by,
                    request: leader.request(index),
                }),
            }
        }
        // Leaders of higher terms may have been elected before.
        if !self.masters.iter().all(|other| other.holds(&committed)) {
            broken = Some("M3");
        }
        let requests: Vec<_> = committed.iter().filter_map(|entry| entry.request).collect();
        if requests.iter().collect::<BTreeSet<_>>().len() < requests.len() {
            broken = broken.or(Some("M6"));
        }
        Arc::make_mut(&mut self.history).committed = committed;
        if let Some(broken) = broken {
            self.broken(broken);
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
        let entries = &own.live.voter;
        let matches = self
            .disks
            .iter()
            .all(|other| same_where_equal(entries, &other.live.voter));
        if promised < self.history.promised[disk] && bounds.check_promises {
            self.broken("M4");
        }
        if !matches {
            self.broken("M2");
        }
        if promised > self.history.promised[disk] {
            Arc::make_mut(&mut self.history).promised[disk] = promised;
        }
    }
}

/// Two logs that agree on a place agree on everything before it, as far as both reach back.
fn same_where_equal(one: &DurableVoter, other: &DurableVoter) -> bool {
    let find = |entry: &Entry| other.entries.iter().find(|own| own.index == entry.index);
    let mut agreed = false;
    for entry in one.entries.iter().rev() {
        match find(entry) {
            Some(own) if own.term == entry.term => {
                if own != entry {
                    return false;
                }
                agreed = true;
            }
            Some(_) if agreed => return false,
            Some(_) | None => {}
        }
    }
    true
}
