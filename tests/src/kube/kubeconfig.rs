//! Who may talk to the API server, and the files by which they do.

use anyhow::{Context, Result};
use serde_json::json;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// One who talks to the API server, known by a token.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    group: String,
    token: String,
}

impl User {
    /// One of this name and group, with a new token.
    ///
    /// # Errors
    /// If the machine gives no random bytes.
    pub(super) fn new(name: &str, group: &str) -> Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self {
            name: name.to_owned(),
            group: group.to_owned(),
            token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Writes the file by which it reaches the API server at `url`, and gives its path.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write_config(&self, folder: &Path, url: &str) -> Result<PathBuf> {
        let path = folder.join(format!("{}.kubeconfig", self.name.replace(':', "-")));
        // JSON is YAML too.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": self.name } }],
            "clusters": [{
                "name": "test",
                "cluster": { "server": url, "certificate-authority": folder.join("ca.crt") },
            }],
            "users": [{ "name": self.name, "user": { "token": self.token } }],
        });
        fs::write(&path, config.to_string())
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// The API server's table of tokens.
pub(super) fn token_table(users: &[User]) -> String {
    let line = |user: &User| {
        let User { name, group, token } = user;
        format!("{token},{name},{name},\"{group}\"\n")
    };
    users.iter().map(line).collect()
}
