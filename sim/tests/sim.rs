//! A hundred simulated clusters, on all processors; `cargo xtask prove sim` runs many more, for longer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mdfs_sim::{Plan, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many clusters run for a minute each.
const CLUSTERS: u64 = 100;

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them() {
    let (next, broken) = (AtomicU64::new(1), Mutex::new(Vec::new()));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > CLUSTERS {
                        return;
                    }
                    let found = match run(seed, &Plan::drawn(seed, 1)) {
                        Ok(outcome) => outcome.broken,
                        Err(error) => vec![error.to_string()],
                    };
                    if !found.is_empty() {
                        broken.lock().unwrap().push((seed, found));
                    }
                }
            });
        }
    });
    assert_eq!(broken.into_inner().unwrap(), []);
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
