//! Where things are on a disk. No path is ever built from a name that a user gave.

use mdfs_core::chunk::ChunkId;
use mdfs_core::id::FileId;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Locked by the process that uses the disk.
pub(crate) const LOCK: &str = "lock";
/// Who the disk is.
pub(crate) const IDENTITY: &str = "identity";
/// The next identity, until it is renamed.
pub(crate) const IDENTITY_STAGED: &str = "identity.new";
/// Chunks being received.
pub(crate) const STAGING: &str = "staging";
/// Sealed chunks, in directories named after the start of the file id.
pub(crate) const CHUNKS: &str = "chunks";
/// The metadata log and its table.
pub(crate) const LOG: &str = "log.redb";
/// The metadata log before it is complete.
pub(crate) const LOG_STAGED: &str = "log.redb.new";
/// How far the scrub is.
pub(crate) const SCRUBBED: &str = "scrubbed";
/// The next note of that, until it is renamed.
pub(crate) const SCRUBBED_STAGED: &str = "scrubbed.new";
/// Names of chunks that were found damaged.
pub(crate) const DAMAGED: &str = "damaged";
/// Made by mkfs; neither ours nor foreign.
const LOST_AND_FOUND: &str = "lost+found";

/// Hexadecimal digits of a file id that name its directory: 4096 directories.
pub(super) const DIR_DIGITS: usize = 3;

/// What stands at the root of a disk in use.
pub(crate) fn is_known_at_root(name: &OsStr) -> bool {
    [
        LOCK,
        IDENTITY,
        IDENTITY_STAGED,
        STAGING,
        CHUNKS,
        LOG,
        LOG_STAGED,
        SCRUBBED,
        SCRUBBED_STAGED,
        DAMAGED,
        LOST_AND_FOUND,
    ]
    .iter()
    .any(|known| name == *known)
}

/// What may stand at the root of a disk that was never formatted: formatting may have been cut off.
pub(crate) fn is_known_when_blank(name: &OsStr) -> bool {
    [LOCK, IDENTITY_STAGED, LOST_AND_FOUND]
        .iter()
        .any(|known| name == *known)
}

/// The directory for chunks of a file.
pub(crate) fn chunk_dir(file: FileId) -> PathBuf {
    let digits: String = file.to_string().chars().take(DIR_DIGITS).collect();
    Path::new(CHUNKS).join(digits)
}

/// The file of a sealed chunk.
pub(crate) fn chunk_path(chunk: ChunkId) -> PathBuf {
    chunk_dir(chunk.file).join(chunk_name(chunk))
}

/// The file of a chunk being received.
pub(crate) fn staged_path(chunk: ChunkId) -> PathBuf {
    Path::new(STAGING).join(chunk_name(chunk))
}

/// The file that says of a chunk that it was found damaged.
pub(crate) fn mark_path(chunk: ChunkId) -> PathBuf {
    Path::new(DAMAGED).join(chunk_name(chunk))
}

fn chunk_name(chunk: ChunkId) -> String {
    format!("{}.{}", chunk.file, chunk.index)
}

/// The chunk that a file name stands for, if it is exactly how that chunk is named.
pub(crate) fn parse_chunk_name(name: &OsStr) -> Option<ChunkId> {
    let (file, index) = name.to_str()?.split_once('.')?;
    let chunk = ChunkId {
        file: file.parse().ok()?,
        index: index.parse().ok()?,
    };
    (name == OsStr::new(&chunk_name(chunk))).then_some(chunk)
}

/// Whether a directory below `CHUNKS` is one of ours.
pub(crate) fn is_chunk_dir(name: &OsStr) -> bool {
    name.len() == DIR_DIGITS
        && name
            .as_encoded_bytes()
            .iter()
            .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit))
}
