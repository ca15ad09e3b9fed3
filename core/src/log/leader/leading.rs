//! Leading: the log in order, what is committed of it, and the reads that wait.

use super::founding::Order;
use super::peer::Peer;
use super::warm::{Changed, change};
use super::{Effect, LeaderSettings};
use crate::id::{DiskId, RequestId, Term};
use crate::log::entries::Log;
use crate::log::membership::{Membership, Quorums};
use crate::log::message::{Change, Config, Entry, Position, Put};
use crate::log::mutant::{Mutant, Mutants};
use crate::log::table::{Table, View, view::Overlay};
use crate::time::{LogTime, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A leader's state in its term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leading {
    pub(super) term: Term,
    pub(super) log: Log,
    /// Applied up to `commit`.
    pub(super) table: Table,
    pub(super) overlay: Overlay,
    pub(super) commit: u64,
    /// The inherited log ended exactly where it was known to be committed.
    pub(super) inherited_committed: bool,
    /// The first entry of this term, once appended.
    pub(super) first_own: Option<u64>,
    /// The first voters, while no log has them.
    pub(super) founding: Option<BTreeSet<DiskId>>,
    pub(super) peers: BTreeMap<DiskId, Peer>,
    /// They get the log, and count for nothing.
    pub(super) learners: BTreeSet<DiskId>,
    /// Voters that it was elected without, to give them up: it sends them nothing.
    pub(super) vouched: BTreeSet<DiskId>,
    /// Of the first voters, while no log has them.
    pub(super) epoch: u32,
    /// The number of the last Append or Snapshot sent to anybody.
    pub(super) sends: u64,
    pub(super) reads: VecDeque<Read>,
    /// Log time and clock when this term began.
    pub(super) clock: (LogTime, Timestamp),
    pub(super) mutants: Mutants,
}

/// A read that waits for a heartbeat round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) ticket: u64,
    /// Only messages with a higher number were sent after the read arrived.
    pub(super) after: u64,
    pub(super) expires: Timestamp,
}

/// A log taken over.
pub(super) struct Inherited {
    pub(super) log: Log,
    pub(super) table: Table,
    /// The index up to which `table` is applied.
    pub(super) applied: u64,
    /// The index up to which the log is known to be committed.
    pub(super) known: u64,
}

impl Inherited {
    /// Applies all that is known to be committed; says what that changed.
    pub(super) fn apply_known(&mut self) -> Vec<Changed> {
        let entries = self.log.behind(self.applied);
        let entries = entries.take_while(|entry| entry.index <= self.known);
        let puts: Vec<Put> = entries
            .flat_map(|entry| entry.puts().iter().cloned())
            .collect();
        self.applied = self.known;
        let puts = puts.into_iter();
        puts.map(|put| change(&mut self.table, put)).collect()
    }
}

impl Leading {
    /// Leads an empty log, to found the cluster.
    pub(super) fn found(
        now: Timestamp,
        term: Term,
        log: Log,
        order: &Order,
        mutants: Mutants,
    ) -> Self {
        let inherited = Inherited {
            log,
            table: Table::default(),
            applied: 0,
            known: 0,
        };
        let mut leading = Self::inherit(now, term, inherited, mutants);
        leading.inherited_committed = false;
        leading.founding = Some(order.disks.clone());
        leading.vouched = order.lost.clone();
        leading.epoch = order.epoch;
        leading.clock = (order.wall, now);
        leading.refresh_peers(now);
        leading
    }

    /// Leads a log taken over.
    pub(super) fn inherit(
        now: Timestamp,
        term: Term,
        inherited: Inherited,
        mutants: Mutants,
    ) -> Self {
        let Inherited {
            log,
            table,
            applied,
            known,
        } = inherited;
        debug_assert_eq!(applied, known, "all that is known was applied");
        let mut overlay = Overlay::default();
        log.behind(known).for_each(|entry| overlay.add(entry));
        let mut leading = Self {
            term,
            inherited_committed: log.last().index == known,
            clock: (log.last_time(), now),
            log,
            table,
            overlay,
            commit: known,
            first_own: None,
            founding: None,
            peers: BTreeMap::new(),
            learners: BTreeSet::new(),
            vouched: BTreeSet::new(),
            epoch: 0,
            sends: 0,
            reads: VecDeque::new(),
            mutants,
        };
        leading.refresh_peers(now);
        leading
    }

    /// The same, elected without these voters.
    pub(super) fn without(mut self, now: Timestamp, vouched: BTreeSet<DiskId>) -> Self {
        self.vouched = vouched;
        self.refresh_peers(now);
        self
    }

    pub(super) fn term(&self) -> Term {
        self.term
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn view(&self) -> View<'_> {
        View::new(&self.table, &self.overlay)
    }

    pub(super) fn commit(&self) -> u64 {
        self.commit
    }

    pub(super) fn entries(&self, after: u64) -> Option<impl Iterator<Item = &Entry>> {
        let reaches = self.log.base().position.index <= after;
        reaches.then(|| self.log.behind(after))
    }

    pub(super) fn last(&self) -> Position {
        self.log.last()
    }

    pub(super) fn waiting(&self) -> u64 {
        self.log.last().index.saturating_sub(self.commit)
    }

    pub(super) fn membership(&self) -> Membership {
        match &self.founding {
            Some(voters) => {
                let config = Config {
                    voters: voters.clone(),
                    epoch: self.epoch,
                };
                Membership {
                    config,
                    index: 1,
                    previous: None,
                    forced: false,
                }
            }
            None => self.log.membership(),
        }
    }

    pub(super) fn peers(&self) -> BTreeSet<DiskId> {
        self.peers.keys().copied().collect()
    }

    pub(super) fn replicated(&self) -> Vec<(DiskId, u64)> {
        self.peers
            .iter()
            .map(|(disk, peer)| (*disk, peer.matched))
            .collect()
    }

    pub(super) fn log_time(&self, now: Timestamp) -> LogTime {
        let (time, at) = self.clock;
        self.log.last_time().max(time.plus(now.since(at)))
    }

    pub(super) fn quorums(&self) -> Quorums {
        self.membership().quorums(self.commit)
    }

    /// The quorums of leases and of read checks.
    fn lease_quorums(&self) -> Quorums {
        let quorums = self.quorums();
        if self.mutants.has(Mutant::NoJointLease) {
            return quorums.new_only();
        }
        quorums
    }

    /// Whether an entry of the own term is committed.
    pub(super) fn is_established(&self) -> bool {
        self.first_own.is_some_and(|first| self.commit >= first)
    }

    pub(super) fn can_write(&self, now: Timestamp) -> bool {
        self.first_own.is_some() && self.leases_for_writes(now)
    }

    pub(super) fn can_read(&self, now: Timestamp) -> bool {
        let known = self.is_established()
            || self.inherited_committed
            || self.mutants.has(Mutant::ReadBeforeOwnEntry);
        known && self.lease_quorums().promises(|disk| self.leases(disk, now))
    }

    /// Appends an entry of this term.
    pub(super) fn push(
        &mut self,
        now: Timestamp,
        request: Option<RequestId>,
        change: Change,
    ) -> u64 {
        let index = self.log.last().index.saturating_add(1);
        let entry = Entry {
            index,
            term: self.term,
            time: self.log_time(now),
            request,
            change,
        };
        self.overlay.add(&entry);
        let follows = self.log.push(entry);
        debug_assert!(
            follows,
            "the index is the next one and the term is the highest"
        );
        index
    }

    /// Appends the first own entry once a quorum leases: not before, so that no tail grows that
    /// nobody can commit.
    pub(super) fn open(&mut self, now: Timestamp) {
        let recovers = self.founding.is_none() && !self.vouched.is_empty();
        if self.first_own.is_some() || recovers || !self.leases_for_writes(now) {
            return;
        }
        let epoch = self.epoch;
        let change = match self.founding.take() {
            Some(voters) if self.vouched.is_empty() => Change::Config(Config { voters, epoch }),
            Some(voters) => Change::Forced {
                config: Config { voters, epoch },
                lost: self.vouched.clone(),
            },
            None => Change::Blank,
        };
        self.first_own = Some(self.push(now, None, change));
    }

    /// Commits what a quorum holds, from the first own entry on.
    pub(super) fn advance_commit(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let counts_from = match self.first_own {
            _ if self.mutants.has(Mutant::OlderTermsCount) => 0,
            Some(first) => first,
            None => return,
        };
        // A committed config may make a smaller quorum suffice for what follows it.
        loop {
            let quorums = if self.mutants.has(Mutant::NoJointCommit) {
                self.quorums().new_only()
            } else {
                self.quorums()
            };
            let held = |disk| self.peers.get(&disk).map_or(0, |peer| peer.matched);
            let mut candidates: Vec<u64> = self.peers.values().map(|peer| peer.matched).collect();
            candidates.sort_unstable();
            let highest = candidates
                .into_iter()
                .rev()
                .find(|index| quorums.hold(*index, held));
            let Some(up_to) = highest.filter(|up_to| {
                *up_to > self.commit && *up_to >= counts_from && *up_to <= self.log.last().index
            }) else {
                return;
            };
            self.apply(up_to);
            self.refresh_peers(now);
            effects.push(Effect::Committed { up_to });
        }
    }

    fn apply(&mut self, up_to: u64) {
        for entry in self
            .log
            .behind(self.commit)
            .take_while(|entry| entry.index <= up_to)
        {
            entry.puts().iter().for_each(|put| self.table.apply(put));
            self.overlay.forget(entry);
        }
        self.commit = up_to;
    }

    /// Whether the voter is leased to this term for certain.
    pub(super) fn leases(&self, disk: DiskId, now: Timestamp) -> bool {
        let until = self.peers.get(&disk).and_then(|peer| peer.leased_until);
        until.is_some_and(|until| now < until)
    }

    pub(super) fn leases_for_writes(&self, now: Timestamp) -> bool {
        self.lease_quorums().commits(|disk| self.leases(disk, now))
    }

    pub(super) fn read(
        &mut self,
        now: Timestamp,
        ticket: u64,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) {
        let expires = now.plus(settings.lease);
        self.reads.push_back(Read {
            ticket,
            after: self.sends,
            expires,
        });
        self.serve_reads(now, effects);
        self.pump(now, settings, effects);
    }

    /// Lets go the reads that may be answered now, and those that waited too long.
    pub(super) fn serve_reads(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.reads.is_empty() {
            return;
        }
        let leased = self.can_read(now);
        let quorums = self.lease_quorums();
        let established = self.is_established() || self.mutants.has(Mutant::ReadBeforeOwnEntry);
        let peers = &self.peers;
        self.reads.retain(|read| {
            let answered = |disk| {
                peers
                    .get(&disk)
                    .is_some_and(|peer| peer.answered > read.after)
            };
            let ticket = read.ticket;
            if leased || (established && quorums.promises(answered)) {
                effects.push(Effect::ReadReady { ticket });
            } else if now >= read.expires {
                effects.push(Effect::ReadRefused { ticket });
            } else {
                return true;
            }
            false
        });
    }

    pub(super) fn forget_past(&mut self, now: Timestamp) {
        self.clock.1 = Timestamp::from_millis(u64::MAX);
        for peer in self.peers.values_mut() {
            peer.leased_until = peer.leased_until.filter(|until| now < *until);
            if peer.due <= now {
                peer.due = Timestamp::default();
            }
        }
    }

    pub(super) fn refuse_reads(&mut self, effects: &mut Vec<Effect>) {
        let refused = self.reads.drain(..);
        effects.extend(refused.map(|read| Effect::ReadRefused {
            ticket: read.ticket,
        }));
    }
}
