//! The long form of the power cut proof: more of what a cut may leave, and each sync taken out.
//!
//! The first argument is the number of random states a crash point (64 without it). With `story` as the
//! second one no sync is taken out.

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use support::power_cut::{Site, explore};

fn main() -> ExitCode {
    let chances = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(64);
    let mut passed = true;
    match explore(chances, None) {
        Ok(report) => {
            println!(
                "ok: {} crash points, {} states",
                report.crash_points, report.states
            );
        }
        Err(broken) => {
            println!("FAILED: {}: {}", broken.place, broken.reason);
            passed = false;
        }
    }
    let sites = match std::env::args().nth(2).as_deref() {
        Some("story") => &[][..],
        Some(_) | None => &Site::ALL[..],
    };
    for &site in sites {
        match explore(chances, Some(site)) {
            Ok(_) => {
                println!("FAILED: nothing noticed that {site:?} was taken out");
                passed = false;
            }
            Err(broken) => {
                println!("ok: without {site:?}: {}: {}", broken.place, broken.reason);
            }
        }
    }
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
