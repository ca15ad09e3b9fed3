//! Append: the voter's log becomes what the leader's is, as far as the message goes.

use super::Voter;
use crate::id::Term;
use crate::log::message::{Append, Entry, Position, Reply};
use crate::log::mutant::Mutant;
use crate::log::persist::{Output, Persist};
use crate::log::violation::Violation;
use crate::time::Timestamp;

impl Voter {
    /// What a leader is told that counts so many forced changes and was not heard.
    pub(super) fn refused_append(
        &self,
        now: Timestamp,
        term: Term,
        epoch: u32,
        send: u64,
    ) -> Reply {
        match self.is_outdated(epoch) {
            // No lease is to be waited for: its log lacks what is committed.
            true => Reply::Refused {
                term,
                send,
                promised: self.promised,
                lease_left: None,
            },
            false => self.refusal(now, term, send),
        }
    }

    /// Whether a leader that counts so many forced changes was elected through a disk that was given
    /// up, in whatever term: its log lacks what was committed since without that disk.
    pub(super) fn is_outdated(&self, epoch: u32) -> bool {
        epoch < self.log.config().epoch && !self.mutants.has(Mutant::EpochIgnored)
    }

    pub(super) fn append(&mut self, now: Timestamp, append: Append) -> Result<Output, Violation> {
        check_order(&append)?;
        let last_named = append.last_named();
        let Append {
            term,
            previous,
            entries,
            commit,
            epoch,
            send,
            leader_url,
            lease_millis,
        } = append;
        if let Some(refusal) = self.other_span(term, send, lease_millis) {
            return Ok(Output::answer(refusal));
        }
        let mut persist = Persist::default();
        if !self.admit(now, term, epoch, leader_url, &mut persist) {
            return Ok(Output::answer(self.refused_append(now, term, epoch, send)));
        }
        if let Some(hint) = self.mismatch(term, previous)? {
            let reply = Reply::Mismatch {
                term,
                hint,
                send,
                higher: self.higher,
            };
            return Ok(Output::with(persist, reply));
        }
        self.take(term, epoch, entries, &mut persist)?;
        self.commit = self.commit.max(commit.min(last_named));
        if persist.sync {
            self.apply_committed(&mut persist);
        }
        let reply = Reply::Appended {
            term,
            index: last_named,
            send,
            higher: self.higher,
        };
        Ok(Output::with(persist, reply))
    }

    /// `None` if the log holds `previous`, else the last index at which it may agree.
    fn mismatch(&self, term: Term, previous: Position) -> Result<Option<u64>, Violation> {
        let Some(own) = self.log.position(previous.index) else {
            // Below the base everything is committed, so it matches.
            let beyond = previous.index > self.log.last().index;
            return Ok(beyond.then(|| self.log.last().index));
        };
        if own == previous {
            return Ok(None);
        }
        if previous.index <= self.commit {
            return Err(self.conflict(term, previous.index));
        }
        let hint = self.log.first_of_term(previous.index).saturating_sub(1);
        Ok(Some(hint.max(self.commit)))
    }

    /// Keeps what matches, cuts what conflicts, appends the rest.
    fn take(
        &mut self,
        term: Term,
        epoch: u32,
        entries: Vec<Entry>,
        persist: &mut Persist,
    ) -> Result<(), Violation> {
        for entry in entries {
            let index = entry.index;
            if index < self.log.base().position.index {
                continue;
            }
            match self.log.position(index) {
                Some(own) if own.term == entry.term => continue,
                Some(_) if index <= self.commit => return Err(self.conflict(term, index)),
                // Of a founding that was given up, and that nobody has heard to be committed.
                Some(_) if index == 1 && epoch <= self.log.config().epoch => {
                    return Err(Violation::FoundingCut { term });
                }
                Some(_) => {
                    self.log.cut_from(index);
                    persist.cut_from = Some(index);
                }
                None => {}
            }
            if !self.log.push(entry.clone()) {
                return Err(Violation::OutOfOrder { term, index });
            }
            persist.append.push(entry);
            persist.sync = true;
        }
        Ok(())
    }

    fn conflict(&self, term: Term, index: u64) -> Violation {
        Violation::CommittedConflict {
            term,
            index,
            commit: self.commit,
        }
    }
}

/// The entries follow each other, and none is of a term above the sender's.
fn check_order(append: &Append) -> Result<(), Violation> {
    let mut last = append.previous;
    for entry in &append.entries {
        let follows = last.index.checked_add(1) == Some(entry.index)
            && entry.term >= last.term
            && entry.term <= append.term;
        if !follows {
            return Err(Violation::OutOfOrder {
                term: append.term,
                index: entry.index,
            });
        }
        last = entry.position();
    }
    Ok(())
}
