//! Where the workspace and its build products are.

use crate::child::Bounded;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// The folders of this workspace.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever it was put.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// If the root `Cargo.toml` does not parse.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no parent")?;
        let ask = [
            "cargo",
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ];
        let answer = Bounded::new(2, &ask).quiet().run(root)?;
        ensure!(answer.success, "cargo metadata failed:\n{}", answer.output);
        let line = answer.output.lines().find(|line| line.starts_with('{'));
        let metadata: serde_json::Value = serde_json::from_str(line.unwrap_or_default())?;
        let target = metadata
            .get("target_directory")
            .and_then(|value| value.as_str());
        Ok(Self {
            root: root.to_owned(),
            target: target
                .context("cargo metadata names no target folder")?
                .into(),
        })
    }

    /// The program `name`, as built with `profile` (`debug` or `release`).
    pub(crate) fn program(&self, profile: &str, name: &str) -> String {
        self.target.join(profile).join(name).display().to_string()
    }
}
