//! The trash: list, undelete.

use super::App;
use super::caller::Caller;
use super::error::HttpError;
use super::files::{limit, request_id};
use super::query::Query;
use super::wire::{file_info, trashed_file};
use crate::leader::command;
use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse};
use http::{HeaderMap, Uri};
use mdfs_core::access::Role;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::Trashed;
use mdfs_core::time::LogTime;
use mdfs_protocol::public::{FileInfo, LOG_TIME_HEADER, Trash};

/// One page of the trash, as far as the caller may see it.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<impl IntoResponse, HttpError> {
    let prefix = caller.scope(Role::Read)?.to_owned();
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["after", "limit"])?;
    let after = query.text("after").map(place_of).transpose()?;
    let limit = limit(&query)?;
    let page = app
        .0
        .leader
        .list_trash(command::ListTrash {
            prefix,
            after,
            limit,
        })
        .await?;
    let log_time = page.log_time.as_millis().to_string();
    let trash = Trash {
        files: page.files.iter().map(trashed_file).collect(),
        next: page.next.map(text_of),
    };
    Ok((AppendHeaders([(LOG_TIME_HEADER, log_time)]), Json(trash)))
}

/// Brings a file back from the trash.
pub(crate) async fn undelete(
    app: &App,
    name: FileName,
    headers: &HeaderMap,
) -> Result<Json<FileInfo>, HttpError> {
    let request = request_id(headers)?;
    let undelete = command::Undelete { request, name };
    let info = app.0.leader.undelete(undelete).await?;
    Ok(Json(file_info(&info)))
}

/// A place in the trash, as clients pass it on from page to page.
fn text_of(place: Trashed) -> String {
    format!("{}-{}", place.deleted.as_millis(), place.file)
}

fn place_of(text: &str) -> Result<Trashed, HttpError> {
    let place = text.split_once('-').and_then(|(millis, file)| {
        Some(Trashed {
            deleted: LogTime::from_millis(millis.parse().ok()?),
            file: file.parse().ok()?,
        })
    });
    place.ok_or_else(|| HttpError::invalid("after: not the `next` of a page of the trash"))
}
