//! The command line is what it was: help, completion, exit codes and documents are pinned.

mod acts;
mod help;
mod snapshot;

use anyhow::Result;
use snapshot::Snapshots;

/// `write` makes the snapshots anew instead of comparing with them.
pub(crate) fn prove(write: bool) -> Result<()> {
    let mut snapshots = Snapshots::open(write)?;
    let commands = help::all()?;
    help::check(&commands, &mut snapshots)?;
    acts::check(&commands, &mut snapshots)?;
    snapshots.finish()?;
    Ok(())
}
