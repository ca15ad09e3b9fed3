//! The claims, by name.

mod bytes;
mod front;
mod kubernetes;
mod records;

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
        /// Features of the package without which it shows less.
        features: &'static [&'static str],
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

/// All claims.
pub(crate) fn all() -> impl Iterator<Item = &'static Proof> {
    [
        bytes::PROOFS,
        records::PROOFS,
        front::PROOFS,
        kubernetes::PROOFS,
    ]
    .into_iter()
    .flatten()
}
