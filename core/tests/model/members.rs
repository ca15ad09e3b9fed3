//! The runs in which the voters change: which bounds, and which rules broken.

use super::bounds::Bounds;
use super::runs::{HEARD, ORDER};
#[cfg(feature = "mutants")]
use mdfs_core::log::mutant::Mutant;
use std::time::Duration;

/// The voters change; all that is proven of that.
pub fn full() -> Vec<Bounds> {
    [short(), long()].concat()
}

/// Those of [`full`] that take seconds.
pub fn short() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "1 to 2 voters, 2 terms, 1 request",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            ..HEARD
        },
        Bounds {
            name: "2 to 1 voters, 2 terms, 1 request",
            voters: 2,
            path: &[&[1, 2], &[1]],
            changes: 1,
            ..HEARD
        },
        Bounds {
            name: "2 voters, the second lost and given up, 3 terms",
            voters: 2,
            path: &[&[1, 2], &[1]],
            forces: 1,
            campaigns: 3,
            ..HEARD
        },
        Bounds {
            name: "2 to 3 voters, 2 terms",
            voters: 3,
            path: &[&[1, 2], &[1, 2, 3]],
            changes: 1,
            requests: 0,
            ..HEARD
        },
    ]
}

fn long() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "1 to 2 voters, 2 terms, repeat, restarts, lost answers",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            repeats: 1,
            voter_restarts: 1,
            master_restarts: 1,
            ..ORDER
        },
        Bounds {
            name: "1 to 2 voters, 3 terms, restart",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            campaigns: 3,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "1 to 2 voters, leases, read",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            reads: 1,
            ticks: 2,
            leases: true,
            ..HEARD
        },
        Bounds {
            name: "2 to 1 voters, 3 terms, restart",
            voters: 2,
            path: &[&[1, 2], &[1]],
            changes: 1,
            campaigns: 3,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "2 voters, the second lost and given up, lost answers, restarts",
            voters: 2,
            path: &[&[1, 2], &[1]],
            forces: 1,
            voter_restarts: 1,
            master_restarts: 1,
            ..ORDER
        },
        Bounds {
            name: "1 to 2 to 3 voters, 2 terms",
            voters: 3,
            path: &[&[1], &[1, 2], &[1, 2, 3]],
            changes: 2,
            requests: 0,
            ..HEARD
        },
        Bounds {
            name: "2 to 3 voters, 3 terms",
            voters: 3,
            path: &[&[1, 2], &[1, 2, 3]],
            changes: 1,
            campaigns: 3,
            requests: 0,
            ..HEARD
        },
        Bounds {
            name: "2 to 3 voters, 2 terms, 1 request, short logs, restart",
            voters: 3,
            path: &[&[1, 2], &[1, 2, 3]],
            changes: 1,
            window: 1,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "3 to 2 voters, 2 terms, 1 request, restart",
            voters: 3,
            path: &[&[1, 2, 3], &[1, 2]],
            changes: 1,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "3 to 2 voters, 3 terms",
            voters: 3,
            path: &[&[1, 2, 3], &[1, 2]],
            changes: 1,
            campaigns: 3,
            requests: 0,
            ..HEARD
        },
        Bounds {
            name: "3 to 4 voters, 2 terms",
            voters: 4,
            path: &[&[1, 2, 3], &[1, 2, 3, 4]],
            changes: 1,
            requests: 0,
            ..HEARD
        },
        Bounds {
            name: "2 to 3 voters, 2 terms, 1 request, repeat, restarts",
            voters: 3,
            path: &[&[1, 2], &[1, 2, 3]],
            changes: 1,
            repeats: 1,
            voter_restarts: 1,
            master_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "2 to 3 voters, leases, read",
            voters: 3,
            path: &[&[1, 2], &[1, 2, 3]],
            changes: 1,
            requests: 0,
            reads: 1,
            ticks: 2,
            leases: true,
            ..HEARD
        },
        Bounds {
            name: "3 to 4 voters, 2 terms, 1 request",
            voters: 4,
            path: &[&[1, 2, 3], &[1, 2, 3, 4]],
            changes: 1,
            ..HEARD
        },
        Bounds {
            name: "3 to 4 voters, 3 terms",
            voters: 4,
            path: &[&[1, 2, 3], &[1, 2, 3, 4]],
            changes: 1,
            campaigns: 3,
            requests: 0,
            at_most: Duration::from_secs(1800),
            ..HEARD
        },
    ]
}

/// Rules about changes of the voters, broken one by one.
#[cfg(feature = "mutants")]
pub fn mutants() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "no joint quorum for commits",
            voters: 2,
            path: &[&[1, 2], &[1]],
            changes: 1,
            requests: 0,
            mutant: Some(Mutant::NoJointCommit),
            ..HEARD
        },
        Bounds {
            name: "no joint quorum for leases and read checks",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            reads: 1,
            requests: 0,
            ticks: 3,
            leases: true,
            mutant: Some(Mutant::NoJointLease),
            ..HEARD
        },
        Bounds {
            name: "no joint quorum for elections",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            campaigns: 3,
            requests: 0,
            mutant: Some(Mutant::NoJointElection),
            ..HEARD
        },
        Bounds {
            name: "a leader followed that the lost disk elected",
            voters: 2,
            path: &[&[1, 2], &[1]],
            forces: 1,
            mutant: Some(Mutant::EpochIgnored),
            ..HEARD
        },
        Bounds {
            name: "a change of voters while one is open",
            voters: 3,
            path: &[&[1], &[1, 2], &[1, 2, 3]],
            changes: 2,
            campaigns: 1,
            requests: 0,
            mutant: Some(Mutant::TwoOpenConfigs),
            ..HEARD
        },
    ]
}
