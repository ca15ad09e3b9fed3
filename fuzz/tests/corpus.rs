//! Each target with its corpus, and with the same some thousand inputs every time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mdfs_fuzz::{Limit, TARGETS, Target, hunt};

#[test]
fn no_input_breaks_a_target_and_a_seed_is_one_run() {
    for target in TARGETS {
        let limit = Limit::Inputs(3_000);
        let found = hunt(target, 1, &limit).unwrap();
        let broken = found.broken.as_ref().map(|input| input.escape_ascii());
        assert!(broken.is_none(), "{}: {}", target.name, broken.unwrap());
        // Something is made of the inputs: a target that refuses all would tell two or three apart.
        assert!(found.kinds > 5, "{}: {found:?}", target.name);
        assert_eq!(hunt(target, 1, &limit).unwrap(), found);
    }
}

#[test]
fn a_target_that_breaks_is_found_out() {
    let target = Target {
        name: "name",
        run: |bytes| {
            assert!(!bytes.starts_with(b"films/.."), "found");
            0
        },
        seeds: Vec::new,
        words: &["..", "films/"],
    };
    let found = hunt(&target, 1, &Limit::Inputs(1_000_000)).unwrap();
    assert!(found.broken.unwrap().starts_with(b"films/.."));
}
