//! The version of what the log and its records may hold.
//!
//! A cluster has one version, in its record ([`crate::records::ClusterRecord::format`]). Leaders write
//! nothing of a later one, and raise it only when every server knows the next.

use serde::{Deserialize, Serialize};

/// The versions that a program reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// The lowest.
    pub least: u32,
    /// The highest.
    pub most: u32,
}

/// What this program reads and writes.
pub const FORMATS: Formats = Formats { least: 1, most: 1 };
