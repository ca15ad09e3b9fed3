//! Proofs on a Kubernetes of their own.

pub(crate) mod bed;
pub(crate) mod crash;
pub(crate) mod delete;
pub(crate) mod first;
pub(crate) mod grow;
mod installed;
mod load;
pub(crate) mod loss;
pub(crate) mod quiet;
pub(crate) mod scale;
pub(crate) mod upgrade;
mod witness;

use anyhow::Result;
use mdfs_tests::kube::Bed;
use std::path::PathBuf;

/// How many nodes each cluster has.
const NODES: u8 = 3;

/// How a proof is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The small form, which does not judge speed.
    pub(crate) short: bool,
    /// Whether the cluster stays until the input has a line.
    pub(crate) keep: bool,
}

/// Starts a cluster, does `work` with it, and ends it. If `work` fails, the ends of all logs are
/// printed. With `keep` it stays until the input has a line.
fn with_bed<T>(
    keep: bool,
    images: &[PathBuf],
    work: impl FnOnce(&mut Bed) -> Result<T>,
) -> Result<T> {
    let mut bed = Bed::start(NODES, images)?;
    let result = work(&mut bed);
    if let Err(error) = &result {
        println!("{}", bed.log_tails());
        println!("failed: {error:#}");
    }
    if keep {
        bed.hold()?;
    }
    result
}
