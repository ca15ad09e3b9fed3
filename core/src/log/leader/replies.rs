//! What voters answer.

use super::leading::Leading;
use super::{Effect, Leader, LeaderSettings, State};
use crate::id::{DiskId, Term};
use crate::log::message::Reply;
use crate::log::violation::Violation;
use crate::time::Timestamp;

/// An answer to a message of the leader that accepted its term.
struct Accepted {
    from: DiskId,
    send: u64,
    what: What,
}

enum What {
    /// The voter holds the log up to here.
    Holds(u64),
    /// The logs agree up to here at most.
    Mismatch(u64),
    /// This page of the table is wanted next.
    Wants(u64),
}

impl Leader {
    pub(super) fn reply(
        &mut self,
        now: Timestamp,
        from: DiskId,
        reply: Reply,
        effects: &mut Vec<Effect>,
    ) {
        let told = highest_told(&reply);
        self.round = self.round.max(told.round);
        if self.active_term().is_some_and(|term| told > term) {
            self.step_down(now, effects);
            return;
        }
        match reply {
            Reply::PreVoted(vote) => self.pre_voted(now, from, vote, effects),
            Reply::Prepared(vote) => self.prepared(now, from, vote, effects),
            Reply::Loaded(page) => self.loaded(now, from, *page, effects),
            Reply::Appended {
                term,
                index,
                send,
                higher: _,
            } => {
                let what = What::Holds(index);
                self.accepted(now, term, Accepted { from, send, what }, effects);
            }
            Reply::Mismatch {
                term,
                hint,
                send,
                higher: _,
            } => {
                let what = What::Mismatch(hint);
                self.accepted(now, term, Accepted { from, send, what }, effects);
            }
            Reply::Staged {
                term,
                next_page,
                send,
                higher: _,
            } => {
                let what = What::Wants(next_page);
                self.accepted(now, term, Accepted { from, send, what }, effects);
            }
            Reply::Refused {
                term,
                send,
                promised,
                lease_left,
            } => {
                let leads = self.leading().is_some_and(|leading| leading.term() == term);
                if leads && promised <= term && lease_left.is_none() {
                    // Voters were forced, and this log does not have it.
                    self.step_down(now, effects);
                } else {
                    self.refused(now, from, term, send, effects);
                }
            }
            Reply::OtherLease {
                term,
                send,
                lease_millis: _,
            } => {
                // A voter less, until somebody mends the settings.
                self.refused(now, from, term, send, effects);
            }
            Reply::Released { term: _ } => {}
        }
    }

    fn accepted(
        &mut self,
        now: Timestamp,
        term: Term,
        accepted: Accepted,
        effects: &mut Vec<Effect>,
    ) {
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if term != leading.term() {
            return;
        }
        match leading.accepted(now, accepted, &self.settings, effects) {
            Ok(()) => self.finish_order(effects),
            Err(violation) => self.break_off(now, violation, effects),
        }
    }

    /// A refusal that tells no higher term: another lease runs.
    fn refused(
        &mut self,
        now: Timestamp,
        from: DiskId,
        term: Term,
        send: u64,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.state {
            State::Loading(loading) if loading.is_asked(from, term, send) => {
                self.drop_source(now, effects);
            }
            State::Leading(leading) if leading.term() == term => {
                leading.unreachable(now, from, &self.settings);
                leading.hear(from);
            }
            State::Waiting(_) | State::Preparing(_) | State::Loading(_) | State::Leading(_) => {}
        }
    }
}

/// The highest term that the answer shows to exist.
fn highest_told(reply: &Reply) -> Term {
    match reply {
        Reply::PreVoted(vote) | Reply::Prepared(vote) => vote.promised,
        Reply::Refused { promised, .. } => *promised,
        Reply::Appended { higher, .. }
        | Reply::Mismatch { higher, .. }
        | Reply::Staged { higher, .. } => higher.unwrap_or_default(),
        Reply::Loaded(_) | Reply::Released { .. } | Reply::OtherLease { .. } => Term::default(),
    }
}

impl Leading {
    /// The disk answers, whatever it said.
    fn hear(&mut self, disk: DiskId) {
        if let Some(peer) = self.peers.get_mut(&disk) {
            peer.silent_since = None;
        }
    }

    fn accepted(
        &mut self,
        now: Timestamp,
        accepted: Accepted,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let Accepted { from, send, what } = accepted;
        let last = self.log.last().index;
        if let What::Holds(index) = what
            && index > last
        {
            return Err(Violation::BeyondLog {
                term: self.term,
                index,
                last,
            });
        }
        self.check_configs()?;
        let Some(peer) = self.peers.get_mut(&from) else {
            return Ok(());
        };
        peer.silent_since = None;
        // What a voter holds it holds, however late it says so; the rest counts only for the
        // message under way.
        if let What::Holds(index) = what {
            peer.matched = peer.matched.max(index);
            peer.next = peer.next.max(peer.matched.saturating_add(1));
            let reached = peer
                .snapshot
                .as_ref()
                .is_some_and(|s| s.base.position.index <= peer.matched);
            if reached {
                peer.snapshot = None;
            }
        }
        if let Some(flight) = peer.in_flight.take_if(|flight| flight.send == send) {
            // The voter counts the whole span, and from later on.
            let until = flight.at.plus(settings.lease / 2);
            peer.leased_until = peer.leased_until.max(Some(until));
            peer.answered = send;
            match what {
                What::Holds(_) => {}
                What::Mismatch(hint) => {
                    let next = hint.saturating_add(1).min(flight.previous);
                    peer.next = next.max(peer.matched.saturating_add(1));
                }
                What::Wants(page) => {
                    if let Some(sending) = &mut peer.snapshot {
                        sending.go_to(page);
                    }
                }
            }
        }
        self.open(now);
        let before = self.commit;
        self.advance_commit(now, effects);
        if self.commit > before {
            self.hasten(now);
        }
        self.serve_reads(now, effects);
        self.pump(now, settings, effects);
        Ok(())
    }
}
