//! Explores the model of the log protocol in full and prints what it saw.
//!
//! `cargo run --release -p mdfs-core --features mutants --example model`. It ends with an error if
//! an invariant breaks, if a run does not see all states within its bounds, or if a broken rule
//! goes unnoticed; else with `PROVED model`. With `members` it makes the runs in which the voters change,
//! and ends with `PROVED model-members`; with `chunks` those of the second model, of the orders to drop
//! chunks, and ends with `PROVED model-chunks`. With `run` and a name it makes that one run. With another argument
//! it makes only the runs whose names contain that text. The last two prove nothing.

#[path = "../tests/model/mod.rs"]
mod model;
#[path = "../tests/model_chunks/mod.rs"]
mod model_chunks;

use model::Found;
use model::bounds::{BOUNDS, Bounds};
use std::process::ExitCode;

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let asked = std::env::args().nth(1).unwrap_or_default();
    if asked == "run" {
        return run_one(&std::env::args().nth(2).unwrap_or_default(), threads);
    }
    if asked == "chunks" {
        return chunks(threads);
    }
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
        failed |= !holds(&bounds, &found);
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

/// Makes the run of this name. An invariant that breaks is named in the last column.
fn run_one(name: &str, threads: usize) -> ExitCode {
    let of_chunks = model_chunks::runs::full();
    if let Some(bounds) = of_chunks.into_iter().find(|it| it.name == name) {
        return match chunks_hold(&bounds, threads) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let Some(bounds) = model::planted::all().into_iter().find(|it| it.name == name) else {
        println!("no run is called {name:?}");
        return ExitCode::FAILURE;
    };
    match holds(&bounds, &model::explore(&bounds, threads)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Makes the runs of the second model.
fn chunks(threads: usize) -> ExitCode {
    let columns = model_chunks::runs::BOUNDS;
    println!("| run | {columns} | states | distinct | depth | time | result |");
    println!("|{}", "---|".repeat(6 + columns.split(" | ").count()));
    let mut good = true;
    for bounds in model_chunks::runs::full() {
        good &= chunks_hold(&bounds, threads);
    }
    for bounds in model_chunks::runs::mutants() {
        let found = model_chunks::explore(&bounds, threads);
        good &= found.broken.is_some();
        let caught = found
            .broken
            .as_ref()
            .map(|(invariant, steps)| format!("caught by {invariant} in {} steps", steps.len()));
        print_chunks(
            &bounds,
            &found,
            &caught.unwrap_or_else(|| "survived".to_owned()),
        );
    }
    if !good {
        return ExitCode::FAILURE;
    }
    println!("PROVED model-chunks");
    ExitCode::SUCCESS
}

/// Makes a run of the second model; whether all is as it should be.
fn chunks_hold(bounds: &model_chunks::runs::Bounds, threads: usize) -> bool {
    let found = model_chunks::explore(bounds, threads);
    let result = match &found.broken {
        Some((invariant, _)) => format!("{invariant} broken"),
        None if !found.whole => "not exhausted".to_owned(),
        None if !found.alive => "holds, and shows too little".to_owned(),
        None => "holds".to_owned(),
    };
    print_chunks(bounds, &found, &result);
    if let Some((_, steps)) = &found.broken {
        steps.iter().for_each(|step| println!("  {step:?}"));
    }
    found.broken.is_none() && found.whole && found.alive
}

fn print_chunks(bounds: &model_chunks::runs::Bounds, found: &model_chunks::Found, result: &str) {
    let (name, list) = (bounds.name, bounds.list());
    let model_chunks::Found {
        states,
        unique,
        depth,
        took,
        ..
    } = found;
    let seconds = took.as_secs_f64();
    println!("| {name} | {list} | {states} | {unique} | {depth} | {seconds:.1} s | {result} |");
}

/// Prints what a run found; whether all is as it should be.
fn holds(bounds: &Bounds, found: &Found) -> bool {
    let broken = found.broken.first().map(|(invariant, _)| *invariant);
    let result = match broken {
        Some(invariant) => format!("{invariant} broken"),
        None if !found.whole => "not exhausted".to_owned(),
        None if !found.alive => "holds, and shows too little".to_owned(),
        None => "holds".to_owned(),
    };
    print_row(bounds, found, &result);
    broken.is_none() && found.whole && found.alive
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
