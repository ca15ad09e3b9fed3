//! A voter and its disk: what the process sees, and what a crash leaves, kept apart.

use super::history::Seen;
use mdfs_core::log::message::{Entry, Reply, Request};
use mdfs_core::log::mutant::Mutant;
use mdfs_core::log::persist::{Answer, DurableVoter, Persist};
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    pub voter: DurableVoter,
    /// What the log held up to its base: only the onlooker remembers it.
    pub below: Vec<Seen>,
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    pub staged: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// How a driver may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskFault {
    /// A promise is answered, and forgotten by a crash.
    PromiseNotDurable,
    /// Entries are answered for, and forgotten by a crash.
    EntriesNotDurable,
    /// After a restart the voter does not behave as if leased.
    NoLeaseAfterRestart,
    /// An answer to Append names the voter's own last index.
    MatchIsOwnLast,
}

/// A voter, its disk as written, and its disk as synced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    pub voter: Voter,
    pub live: Arc<Stored>,
    pub durable: Arc<Stored>,
}

impl Disk {
    pub fn start(
        stored: Stored,
        now: Timestamp,
        settings: VoterSettings,
        mutant: Option<Mutant>,
    ) -> Result<Self, String> {
        let voter = Voter::restore(stored.voter.clone(), now, settings);
        let mut voter = voter.map_err(|error| error.to_string())?;
        break_rule(&mut voter, mutant);
        let live = Arc::new(stored);
        Ok(Self {
            voter,
            durable: Arc::clone(&live),
            live,
        })
    }

    /// The process dies and starts again: what was not synced is lost.
    pub fn restart(
        &mut self,
        now: Timestamp,
        settings: VoterSettings,
        fault: Option<DiskFault>,
        mutant: Option<Mutant>,
    ) -> Result<(), String> {
        self.live = Arc::clone(&self.durable);
        // A lease that began at zero has run out.
        let began = match fault {
            Some(DiskFault::NoLeaseAfterRestart) => Timestamp::default(),
            _ => now,
        };
        let voter = Voter::restore(self.live.voter.clone(), began, settings);
        self.voter = voter.map_err(|error| error.to_string())?;
        break_rule(&mut self.voter, mutant);
        Ok(())
    }

    /// One request, carried out as a driver does.
    pub fn step(
        &mut self,
        now: Timestamp,
        request: Request,
        below: &[Seen],
        fault: Option<DiskFault>,
    ) -> Result<Reply, String> {
        let output = self
            .voter
            .step(now, request)
            .map_err(|error| error.to_string())?;
        if let Some(persist) = output.persist {
            self.write(persist, below, fault);
        }
        let mut reply = match output.answer {
            Answer::Ready(reply) => *reply,
            Answer::Read(read) => {
                let from = read.after.clone();
                let behind = |key: &&Vec<u8>| from.as_ref().is_none_or(|from| *key > from);
                let records = self.live.records.iter().filter(|(key, _)| behind(key));
                let records = records
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                read.finish(records, false)
            }
        };
        if let (Some(DiskFault::MatchIsOwnLast), Reply::Appended { index, .. }) =
            (fault, &mut reply)
        {
            *index = self.voter.last().index;
        }
        Ok(reply)
    }

    fn write(&mut self, persist: Persist, below: &[Seen], fault: Option<DiskFault>) {
        let sync = persist.sync;
        let forgets = match fault {
            Some(DiskFault::PromiseNotDurable) => persist.append.is_empty(),
            Some(DiskFault::EntriesNotDurable) => true,
            _ => false,
        };
        apply(Arc::make_mut(&mut self.live), persist, below);
        if sync && !forgets {
            self.durable = Arc::clone(&self.live);
        }
    }
}

/// `below` is what the log of a table's sender held up to the table's base.
fn apply(stored: &mut Stored, persist: Persist, below: &[Seen]) {
    let Persist {
        promised,
        clear_staged,
        stage,
        install,
        cut_from,
        append,
        apply,
        applied,
        base,
        sync: _,
    } = persist;
    let voter = &mut stored.voter;
    voter.promised = promised.unwrap_or(voter.promised);
    if clear_staged {
        stored.staged.clear();
    }
    stored.staged.extend(stage);
    if install {
        stored.records = std::mem::take(&mut stored.staged);
        stored.below = below.to_vec();
    }
    if let Some(from) = cut_from {
        voter.entries.retain(|entry| entry.index < from);
    }
    voter.entries.extend(append);
    for put in apply {
        match put.value {
            Some(value) => stored.records.insert(put.key, value),
            None => stored.records.remove(&put.key),
        };
    }
    voter.applied = applied.unwrap_or(voter.applied);
    if let Some(base) = base {
        let kept = |entry: &Entry| entry.index > base.position.index;
        let known = stored.below.len() as u64;
        let passed = voter
            .entries
            .iter()
            .filter(|entry| !kept(entry) && entry.index > known);
        stored.below.extend(passed.map(Seen::of));
        voter.entries.retain(kept);
        voter.base = base;
    }
}

#[cfg(feature = "mutants")]
fn break_rule(voter: &mut Voter, mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        voter.mutate(mutant);
    }
}

#[cfg(not(feature = "mutants"))]
fn break_rule(_voter: &mut Voter, _mutant: Option<Mutant>) {}
