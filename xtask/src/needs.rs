//! The programs that proofs need besides Rust, each with the Debian package that has it.

/// What makes films, and plays them.
pub(crate) const FILM: &[(&str, &str)] = &[
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("curl", "curl"),
    ("wget", "wget"),
    ("git", "git"),
];

/// What scrapes and judges.
pub(crate) const PROMETHEUS: &[(&str, &str)] =
    &[("prometheus", "prometheus"), ("promtool", "prometheus")];

/// What stands in for what runs in containers.
pub(crate) const COMPOSE: &[(&str, &str)] = &[
    ("prometheus", "prometheus"),
    ("ip", "iproute2"),
    ("wget", "wget"),
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

/// What looks at the console, and makes the film that it plays.
pub(crate) const BROWSER: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("ffmpeg", "ffmpeg"),
    ("python3", "python3"),
];
