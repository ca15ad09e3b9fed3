//! The HTTP API for people and programs, under `/v1/`.

mod admin;
mod cluster;
mod events;
mod files;
mod reading;
mod recover;
mod tokens;
mod uploads;

pub use admin::{
    Announce, ForgetVoter, Imported, Policy, PolicyChange, PolicyLowering, Retire, Task, TaskKind,
    Tasks, Voters,
};
pub use cluster::{
    AtRisk, Bootstrap, Bootstrapped, Health, MasterInfo, MasterRole, Status, WorkerInfo,
    WorkerOrder, WorkerState, Workers,
};
pub use events::{
    EVENT_STREAM, EVENTS, EVENTS_KEPT, Event, EventKind, Events, HISTORY, HISTORY_EVERY_SECONDS,
    HISTORY_MINUTES, History, OVERVIEW, Overview, Rates, Tick, WorkersCount,
};
pub use files::{
    Checksums, CopiesInfo, FileInfo, FormFiles, FormRefused, FormResult, Listing, Rename,
    SetAttributes, Trash, TrashedFile,
};
pub use reading::{
    CopyState, HolderState, ReplicaHolder, Replicas, ReplicasOfRun, Scrub, Scrubs, Verified,
    VerifiedCopy, VerifiedWorker, VerifyLine, VerifyProblem,
};
pub use recover::{Recover, Recovered};
pub use tokens::{
    CreatedToken, LABEL_MAX_BYTES, NewToken, SIGN, SignRequest, SignedLink, TOKEN,
    TOKEN_MAX_SECONDS, TOKENS, TokenInfo, Tokens,
};
pub use uploads::{
    BeginUpload, ChunkRun, CommitUpload, StoredChunk, UPLOAD, UPLOAD_CHUNK, UPLOAD_COMMIT, UPLOADS,
    UploadInfo, UploadState, Uploads, upload_path,
};

/// A file: `PUT`, `GET`, `HEAD`, `DELETE`; `GET ?replicas` answers [`Replicas`], `GET ?checksum`
/// [`Checksums`]; `DELETE ?purge` removes it for good, `POST ?undelete`
/// brings it back from the trash as a [`FileInfo`], `POST ?attributes` [`SetAttributes`] changes what
/// is said of it, and `POST ?verify` has its copies read and answers [`Verified`].
pub const FILE: &str = "/v1/files/{*name}";
/// `GET ?prefix=&delimiter=&after=&limit=`: a [`Listing`].
pub const FILES: &str = "/v1/files";
/// `GET ?after=&limit=`: a page of the [`Trash`].
pub const TRASH: &str = "/v1/trash";
/// `POST` [`Rename`].
pub const RENAME: &str = "/v1/rename";
/// `GET`, `HEAD`: a file's bytes, to be shown inline.
pub const PLAY: &str = "/play/{*name}";
/// `GET`: a [`Status`].
pub const STATUS: &str = "/v1/status";
/// `GET`: a [`Workers`].
pub const WORKERS: &str = "/v1/workers";
/// `POST` [`Bootstrap`]: a [`Bootstrapped`].
pub const BOOTSTRAP: &str = "/v1/admin/bootstrap";
/// `POST` [`WorkerOrder`]: moves everything off a worker.
pub const DRAIN: &str = "/v1/admin/drain";
/// `POST` [`WorkerOrder`]: lets a drained worker take part again.
pub const UNDRAIN: &str = "/v1/admin/undrain";
/// `POST`: evens out the bytes on the workers.
pub const REBALANCE: &str = "/v1/admin/rebalance";
/// `POST`: has every worker read all it holds now. `GET`: how far that is. Both answer [`Scrubs`].
pub const SCRUB: &str = "/v1/admin/scrub";
/// `POST` [`Announce`]: a worker is going to be silent for a while, as for a restart.
pub const ANNOUNCE: &str = "/v1/admin/announce";
/// `POST` [`WorkerOrder`]: moves everything off a worker, then retires its disk.
pub const DECOMMISSION: &str = "/v1/admin/decommission";
/// `POST` [`Retire`]: refuses a disk for ever, from now on.
pub const RETIRE: &str = "/v1/admin/retire";
/// `POST` [`Voters`]: that many disks should vote.
pub const VOTERS: &str = "/v1/admin/voters";
/// `POST` [`ForgetVoter`]: gives up a voter of a pair, of which the other cannot write alone.
pub const FORGET_VOTER: &str = "/v1/admin/forget-voter";
/// `GET`: the [`Policy`] of the cluster. `POST` [`PolicyChange`]: changes it, and answers it.
pub const POLICY: &str = "/v1/admin/policy";
/// `GET ?tokens=`: all records, in the form of [`crate::transfer`].
pub const EXPORT: &str = "/v1/admin/export";
/// `POST ?overwrite=&policy=&other_cluster=&tokens=`: takes in what is missing of an export; answers an [`Imported`].
pub const IMPORT: &str = "/v1/admin/import";
/// `POST` [`Recover`]: rebuilds the metadata log without voters that are lost for ever; answers a
/// [`Recovered`].
pub const RECOVER: &str = "/v1/admin/recover";
/// `POST`: looks for what is left of files on all disks, while a recovery is under way; answers in the
/// form of [`crate::recovery`].
pub const RECOVER_SCAN: &str = "/v1/admin/recover/scan";
/// `POST`: ends the recovery. What no record has is dropped from then on. Refused before a search has
/// ended that the present leader knows of, unless it is [`UNSEARCHED`].
pub const RECOVER_FINISH: &str = "/v1/admin/recover/finish";
/// In the query of [`RECOVER_FINISH`]: what only a search would bring back is given up.
pub const UNSEARCHED: &str = "unsearched";
/// `GET`: what goes on in the background, [`Tasks`].
pub const TASKS: &str = "/v1/tasks";
/// `POST`: looks for missing copies now, and for lost workers without the usual delay.
pub const REPAIR: &str = "/v1/admin/repair";
/// `GET`: `OK`.
pub const HEALTH: &str = "/health";
/// `GET`: whether the process lives.
pub const HEALTH_LIVE: &str = "/health/live";
/// `GET`: whether it can take requests.
pub const HEALTH_READY: &str = "/health/ready";
/// `GET`: counters as JSON.
pub const STATS: &str = "/stats";
/// `GET`: counters for Prometheus.
pub const METRICS: &str = "/metrics";

/// Names a change, so that a repeated one gets the first answer.
pub const REQUEST_HEADER: &str = "x-mdfs-request-id";
/// The log time of the answer, in milliseconds since the Unix epoch.
pub const LOG_TIME_HEADER: &str = "x-mdfs-log-time";
/// The CRC-32 of a whole file, 8 hexadecimal digits; may be sent with `PUT`, is always answered.
pub const CRC_HEADER: &str = "x-mdfs-crc32";
/// The BLAKE3 hash of a whole file, 64 hexadecimal digits.
pub const BLAKE3_HEADER: &str = "x-mdfs-blake3";
/// The version of a file: the log index that made it.
pub const VERSION_HEADER: &str = "x-mdfs-version";
/// Copies wanted of each chunk of a file.
pub const REPLICAS_HEADER: &str = "x-mdfs-replicas";
/// When a file was changed where it came from, in milliseconds since the Unix epoch; may be sent with
/// `PUT`, and is answered if it was told.
pub const SOURCE_MODIFIED_HEADER: &str = "x-mdfs-modified";
/// What the headers of a user's attributes begin with; the attribute's name follows.
pub const ATTRIBUTE_HEADER_PREFIX: &str = "x-mdfs-attribute-";

/// The path of a file, each segment percent-encoded.
pub fn file_path(name: &str) -> String {
    format!("/v1/files/{}", encode_name(name))
}

/// The path that plays a file, each segment percent-encoded.
pub fn play_path(name: &str) -> String {
    format!("/play/{}", encode_name(name))
}

fn encode_name(name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    // The unreserved characters of RFC 3986, and the slash between folders.
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(name, KEEP).to_string()
}
