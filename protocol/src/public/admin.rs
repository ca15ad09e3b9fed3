//! What administrators order, and what goes on in the background.

use crate::schema;
use mdfs_core::id::DiskId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Announces that a worker is going to be silent for a while, as for a restart: nothing is copied for
/// it meanwhile. What it holds counts as missing all the same while it is silent. Ends when its disk
/// is mounted anew, or the time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// The worker's name, or the id of its disk.
    #[serde(alias = "disk")]
    pub worker: String,
    /// For how long, at most [`Announce::MOST_SECONDS`]; zero takes an announcement back.
    #[schemars(range(min = 0, max = 3600))]
    pub seconds: u64,
}

impl Announce {
    /// The longest that can be announced: an hour.
    pub const MOST_SECONDS: u64 = 3600;
}

/// Retires a disk: from now on it is refused for ever, under whatever name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// The worker's name, or the id of its disk.
    #[serde(alias = "disk")]
    pub worker: String,
    /// Whether the disk is lost, so that what it alone has is given up.
    #[serde(default)]
    pub lost: bool,
}

/// That many disks should keep the metadata log and vote. They come and go one at a time, as far as
/// there are disks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Voters {
    /// 1, 3 or 5; or 2, which read with one lost and write with both.
    #[schemars(range(min = 1, max = 5))]
    pub wanted: u8,
}

/// Gives up a voter of a pair for ever, so that the other goes on alone. Its disk is retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetVoter {
    /// The worker's name, or the id of its disk.
    #[serde(alias = "disk")]
    pub worker: String,
    /// Has to be true: whoever orders it vouches that the disk is lost, and that no process runs with
    /// it any more.
    pub lost: bool,
}

/// What holds for the whole cluster, and can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Copies of each chunk of files that did not ask for another number.
    pub replicas: u8,
    /// A lower number of copies that was asked for and does not hold yet.
    pub lowering: Option<PolicyLowering>,
    /// Bytes of a chunk unless an upload says otherwise.
    pub chunk_size: u64,
    /// How long a dead worker is waited for before its chunks are copied elsewhere.
    pub repair_delay_seconds: u64,
    /// How long deleted and replaced files stay in the trash, in log time.
    pub trash_keep_seconds: u64,
    /// How long after it was asked for a lower number of copies holds, in log time.
    pub lower_after_seconds: u64,
    /// So many copies of a chunk suffice to acknowledge it while no more can be made; none if all are
    /// needed.
    #[serde(default)]
    pub min_write_copies: Option<u8>,
}

/// A lower number of copies that does not hold yet: until then nothing is dropped for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyLowering {
    /// Copies of each chunk from then on.
    pub replicas: u8,
    /// In how many seconds.
    pub in_seconds: u64,
}

/// A change of the [`Policy`]; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Copies of each chunk, 1 to 7 and at most one for each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub replicas: Option<u8>,
    /// Bytes of a chunk, a power of two from 1 MiB to 1 GiB; only for uploads to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1048576, max = 1073741824))]
    pub chunk_size: Option<u64>,
    /// How long a dead worker is waited for, at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2592000))]
    pub repair_delay_seconds: Option<u64>,
    /// How long files stay in the trash, at most 10 years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 315360000))]
    pub trash_keep_seconds: Option<u64>,
    /// How long after it was asked for a lower number of copies holds, at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2592000))]
    pub lower_after_seconds: Option<u64>,
    /// So many copies of a chunk suffice to acknowledge it while no more can be made, with at least three
    /// voters; 0 if all are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 7))]
    pub min_write_copies: Option<u8>,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Files that are here now and were not before.
    pub files: u64,
    /// Files that are in the trash now and were not before.
    pub trashed: u64,
    /// Tokens that are here now and were not before; none unless they were asked for.
    pub tokens: u64,
    /// Files and tokens that were here already.
    pub present: u64,
    /// Files that were left out: another file has the name, or another name has their bytes.
    pub conflicts: u64,
    /// The names of the first of them, at most [`Imported::MOST_NAMES`].
    pub conflicting_names: Vec<String>,
    /// Whether the policy of the export holds here now.
    pub policy: bool,
}

impl Imported {
    /// Most names of files that were left out.
    pub const MOST_NAMES: usize = 100;
}

/// What goes on in the background.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tasks {
    /// Those with the most bytes left first; at most [`Tasks::MOST`].
    pub tasks: Vec<Task>,
    /// How many more there are.
    pub more: u64,
}

impl Tasks {
    /// Most tasks in one answer.
    pub const MOST: usize = 256;
}

/// One thing that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// What.
    pub kind: TaskKind,
    /// The worker it is about, by name; none if it is about the whole cluster.
    pub worker: Option<String>,
    /// That worker's disk.
    #[schemars(with = "Option<schema::Id>")]
    pub disk_id: Option<DiskId>,
    /// For how long it has gone on, as far as this leader knows, in milliseconds.
    pub millis: u64,
    /// Chunks copied, or read, so far.
    pub done_chunks: u64,
    /// Those and what is left, as far as it is known by now; never less than `done_chunks`.
    pub total_chunks: u64,
    /// Bytes in the chunks that are done.
    pub done_bytes: u64,
    /// Bytes in all of them; never less than `done_bytes`.
    pub total_bytes: u64,
    /// Bytes in a second, lately; of a scrub since it began.
    pub bytes_per_second: u64,
    /// In how many seconds it comes to its end at that rate; none if it stands still.
    pub eta_seconds: Option<u64>,
}

impl Task {
    /// How much of it is done, 0 to 100; all of it only when nothing is left.
    pub fn percent(&self) -> u8 {
        let (done, total) = match self.total_bytes {
            0 => (self.done_chunks, self.total_chunks),
            total => (self.done_bytes, total),
        };
        let whole = u128::from(done.min(total)) * 100;
        let percent = whole.checked_div(u128::from(total)).unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }
}

/// What kind of thing goes on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Copies are made again that are missing or damaged, or were on a lost worker.
    Repair,
    /// Everything is moved off a worker.
    Drain,
    /// Everything is moved off a worker, whose disk is retired then.
    Decommission,
    /// Workers get their part of the bytes, new ones first of all.
    Rebalance,
    /// A worker reads all it holds.
    Scrub,
}

impl TaskKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskKind::Repair => "repair",
            TaskKind::Drain => "drain",
            TaskKind::Decommission => "decommission",
            TaskKind::Rebalance => "rebalance",
            TaskKind::Scrub => "scrub",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(done: u64, total: u64, percent: u8) {
        let task = Task {
            kind: TaskKind::Repair,
            worker: None,
            disk_id: None,
            millis: 0,
            done_chunks: done,
            total_chunks: total,
            done_bytes: done << 20,
            total_bytes: total << 20,
            bytes_per_second: 0,
            eta_seconds: None,
        };
        assert_eq!(task.percent(), percent);
    }

    #[test]
    fn progress_never_exceeds_all_and_is_all_only_at_the_end() {
        check(0, 0, 100);
        check(0, 7, 0);
        check(999, 1000, 99);
        check(1000, 1000, 100);
        check(2000, 1000, 100);
        check(u64::MAX >> 20, u64::MAX >> 20, 100);
    }

    #[test]
    fn what_is_left_out_of_a_change_of_policy_stays() {
        let change: PolicyChange = serde_json::from_str(r#"{"replicas":3}"#).unwrap();
        assert_eq!((change.replicas, change.chunk_size), (Some(3), None));
        assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"replicas":3}"#);
        serde_json::from_str::<PolicyChange>(r#"{"replica":3}"#).unwrap_err();
    }
}
