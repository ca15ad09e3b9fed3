//! What is done with a file by `POST`: the query says what.

use super::App;
use super::caller::{Caller, PathName};
use super::error::HttpError;
use super::query::Query;
use super::trash;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri};

/// `?undelete` brings a file back from the trash, `?verify` has all its copies read. What there is
/// to do, and the role it needs, is in [`ACTS`].
///
/// [`ACTS`]: super::rule::ACTS
pub(crate) async fn act(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["undelete", "verify"])?;
    match (query.flag("undelete")?, query.flag("verify")?) {
        (true, false) => Ok(trash::undelete(&app, name, &headers).await?.into_response()),
        (false, true) => {
            let view = app.0.leader.look_up(name).await?;
            let verified = app.0.gateway.verify(&view, caller.holder()).await?;
            Ok(Json(verified).into_response())
        }
        (false, false) | (true, true) => Err(HttpError::invalid(
            "the query must say one thing to do with the file: ?undelete or ?verify",
        )),
    }
}
