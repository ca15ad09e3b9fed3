//! What is stored stays, whatever is killed, fills up or rots.

use super::{Form, Proof};
use crate::needs::FILM;

pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "first-run",
        claim: "a fresh clone starts with one command, and a player plays and seeks a film",
        needs: FILM,
        form: Form::Processes,
        minutes: 60,
    },
    Proof {
        name: "round-trip",
        claim: "what is put comes back byte for byte, whole, in ranges, and 16 at once",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "kill-worker",
        claim: "a worker may die or hang during a download or upload, and nobody notices",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "kill-master",
        claim: "a master may be killed at any moment, and no acknowledged file is lost",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "heal-worker",
        claim: "a worker is lost for good, and every file soon has two copies again",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "heal-rot",
        claim: "flipped bits are never read, named by verify, and mended by a scrub",
        needs: &[],
        form: Form::Processes,
        minutes: 15,
    },
    Proof {
        name: "no-revival",
        claim: "what was deleted while a worker was away stays deleted when it comes back",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "cold-start",
        claim: "all processes die and start again in any order, and no copy is made or dropped",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "grow-shrink",
        claim: "workers come and go under load: bytes are spread evenly, no read or write fails",
        needs: &[],
        form: Form::Processes,
        minutes: 45,
    },
    Proof {
        name: "disk-full",
        claim: "full disks refuse, lose nothing, let go of the trash, and go on once there is room",
        needs: &[],
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "truth",
        claim: "the status says what a walk of records and disks says, or that it is older",
        needs: &[],
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "heartbeat",
        claim: "heartbeats cost what changes, not what is stored, and no difference stays hidden",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "slow-clients",
        claim: "a thousand slow clients beside it, a healthy one is served as before, in flat memory",
        needs: &[],
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "speed",
        claim: "films stream, store and seek at the promised rates within 128 MiB a process",
        needs: &[("curl", "curl"), ("nginx", "nginx-light")],
        form: Form::Processes,
        minutes: 45,
    },
    Proof {
        name: "power-cut",
        claim: "a crash at every disk call leaves each file whole or absent",
        needs: &[],
        form: Form::Example {
            package: "mdfs-worker",
            example: "power_cut",
            part: None,
            features: &[],
        },
        minutes: 60,
    },
    Proof {
        name: "ring",
        claim: "partitions are spread evenly, and a join or leave moves hardly more than it must",
        needs: &[],
        form: Form::Example {
            package: "mdfs-core",
            example: "ring",
            part: None,
            features: &[],
        },
        minutes: 30,
    },
];
