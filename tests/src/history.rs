//! What many clients did with names and were told, written down while it happens and checked
//! afterwards.

use crate::linear::{self, Action, Op, Verdict};
use crate::wait::now;
use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// States of one name that the search for an order looks at before it gives up.
const MOST_STATES: usize = 200_000;

/// One operation, and the version that its answer named.
#[derive(Clone, Debug)]
struct Told {
    op: Op,
    version: Option<u64>,
}

/// Everything that clients did, by the name they did it with.
#[derive(Debug)]
pub struct History {
    started: Instant,
    names: Mutex<BTreeMap<String, Vec<Told>>>,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Names.
    pub names: usize,
    /// Operations with an answer.
    pub answered: usize,
    /// Operations of which nobody knows whether they took effect.
    pub open: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            started: now(),
            names: Mutex::default(),
        }
    }
}

impl History {
    /// Microseconds since it began: the time that all operations share.
    pub fn time(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes an operation on `name` that was begun at `begun` and is answered now, with the version it
    /// read or made if it was told one. Renames are not for this history: each name is checked apart.
    pub fn answered(&self, name: &str, action: Action, begun: u64, version: Option<u64>) {
        let ended = Some(self.time());
        self.note(name, action, begun, ended, version);
    }

    /// Notes one whose answer never came, or left open whether it took effect.
    pub fn open(&self, name: &str, action: Action, begun: u64) {
        self.note(name, action, begun, None, None);
    }

    fn note(
        &self,
        name: &str,
        action: Action,
        begun: u64,
        ended: Option<u64>,
        version: Option<u64>,
    ) {
        let op = Op {
            action,
            begun,
            ended,
        };
        let told = Told { op, version };
        self.lock().entry(name.to_owned()).or_default().push(told);
    }

    /// All names of which something is known.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Checks everything: each name has an order of its operations that explains all answers, so nothing
    /// acknowledged was lost and nothing read was stale; and what was begun after an answer saw no lower
    /// version than it.
    ///
    /// # Errors
    /// Names the first name of which that is not so, with the operations that contradict.
    pub fn check(&self) -> Result<Checked> {
        let mut checked = Checked::default();
        for (name, told) in self.lock().iter() {
            versions_rise(name, told)?;
            let ops: Vec<Op> = told.iter().map(|told| told.op.clone()).collect();
            match linear::check(&ops, MOST_STATES) {
                Verdict::Linear => {}
                Verdict::Broken(stuck) => bail!("{name}: no order explains {stuck:#?}"),
                Verdict::Undecided => bail!("{name}: too many orders to look at"),
            }
            checked.names += 1;
            let answered = ops.iter().filter(|op| op.ended.is_some()).count();
            checked.answered += answered;
            checked.open += ops.len() - answered;
        }
        Ok(checked)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Told>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What begins after an answer sees its version or a later one, and what it makes is later.
fn versions_rise(name: &str, told: &[Told]) -> Result<()> {
    let versions = told
        .iter()
        .filter_map(|told| Some((told, told.op.ended?, told.version?)));
    let mut ends: Vec<(u64, u64)> = versions
        .map(|(_, ended, version)| (ended, version))
        .collect();
    ends.sort_unstable();
    let mut begins: Vec<&Told> = told.iter().filter(|told| told.version.is_some()).collect();
    begins.sort_by_key(|told| told.op.begun);
    let (mut ends, mut highest) = (ends.into_iter().peekable(), 0);
    for later in begins {
        while let Some((_, version)) = ends.next_if(|(ended, _)| *ended < later.op.begun) {
            highest = highest.max(version);
        }
        let makes = !matches!(later.op.action, Action::Read { .. } | Action::Exists { .. });
        let version = later.version.unwrap_or_default();
        ensure!(
            version > highest || (version == highest && !makes),
            "{name}: version {highest} was there before, then {later:?}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(content: u64) -> Action {
        let name = "a".to_owned();
        Action::Put { name, content }
    }

    fn read(content: Option<u64>) -> Action {
        let name = "a".to_owned();
        Action::Read { name, content }
    }

    #[track_caller]
    fn check(ops: &[(Action, u64, Option<u64>, Option<u64>)], fault: Option<&str>) {
        let history = History::default();
        for (action, begun, ended, version) in ops {
            history.note("a", action.clone(), *begun, *ended, *version);
        }
        match (history.check(), fault) {
            (Ok(checked), None) => assert_eq!(checked.answered + checked.open, ops.len()),
            (Err(error), Some(fault)) => assert!(error.to_string().contains(fault), "{error}"),
            (found, _) => unreachable!("{found:?} instead of {fault:?}"),
        }
    }

    #[test]
    fn a_stale_read_a_lost_write_and_a_lower_version_are_found() {
        let first = (put(1), 0, Some(1), Some(7));
        let second = (put(2), 2, Some(3), Some(9));
        let both = [first.clone(), second.clone()];
        check(
            &[&both[..], &[(read(Some(2)), 4, Some(5), Some(9))]].concat(),
            None,
        );
        let stale = (read(Some(1)), 4, Some(5), None);
        check(&[&both[..], &[stale]].concat(), Some("no order"));
        let lost = (read(None), 4, Some(5), None);
        check(&[first.clone(), lost], Some("no order"));
        let lower = (read(Some(2)), 4, Some(5), Some(8));
        check(&[&both[..], &[lower]].concat(), Some("version 9"));
        let again = (put(2), 2, Some(3), Some(7));
        check(&[first.clone(), again], Some("version 7"));
        // What is under way at the same time may see either.
        check(
            &[&both[..], &[(read(Some(1)), 2, Some(5), Some(7))]].concat(),
            None,
        );
        // A write without an answer may take effect late, once, or never.
        let open = (put(3), 1, None, None);
        check(
            &[
                first.clone(),
                open.clone(),
                (read(Some(1)), 4, Some(5), None),
            ],
            None,
        );
        let seen = [first, open, (read(Some(3)), 4, Some(5), None)];
        check(&seen, None);
        let gone = (read(Some(1)), 6, Some(7), None);
        check(&[&seen[..], &[gone]].concat(), Some("no order"));
    }
}
