//! Proves the ring's bounds over many seeds and prints what was found.
//!
//! `cargo run --release -p mdfs-core --example ring [SEEDS]`; ends with failure on any violation.

#[path = "../tests/ring_proof/mod.rs"]
mod ring_proof;

use mdfs_core::ring::{Assignment, assign};
use ring_proof::{Chance, Figures, Report, Shape, Weights, Zones, least_partners, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let seeds: u64 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    println!("4096 partitions, {seeds} seeds a line, the worst of each; moved/least of one change");
    println!(
        "{:>7} {:>6} {:>6} {:>8} {:>8} {:>8} {:>14} {:>14} {:>14} {:>8}",
        "workers",
        "weight",
        "zones",
        "replicas",
        "max/mean",
        "firsts",
        "join",
        "leave",
        "chain",
        "partners",
    );
    let mut failures = 0;
    for shape in shapes() {
        let mut worst: Option<Report> = None;
        for seed in 0..seeds {
            match run(shape, seed) {
                Ok(report) => worst = Some(worst.map_or(report, |known| known.worse(report))),
                Err(error) => {
                    failures += 1;
                    if failures <= 20 {
                        println!("violated: {error}");
                    }
                }
            }
        }
        if let Some(report) = worst {
            print_line(shape, &report);
        }
    }
    println!("{failures} violations");
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for workers in [3, 5, 16, 100] {
        for weights in [Weights::Equal, Weights::Mixed] {
            for zones in [Zones::None, Zones::Three, Zones::Uneven] {
                for replicas in [2, 3] {
                    shapes.push(Shape {
                        workers,
                        weights,
                        zones,
                        replicas,
                    });
                }
            }
        }
    }
    shapes
}

fn print_line(shape: Shape, report: &Report) {
    let all = report
        .first
        .worse(report.join)
        .worse(report.leave)
        .worse(report.chain);
    let moved = |f: &Figures| format!("{}/{}={:.3}", f.moved, f.least, f.excess());
    let members = shape.members(&mut Chance::new(0));
    let ring = assign(&Assignment::empty(), None, &members, shape.factor(), |_| {
        true
    });
    println!(
        "{:>7} {:>6} {:>6} {:>8} {:>8.4} {:>8.4} {:>14} {:>14} {:>14} {:>8}",
        shape.workers,
        format!("{:?}", shape.weights).to_lowercase(),
        format!("{:?}", shape.zones).to_lowercase(),
        shape.replicas,
        all.above_share,
        all.firsts_above_share,
        moved(&report.join),
        moved(&report.leave),
        moved(&report.chain),
        least_partners(&ring),
    );
}
