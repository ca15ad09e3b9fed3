//! What the servers of a cluster logged.

use super::DevCluster;
use anyhow::Result;
use std::fs;

impl DevCluster {
    /// All that its processes logged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.folder.path().join("log"))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The last lines that its processes logged.
    pub fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(60)..)
            .unwrap_or_default()
            .join("\n")
    }
}
