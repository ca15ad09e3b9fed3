//! Uploads that outlive a connection, a client and a master: begun, filled chunk by chunk, committed.

use super::FileInfo;
use crate::schema;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32};
use mdfs_core::id::FileId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST` [`BeginUpload`]: opens an upload, an [`UploadInfo`]. `GET ?after=&limit=`: those that are
/// open, [`Uploads`].
pub const UPLOADS: &str = "/v1/uploads";
/// `GET`: what is known of an upload, an [`UploadInfo`]. `DELETE`: ends it without a file; harmless
/// when it has ended, and the [`UploadInfo`] that is answered says how.
pub const UPLOAD: &str = "/v1/uploads/{id}";
/// `PUT`: stores a chunk, in any order and many at a time; the same chunk again is harmless. Answers
/// [`StoredChunk`] once all its copies are durable.
pub const UPLOAD_CHUNK: &str = "/v1/uploads/{id}/chunks/{index}";
/// `POST` [`CommitUpload`]: makes the upload a file, a [`FileInfo`]; repeated, gives the first answer.
pub const UPLOAD_COMMIT: &str = "/v1/uploads/{id}/commit";

/// The path of an upload.
pub fn upload_path(id: FileId) -> String {
    format!("{UPLOADS}/{id}")
}

/// Opens an upload. `If-Match` and `If-None-Match` may be sent along; they must hold now, and again at
/// the commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginUpload {
    /// The file's name.
    #[schemars(with = "schema::FileNameText")]
    pub name: String,
    /// Bytes in the file, if they are known: then each chunk's length is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes of each chunk but the last, a power of two; the cluster's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1048576, max = 1073741824))]
    pub chunk_size: Option<u64>,
    /// Copies of each chunk; the cluster's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub replicas: Option<u8>,
    /// Media type; that of the name's ending if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// When the file was changed where it comes from, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_modified: Option<u64>,
    /// Attributes of the user's own, at most 2 KiB.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// How long the upload lives without a new chunk, 1 to 2592000; 604800 (7 days) if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2592000))]
    pub expires_seconds: Option<u64>,
}

/// What is known of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadInfo {
    /// Its identity, which becomes that of the file's bytes.
    #[schemars(with = "schema::Id")]
    pub id: FileId,
    /// Whether it goes on.
    pub state: UploadState,
    /// The file's name; none of an upload that ended without a file.
    pub name: Option<String>,
    /// Bytes in the file, if they were told.
    pub size: Option<u64>,
    /// Bytes of each chunk but the last; none once it has ended.
    pub chunk_size: Option<u64>,
    /// Copies of each chunk; none once it has ended.
    pub replicas: Option<u8>,
    /// When it was begun, RFC 3339; none once it has ended.
    pub begun: Option<String>,
    /// When it expires if no chunk is stored meanwhile, RFC 3339 in log time; none once it has ended.
    pub expires: Option<String>,
    /// Bytes of the chunks that are durable.
    pub stored_bytes: u64,
    /// The chunks that are durable, as runs, in order.
    pub chunks: Vec<ChunkRun>,
    /// Chunks that have come whole to this master and are about to be durable: who sent them need not
    /// send them again unless they vanish from here without coming to `chunks`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storing: Vec<u32>,
    /// What it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInfo>,
}

/// Whether an upload goes on, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// It takes chunks.
    Open,
    /// It became a file.
    Committed,
    /// Somebody ended it.
    Aborted,
    /// Nobody went on with it.
    Expired,
}

/// Chunks in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkRun {
    /// The first of them.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// One page of open uploads, sorted by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uploads {
    /// The uploads.
    pub uploads: Vec<UploadInfo>,
    /// Where the next page starts (`after`); none on the last page.
    #[schemars(with = "Option<schema::Id>")]
    pub next: Option<FileId>,
}

/// A durable chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredChunk {
    /// Its number in the file, from zero.
    pub index: u32,
    /// Bytes in it.
    pub length: u64,
    /// CRC-32 of them. Those of all chunks join to that of the file.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
    /// What the chunk adds to the BLAKE3 of its file: the chaining value of its subtree, or the file's
    /// hash if it is known to be the only chunk. Those of all chunks join to that of the file.
    #[schemars(with = "schema::Blake3Text")]
    pub blake3: ChunkHash,
}

/// Makes an upload a file, if what was stored is what the client means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitUpload {
    /// Bytes in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// CRC-32 of all bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Crc32Text>")]
    pub crc32: Option<Crc32>,
    /// BLAKE3 of all bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Blake3Text>")]
    pub blake3: Option<Blake3>,
}
