//! Explores the model of the log protocol in full and prints what it saw.
//!
//! `cargo run --release -p mdfs-core --features mutants --example model`. It ends with an error if
//! an invariant breaks, if a run does not see all states within its bounds, or if a broken rule
//! goes unnoticed; else with `PROVED model`. With `members` it makes the runs in which the voters change,
//! and ends with `PROVED model-members`. With another argument it makes only the runs whose names contain
//! that text, and proves nothing.

#[path = "../tests/model/mod.rs"]
mod model;

use model::Found;
use model::bounds::{BOUNDS, Bounds};
use std::process::ExitCode;

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let asked = std::env::args().nth(1).unwrap_or_default();
    let members = asked == "members";
    let part = if members { String::new() } else { asked };
    let named = |bounds: &Bounds| bounds.name.contains(&part);
    let (runs, mutants) = if members {
        (model::members::full(), member_mutants())
    } else if part.is_empty() {
        (model::runs::full(), mutants())
    } else {
        let runs = [model::runs::full(), model::members::full()].concat();
        (runs, [mutants(), member_mutants()].concat())
    };
    let mut failed = false;
    println!("| run | {BOUNDS} | states | distinct | depth | time | result |");
    let columns = 6 + BOUNDS.split(" | ").count();
    println!("|{}", "---|".repeat(columns));
    for bounds in runs.into_iter().filter(named) {
        let found = model::explore(&bounds, threads);
        let good = found.broken.is_empty() && found.whole && found.alive;
        failed |= !good;
        let broken = found.broken.first().map(|(invariant, _)| *invariant);
        let result = match broken {
            Some(invariant) => format!("{invariant} broken"),
            None if !found.whole => "not exhausted".to_owned(),
            None if !found.alive => "holds, and shows too little".to_owned(),
            None => "holds".to_owned(),
        };
        print_row(&bounds, &found, &result);
    }
    for bounds in mutants.into_iter().filter(named) {
        let found = model::explore(&bounds, threads);
        failed |= found.broken.is_empty();
        let caught = found.broken.first().map(|(invariant, steps)| {
            format!("caught by {invariant} in {} steps", steps.lines().count())
        });
        print_row(
            &bounds,
            &found,
            &caught.unwrap_or_else(|| "survived".to_owned()),
        );
    }
    if failed {
        return ExitCode::FAILURE;
    }
    if part.is_empty() && cfg!(feature = "mutants") {
        println!("PROVED {}", if members { "model-members" } else { "model" });
    }
    ExitCode::SUCCESS
}

fn mutants() -> Vec<Bounds> {
    let outer = model::runs::mutants();
    #[cfg(feature = "mutants")]
    let outer = [outer, model::runs::inner_mutants()].concat();
    outer
}

fn member_mutants() -> Vec<Bounds> {
    #[cfg(feature = "mutants")]
    return model::members::mutants();
    #[cfg(not(feature = "mutants"))]
    Vec::new()
}

fn print_row(bounds: &Bounds, found: &Found, result: &str) {
    let Found {
        name,
        states,
        unique,
        depth,
        took,
        ..
    } = found;
    let seconds = took.as_secs_f64();
    let list = bounds.list();
    println!("| {name} | {list} | {states} | {unique} | {depth} | {seconds:.1} s | {result} |");
}
