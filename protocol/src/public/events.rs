//! What goes on: events as they come, and the figures of the first page of the console.

use super::{Health, MasterInfo, Task};
use crate::schema;
use mdfs_core::id::ClusterId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET`: [`Events`]; with `Accept: text/event-stream` as they come.
pub const EVENTS: &str = "/v1/events";
/// `GET`: [`Overview`].
pub const OVERVIEW: &str = "/v1/overview";
/// `GET`: [`History`].
pub const HISTORY: &str = "/v1/history";

/// The media type of events as they come.
pub const EVENT_STREAM: &str = "text/event-stream";

/// How many of the last events a leader remembers.
pub const EVENTS_KEPT: usize = 1000;
/// Seconds of one line of a [`History`].
pub const HISTORY_EVERY_SECONDS: u64 = 10;
/// How far a [`History`] reaches back, in minutes.
pub const HISTORY_MINUTES: u64 = 60;

/// Events, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// Events.
    pub events: Vec<Event>,
    /// `after` of the next page; events that come later are there.
    pub next: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A file was stored, in place of one of the same name or not.
    Stored,
    /// What is said of a file was changed.
    Changed,
    /// A file has another name: `from` and `to`.
    Renamed,
    /// A file went to the trash.
    Deleted,
    /// A file came back from the trash.
    Restored,
    /// A file is gone for good.
    Purged,
    /// A worker is in another state: `from` and `to`.
    Worker,
    /// The health of the cluster is another one: `from` and `to`.
    Health,
    /// A master took the lead.
    Leader,
    /// Other workers vote.
    Voters,
    /// Something began in the background, or ended, as `to` says.
    Task,
    /// A token was made or ended, as `to` says.
    Token,
    /// The policy was changed.
    Policy,
    /// More copies were found to be damaged.
    Damage,
    /// Events were missed, or another master leads: what is known has to be read anew.
    Reset,
}

impl EventKind {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Purged => "purged",
            Self::Worker => "worker",
            Self::Health => "health",
            Self::Leader => "leader",
            Self::Voters => "voters",
            Self::Task => "task",
            Self::Token => "token",
            Self::Policy => "policy",
            Self::Damage => "damage",
            Self::Reset => "reset",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Tells it from others: the leader's term, and a number that rises.
    pub id: String,
    /// When, RFC 3339.
    pub time: String,
    /// What.
    pub kind: EventKind,
    /// Which file, or worker, or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Of a file: the log index that made the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Of a file: bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Event {
    /// One that nothing more is known of.
    pub fn new(kind: EventKind) -> Self {
        Self {
            id: String::new(),
            time: String::new(),
            kind,
            name: None,
            from: None,
            to: None,
            version: None,
            size: None,
            text: None,
        }
    }
}

/// The figures that live on the first page, once a second while they change. What is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// What to make of it all.
    pub health: Health,
    /// The first of the things that keep it from being `ok`.
    pub sentence: Option<String>,
    /// Files that have a name.
    pub files: Option<u64>,
    /// Bytes in them, counted once.
    pub bytes: Option<u64>,
    /// Files that have a chunk with fewer reachable copies than wanted.
    pub under_replicated: Option<u64>,
    /// Those of them, at most 1000, that have a chunk with one good copy left.
    pub at_risk: Option<u64>,
    /// Files that have a chunk without any reachable copy.
    pub missing: Option<u64>,
    /// Workers.
    pub workers: Option<WorkersCount>,
    /// What goes on.
    pub rates: Option<Rates>,
}

impl Tick {
    /// While no leader says anything.
    pub fn unknown() -> Self {
        Self {
            health: Health::Unknown,
            sentence: Some("no leader says how the cluster is".to_owned()),
            files: None,
            bytes: None,
            under_replicated: None,
            at_risk: None,
            missing: None,
            workers: None,
            rates: None,
        }
    }
}

/// How many workers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkersCount {
    /// Those that are live.
    pub live: u64,
    /// All.
    pub total: u64,
}

/// Bytes in a second, all masters together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Read by clients.
    pub read: u64,
    /// Stored by clients, each byte counted once.
    pub write: u64,
    /// Copied from worker to worker.
    pub repair: u64,
}

/// What the first page shows. Whoever may not administer gets the parts alone that are not null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The cluster.
    #[schemars(with = "Option<schema::Id>")]
    pub cluster_id: Option<ClusterId>,
    /// The version of the program that answers.
    pub version: String,
    /// What to make of it all; null for those who may not administer.
    pub health: Option<Health>,
    /// One line for each thing that keeps it from being `ok`, at most 16.
    pub reasons: Vec<String>,
    /// Files that have a name; null if that is not known, or not for everybody.
    pub files: Option<u64>,
    /// Bytes in them, counted once.
    pub bytes: Option<u64>,
    /// Files in the trash.
    pub trashed_files: Option<u64>,
    /// Uploads that clients may come back to.
    pub open_uploads: Option<u64>,
    /// Files that have a chunk with fewer reachable copies than wanted.
    pub under_replicated: Option<u64>,
    /// Those of them, at most 1000, that have a chunk with one good copy left.
    pub at_risk: Option<u64>,
    /// Files that have a chunk without any reachable copy.
    pub missing: Option<u64>,
    /// Chunks of which some copy is damaged.
    pub damaged_chunks: Option<u64>,
    /// How old these figures are, in milliseconds; null if nothing was counted yet.
    pub counted_millis_ago: Option<u64>,
    /// The worst of the files with too few copies, at most 10.
    pub worst: Vec<super::AtRisk>,
    /// Workers.
    pub workers: Option<WorkersCount>,
    /// What chunks may have on all workers, in bytes; null if that is not known.
    pub capacity_bytes: Option<u64>,
    /// What chunks may still use on them.
    pub free_bytes: Option<u64>,
    /// Copies wanted of each chunk.
    pub replicas: Option<u8>,
    /// Voters that can be counted on, and all.
    pub voters: Option<WorkersCount>,
    /// The masters.
    pub masters: Vec<MasterInfo>,
    /// What goes on in the background, at most 16.
    pub tasks: Vec<Task>,
    /// Nothing is copied for workers that fell silent, as there were many at once.
    pub repair_paused: bool,
    /// What goes on; null if that is not known.
    pub rates: Option<Rates>,
}

/// Figures over time: what uPlot draws.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// What each list of `data` is of. The first is of times, in Unix seconds.
    pub columns: Vec<String>,
    /// A list for each column, all of one length, the oldest first.
    pub data: Vec<Vec<u64>>,
}

impl History {
    /// What the lists are of: bytes, requests and errors of the 10 seconds before the time, and
    /// under-replicated files at that time.
    pub const COLUMNS: [&'static str; 7] = [
        "time",
        "read",
        "written",
        "repaired",
        "requests",
        "errors",
        "under_replicated",
    ];
}
