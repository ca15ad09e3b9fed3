//! Uploads that clients come back to: begin, chunks, look, commit, end.

use super::App;
use super::audit::Subject;
use super::caller::Caller;
use super::conditions::precondition;
use super::digest::expected;
use super::error::HttpError;
use super::files::{limit, request_id};
use super::name::parse_name;
use super::query::Query;
use super::storing::{checked_attributes, created, length, media_type};
use super::wire::{ended_session, json, open_session};
use crate::error::Error;
use crate::gateway::{PutChunk, Whole};
use crate::leader::command::{self, Begun, FindUpload, FoundUpload, ListUploads};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header::{CONTENT_RANGE, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt;
use mdfs_core::access::Role;
use mdfs_core::chunk::{ChunkId, ChunkSize};
use mdfs_core::id::FileId;
use mdfs_core::labels::{Labels, SourceTime};
use mdfs_core::media_type::media_type_of;
use mdfs_core::records::Session;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    BLAKE3_HEADER, BeginUpload, CommitUpload, StoredChunk, UploadInfo, Uploads, upload_path,
};
use std::time::Duration;

/// How long a session lives without a new chunk unless the client says otherwise: 7 days.
const EXPIRES_SECONDS: u64 = 7 * 24 * 3600;
/// The longest that a client may ask for: 30 days.
const EXPIRES_MAX_SECONDS: u64 = 30 * 24 * 3600;

/// Opens an upload. A repeated request gets the upload that the first one opened.
pub(crate) async fn begin(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let (request, precondition) = (request_id(&headers)?, precondition(&headers)?);
    let BeginUpload {
        name,
        size,
        chunk_size,
        replicas,
        content_type,
        source_modified,
        attributes,
        expires_seconds,
    } = json(body).await?;
    let name = parse_name(&name)?;
    subject.is(name.as_str());
    caller.may(Role::Write, &name)?;
    let invalid = |what: String| HttpError::invalid(what);
    let expires_seconds = expires_seconds.unwrap_or(EXPIRES_SECONDS);
    if !(1..=EXPIRES_MAX_SECONDS).contains(&expires_seconds) {
        let range = format!("expires_seconds must be 1 to {EXPIRES_MAX_SECONDS}");
        return Err(HttpError::invalid(range));
    }
    let content_type = match content_type {
        Some(text) => media_type(&text)?,
        None => media_type_of(name.as_str()).to_owned(),
    };
    let begin = command::BeginUpload {
        request,
        chunk_size: chunk_size
            .map(|bytes| ChunkSize::new(bytes).map_err(|error| invalid(error.to_string())))
            .transpose()?,
        replicas: replicas
            .map(|n| ReplicationFactor::new(n).map_err(|error| invalid(error.to_string())))
            .transpose()?,
        content_type,
        labels: Labels {
            modified: source_modified.map(SourceTime),
            attributes: checked_attributes(attributes)?,
        },
        precondition,
        session: Some(Session {
            size,
            expires_after: Duration::from_secs(expires_seconds),
        }),
        holder: Some(caller.holder()),
        name,
    };
    let id = match app.0.leader.begin_upload(begin).await? {
        Begun::Open(open) => open.file,
        Begun::Already(info) => info.record.file,
    };
    let info = known(&app, id).await?;
    let location = AppendHeaders([(LOCATION, upload_path(id))]);
    Ok((StatusCode::CREATED, location, Json(info)).into_response())
}

/// What is known of an upload, with its durable chunks.
pub(crate) async fn find(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<UploadInfo>, HttpError> {
    Ok(Json(theirs(&app, &caller, upload_id(&id)?).await?))
}

/// One page of the uploads that are open and that the caller may go on with.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Uploads>, HttpError> {
    let prefix = caller.scope(Role::Write)?.to_owned();
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["after", "limit"])?;
    let list = ListUploads {
        prefix,
        after: query.value("after")?,
        limit: limit(&query)?,
    };
    let page = app.0.leader.list_uploads(list).await?;
    Ok(Json(Uploads {
        uploads: page
            .uploads
            .iter()
            .map(|session| open_session(session, app.0.gateway.storing(session.open.file)))
            .collect(),
        next: page.next,
    }))
}

/// Stores a chunk.
///
/// Everything that can be wrong with the request's head is found before the body is read.
pub(crate) async fn put_chunk(
    State(app): State<App>,
    caller: Caller,
    Path((id, index)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<StoredChunk>, HttpError> {
    let index = index
        .parse()
        .map_err(|_| HttpError::invalid("the number of a chunk is not a number"))?;
    for header in [CONTENT_RANGE.as_str(), BLAKE3_HEADER] {
        if headers.contains_key(header) {
            let hint = "send the whole chunk, with x-mdfs-crc32 or content-digest";
            return Err(HttpError::invalid(format!(
                "{header} means nothing here: {hint}"
            )));
        }
    }
    let file = upload_id(&id)?;
    let put = PutChunk {
        chunk: ChunkId { file, index },
        length: length(&headers)?,
        expected: expected(&headers)?,
    };
    theirs(&app, &caller, file).await?;
    let counter = app.0.metrics.upload_bytes.clone();
    let counted = body.map_frame(move |frame| {
        let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
        counter.add(u64::try_from(bytes).unwrap_or(0));
        frame
    });
    let stored = app
        .0
        .gateway
        .put_chunk(put, Body::new(counted), caller.holder());
    Ok(Json(stored.await?))
}

/// Makes an upload a file.
pub(crate) async fn commit(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, HttpError> {
    let id = upload_id(&id)?;
    let CommitUpload {
        size,
        crc32,
        blake3,
    } = json(body).await?;
    let info = theirs(&app, &caller, id).await?;
    if let Some(name) = info.name {
        subject.is_pair(&id.to_string(), &name);
    }
    let whole = Whole {
        size,
        crc32,
        blake3,
    };
    let info = app.0.gateway.commit(id, whole, caller.holder()).await?;
    Ok(created(&info))
}

/// Ends an upload without a file. One that has ended stays as it is, and the answer says how.
pub(crate) async fn abort(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    Path(id): Path<String>,
) -> Result<Json<UploadInfo>, HttpError> {
    let id = upload_id(&id)?;
    subject.is(&id.to_string());
    // A plain PUT belongs to the request that sends it, and is not ended by others.
    theirs(&app, &caller, id).await?;
    app.0.leader.abort_upload(id).await?;
    Ok(Json(known(&app, id).await?))
}

/// What is known of an upload, if the caller may store a file of its name. Of all others they learn
/// nothing, not even that there are any.
async fn theirs(app: &App, caller: &Caller, file: FileId) -> Result<UploadInfo, HttpError> {
    let folder = caller.scope(Role::Write)?;
    let info = known(app, file).await?;
    // One that ended without a file has no name, and nothing to tell.
    if info
        .name
        .as_deref()
        .is_none_or(|name| name.starts_with(folder))
    {
        return Ok(info);
    }
    Err(Error::UploadNotFound { file }.into())
}

async fn known(app: &App, file: FileId) -> Result<UploadInfo, HttpError> {
    let find = FindUpload {
        file,
        chunks_from: 0,
        most_chunks: 0,
    };
    // Looked at before the records: what is in neither was not stored.
    let storing = app.0.gateway.storing(file);
    Ok(match app.0.leader.find_upload(find).await? {
        FoundUpload::Open(session) => open_session(&session, storing),
        FoundUpload::Ended(record) => ended_session(file, record.end),
    })
}

fn upload_id(text: &str) -> Result<FileId, HttpError> {
    let unknown = |error| HttpError::new(Code::UploadNotFound, format!("upload: {error}"));
    text.parse().map_err(unknown)
}
