//! What a name stands for, for workers that were asked for a file by name.

use super::App;
use super::access::Presented;
use super::caller::Caller;
use super::error::HttpError;
use super::name::parse_name;
use super::rule::Rule;
use super::wire::json;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use mdfs_core::access::Role;
use mdfs_protocol::local::{LookUp, LookedUp};
use mdfs_protocol::problem::Code;

/// Says what a name stands for, if whoever asked the worker may read that file here. Rules are known
/// to masters alone.
pub(crate) async fn look_up(
    State(app): State<App>,
    worker: Caller,
    body: Body,
) -> Result<Json<LookedUp>, HttpError> {
    let LookUp {
        name,
        query,
        authorization,
    } = json(body).await?;
    let mut headers = HeaderMap::new();
    if let Some(text) = authorization {
        let value = HeaderValue::from_str(&text)
            .map_err(|_| HttpError::new(Code::Unauthorized, "the credential is no header"))?;
        headers.insert(AUTHORIZATION, value);
    }
    let presented = Presented {
        method: Method::GET.as_str(),
        raw_path: &name,
        raw_query: &query,
        headers: &headers,
        // Where they ask the worker from is not known: their failures count for it.
        address: worker.address(),
    };
    // No link leads to a worker.
    let caller = app.0.entrance.identify(Rule::Holder, &presented).await?;
    let name = parse_name(&name)?;
    caller.may(Role::Read, &name)?;
    let view = app.0.leader.look_up(name).await?;
    let record = view.info.record;
    Ok(Json(LookedUp {
        name: view.info.name.as_str().to_owned(),
        version: record.version,
        file_id: record.file,
        layout: record.layout,
        crc32: record.crc32,
    }))
}
