//! The log protocol, explored exhaustively in small bounds; `core/examples/model.rs` has the full
//! form.

#[path = "model/mod.rs"]
mod model;

#[test]
fn no_invariant_breaks_within_small_bounds() {
    for bounds in model::runs::short() {
        let found = model::explore(&bounds, 2);
        assert!(
            found.broken.is_empty(),
            "{}: {:?}",
            found.name,
            found.broken
        );
        assert!(
            found.whole && (found.alive || bounds.requests == 0),
            "{}",
            found.name
        );
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for bounds in model::runs::mutants() {
        let found = model::explore(&bounds, 2);
        assert!(!found.broken.is_empty(), "{} goes unnoticed", found.name);
    }
}
