//! Names: list, rename, delete.

use super::App;
use super::audit::Subject;
use super::browsing;
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::error::HttpError;
use super::name::parse_name;
use super::query::Query;
use super::wire::{file_info, json, listing};
use crate::leader::command;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode, Uri};
use mdfs_core::access::Role;
use mdfs_core::id::RequestId;
use mdfs_core::name::{FileName, check_prefix};
use mdfs_protocol::public::{FileInfo, Listing, REQUEST_HEADER, Rename};

/// The most files and folders on one page.
const PAGE_MAX: usize = 1000;

/// One page of names, all of which the caller may see.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Listing>, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let known = [
        "prefix",
        "delimiter",
        "after",
        "limit",
        "search",
        "sort",
        "copies",
    ];
    let query = query.only(&known)?;
    let prefix = checked(&query, "prefix")?.unwrap_or_default().to_owned();
    caller.may_all(Role::Read, &prefix)?;
    let delimiter = query.text("delimiter").filter(|text| !text.is_empty());
    let delimiter = delimiter
        .map(|text| {
            text.parse()
                .map_err(|_| HttpError::invalid("delimiter: not a single character"))
        })
        .transpose()?;
    let limit = limit(&query)?;
    let people = ["search", "sort", "copies"];
    if people.iter().any(|key| query.text(key).is_some()) {
        let browse = browsing::browse(&query, prefix, delimiter, limit)?;
        let has_copies = query.flag("copies")?;
        let order = browse.order;
        let page = app.0.leader.browse(browse).await?;
        return Ok(Json(browsing::listing(page, order, has_copies)));
    }
    let after = checked(&query, "after")?.map(str::to_owned);
    let page = app
        .0
        .leader
        .list(command::List {
            prefix,
            delimiter,
            after,
            limit,
        })
        .await?;
    Ok(Json(listing(page)))
}

/// How many files and folders a page may have.
///
/// # Errors
/// If it is none, or more than a page has.
pub(crate) fn limit(query: &Query) -> Result<usize, HttpError> {
    let limit = query.value::<usize>("limit")?.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(HttpError::invalid(format!("limit must be 1 to {PAGE_MAX}")));
    }
    Ok(limit)
}

pub(super) fn checked<'a>(query: &'a Query, key: &str) -> Result<Option<&'a str>, HttpError> {
    let text = query.text(key);
    text.map(check_prefix)
        .transpose()
        .map_err(|error| HttpError::invalid(format!("{key}: {error}")))?;
    Ok(text)
}

/// Moves a file to another name.
pub(crate) async fn rename(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileInfo>, HttpError> {
    let request = request_id(&headers)?;
    let Rename {
        from,
        to,
        overwrite,
    } = json(body).await?;
    let (from, to) = (parse_name(&from)?, parse_name(&to)?);
    subject.is_pair(from.as_str(), to.as_str());
    // The file is read under its new name and gone under its old one.
    caller.may(Role::Read, &from)?;
    caller.may(Role::Delete, &from)?;
    caller.may(Role::Write, &to)?;
    let info = app
        .0
        .leader
        .rename(command::Rename {
            request,
            from,
            to,
            overwrite,
        })
        .await?;
    Ok(Json(file_info(&info)))
}

/// Deletes a file; with `?purge`, for good.
pub(crate) async fn delete(
    State(app): State<App>,
    PathName(name): PathName,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["purge"])?;
    end(&app, name, query.flag("purge")?, &headers).await
}

/// Deletes a file, for good if it is to be purged.
pub(crate) async fn end(
    app: &App,
    name: FileName,
    purge: bool,
    headers: &HeaderMap,
) -> Result<StatusCode, HttpError> {
    let delete = command::Delete {
        request: request_id(headers)?,
        name,
        precondition: precondition(headers)?,
    };
    if purge {
        app.0.leader.purge(delete).await?;
    } else {
        app.0.leader.delete(delete).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The id that a client gave a change, if it did.
///
/// # Errors
/// If it is no id.
pub(crate) fn request_id(headers: &HeaderMap) -> Result<Option<RequestId>, HttpError> {
    let Some(value) = headers.get(REQUEST_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map(Some)
        .map_err(|error| HttpError::invalid(format!("{REQUEST_HEADER}: {error}")))
}
