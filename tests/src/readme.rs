//! The commands of the README, as they stand there.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The shell block that follows the line `<!-- NAME -->` in the README of `repository`.
///
/// # Errors
/// If there is none.
pub fn commands(repository: &Path, name: &str) -> Result<String> {
    let readme = fs::read_to_string(repository.join("README.md")).context("read README.md")?;
    let (_, after) = readme
        .split_once(&format!("<!-- {name} -->\n```sh\n"))
        .with_context(|| format!("README.md has no block {name}"))?;
    let (block, _) = after
        .split_once("\n```")
        .context("a block without an end")?;
    Ok(block.to_owned())
}
