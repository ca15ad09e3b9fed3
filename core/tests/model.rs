//! The log protocol, and the orders to drop chunks, explored exhaustively in small bounds;
//! `core/examples/model.rs` has the full form.

#[path = "model/mod.rs"]
mod model;
#[path = "model_chunks/mod.rs"]
mod model_chunks;

use stateright::Model;
use std::collections::BTreeSet;

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
        assert!(found.whole && found.alive, "{}", found.name);
    }
}

#[test]
fn no_invariant_breaks_while_members_change() {
    for bounds in model::members::short() {
        let found = model::explore(&bounds, 2);
        assert!(
            found.broken.is_empty(),
            "{}: {:?}",
            found.name,
            found.broken
        );
        assert!(found.whole && found.alive, "{}", found.name);
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for bounds in model::runs::mutants() {
        let found = model::explore(&bounds, 2);
        assert!(!found.broken.is_empty(), "{} goes unnoticed", found.name);
    }
}

/// Exploring one of the worlds that differ by names only finds all that exploring each of them
/// finds.
#[test]
fn names_of_disks_and_numbers_of_messages_do_not_matter() {
    for bounds in model::runs::named() {
        let found = model::explore(&bounds, 2);
        let mut worlds: Vec<_> = bounds.init_states();
        let mut known: BTreeSet<u64> = worlds.iter().map(|world| world.identity()).collect();
        let mut prints = BTreeSet::new();
        let mut actions = Vec::new();
        while let Some(world) = worlds.pop() {
            prints.insert(world.print);
            bounds.actions(&world, &mut actions);
            for action in actions.drain(..) {
                let next = bounds.next_state(&world, action);
                worlds.extend(next.filter(|next| known.insert(next.identity())));
            }
        }
        assert_eq!(prints.len(), found.unique, "{}", found.name);
        assert!(known.len() > prints.len(), "{}", found.name);
    }
}

#[test]
fn no_chunks_that_are_needed_are_dropped_and_no_others_stay() {
    for bounds in model_chunks::runs::short() {
        let found = model_chunks::explore(&bounds, 2);
        assert_eq!(found.broken, None, "{}", bounds.name);
        assert!(found.whole && found.alive, "{}", bounds.name);
    }
}

#[test]
fn every_broken_rule_about_chunks_is_noticed() {
    for bounds in model_chunks::runs::mutants() {
        let found = model_chunks::explore(&bounds, 2);
        assert!(found.broken.is_some(), "{} goes unnoticed", bounds.name);
    }
}
