//! What is done with a file by `POST`: the query says what.

use super::App;
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::error::HttpError;
use super::files::request_id;
use super::query::Query;
use super::rule::ACTS;
use super::storing::{checked_attributes, media_type};
use super::trash;
use super::wire::{JSON_MAX_BYTES, bytes_up_to, file_info, json};
use crate::leader::command::SetLabels;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri};
use mdfs_core::name::FileName;
use mdfs_core::records::plan::LabelChange;
use mdfs_protocol::public::SetAttributes;

/// `?undelete` brings a file back from the trash, `?verify` has all its copies read, `?attributes`
/// changes what is said of it. What there is to do, and the role it needs, is in [`ACTS`].
///
/// [`ACTS`]: super::rule::ACTS
pub(crate) async fn act(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let query = query.only(&ACTS.map(|(act, _)| act))?;
    let asked = [
        query.flag("undelete")?,
        query.flag("verify")?,
        query.flag("attributes")?,
    ];
    if asked == [false, false, true] {
        return set_attributes(&app, name, &headers, body).await;
    }
    if !bytes_up_to(body, JSON_MAX_BYTES).await?.is_empty() {
        return Err(HttpError::invalid("a body goes with ?attributes alone"));
    }
    match asked {
        [true, false, false] => Ok(trash::undelete(&app, name, &headers).await?.into_response()),
        [false, true, false] => {
            let view = app.0.leader.look_up(name).await?;
            let verified = app.0.gateway.verify(&view, caller.holder()).await?;
            Ok(Json(verified).into_response())
        }
        _ => Err(HttpError::invalid(
            "the query must say one thing to do with the file: ?undelete, ?verify or ?attributes",
        )),
    }
}

/// Changes what is said of a file.
async fn set_attributes(
    app: &App,
    name: FileName,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let (request, precondition) = (request_id(headers)?, precondition(headers)?);
    let SetAttributes {
        content_type,
        attributes,
    } = json(body).await?;
    let change = LabelChange {
        content_type: content_type.as_deref().map(media_type).transpose()?,
        attributes: attributes.map(checked_attributes).transpose()?,
    };
    let set = SetLabels {
        request,
        name,
        change,
        precondition,
    };
    let info = app.0.leader.set_labels(set).await?;
    Ok(Json(file_info(&info)).into_response())
}
