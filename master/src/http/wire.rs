//! What comes and goes, as JSON or, between servers, in postcard.

use super::error::HttpError;
use crate::leader::command::{
    FileInfo, FileView, OpenSession, Page, Site, SitesOfRun, TrashedFile,
};
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use mdfs_core::id::FileId;
use mdfs_core::records::{FileRecord, UploadEnd};
use mdfs_protocol::date::rfc3339;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{self, Checksums, ChunkRun, UploadInfo, UploadState};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest JSON body that is taken, in bytes.
pub(crate) const JSON_MAX_BYTES: usize = 64 * 1024;

/// Reads a small JSON body.
///
/// # Errors
/// If it is too large, breaks off, or is not what was expected.
pub(crate) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, HttpError> {
    json_up_to(body, JSON_MAX_BYTES).await
}

/// Reads a JSON body of at most so many bytes. As [`json`].
async fn json_up_to<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, HttpError> {
    let bytes = bytes_up_to(body, most).await?;
    // A list of values without names would do for an object otherwise.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(HttpError::invalid("body: not a JSON object"));
    }
    parse(&bytes)
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// If it is too large, or breaks off.
pub(crate) async fn bytes_up_to(body: Body, most: usize) -> Result<Bytes, HttpError> {
    let collected = http_body_util::Limited::new(body, most);
    match http_body_util::BodyExt::collect(collected).await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("at most {most} bytes are taken here");
            Err(HttpError::new(Code::TooLarge, detail))
        }
        Err(_) => Err(HttpError::new(Code::IncompleteBody, "the body broke off")),
    }
}

/// Reads JSON.
///
/// # Errors
/// If it is not what was expected.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(bytes).map_err(|error| HttpError::invalid(format!("body: {error}")))
}

/// Reads postcard. What follows the message is refused too: whoever sent it meant another type.
///
/// # Errors
/// If it is not what was expected.
pub(crate) fn parse_compact<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, more)) => {
            let detail = format!("body: {} bytes too many", more.len());
            Err(HttpError::invalid(detail))
        }
        Err(error) => Err(HttpError::invalid(format!("body: {error}"))),
    }
}

/// An answer in postcard.
///
/// # Errors
/// If it does not encode: a defect of its type.
pub(crate) fn compact<T: Serialize>(value: &T) -> Result<Response, HttpError> {
    let bytes = postcard::to_stdvec(value)
        .map_err(|error| HttpError::new(Code::Internal, error.to_string()))?;
    let mut answer = Response::new(Body::from(bytes));
    let octets = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(answer)
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
        durability: None,
        copies: None,
        chunk_size: record.chunk_size.bytes(),
        modified: rfc3339(record.modified),
        source_modified: record.labels.modified.map(|time| time.0),
        attributes: record.labels.attributes.clone().into(),
    }
}

/// A file that was just stored, as clients see it.
pub(crate) fn stored_info(info: &FileInfo) -> public::FileInfo {
    public::FileInfo {
        durability: durability(&info.record),
        ..file_info(info)
    }
}

/// Copies of the chunk that has the fewest, if those are fewer than wanted. What is where its partition
/// says has all.
fn durability(record: &FileRecord) -> Option<u8> {
    let runs = record.exceptions.iter();
    let fewest = runs.map(|run| run.disks.len()).min()?;
    let fewest = u8::try_from(fewest).unwrap_or(u8::MAX);
    (fewest < record.replicas.get()).then_some(fewest)
}

/// What a file's bytes hash to as clients see it.
pub(crate) fn checksums(info: &FileInfo) -> Checksums {
    let FileInfo { name, record } = info;
    Checksums {
        name: name.as_str().to_owned(),
        version: record.version,
        size: record.size,
        crc32: record.crc32,
        blake3: record.blake3,
    }
}

/// An open session as clients see it.
pub(crate) fn open_session(session: &OpenSession, storing: Vec<u32>) -> UploadInfo {
    let OpenSession {
        open,
        record,
        stored,
        stored_bytes,
        expires,
        chunks: _,
    } = session;
    let runs = stored.runs();
    UploadInfo {
        id: open.file,
        state: UploadState::Open,
        name: Some(record.name.to_string()),
        size: record.session.and_then(|session| session.size),
        chunk_size: Some(record.chunk_size.bytes()),
        replicas: Some(record.replicas.get()),
        begun: Some(rfc3339(record.begun)),
        expires: Some(rfc3339(*expires)),
        stored_bytes: *stored_bytes,
        chunks: runs
            .map(|(first, count)| ChunkRun { first, count })
            .collect(),
        storing,
        file: None,
    }
}

/// How a session ended, as clients see it.
pub(crate) fn ended_session(id: FileId, end: UploadEnd) -> UploadInfo {
    let (state, file) = match end {
        UploadEnd::Committed(name, record) => {
            let record = *record;
            let file = file_info(&FileInfo { name, record });
            (UploadState::Committed, Some(file))
        }
        UploadEnd::Aborted => (UploadState::Aborted, None),
        UploadEnd::Expired => (UploadState::Expired, None),
    };
    UploadInfo {
        id,
        state,
        name: file.as_ref().map(|file| file.name.clone()),
        size: file.as_ref().map(|file| file.size),
        chunk_size: None,
        replicas: None,
        begun: None,
        expires: None,
        stored_bytes: 0,
        chunks: Vec::new(),
        storing: Vec::new(),
        file,
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
        replicas: record.replicas.get(),
        chunk_size: record.chunk_size.bytes(),
        deleted: rfc3339(trashed.deleted),
    }
}

/// Where a file's chunks are as clients see it.
pub(crate) fn replicas(view: &FileView) -> public::Replicas {
    let FileInfo { name, record } = &view.info;
    let holder = |site: &Site| public::ReplicaHolder {
        disk_id: site.disk,
        url: site.url.clone(),
        state: if site.live {
            public::HolderState::Live
        } else {
            public::HolderState::Silent
        },
    };
    let run = |run: &SitesOfRun| public::ReplicasOfRun {
        first_chunk: run.first_chunk,
        chunks: run.chunks,
        holders: run.sites.iter().map(holder).collect(),
    };
    public::Replicas {
        name: name.as_str().to_owned(),
        version: record.version,
        file_id: record.file,
        size: record.size,
        chunk_size: record.chunk_size.bytes(),
        replicas: record.replicas.get(),
        runs: view.sites.iter().map(run).collect(),
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
