//! The command line is what it was: help, completion, exit codes and documents are pinned, and every
//! command that a page prints runs.

mod acts;
mod help;
mod pages;
mod snapshot;

use anyhow::{Result, ensure};
use snapshot::Snapshots;

/// `write` makes the snapshots anew instead of comparing with them.
pub(crate) fn prove(short: bool, write: bool) -> Result<()> {
    let mut snapshots = Snapshots::open(write)?;
    let commands = help::all()?;
    help::check(&commands, &mut snapshots)?;
    acts::check(&commands, &mut snapshots)?;
    snapshots.finish()?;
    let run = pages::check(short)?;
    ensure!(run > 0, "no page has commands");
    Ok(())
}
