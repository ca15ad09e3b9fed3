//! The runs: which bounds, and which rules broken.

use super::bounds::{Bounds, MasterFault};
use super::disk::DiskFault;
#[cfg(feature = "mutants")]
use mdfs_core::log::mutant::Mutant;
use std::time::Duration;

/// Nothing broken; the least of everything.
pub const LEAST: Bounds = Bounds {
    name: "",
    voters: 1,
    path: &[],
    changes: 0,
    forces: 0,
    masters: 2,
    campaigns: 2,
    requests: 1,
    repeats: 0,
    reads: 0,
    voter_restarts: 0,
    master_restarts: 0,
    ticks: 0,
    looks: 0,
    window: 4096,
    in_flight: 4,
    late_requests: true,
    duplicates: false,
    late_answers: true,
    lost_answers: true,
    straggler: false,
    leases: true,
    warm: false,
    releases: false,
    check_promises: true,
    disk_fault: None,
    master_fault: None,
    mutant: None,
    at_most: Duration::from_secs(1200),
};

/// Answers at once or never; only the order of messages matters, not time.
pub const ORDER: Bounds = Bounds {
    late_answers: false,
    leases: false,
    ..LEAST
};

/// One request under way from each master to each voter. It may be lost, but not its answer.
pub const HEARD: Bounds = Bounds {
    in_flight: 1,
    lost_answers: false,
    ..ORDER
};

/// Small enough for every run of the tests.
pub fn short() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "1 voter, 2 terms, restart, repeat",
            repeats: 1,
            voter_restarts: 1,
            ..ORDER
        },
        Bounds {
            name: "1 voter, leases, read",
            ticks: 2,
            reads: 1,
            late_answers: false,
            ..LEAST
        },
        Bounds {
            name: "2 voters, 2 terms",
            voters: 2,
            ..ORDER
        },
        Bounds {
            name: "3 voters, 1 term",
            voters: 3,
            campaigns: 1,
            ..ORDER
        },
        Bounds {
            name: "1 voter, 3 terms, feed",
            campaigns: 3,
            warm: true,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 2 terms, feed, short logs",
            voters: 2,
            window: 1,
            warm: true,
            ..HEARD
        },
    ]
}

/// So small that worlds which differ by names only can be explored one by one.
pub fn named() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "2 voters, 2 terms, restart",
            voters: 2,
            requests: 0,
            voter_restarts: 1,
            ..ORDER
        },
        Bounds {
            name: "3 voters, 1 term, short logs",
            voters: 3,
            campaigns: 1,
            window: 1,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 1 term, leases, read",
            voters: 2,
            campaigns: 1,
            requests: 0,
            reads: 1,
            ticks: 1,
            late_answers: false,
            ..LEAST
        },
    ]
}

/// All that is proven; minutes.
pub fn full() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "1 voter, 4 terms, 2 requests, repeat, restarts, late answers",
            campaigns: 4,
            requests: 2,
            repeats: 1,
            voter_restarts: 1,
            master_restarts: 1,
            leases: false,
            ..LEAST
        },
        Bounds {
            name: "1 voter, 3 terms, duplicates, restart, late answers",
            campaigns: 3,
            voter_restarts: 1,
            duplicates: true,
            leases: false,
            ..LEAST
        },
        Bounds {
            name: "1 voter, leases, read, restart, release, late answers",
            reads: 1,
            ticks: 2,
            looks: 1,
            voter_restarts: 1,
            releases: true,
            ..LEAST
        },
        Bounds {
            name: "2 voters, 2 terms, restart, late answers",
            voters: 2,
            voter_restarts: 1,
            leases: false,
            ..LEAST
        },
        Bounds {
            name: "2 voters, 3 terms, repeat, short logs",
            voters: 2,
            campaigns: 3,
            repeats: 1,
            window: 1,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 4 terms, 1 request",
            voters: 2,
            campaigns: 4,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 2 terms, 2 requests, repeat, restarts",
            voters: 2,
            requests: 2,
            repeats: 1,
            voter_restarts: 1,
            master_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "2 voters, leases, read",
            voters: 2,
            reads: 1,
            ticks: 2,
            requests: 0,
            late_answers: false,
            ..LEAST
        },
        Bounds {
            name: "2 voters, leases, read, 1 request, restart",
            voters: 2,
            reads: 1,
            ticks: 2,
            voter_restarts: 1,
            leases: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 1 term, 3 requests, repeat, restart, late answers",
            voters: 3,
            campaigns: 1,
            requests: 3,
            repeats: 1,
            voter_restarts: 1,
            leases: false,
            ..LEAST
        },
        Bounds {
            name: "3 voters, 2 terms, lost answers",
            voters: 3,
            requests: 0,
            ..ORDER
        },
        Bounds {
            name: "3 voters, 2 terms, 1 request, repeat, restarts",
            voters: 3,
            repeats: 1,
            voter_restarts: 1,
            master_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 2 terms, late answers",
            voters: 3,
            requests: 0,
            late_answers: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 2 terms, 2 requests",
            voters: 3,
            requests: 2,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 2 terms, 2 requests, short logs, restart",
            voters: 3,
            requests: 2,
            window: 1,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 3 terms, lost answers",
            voters: 3,
            campaigns: 3,
            requests: 0,
            lost_answers: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 3 terms, 1 request",
            voters: 3,
            campaigns: 3,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 4 terms, restart of a voter",
            voters: 3,
            campaigns: 4,
            requests: 0,
            voter_restarts: 1,
            ..HEARD
        },
        Bounds {
            name: "1 voter, 4 terms, 2 requests, feed, restarts, late answers",
            campaigns: 4,
            requests: 2,
            voter_restarts: 1,
            master_restarts: 1,
            leases: false,
            warm: true,
            ..LEAST
        },
        Bounds {
            name: "2 voters, 3 terms, feed, short logs",
            voters: 2,
            campaigns: 3,
            window: 1,
            warm: true,
            ..ORDER
        },
        Bounds {
            name: "2 voters, 3 masters, 3 terms, feed",
            voters: 2,
            masters: 3,
            campaigns: 3,
            warm: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 2 terms, 2 requests, feed, short logs",
            voters: 3,
            requests: 2,
            window: 1,
            warm: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, 3 terms, feed",
            voters: 3,
            campaigns: 3,
            requests: 0,
            warm: true,
            ..HEARD
        },
        Bounds {
            name: "3 voters, leases, read, restart",
            voters: 3,
            reads: 1,
            ticks: 2,
            requests: 0,
            voter_restarts: 1,
            leases: true,
            ..HEARD
        },
    ]
}

/// Each breaks one rule, and the model must see it.
pub fn mutants() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "promise not durable",
            voter_restarts: 1,
            disk_fault: Some(DiskFault::PromiseNotDurable),
            ..ORDER
        },
        Bounds {
            name: "promise not durable, seen by what follows",
            voter_restarts: 1,
            check_promises: false,
            disk_fault: Some(DiskFault::PromiseNotDurable),
            ..ORDER
        },
        Bounds {
            name: "entries not durable",
            voter_restarts: 1,
            check_promises: false,
            disk_fault: Some(DiskFault::EntriesNotDurable),
            ..ORDER
        },
        Bounds {
            name: "read without lease",
            reads: 1,
            ticks: 2,
            late_answers: false,
            master_fault: Some(MasterFault::ReadWithoutLease),
            ..LEAST
        },
        Bounds {
            name: "lease given right after a restart",
            reads: 1,
            voter_restarts: 1,
            late_answers: false,
            disk_fault: Some(DiskFault::NoLeaseAfterRestart),
            ..LEAST
        },
        Bounds {
            name: "term without incarnation",
            voters: 2,
            master_fault: Some(MasterFault::NoIncarnation),
            ..ORDER
        },
        Bounds {
            name: "deduplication against the committed prefix only",
            repeats: 1,
            master_fault: Some(MasterFault::DeduplicateCommittedOnly),
            ..ORDER
        },
        Bounds {
            name: "match index is the voter's own last",
            voters: 2,
            disk_fault: Some(DiskFault::MatchIsOwnLast),
            ..ORDER
        },
    ]
}

/// Like [`mutants`], for rules inside the machines: they need the feature of that name.
#[cfg(feature = "mutants")]
pub fn inner_mutants() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "Append ignores leases",
            voters: 2,
            reads: 1,
            late_answers: false,
            mutant: Some(Mutant::AppendIgnoresLease),
            ..LEAST
        },
        Bounds {
            name: "read before the own entry is committed",
            reads: 1,
            ticks: 2,
            late_answers: false,
            mutant: Some(Mutant::ReadBeforeOwnEntry),
            ..LEAST
        },
        Bounds {
            name: "the feed tells what is not committed",
            voters: 2,
            warm: true,
            mutant: Some(Mutant::FeedUncommitted),
            ..ORDER
        },
        Bounds {
            name: "entries of older terms counted",
            voters: 3,
            campaigns: 3,
            requests: 0,
            lost_answers: false,
            straggler: true,
            mutant: Some(Mutant::OlderTermsCount),
            at_most: Duration::from_secs(240),
            ..ORDER
        },
    ]
}
