//! The operator, its image and its chart.

use super::{Form, Proof};
use crate::needs::{BED, IMAGE};

pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "image",
        claim: "the image is the same when it is built again, and its program runs on nothing else",
        needs: IMAGE,
        form: Form::Processes,
        minutes: 90,
    },
    Proof {
        name: "chart",
        claim: "the chart makes what a real API server takes, whatever its values, and refuses bad ones",
        needs: &[],
        form: Form::ControlPlane,
        minutes: 10,
    },
    Proof {
        name: "k8s-guard",
        claim: "bad resources are refused by field and hold up no other, and nobody may more than needed",
        needs: &[],
        form: Form::ControlPlane,
        minutes: 10,
    },
    Proof {
        name: "k8s-converged",
        claim: "the operator writes nothing while a resource is as wanted, and calls nothing so that is not",
        needs: &[],
        form: Form::ControlPlane,
        minutes: 15,
    },
    Proof {
        name: "k8s-crash",
        claim: "the operator is killed after each of its writes, and the next one ends where it would have",
        needs: BED,
        form: Form::ControlPlane,
        minutes: 60,
    },
    Proof {
        name: "k8s-bed",
        claim: "the test bed is a real Kubernetes: pods, Services, volumes that grow, nodes that die",
        needs: BED,
        form: Form::Cluster,
        minutes: 30,
    },
    Proof {
        name: "k8s-first",
        claim: "helm install and one YAML give a ready cluster, which takes and gives films through its Service",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-loss",
        claim: "pods, nodes, volumes and the operator are lost in turn: all comes back by itself, with every file",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-grow",
        claim: "volumes grow under running pods; a smaller one is refused, and a class that cannot is reported",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-delete",
        claim: "a deleted cluster keeps its films, unless it was said twice that they go too",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-quiet",
        claim: "the operator writes nothing while all is as wanted, and without an API server all goes on",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-scale",
        claim: "3 to 5 to 3 workers under load: no pod goes before its disk is empty",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
    Proof {
        name: "k8s-upgrade",
        claim: "another image under load, one worker at a time; a broken one stops at one pod, and is taken back",
        needs: BED,
        form: Form::Cluster,
        minutes: 60,
    },
];
