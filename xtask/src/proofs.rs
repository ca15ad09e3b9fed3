//! The claims, by name.

/// How a claim is shown in full.
pub(crate) enum Form {
    /// A proof of `mdfs-tests` with real processes.
    Processes,
    /// The same on a Kubernetes of its own, which needs root and the image.
    Cluster,
    /// The same on a control plane of its own, without nodes.
    ControlPlane,
    /// An example of a package; its short form is the test target of the same name. Only the part of
    /// either that is named, if one is.
    Example {
        package: &'static str,
        example: &'static str,
        part: Option<&'static str>,
    },
    /// A program of a package, told to prove; its short form is the test target of the same name.
    Program {
        package: &'static str,
        program: &'static str,
    },
    /// Bugs planted in a copy of the tree; the short form plants some.
    Planted,
}

/// One claim.
pub(crate) struct Proof {
    pub(crate) name: &'static str,
    pub(crate) claim: &'static str,
    /// The programs it needs besides Rust, and the Debian packages that have them.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    pub(crate) form: Form,
    /// The limit of its full form.
    pub(crate) minutes: u32,
}

const FILM: &[(&str, &str)] = &[
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("git", "git"),
];

/// What looks at the console, and makes the film that it plays.
const BROWSER: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("ffmpeg", "ffmpeg"),
    ("python3", "python3"),
];

/// What reads an image.
pub(crate) const IMAGE: &[(&str, &str)] = &[("skopeo", "skopeo"), ("umoci", "umoci")];

/// What the nodes of the test bed are made of.
pub(crate) const BED: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("mkfs.xfs", "xfsprogs"),
];

pub(crate) const PROOFS: &[Proof] = &[
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
        name: "leader-kill",
        claim: "whatever becomes of the leader, another goes on, loses no write and tells nothing stale",
        needs: &[],
        form: Form::Processes,
        minutes: 90,
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
        claim: "help, exit codes and documents are as pinned, and what pages print runs as printed",
        needs: FILM,
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "heartbeat",
        claim: "heartbeats cost what changes, not what is stored, and no difference stays hidden",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
    },
    Proof {
        name: "million-files",
        claim: "a leader takes 200 bytes a file, and the next one serves a million of them in seconds",
        needs: &[],
        form: Form::Processes,
        minutes: 30,
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
        needs: &[],
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
        name: "slow-clients",
        claim: "a thousand slow clients beside it, a healthy one is served as before, in flat memory",
        needs: &[],
        form: Form::Processes,
        minutes: 20,
    },
    Proof {
        name: "power-cut",
        claim: "a crash at every disk call leaves each file whole or absent",
        needs: &[],
        form: Form::Example {
            package: "mdfs-worker",
            example: "power_cut",
            part: None,
        },
        minutes: 60,
    },
    Proof {
        name: "model",
        claim: "the metadata log keeps its promises in every reachable state of small clusters",
        needs: &[],
        form: Form::Example {
            package: "mdfs-core",
            example: "model",
            part: None,
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
        },
        minutes: 30,
    },
    Proof {
        name: "speed",
        claim: "films stream, store and seek at the promised rates within 128 MiB a process",
        needs: &[("curl", "curl"), ("nginx", "nginx-light")],
        form: Form::Processes,
        minutes: 45,
    },
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
