//! What pages say, as it stands there.

use crate::pages;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

/// The block that follows the line `<!-- NAME -->` in the README of `repository`.
///
/// # Errors
/// If there is none.
pub fn commands(repository: &Path, name: &str) -> Result<String> {
    let readme = fs::read_to_string(repository.join("README.md")).context("read README.md")?;
    let mark = format!("<!-- {name} -->");
    let place = readme.lines().position(|line| line == mark);
    let place = place.with_context(|| format!("README.md has no block {name}"))?;
    let blocks = pages::blocks(&readme)?;
    // The mark, the fence, the block: its first line counts from one.
    let found = blocks.into_iter().find(|block| block.line == place + 3);
    let block = found.with_context(|| format!("no block follows {mark} in README.md"))?;
    Ok(block.text)
}

/// What the page says that a program prints: its only `text` block.
///
/// # Errors
/// If there is none, or more than one.
pub fn printed(page: &Path) -> Result<String> {
    let text = fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let blocks = pages::blocks(&text)?.into_iter();
    let mut blocks = blocks.filter(|block| block.language == "text");
    let block = blocks.next();
    let block = block.with_context(|| format!("{} has no text block", page.display()))?;
    ensure!(
        blocks.next().is_none(),
        "{} has two text blocks",
        page.display()
    );
    Ok(block.text)
}
