//! The runs in which bugs planted in the machines show: `tests/planted` names them.

use super::bounds::Bounds;
use super::runs::{HEARD, LEAST, ORDER};
use super::{members, runs};

/// Every run that can be asked for by its name.
pub fn all() -> Vec<Bounds> {
    [own(), runs::short(), runs::full(), members::full()].concat()
}

/// Those that nothing else makes: no larger than the bug needs.
fn own() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "1 voter, leases, read, restart",
            reads: 1,
            voter_restarts: 1,
            late_answers: false,
            ..LEAST
        },
        Bounds {
            name: "2 voters, leases, read, lost answers",
            voters: 2,
            reads: 1,
            late_answers: false,
            ..LEAST
        },
        Bounds {
            name: "3 voters, 3 terms, a straggler",
            voters: 3,
            campaigns: 3,
            requests: 0,
            lost_answers: false,
            straggler: true,
            ..ORDER
        },
        Bounds {
            name: "3 voters, 1 term, 1 request, a straggler",
            voters: 3,
            campaigns: 1,
            lost_answers: false,
            straggler: true,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 2 terms, feed",
            voters: 2,
            warm: true,
            ..ORDER
        },
        Bounds {
            name: "1 voter, leases, read, late answers",
            reads: 1,
            ticks: 2,
            ..LEAST
        },
        Bounds {
            name: "3 voters, 1 term, 2 requests, short logs, duplicates",
            voters: 3,
            campaigns: 1,
            requests: 2,
            window: 1,
            duplicates: true,
            lost_answers: false,
            ..ORDER
        },
        Bounds {
            name: "1 to 2 voters, 3 terms, no request",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            campaigns: 3,
            requests: 0,
            ..HEARD
        },
        Bounds {
            name: "1 to 2 voters, leases, read, no request",
            voters: 2,
            path: &[&[1], &[1, 2]],
            changes: 1,
            reads: 1,
            requests: 0,
            ticks: 3,
            leases: true,
            ..HEARD
        },
        Bounds {
            name: "2 voters, the second lost and given up, 2 terms",
            voters: 2,
            path: &[&[1, 2], &[1]],
            forces: 1,
            ..HEARD
        },
    ]
}
