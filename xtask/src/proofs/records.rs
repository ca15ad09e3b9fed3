//! What is known of what is stored: its log, its voters, its leader.

use super::{Form, Proof};

pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "leader-kill",
        claim: "whatever becomes of the leader, another goes on, loses no write and tells nothing stale",
        needs: &[],
        form: Form::Processes,
        minutes: 90,
    },
    Proof {
        name: "million-files",
        claim: "a leader takes 200 bytes a file, and the next one serves a million of them in seconds",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "two-and-three",
        claim: "of three workers any one may be lost; of two, what is stored is still read",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "wipe-all",
        claim: "every disk is wiped in turn and nothing is lost; old copies and foreign disks are refused",
        needs: &[],
        form: Form::Processes,
        minutes: 60,
    },
    Proof {
        name: "formats",
        claim: "servers are replaced by a later release, and back until its format is in use; nothing is lost",
        needs: &[("git", "git")],
        form: Form::Processes,
        minutes: 90,
    },
    Proof {
        name: "recover",
        claim: "two of three voters burn, or all: every file whose chunks are left is back, the others are listed",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "partition",
        claim: "networks part in every way, servers die and disks fill: no history shows it",
        needs: &[("ip", "iproute2")],
        form: Form::Processes,
        minutes: 40,
    },
    Proof {
        name: "model",
        claim: "the metadata log keeps its promises in every reachable state of small clusters",
        needs: &[],
        form: Form::Example {
            package: "mdfs-core",
            example: "model",
            part: None,
            features: &["mutants"],
        },
        minutes: 120,
    },
    Proof {
        name: "model-members",
        claim: "the metadata log keeps its promises while its voters change, one at a time or by force",
        needs: &[],
        form: Form::Example {
            package: "mdfs-core",
            example: "model",
            part: Some("members"),
            features: &["mutants"],
        },
        minutes: 120,
    },
    Proof {
        name: "model-chunks",
        claim: "no order drops a chunk that a record needs, and none that nobody needs stays behind",
        needs: &[],
        form: Form::Example {
            package: "mdfs-core",
            example: "model",
            part: Some("chunks"),
            features: &["mutants"],
        },
        minutes: 30,
    },
    Proof {
        name: "sim",
        claim: "simulated clusters keep their promises through thousands of runs full of faults",
        needs: &[],
        form: Form::Program {
            package: "mdfs-sim",
            program: "sim",
        },
        minutes: 180,
    },
    Proof {
        name: "planted",
        claim: "each of twenty bugs and more, planted one by one, is caught by the check made for it",
        needs: &[("git", "git")],
        form: Form::Planted,
        minutes: 120,
    },
];
