//! What the program said when somebody last looked at it: files beside the tests.

use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::program::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The files, and which of them were asked for.
pub(crate) struct Snapshots {
    folder: PathBuf,
    write: bool,
    asked: BTreeSet<PathBuf>,
    different: Vec<String>,
}

impl Snapshots {
    pub(crate) fn open(write: bool) -> Result<Self> {
        Ok(Self {
            folder: repository()?.join("tests/snapshots/cli"),
            write,
            asked: BTreeSet::new(),
            different: Vec::new(),
        })
    }

    /// Compares `found` with the file `name`, as `same` does with the file's text and it.
    pub(crate) fn compare(
        &mut self,
        name: &str,
        found: &str,
        same: impl FnOnce(&str, &str) -> bool,
    ) -> Result<()> {
        let path = self.folder.join(name);
        self.asked.insert(path.clone());
        let want = fs::read_to_string(&path).unwrap_or_default();
        if same(&want, found) {
            return Ok(());
        }
        if self.write {
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(&path, found).with_context(|| format!("write {name}"))?;
            return Ok(());
        }
        let line = (1..).zip(found.lines()).find(|(line, text)| {
            let same = want.lines().nth(line - 1);
            same != Some(text)
        });
        let place = line.map_or(String::new(), |(line, text)| {
            format!(", line {line}: {text}")
        });
        self.different.push(format!("{name}{place}"));
        Ok(())
    }

    /// # Errors
    /// If something differs, or a file is of nothing that there is.
    pub(crate) fn finish(self) -> Result<()> {
        let mut folders = vec![self.folder.clone()];
        let mut left = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !self.asked.contains(&path) {
                    left.push(path);
                }
            }
        }
        if self.write {
            for path in &left {
                fs::remove_file(path)?;
            }
            return Ok(());
        }
        ensure!(left.is_empty(), "nothing says what is in {left:?}");
        if self.different.is_empty() {
            return Ok(());
        }
        bail!(
            "the program says other things than its snapshots; if it should, write them anew with \
             `cargo run -p mdfs-tests --bin prove -- cli --short --write`, and look at what changed:\n  {}",
            self.different.join("\n  ")
        )
    }
}
