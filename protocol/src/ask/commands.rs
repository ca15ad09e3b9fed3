//! Names, administration, and what is answered about them.

use super::Site;
use mdfs_core::chunk::ChunkSize;
use mdfs_core::id::{ClusterId, DiskId, RequestId, Term, TokenId};
use mdfs_core::name::FileName;
use mdfs_core::records::plan::{Imported, LabelChange, Trashed};
use mdfs_core::records::{FileRecord, Precondition, TokenRecord};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A file and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// The name.
    pub name: FileName,
    /// What is recorded.
    pub record: FileRecord,
}

/// A file and where its chunks are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// The file.
    pub info: FileInfo,
    /// Where runs of chunks are, in order, covering all: live disks first, best first.
    pub sites: Vec<SitesOfRun>,
    /// The log time of the answer.
    pub log_time: LogTime,
    /// The leader's term: goes along when copies are verified.
    pub term: Term,
}

/// Where a run of chunks is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitesOfRun {
    /// The first chunk of the run.
    pub first_chunk: u32,
    /// Chunks in the run.
    pub chunks: u32,
    /// The disks, the best first.
    pub sites: Vec<Site>,
    /// Those of them to which, or from which, some of the chunks are moving: they need not have them
    /// yet, or any more.
    pub moving: Vec<DiskId>,
}

impl SitesOfRun {
    /// Whether a chunk is in the run.
    pub fn has(&self, chunk: u32) -> bool {
        self.first_chunk <= chunk && chunk - self.first_chunk < self.chunks
    }
}

/// Asks for one page of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Names start with this.
    pub prefix: String,
    /// Names that go on after the prefix past this are shown as one folder.
    pub delimiter: Option<char>,
    /// Names (or folders) after this one.
    pub after: Option<String>,
    /// At most so many files and folders together, 1 to 1000.
    pub limit: usize,
}

/// One page of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Files, sorted by name bytes.
    pub files: Vec<FileInfo>,
    /// Folders, each ending in the delimiter.
    pub folders: Vec<String>,
    /// `after` of the next page.
    pub next: Option<String>,
}

/// Deletes a file: it goes to the trash, or is purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The file.
    pub name: FileName,
    /// Checked at the one point where the delete takes effect.
    pub precondition: Precondition,
}

/// Brings the newest file of a name in the trash back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelete {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The name, which no file may have.
    pub name: FileName,
}

/// Asks for one page of the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTrash {
    /// Only names that begin with this.
    pub prefix: String,
    /// What stands behind this.
    pub after: Option<Trashed>,
    /// At most so many files, 1 to 1000.
    pub limit: usize,
}

/// One page of the trash. It may have fewer files than asked for, none even, and be followed by
/// another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashPage {
    /// Files, those first that came there first.
    pub files: Vec<TrashedFile>,
    /// `after` of the next page.
    pub next: Option<Trashed>,
    /// The log time of the answer.
    pub log_time: LogTime,
}

/// A file in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashedFile {
    /// When it came there.
    pub deleted: LogTime,
    /// What it was.
    pub info: FileInfo,
}

/// Changes what is said of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLabels {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The file.
    pub name: FileName,
    /// What is said from now on.
    pub change: LabelChange,
    /// What must hold of the present version.
    pub precondition: Precondition,
}

/// Moves a file to another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The present name.
    pub from: FileName,
    /// The new name.
    pub to: FileName,
    /// Whether a file of the new name may be replaced.
    pub overwrite: bool,
}

/// Starts the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The first voters.
    pub disks: Vec<DiskId>,
    /// Copies of each chunk.
    pub replicas: ReplicationFactor,
    /// Bytes of a chunk.
    pub chunk_size: ChunkSize,
}

/// The cluster that bootstrap started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrapped {
    /// Its identity.
    pub cluster: ClusterId,
}

/// Some files of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The files.
    pub files: Vec<Imported>,
    /// Whether a file of the same name goes to the trash.
    pub overwrite: bool,
    /// Drawn at random by whoever imports: only one does at a time.
    pub import: u128,
    /// Where in the import this stands.
    pub step: ImportStep,
}

/// A part of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportStep {
    /// It begins, without any file: from here on no chunk is dropped that it may have use for.
    Begin,
    /// Some of its files.
    Files,
    /// It has ended, and brings nothing more.
    End,
}

/// An access token and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The id.
    pub id: TokenId,
    /// What is recorded.
    pub record: TokenRecord,
}

/// What an administrator orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Moves everything off a worker, named by its name or its disk.
    Drain(String),
    /// Lets a drained worker take part again.
    Undrain(String),
    /// Moves everything off a worker, then retires its disk.
    Decommission(String),
    /// Announces that a worker is going to be silent.
    Announce {
        /// The worker, named by its name or its disk.
        worker: String,
        /// For how long; zero takes an announcement back.
        lasts: Duration,
    },
    /// Refuses a disk from now on, for ever.
    Retire {
        /// The worker, named by its name or its disk.
        worker: String,
        /// Whether what it alone has is given up.
        lost: bool,
    },
    /// Evens out the bytes on the workers.
    Rebalance,
    /// Looks for missing copies now, and repairs for lost workers without the usual delay.
    Repair,
    /// That many disks should vote.
    Voters(u8),
    /// Gives up a voter of a pair for ever; whoever orders it vouches that its disk runs nowhere.
    ForgetVoter {
        /// The worker, named by its name or its disk.
        worker: String,
    },
    /// What was looked for after a recovery is found: what no record has is dropped again. Refused before
    /// a search has ended.
    FinishRecovery,
    /// The same without a search: whoever orders it gives up what only a search would bring back.
    FinishUnsearched,
}
