//! What models of the protocol need and servers do not: to campaign at will, to look inside, and
//! to tell states apart only where they behave differently.

use super::campaign::Preparing;
use super::leading::{Leading, Read};
use super::loading::Loading;
use super::peer::{Flight, Peer};
use super::{Effect, Leader, State, VotersRefused, Waiting};
use crate::id::{DiskId, RequestId, Term};
use crate::log::message::Position;
use crate::time::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

impl Leader {
    /// Campaigns at once, as if a quorum had just answered PreVote with yes. For models.
    #[doc(hidden)]
    pub fn campaign(&mut self, now: Timestamp, disks: BTreeSet<DiskId>) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.state, State::Waiting(_)) {
            self.prepare(now, disks, false, &mut effects);
        }
        effects
    }

    /// The term in which this master campaigns or leads. For models.
    #[doc(hidden)]
    pub fn campaign_term(&self) -> Option<Term> {
        self.active_term()
    }

    /// Forgets what can no longer matter, and stops log time: states that behave alike become
    /// equal. For models.
    #[doc(hidden)]
    pub fn forget_past(&mut self, now: Timestamp) {
        self.rests_until = Timestamp::default();
        match &mut self.state {
            State::Waiting(waiting) => *waiting = Waiting::default(),
            State::Preparing(_) | State::Loading(_) => {}
            State::Leading(leading) => leading.forget_past(now),
        }
    }

    /// Where `index` stands in the log, if that reaches there; only while leading. For models.
    #[doc(hidden)]
    pub fn position(&self, index: u64) -> Option<Position> {
        self.leading()
            .and_then(|leading| leading.log.position(index))
    }

    /// The request behind the entry at `index`; only while leading. For models.
    #[doc(hidden)]
    pub fn request(&self, index: u64) -> Option<RequestId> {
        self.leading()
            .and_then(|leading| leading.log.entry(index))
            .and_then(|entry| entry.request)
    }

    /// Loads from this voter instead, before anything came from the one chosen first: an equal log
    /// may be chosen from either. False, and nothing done, if that is not so. For models.
    #[doc(hidden)]
    pub fn load_from(&mut self, disk: DiskId) -> bool {
        let State::Loading(loading) = &mut self.state else {
            return false;
        };
        let promise = loading.preparing.promises.get(&disk);
        let equal = promise.is_some_and(|vote| vote.last == loading.end);
        let other = equal && loading.state.is_none() && loading.source != disk;
        if other {
            loading.source = disk;
        }
        other
    }

    /// Whether an answer to this message would be the one that is waited for. For models.
    #[doc(hidden)]
    pub fn awaits(&self, disk: DiskId, term: Term, send: u64) -> bool {
        self.leading().is_some_and(|leading| {
            let flight = leading
                .peers
                .get(&disk)
                .and_then(|peer| peer.in_flight.as_ref());
            term == leading.term && flight.is_some_and(|flight| flight.send == send)
        })
    }

    /// Forces the voters, as if the lost ones had been silent for two leases. For models.
    ///
    /// # Errors
    /// As [`Leader::force_voters`].
    #[doc(hidden)]
    pub fn force_at_once(
        &mut self,
        now: Timestamp,
        survivors: BTreeSet<DiskId>,
        lost: BTreeSet<DiskId>,
    ) -> Result<Vec<Effect>, VotersRefused> {
        if let State::Leading(leading) = &mut self.state {
            for disk in &lost {
                if let Some(peer) = leading.peers.get_mut(disk) {
                    peer.leased_until = None;
                    peer.silent_since = Some(now);
                }
            }
        }
        let forced = self.force_after(now, survivors, lost, Vec::new(), Duration::ZERO);
        forced.map(|(_, effects)| effects)
    }

    /// Hashes what this master knows of one disk, the disk's name left out. For models.
    #[doc(hidden)]
    pub fn hash_disk(&self, disk: DiskId, hasher: &mut impl Hasher) {
        self.seen.contains(&disk).hash(hasher);
        self.members.contains(&disk).hash(hasher);
        match &self.state {
            State::Waiting(_) => {}
            State::Preparing(preparing) => hash_promise(preparing, disk, hasher),
            State::Loading(loading) => {
                hash_promise(&loading.preparing, disk, hasher);
                (loading.source == disk).hash(hasher);
                loading.late.contains(&disk).hash(hasher);
            }
            State::Leading(leading) => {
                leading.learners.contains(&disk).hash(hasher);
                if let Some(peer) = leading.peers.get(&disk) {
                    hash_peer(peer, &leading.reads, hasher);
                }
            }
        }
    }

    /// Hashes what [`Leader::hash_disk`] does not, but for the names of disks, and the numbers of
    /// messages: of those only the order matters. For models.
    #[doc(hidden)]
    pub fn hash_rest(&self, hasher: &mut impl Hasher) {
        let Self {
            incarnation,
            settings: _,
            random,
            round,
            epoch,
            alone_since,
            seen: _,
            members: _,
            leader_url,
            leader_term,
            order,
            vouched,
            resigned,
            rests_until,
            state,
            warm,
            mutants,
        } = self;
        (incarnation, random, round, leader_url, leader_term).hash(hasher);
        (order, vouched, resigned, warm, mutants).hash(hasher);
        (epoch, alone_since, rests_until).hash(hasher);
        std::mem::discriminant(state).hash(hasher);
        match state {
            State::Waiting(waiting) => waiting.hash(hasher),
            State::Preparing(preparing) => hash_preparing(preparing, hasher),
            State::Loading(loading) => hash_loading(loading, hasher),
            State::Leading(leading) => hash_leading(leading, hasher),
        }
    }
}

fn hash_promise(preparing: &Preparing, disk: DiskId, hasher: &mut impl Hasher) {
    preparing.promises.get(&disk).hash(hasher);
    preparing.asked.contains(&disk).hash(hasher);
    preparing.lost.contains(&disk).hash(hasher);
}

fn hash_preparing(preparing: &Preparing, hasher: &mut impl Hasher) {
    let Preparing {
        term,
        promises: _,
        asked: _,
        lost: _,
        founding,
        vouched,
        expires,
    } = preparing;
    (term, founding, vouched, expires).hash(hasher);
}

fn hash_loading(loading: &Loading, hasher: &mut impl Hasher) {
    let Loading {
        term,
        preparing,
        source: _,
        expires,
        end,
        send,
        next,
        behind_warm,
        state,
        table,
        entries,
        next_lease,
        late: _,
    } = loading;
    hash_preparing(preparing, hasher);
    (term, expires, end, send, next, behind_warm).hash(hasher);
    (state, table, entries, next_lease).hash(hasher);
}

fn hash_peer(peer: &Peer, reads: &VecDeque<Read>, hasher: &mut impl Hasher) {
    let Peer {
        matched,
        next,
        in_flight,
        leased_until,
        answered,
        due,
        pause_until,
        silent_since,
        snapshot,
    } = peer;
    let sent_after = |send: u64| reads.iter().filter(|read| send > read.after).count();
    let flight = in_flight.as_ref().map(|flight| {
        let Flight { send, at, previous } = flight;
        (sent_after(*send), at, previous)
    });
    (matched, next, flight, leased_until).hash(hasher);
    (sent_after(*answered), due, pause_until).hash(hasher);
    (silent_since, snapshot).hash(hasher);
}

fn hash_leading(leading: &Leading, hasher: &mut impl Hasher) {
    let Leading {
        term,
        log,
        table,
        overlay,
        commit,
        inherited_committed,
        first_own,
        founding,
        peers: _,
        learners: _,
        vouched,
        epoch,
        sends: _,
        reads,
        clock,
        mutants: _,
    } = leading;
    (term, log, table, overlay).hash(hasher);
    (commit, inherited_committed, first_own).hash(hasher);
    (founding, vouched, epoch, clock).hash(hasher);
    for read in reads {
        let Read {
            ticket,
            after: _,
            expires,
        } = read;
        (ticket, expires).hash(hasher);
    }
}
