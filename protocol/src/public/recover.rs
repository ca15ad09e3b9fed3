//! What administrators order after a disaster.

use crate::schema;
use mdfs_core::id::DiskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rebuilds the metadata log without voters that are lost, when so few are left that nobody can lead.
/// What only the lost ones had is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// The disks of voters that are lost. Whoever orders it vouches that no process runs with any of
    /// them, now and ever after.
    #[schemars(with = "Vec<schema::Id>")]
    pub lost: Vec<DiskId>,
    /// No voter is left at all: a new log begins, and files come back from what is written behind their
    /// chunks.
    #[serde(default)]
    pub all_voters: bool,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

impl Recover {
    /// Most disks that can be named: more than a log has voters.
    pub const MOST_LOST: usize = 16;
}

/// What became of lost voters, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovered {
    /// Whether it is done, and not only would be.
    pub done: bool,
    /// The voters before, as the newest log that is left has them; none if no log is left.
    #[schemars(with = "Vec<schema::Id>")]
    pub voters_before: Vec<DiskId>,
    /// The voters from here on. More are added by and by.
    #[schemars(with = "Vec<schema::Id>")]
    pub voters: Vec<DiskId>,
    /// Those that are given up: their disks are refused for ever.
    #[schemars(with = "Vec<schema::Id>")]
    pub lost: Vec<DiskId>,
    /// Whether no voter was left.
    pub all_voters_lost: bool,
    /// The last entry of the newest log that is left: later ones are gone. Zero if no log is left.
    pub last_index: u64,
    /// The time of the last entry, in milliseconds since the Unix epoch: what was acknowledged after it
    /// may be missing. Known once it is done.
    pub last_change: Option<u64>,
    /// Workers that do not answer and are not named as lost: chunks that only they have are not found
    /// before they are back.
    pub silent: Vec<String>,
}
