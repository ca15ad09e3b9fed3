//! What clients saw.

use crate::trace::Trace;
use mdfs_tests::linear::{Action, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all clients saw. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) ops: Vec<Op>,
    /// The length of each content that was ever sent, head included.
    pub(crate) made: BTreeMap<u64, u64>,
    /// Of each content, by its CRC-32.
    pub(crate) by_crc: BTreeMap<u32, u64>,
    /// The id of the file of each content that was stored.
    pub(crate) files: BTreeMap<u64, String>,
    /// What was stored last under each name, by its first answer; renames aside.
    pub(crate) latest: BTreeMap<String, u64>,
    /// Somebody stored something and was not answered.
    pub(crate) broke_off: bool,
    /// Names that are not checked any more.
    pub(crate) doubtful: BTreeSet<String>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// The longest time in milliseconds that an operation took.
    pub(crate) longest: u64,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Operations that took effect, or reads that were answered.
    pub(crate) acknowledged: u64,
    /// All others.
    pub(crate) refused: u64,
    /// The longest time in milliseconds that one took.
    pub(crate) longest: u64,
}

impl History {
    /// Everything that clients did, for the check of its order, but with names of which nobody knows
    /// what was brought back.
    pub(crate) fn ops(&self) -> Vec<Op> {
        let seen = self.lock();
        let checked = |op: &&Op| {
            !op.action
                .names()
                .iter()
                .any(|name| seen.doubtful.contains(*name))
        };
        seen.ops.iter().filter(checked).cloned().collect()
    }

    /// How it went since the last time that was asked.
    pub(crate) fn score(&self) -> Score {
        let mut seen = self.lock();
        let score = Score {
            acknowledged: seen.acknowledged,
            refused: seen.refused,
            longest: seen.longest,
        };
        (seen.acknowledged, seen.refused, seen.longest) = (0, 0, 0);
        score
    }

    /// The marks of operations that were under way at the same time.
    pub(crate) fn reach(&self, trace: &Trace) {
        let seen = self.lock();
        let mut ops: Vec<&Op> = seen.ops.iter().collect();
        ops.sort_by_key(|op| op.begun);
        for (index, first) in ops.iter().enumerate() {
            let Some(ended) = first.ended else { continue };
            let later = ops.iter().skip(index + 1);
            for second in later.take_while(|op| op.begun <= ended) {
                let pairs = [(first, second), (second, first)];
                for mark in pairs.iter().filter_map(|(a, b)| mark(&a.action, &b.action)) {
                    trace.reach(mark);
                }
            }
        }
    }

    pub(crate) fn add(&self, action: Action, begun: u64, ended: Option<u64>) {
        self.lock().ops.push(Op {
            action,
            begun,
            ended,
        });
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it means that two things were done at the same time.
fn mark(one: &Action, other: &Action) -> Option<&'static str> {
    let both = one.names().iter().any(|name| other.names().contains(name));
    if !both {
        return None;
    }
    match (one, other) {
        (
            Action::Put { .. } | Action::PutNew { .. },
            Action::Put { .. } | Action::PutNew { .. },
        ) => Some("stored twice at once"),
        (Action::Delete { .. }, Action::Put { .. } | Action::PutNew { .. }) => {
            Some("deleted under an upload")
        }
        (
            Action::Rename { .. },
            Action::Rename { .. } | Action::Put { .. } | Action::Delete { .. },
        ) => Some("renames crossed"),
        (Action::Put { .. }, Action::Read { content, .. }) if content.is_some() => {
            Some("overwritten under a reader")
        }
        _ => None,
    }
}
