//! Whether what clients saw of names could be: each operation took effect at one point between its
//! beginning and its end, and all of them in one order (linearizability, by the search of Wing, Gong
//! and Lowe).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a client did and was told. Every file has a content of its own, by whose number it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stored a file, over whatever was there.
    Put {
        /// Its name.
        name: String,
        /// Its content.
        content: u64,
    },
    /// Stored a file where none was.
    PutNew {
        /// Its name.
        name: String,
        /// Its content.
        content: u64,
    },
    /// Was told that there is a file, whichever.
    Exists {
        /// Its name.
        name: String,
    },
    /// Read a file, or was told that there is none.
    Read {
        /// The name.
        name: String,
        /// What was there.
        content: Option<u64>,
    },
    /// Deleted the file that was there.
    Delete {
        /// Its name.
        name: String,
    },
    /// Renamed the file that was there, over whatever had the new name.
    Rename {
        /// The old name.
        from: String,
        /// The new one, which is another.
        to: String,
    },
    /// Brought back a deleted file where none was.
    Undelete {
        /// Its name.
        name: String,
        /// Its content.
        content: u64,
    },
}

/// One operation, in any unit of time that all operations share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// What it was.
    pub action: Action,
    /// When it was sent.
    pub begun: u64,
    /// When the answer was there. None if nobody knows whether it took effect: then it did once, at
    /// any time after it was sent, or never.
    pub ended: Option<u64>,
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linear,
    /// There is none. These operations stand in each other's way: those that could not be put in
    /// order after as many as possible were.
    Broken(Vec<Op>),
    /// The search was given up.
    Undecided,
}

/// Looks for an order of all operations, of names that no rename joins apart from each other. Looks at
/// no more than so many states for each such group.
pub fn check(ops: &[Op], most_states: usize) -> Verdict {
    let mut undecided = false;
    for group in groups(ops) {
        match Search::new(group, most_states).run() {
            Verdict::Linear => {}
            Verdict::Undecided => undecided = true,
            broken @ Verdict::Broken(_) => return broken,
        }
    }
    if undecided {
        Verdict::Undecided
    } else {
        Verdict::Linear
    }
}

impl Action {
    /// The names it is about: one, or two.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Put { name, .. }
            | Self::PutNew { name, .. }
            | Self::Exists { name }
            | Self::Read { name, .. }
            | Self::Delete { name }
            | Self::Undelete { name, .. } => vec![name],
            Self::Rename { from, to } => vec![from, to],
        }
    }

    /// What is there afterwards; none if it cannot have been as told. An action that leaves one state
    /// as it is leaves each as it is in which it can have been: the search counts on that.
    fn step(&self, files: &Files) -> Option<Files> {
        let mut after = files.clone();
        match self {
            Self::Put { name, content } => {
                after.insert(name.clone(), *content);
            }
            Self::PutNew { name, content } | Self::Undelete { name, content } => {
                if after.insert(name.clone(), *content).is_some() {
                    return None;
                }
            }
            Self::Exists { name } => {
                after.get(name)?;
            }
            Self::Read { name, content } => {
                if after.get(name) != content.as_ref() {
                    return None;
                }
            }
            Self::Delete { name } => {
                after.remove(name)?;
            }
            Self::Rename { from, to } => {
                let moved = after.remove(from)?;
                after.insert(to.clone(), moved);
            }
        }
        Some(after)
    }
}

/// Names that have a file, and its content.
type Files = BTreeMap<String, u64>;

/// Operations by names that renames join.
fn groups(ops: &[Op]) -> Vec<Vec<&Op>> {
    let mut groups: Vec<(BTreeSet<&str>, Vec<&Op>)> = Vec::new();
    for op in ops {
        let own = BTreeSet::from_iter(op.action.names());
        let (joined, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|(names, _)| !names.is_disjoint(&own));
        groups = apart;
        let mut group = (own, vec![op]);
        for (names, earlier) in joined {
            group.0.extend(names);
            group.1.extend(earlier);
        }
        groups.push(group);
    }
    groups.into_iter().map(|(_, ops)| ops).collect()
}

/// Looks first where only what has an end is put in order, and what has none where it lets something
/// come next that could not: else whatever nobody knows would be tried in every order before two
/// neighbours are.
struct Search<'a> {
    /// By their beginning.
    ops: Vec<&'a Op>,
    seen: BTreeSet<(Done, Files)>,
    most_states: usize,
    open: BTreeMap<Rank, Place>,
    number: usize,
    /// The most operations with an end that were put in order, and what was left then.
    best: (usize, Vec<usize>),
}

/// How much was put in order that helped nothing at once; how little has its place; the latest first.
type Rank = (usize, Reverse<usize>, Reverse<usize>);

struct Place {
    done: Done,
    files: Files,
}

/// Which operations have their place already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn has(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn add(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }
}

impl<'a> Search<'a> {
    fn new(mut ops: Vec<&'a Op>, most_states: usize) -> Self {
        ops.sort_by_key(|op| (op.begun, op.ended));
        Self {
            ops,
            seen: BTreeSet::new(),
            most_states,
            open: BTreeMap::new(),
            number: 0,
            best: (0, Vec::new()),
        }
    }

    fn run(mut self) -> Verdict {
        let none = Done(vec![0; self.ops.len().div_ceil(64)]);
        self.push(0, 0, none, Files::new());
        while let Some(((wasted, Reverse(count), _), place)) = self.open.pop_first() {
            let Place { mut done, files } = place;
            let (settled, candidates) = self.settle(&mut done, &files);
            let count = count + settled;
            let Some(candidates) = candidates else {
                return Verdict::Linear;
            };
            if !self.seen.insert((done.clone(), files.clone())) {
                continue;
            }
            if self.seen.len() > self.most_states {
                return Verdict::Undecided;
            }
            if count >= self.best.0 {
                self.best = (count, candidates.clone());
            }
            for &index in candidates.iter().rev() {
                let Some(op) = self.ops.get(index).copied() else {
                    continue;
                };
                if let Some(after) = op.action.step(&files) {
                    let known = op.ended.is_some();
                    let helps = known || self.helps(&candidates, &files, &after);
                    let mut done = done.clone();
                    done.add(index);
                    self.push(
                        wasted + usize::from(!helps),
                        count + usize::from(known),
                        done,
                        after,
                    );
                }
            }
        }
        let stuck = self.best.1.iter().filter_map(|index| self.ops.get(*index));
        Verdict::Broken(stuck.map(|op| (*op).clone()).collect())
    }

    fn push(&mut self, wasted: usize, count: usize, done: Done, files: Files) {
        self.number += 1;
        let rank = (wasted, Reverse(count), Reverse(self.number));
        self.open.insert(rank, Place { done, files });
    }

    /// Whether something that has an end may come next after a step and could not before.
    fn helps(&self, candidates: &[usize], before: &Files, after: &Files) -> bool {
        let known = candidates.iter().filter_map(|index| self.ops.get(*index));
        let mut known = known.filter(|op| op.ended.is_some());
        known.any(|op| op.action.step(before).is_none() && op.action.step(after).is_some())
    }

    /// Puts in order all that change nothing and may come now: no order has anything from them later.
    /// How many those were, and the operations that may be the next; those that ended first come
    /// first. None if every operation that has an end has its place.
    fn settle(&self, done: &mut Done, files: &Files) -> (usize, Option<Vec<usize>>) {
        let mut settled = 0;
        loop {
            let open = || self.ops.iter().enumerate().filter(|(i, _)| !done.has(*i));
            let Some(first_end) = open().filter_map(|(_, op)| op.ended).min() else {
                return (settled, None);
            };
            // Who begins as another ends may be before it.
            let may_be_next = open().take_while(|(_, op)| op.begun <= first_end);
            let mut next: Vec<(u64, usize)> = may_be_next
                .map(|(index, op)| (op.ended.unwrap_or(u64::MAX), index))
                .collect();
            next.sort_unstable();
            let idle = next.iter().find(|(_, index)| {
                let op = self.ops.get(*index);
                op.is_some_and(|op| {
                    op.ended.is_some() && op.action.step(files).as_ref() == Some(files)
                })
            });
            match idle.copied() {
                Some((_, index)) => done.add(index),
                None => {
                    let next = next.into_iter().map(|(_, index)| index).collect();
                    return (settled, Some(next));
                }
            }
            settled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn op(action: Action, begun: u64, ended: impl Into<Option<u64>>) -> Op {
        Op {
            action,
            begun,
            ended: ended.into(),
        }
    }

    fn put(name: &str, content: u64) -> Action {
        Action::Put {
            name: name.to_owned(),
            content,
        }
    }

    fn read(name: &str, content: impl Into<Option<u64>>) -> Action {
        Action::Read {
            name: name.to_owned(),
            content: content.into(),
        }
    }

    fn delete(name: &str) -> Action {
        Action::Delete {
            name: name.to_owned(),
        }
    }

    fn rename(from: &str, to: &str) -> Action {
        Action::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[track_caller]
    fn holds(ops: &[Op]) {
        assert_eq!(check(ops, 100_000), Verdict::Linear);
    }

    #[track_caller]
    fn breaks(ops: &[Op]) {
        assert!(matches!(check(ops, 100_000), Verdict::Broken(_)));
    }

    #[test]
    fn a_read_sees_what_was_answered_before_it_began() {
        let wrote = [op(put("a", 1), 0, 5), op(put("a", 2), 6, 9)];
        holds(&[&wrote[..], &[op(read("a", 2), 10, 11)]].concat());
        breaks(&[&wrote[..], &[op(read("a", 1), 10, 11)]].concat());
        breaks(&[&wrote[..], &[op(read("a", None), 10, 11)]].concat());
        // While the second was under way, either was there.
        holds(&[&wrote[..], &[op(read("a", 1), 7, 8)]].concat());
        holds(&[&wrote[..], &[op(read("a", 2), 7, 8)]].concat());
    }

    #[test]
    fn what_was_seen_once_does_not_go_back() {
        let slow = op(put("a", 2), 6, 100);
        let first = op(put("a", 1), 0, 5);
        let seen = [op(read("a", 2), 10, 11), op(read("a", 1), 12, 13)];
        breaks(&[&[first.clone(), slow.clone()], &seen[..]].concat());
        let seen = [op(read("a", 1), 10, 11), op(read("a", 2), 12, 13)];
        holds(&[&[first, slow], &seen[..]].concat());
    }

    #[test]
    fn what_nobody_knows_took_effect_once_at_any_time_or_never() {
        let unknown = op(put("a", 2), 1, None);
        let first = op(put("a", 1), 0, 0);
        holds(&[
            first.clone(),
            unknown.clone(),
            op(read("a", 1), 50, 51),
            op(read("a", 2), 60, 61),
        ]);
        holds(&[first.clone(), unknown.clone(), op(read("a", 1), 90, 91)]);
        breaks(&[
            first.clone(),
            unknown.clone(),
            op(read("a", 2), 50, 51),
            op(read("a", 1), 60, 61),
        ]);
        breaks(&[
            first,
            unknown,
            op(read("a", 2), 50, 51),
            op(delete("a"), 60, 61),
            op(read("a", 2), 70, 71),
        ]);
    }

    #[test]
    fn of_two_that_want_no_file_there_one_wins() {
        let new = |content| Action::PutNew {
            name: "a".to_owned(),
            content,
        };
        let exists = Action::Exists {
            name: "a".to_owned(),
        };
        holds(&[op(new(1), 0, 9), op(exists.clone(), 0, 9)]);
        breaks(&[op(new(1), 0, 9), op(new(2), 0, 9)]);
        breaks(&[op(exists, 0, 9)]);
    }

    #[test]
    fn a_rename_is_seen_of_both_names_at_once() {
        let begun = [op(put("a", 1), 0, 1), op(rename("a", "b"), 2, 50)];
        holds(
            &[
                &begun[..],
                &[op(read("a", None), 3, 4), op(read("b", 1), 5, 6)],
            ]
            .concat(),
        );
        breaks(
            &[
                &begun[..],
                &[op(read("a", None), 3, 4), op(read("b", None), 5, 6)],
            ]
            .concat(),
        );
        breaks(
            &[
                &begun[..],
                &[op(read("b", 1), 3, 4), op(read("a", 1), 5, 6)],
            ]
            .concat(),
        );
    }

    #[test]
    fn a_long_history_of_many_clients_is_decided_and_a_stale_read_in_it_found() {
        let mut chance = Chance::new(5);
        let mut ops = Vec::new();
        let mut there = None;
        // Each takes effect at its number; the spans around it overlap.
        for point in 1..2000_u64 {
            let action = match chance.within(0, 10) {
                0 => {
                    there = Some(point);
                    put("a", point)
                }
                1 if there.is_some() => {
                    there = None;
                    delete("a")
                }
                _ => read("a", there),
            };
            let begun = (10 * point).saturating_sub(chance.within(1, 40));
            let ended = 10 * point + chance.within(1, 40);
            let known = chance.within(0, 50) > 0 || matches!(action, Action::Read { .. });
            ops.push(op(action, begun, known.then_some(ended)));
        }
        holds(&ops);
        let put = ops.iter().position(|op| {
            op.ended.is_some() && matches!(op.action, Action::Put { content, .. } if content > 1000)
        });
        let Action::Put { content, .. } = ops[put.unwrap()].action else {
            unreachable!()
        };
        ops.push(op(read("a", content), 50_000, 50_001));
        breaks(&ops);
    }
}
