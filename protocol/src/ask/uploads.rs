//! Uploads: begun, filled, looked at, ended.

use super::FileInfo;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSet, ChunkSize};
use mdfs_core::id::{DiskId, FileId, RequestId, Term};
use mdfs_core::labels::Labels;
use mdfs_core::name::FileName;
use mdfs_core::records::{ChunkRecord, EndedRecord, Holder, Precondition, Session, UploadRecord};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use serde::{Deserialize, Serialize};

/// Opens an upload: nothing of it is visible before it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginUpload {
    /// Given by a client that may repeat the request.
    pub request: Option<RequestId>,
    /// The file's name.
    pub name: FileName,
    /// Bytes of a chunk; the cluster's default if none.
    pub chunk_size: Option<ChunkSize>,
    /// Copies of each chunk; the cluster's default if none.
    pub replicas: Option<ReplicationFactor>,
    /// Media type.
    pub content_type: String,
    /// What whoever stores it says of it.
    pub labels: Labels,
    /// Checked now, and again at the commit.
    pub precondition: Precondition,
    /// Whether clients may come back to it.
    pub session: Option<Session>,
    /// Whom it counts for, if they may: nobody has more than half of what may be open.
    pub holder: Option<Holder>,
}

/// What came of a [`BeginUpload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begun {
    /// Go on: store chunks, then commit.
    Open(OpenUpload),
    /// The same request was committed before; this is what it made.
    Already(FileInfo),
}

/// An open upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenUpload {
    /// The new version's id.
    pub file: FileId,
    /// The leader's term; goes along with every chunk write.
    pub term: Term,
    /// The log index of the BeginUpload; goes into footers.
    pub begun_at: u64,
    /// Bytes of a chunk.
    pub chunk_size: ChunkSize,
    /// Copies of each chunk.
    pub replicas: ReplicationFactor,
}

/// Asks where a chunk of an open upload should go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The upload.
    pub file: FileId,
    /// The chunk.
    pub chunk: u32,
    /// Bytes that must have room.
    pub bytes: u64,
    /// Disks that failed this upload just now.
    pub avoid: Vec<DiskId>,
}

/// A disk and where its worker answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The disk.
    pub disk: DiskId,
    /// Its worker's URL; empty while a leader that has just come knows none.
    pub url: String,
    /// Whether it beats; the others are worth a try only when no live one is left.
    pub live: bool,
}

/// Which disks hold a run of chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// The first chunk of the run.
    pub first_chunk: u32,
    /// Chunks in the run.
    pub chunks: u32,
    /// The disks that answered, durably, for each of them.
    pub disks: Vec<DiskId>,
}

/// Says that a chunk of a session is durable as often as wanted; without disks, that these are its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChunk {
    /// The chunk.
    pub chunk: ChunkId,
    /// Bytes in it.
    pub length: u64,
    /// CRC-32 of them.
    pub crc32: Crc32,
    /// What it adds to the BLAKE3 of its file.
    pub hash: ChunkHash,
    /// Of the first chunk: the BLAKE3 of the file if it has no other.
    pub alone: Option<Blake3>,
    /// The disks that answered for it; none before it is sealed.
    pub disks: Vec<DiskId>,
    /// The term in which they did.
    pub term: Term,
}

/// Asks what is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindUpload {
    /// The upload.
    pub file: FileId,
    /// Chunks from this one on are told.
    pub chunks_from: u32,
    /// At most so many of them.
    pub most_chunks: usize,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundUpload {
    /// It takes chunks.
    Open(Box<OpenSession>),
    /// It has ended.
    Ended(EndedRecord),
}

/// A session that takes chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// What chunk writes need, in the leader's present term.
    pub open: OpenUpload,
    /// What is recorded.
    pub record: UploadRecord,
    /// The numbers of all durable chunks.
    pub stored: ChunkSet,
    /// Bytes in them.
    pub stored_bytes: u64,
    /// When it expires if no chunk comes.
    pub expires: LogTime,
    /// The chunks that were asked for, in order.
    pub chunks: Vec<KnownChunk>,
}

/// A durable chunk of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownChunk {
    /// Its number.
    pub index: u32,
    /// What is recorded.
    pub record: ChunkRecord,
    /// The disks that answered for it and where they are, as far as that is known.
    pub sites: Vec<Site>,
}

impl KnownChunk {
    /// How many of the disks that answered for it can be read now, as far as is known.
    pub fn live_copies(&self) -> usize {
        self.sites.iter().filter(|site| site.live).count()
    }
}

/// Asks for one page of the sessions that are open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUploads {
    /// Of names that begin with this only.
    pub prefix: String,
    /// Those behind this one.
    pub after: Option<FileId>,
    /// At most so many, 1 to 1000.
    pub limit: usize,
}

/// One page of open sessions, sorted by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPage {
    /// The sessions, without their chunks.
    pub uploads: Vec<OpenSession>,
    /// `after` of the next page.
    pub next: Option<FileId>,
}

/// Makes an upload a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitUpload {
    /// The upload.
    pub file: FileId,
    /// The term in which the disks answered.
    pub term: Term,
    /// Its chunks.
    pub layout: ChunkLayout,
    /// CRC-32 of all bytes.
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    pub blake3: Blake3,
    /// Who has which chunks; covers all of them, in order.
    pub copies: Vec<Copies>,
}
