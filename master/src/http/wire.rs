//! What comes and goes as JSON.

use super::date::rfc3339;
use super::error::HttpError;
use crate::leader::command::{FileInfo, Page, TrashedFile};
use axum::body::Body;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public;
use serde::de::DeserializeOwned;

/// The largest JSON body that is taken, in bytes.
pub(crate) const JSON_MAX_BYTES: usize = 64 * 1024;

/// Reads a small JSON body.
///
/// # Errors
/// If it is too large, breaks off, or is not what was expected.
pub(crate) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, HttpError> {
    let collected = http_body_util::Limited::new(body, JSON_MAX_BYTES);
    let bytes = match http_body_util::BodyExt::collect(collected).await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("at most {JSON_MAX_BYTES} bytes are taken here");
            return Err(HttpError::new(Code::TooLarge, detail));
        }
        Err(_) => return Err(HttpError::new(Code::IncompleteBody, "the body broke off")),
    };
    serde_json::from_slice(&bytes).map_err(|error| HttpError::invalid(format!("body: {error}")))
}

/// A file as clients see it.
pub(crate) fn file_info(info: &FileInfo) -> public::FileInfo {
    let FileInfo { name, record } = info;
    public::FileInfo {
        name: name.as_str().to_owned(),
        version: record.version,
        file_id: record.file,
        size: record.size,
        crc32: record.crc32,
        blake3: record.blake3,
        etag: record.etag(),
        content_type: record.content_type.clone(),
        replicas: record.replicas.get(),
        chunk_size: record.chunk_size.bytes(),
        modified: rfc3339(record.modified),
    }
}

/// A file in the trash as clients see it.
pub(crate) fn trashed_file(trashed: &TrashedFile) -> public::TrashedFile {
    let FileInfo { name, record } = &trashed.info;
    public::TrashedFile {
        name: name.as_str().to_owned(),
        file_id: record.file,
        size: record.size,
        etag: record.etag(),
        deleted: rfc3339(trashed.deleted),
    }
}

/// A page of names as clients see it.
pub(crate) fn listing(page: Page) -> public::Listing {
    let Page {
        files,
        folders,
        next,
    } = page;
    public::Listing {
        files: files.iter().map(file_info).collect(),
        folders,
        next,
    }
}
