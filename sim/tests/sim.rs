//! A few simulated clusters; `cargo xtask prove sim` runs many.

use mdfs_sim::{Plan, run};

#[test]
fn clusters_keep_their_promises_while_things_happen_to_them() {
    for seed in 1..=100 {
        let outcome = run(seed, &Plan::drawn(seed, 1)).unwrap();
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1..=10 {
        let plan = Plan::drawn(seed, 1);
        assert_eq!(run(seed, &plan).unwrap(), run(seed, &plan).unwrap());
    }
}
