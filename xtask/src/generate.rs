//! Files of the repository that are made from the program: it lists them and prints each.

use crate::child::Bounded;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Makes each file anew, or with `check` only compares. Returns whether all were as they are made,
/// or are now.
///
/// # Errors
/// If the program does not build, or a file cannot be written.
pub(crate) fn run(check: bool) -> Result<bool> {
    let workspace = Workspace::find()?;
    let root = &workspace.root;
    let build = ["cargo", "build", "--package", "mdfs", "--locked"];
    let built = Bounded::new(20, &build).run(root)?;
    ensure!(built.success, "the program does not build");
    let program = workspace.program("debug", "mdfs");
    let mut all_good = true;
    for path in printed(root, &[&program, "generated"])?.lines() {
        let text = printed(root, &[&program, "generated", path])?;
        let file = root.join(path);
        if std::fs::read_to_string(&file).is_ok_and(|there| there == text) {
            continue;
        }
        if check {
            println!("{path} is out of date: `cargo xtask generate` makes it anew");
            all_good = false;
        } else {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make {}", folder.display()))?;
            }
            std::fs::write(&file, text).with_context(|| format!("cannot write {path}"))?;
            println!("{path} is new");
        }
    }
    Ok(all_good)
}

fn printed(root: &Path, words: &[&str]) -> Result<String> {
    let command = Bounded::new(1, words).quiet();
    let finished = command.run(root)?;
    ensure!(
        finished.success,
        "{} failed:\n{}",
        command.shown(),
        finished.output
    );
    Ok(finished.output)
}
