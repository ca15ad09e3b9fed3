//! A power cut takes nothing that was acknowledged, and the proof of it notices every missing sync.

mod support;

use support::power_cut::{Site, disk_forgets, explore};

#[test]
fn the_simulated_disk_keeps_what_was_synced_and_nothing_else() {
    disk_forgets();
}

#[test]
fn a_power_cut_at_any_call_takes_nothing_that_was_acknowledged() {
    let report = explore(2, None).unwrap_or_else(|broken| panic!("{broken:?}"));
    println!(
        "{} crash points, {} states",
        report.crash_points, report.states
    );
    assert!(report.crash_points > 100, "{report:?}");
}

#[test]
fn the_proof_fails_when_any_one_sync_is_taken_out() {
    for site in Site::ALL {
        match explore(2, Some(site)) {
            Ok(report) => panic!("nothing noticed that {site:?} is gone: {report:?}"),
            Err(broken) => println!("without {site:?}: {broken:?}"),
        }
    }
}
