//! Which disks should vote.
//!
//! One step at a time: a voter is added before another is removed, so that there are never fewer
//! holders of the log than before. At rest the number of voters is odd, unless a pair is wanted.

use crate::id::DiskId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most voters of a log.
pub const MOST_VOTERS: u8 = 5;

/// What is known of a member that votes or might.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its disk.
    pub disk: DiskId,
    /// Its failure domain.
    pub zone: Option<String>,
    /// It holds no chunks, and is there to vote.
    pub witness: bool,
    /// It is there, takes part, and can keep the log: it may become a voter now.
    pub able: bool,
    /// For how long its vote was not to be had; none if it is to be had.
    pub away: Option<Duration>,
    /// It is to go, or has gone for good.
    pub leaves: bool,
    /// It neither comes back from the dead again and again nor is slower than others by far.
    pub steady: bool,
}

/// A change of the voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One more.
    Add(DiskId),
    /// One less.
    Remove(DiskId),
}

/// Whether that many voters may be asked for: an odd number, or a pair, which reads with one lost.
pub fn is_number(wanted: u8) -> bool {
    matches!(wanted, 1 | 2 | 3 | 5)
}

/// The next change of the voters; none if they are as they should be, or as good as they can be.
///
/// A voter that was away for `patience`, or is to go, is replaced: by a disk in a zone with fewest
/// voters, a steady one, no witness if there is another. Where none can take its place it stays: a
/// vote that may come back is worth more than none.
///
/// Pure: the same view gives the same step; ties break by id.
pub fn next_step(
    voters: &BTreeSet<DiskId>,
    candidates: &[Candidate],
    wanted: u8,
    patience: Duration,
) -> Option<Step> {
    let known: BTreeMap<DiskId, &Candidate> = candidates.iter().map(|it| (it.disk, it)).collect();
    let spare = best_spare(voters, candidates);
    let number = voters.len();
    let wanted = usize::from(wanted.clamp(1, MOST_VOTERS));
    let bad = |disk: &DiskId| badness(known.get(disk).copied(), patience);
    // Of those that are equally there, one whose zone has most voters: zones are worth more than who
    // holds chunks besides.
    let worst = voters.iter().max_by_key(|disk| {
        let bad = bad(disk);
        let zone = known.get(disk).map_or(&None, |it| &it.zone);
        let crowd = votes_in(zone, voters, candidates);
        (bad.max(Badness::Witness), crowd, bad, **disk)
    });
    let (&worst, bad) = worst.map(|disk| (disk, bad(disk)))?;
    let to_replace = bad >= Badness::Leaves;
    if number > wanted {
        return Some(Step::Remove(worst));
    }
    if to_replace && let Some(spare) = spare {
        // There is no room for a sixth.
        return Some(match number >= usize::from(MOST_VOTERS) {
            true => Step::Remove(worst),
            false => Step::Add(spare),
        });
    }
    let rest = [1, 2, 3, 5]
        .into_iter()
        .find(|rest| *rest > number && (*rest % 2 == 1 || *rest == wanted));
    let rest = rest.filter(|rest| *rest <= wanted)?;
    let able = candidates
        .iter()
        .filter(|it| it.able && !it.leaves && !voters.contains(&it.disk));
    // From one to three it takes two: a pair on the way stops writing when either is lost.
    let enough = number + able.count() >= rest;
    spare.filter(|_| enough).map(Step::Add)
}

/// How much a voter should be another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Badness {
    Good,
    Witness,
    Unsteady,
    Leaves,
    Away,
}

fn badness(candidate: Option<&Candidate>, patience: Duration) -> Badness {
    // A disk that is no member any more will not answer.
    let Some(candidate) = candidate else {
        return Badness::Away;
    };
    match candidate {
        it if it.away.is_some_and(|away| away >= patience) => Badness::Away,
        it if it.leaves => Badness::Leaves,
        it if !it.steady => Badness::Unsteady,
        it if it.witness => Badness::Witness,
        _ => Badness::Good,
    }
}

fn best_spare(voters: &BTreeSet<DiskId>, candidates: &[Candidate]) -> Option<DiskId> {
    candidates
        .iter()
        .filter(|it| it.able && !it.leaves && !voters.contains(&it.disk))
        .min_by_key(|it| {
            let crowd = votes_in(&it.zone, voters, candidates);
            (!it.steady, crowd, it.witness, it.disk)
        })
        .map(|it| it.disk)
}

/// How many voters a zone has; none if it is no zone.
fn votes_in(zone: &Option<String>, voters: &BTreeSet<DiskId>, candidates: &[Candidate]) -> usize {
    let votes = candidates.iter().filter(|it| voters.contains(&it.disk));
    match zone {
        Some(_) => votes.filter(|it| it.zone == *zone).count(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    /// `v` votes; `dead=SECONDS`, `leaves`, `unsteady`, `witness`, `zone=Z`; else it is able.
    #[track_caller]
    fn check(view: &str, wanted: u8, want: &str) {
        let mut voters = BTreeSet::new();
        let mut candidates = Vec::new();
        for line in view.split(',') {
            let mut words = line.split_whitespace();
            let number: u128 = words.next().unwrap().parse().unwrap();
            let disk = DiskId::from_u128(number);
            let mut it = Candidate {
                disk,
                zone: None,
                witness: false,
                able: true,
                away: None,
                leaves: false,
                steady: true,
            };
            for word in words {
                match word.split_once('=').unwrap_or((word, "")) {
                    ("v", _) => drop(voters.insert(disk)),
                    ("dead", seconds) => {
                        let seconds = seconds.parse().unwrap();
                        (it.able, it.away) = (false, Some(Duration::from_secs(seconds)));
                    }
                    ("leaves", _) => (it.able, it.leaves) = (false, true),
                    ("unsteady", _) => it.steady = false,
                    ("witness", _) => it.witness = true,
                    ("zone", zone) => it.zone = Some(zone.to_owned()),
                    other => panic!("{other:?}"),
                }
            }
            candidates.push(it);
        }
        let step = match next_step(&voters, &candidates, wanted, PATIENCE) {
            None => "none".to_owned(),
            Some(Step::Add(disk)) => format!("add {}", disk.as_u128()),
            Some(Step::Remove(disk)) => format!("remove {}", disk.as_u128()),
        };
        assert_eq!(step, want, "{view} wanted={wanted}");
    }

    #[test]
    fn voters_grow_to_an_odd_number() {
        check("1 v, 2, 3, 4, 5", 1, "none");
        check("1 v, 2", 3, "none");
        check("1 v, 2, 3", 3, "add 2");
        check("1 v, 2 v, 3", 3, "add 3");
        check("1 v, 2 v, 3 v, 4", 5, "none");
        check("1 v, 2 v, 3 v, 4, 5", 5, "add 4");
        check("1 v, 2 v, 3 v, 4 v, 5", 5, "add 5");
        check("1 v, 2 v, 3 v, 4 v, 5 v, 6", 5, "none");
        check("1 v, 2, 3 dead=5", 3, "none");
    }

    #[test]
    fn a_pair_is_made_only_when_it_is_wanted() {
        check("1 v, 2", 2, "add 2");
        check("1 v, 2 v, 3", 2, "none");
        check("1 v, 2 dead=9", 2, "none");
    }

    #[test]
    fn fewer_are_wanted_and_the_worst_goes_first() {
        check("1 v, 2 v, 3 v, 4 v, 5 v", 3, "remove 5");
        check("1 v, 2 v dead=1, 3 v, 4 v, 5 v unsteady", 3, "remove 5");
        check("1 v, 2 v dead=600, 3 v, 4 v, 5 v unsteady", 3, "remove 2");
        check("1 v, 2 v leaves, 3 v", 1, "remove 2");
        check("1 v witness, 2 v, 3 v", 1, "remove 1");
        check("1 v, 2 v", 1, "remove 2");
    }

    #[test]
    fn one_goes_from_the_zone_that_has_most_voters() {
        let five = "1 v zone=a, 2 v zone=a, 3 v zone=a, 4 v zone=b, 5 v zone=c";
        check(five, 3, "remove 3");
        let four = "1 v zone=a, 2 v zone=a, 4 v zone=b, 5 v zone=c";
        check(four, 3, "remove 2");
        check("1 v zone=a, 2 v zone=a, 3 v zone=b witness", 1, "remove 2");
        check("1 v zone=a witness, 2 v zone=a, 3 v zone=b", 1, "remove 1");
        check("1 v zone=a, 2 v zone=a, 3 v zone=b unsteady", 1, "remove 3");
    }

    #[test]
    fn a_voter_dead_for_long_is_replaced_and_then_removed() {
        check("1 v, 2 v, 3 v dead=599, 4", 3, "none");
        check("1 v, 2 v, 3 v dead=600, 4", 3, "add 4");
        check("1 v, 2 v, 3 v dead=600, 4 v", 3, "remove 3");
        check("1 v, 2 v, 3 v dead=600", 3, "none");
        check("1 v, 2 v, 3 v dead=600, 4 dead=700", 3, "none");
        // Five are the most: one goes before another comes.
        check("1 v, 2 v, 3 v, 4 v, 5 v dead=600, 6", 5, "remove 5");
        check("1 v, 2 v, 3 v, 4 v, 5 dead=601, 6", 5, "add 6");
    }

    #[test]
    fn a_voter_that_is_to_go_hands_its_vote_over() {
        check("1 v leaves, 2", 1, "add 2");
        check("1 v leaves, 2 v", 1, "remove 1");
        check("1 v, 2 v, 3 v leaves, 4", 3, "add 4");
        check("1 v, 2 v, 3 v leaves, 4 v", 3, "remove 3");
        check("1 v, 2 v, 3 v leaves", 3, "none");
    }

    #[test]
    fn a_spare_is_of_another_zone_steady_and_no_witness() {
        check("1 v zone=a, 2 zone=a, 3 zone=b, 4 zone=c", 3, "add 3");
        check("1 v zone=a, 2 zone=a, 3 zone=b unsteady", 3, "add 2");
        check("1 v, 2 witness, 3", 3, "add 3");
        check("1 v, 2 v, 3 witness", 3, "add 3");
        check("1 v, 2 v, 3 v unsteady, 4", 3, "none");
    }

    #[test]
    fn so_many_voters_may_be_asked_for() {
        let numbers: Vec<u8> = (0..=7).filter(|number| is_number(*number)).collect();
        assert_eq!(numbers, [1, 2, 3, 5]);
    }
}
