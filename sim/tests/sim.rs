//! A dozen simulated clusters, in some two minutes of a processor; `cargo xtask prove sim` runs many more,
//! for longer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mdfs_sim::{Plan, run};
use std::ops::Range;

#[track_caller]
fn keep_their_promises(seeds: Range<u64>) {
    for seed in seeds {
        let outcome = run(seed, &Plan::drawn(seed, 1)).unwrap();
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}

// In parts, which run beside each other.

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them_1() {
    keep_their_promises(1..4);
}

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them_2() {
    keep_their_promises(4..7);
}

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them_3() {
    keep_their_promises(7..10);
}

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them_4() {
    keep_their_promises(10..13);
}

/// Longer runs. Under an earlier schedule these seeds failed, for copies in the trash that were too many and
/// one that was damaged; the survey's tests hold those causes.
#[test]
fn clusters_keep_promises_that_were_broken_once() {
    for seed in [4, 17] {
        let outcome = run(seed, &Plan::drawn(seed, 5)).unwrap();
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1..=3 {
        let plan = Plan::drawn(seed, 1);
        assert_eq!(run(seed, &plan).unwrap(), run(seed, &plan).unwrap());
    }
}
