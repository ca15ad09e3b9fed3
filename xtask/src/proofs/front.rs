//! What people and their programs see and use.

use super::{Form, Proof};
use crate::needs::{BROWSER, COMPOSE, FILM, PROMETHEUS};

pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "resume",
        claim: "an upload that is interrupted goes on, and an abandoned one leaves no byte behind",
        needs: &[],
        form: Form::Processes,
        minutes: 45,
    },
    Proof {
        name: "tree",
        claim: "a folder of thousands of files goes up and comes down equal, and only what changed goes",
        needs: &[],
        form: Form::Processes,
        minutes: 60,
    },
    Proof {
        name: "cli",
        claim: "help, exit codes and documents are as pinned",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "docs",
        claim: "commands on pages run as printed; those for Kubernetes have words that its programs know",
        needs: FILM,
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "access-matrix",
        claim: "every route lets in whom its rule says and nobody else, and no log has a secret",
        needs: &[],
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "api-fuzz",
        claim: "every route keeps to its description, and every parser to its promises, whatever comes",
        needs: &[("python3", "python3")],
        form: Form::Processes,
        minutes: 50,
    },
    Proof {
        name: "console",
        claim: "in the console one stores, plays, verifies, renames, deletes and undoes, and sees a worker die",
        needs: BROWSER,
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "console-scale",
        claim: "with 100,000 files and 50 workers its pages stay small and are there within a second",
        needs: BROWSER,
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "console-rights",
        claim: "a token for a folder sees that folder alone, and no name or attribute is ever code",
        needs: BROWSER,
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "compose",
        claim: "compose takes docker-compose.yml, and its services work as it says, but for Grafana, which is only looked at",
        needs: COMPOSE,
        form: Form::Processes,
        minutes: 15,
    },
    Proof {
        name: "alerts",
        claim: "every alert fires when it should and not otherwise, and every dashboard has data",
        needs: PROMETHEUS,
        form: Form::Processes,
        minutes: 15,
    },
];
