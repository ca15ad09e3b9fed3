//! The routes by which people ask one worker for a file by name.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::http::extract::{Open, Params};
use crate::local;
use crate::worker::Worker;
use axum::Json;
use axum::extract::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::local::{LocalFile, LookUp};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(crate) struct Asked {
    name: String,
    checksum: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// `GET`: the checksums of a file's chunks on this disk, as they were written.
pub(crate) async fn checksum(
    state: State<Worker>,
    open: Open,
    uri: Uri,
    headers: HeaderMap,
    params: Params<Asked>,
) -> Result<Json<LocalFile>, HttpError> {
    answer(state, open, uri, headers, params, false).await
}

/// `GET`: the same after reading every block of them; compares with a checksum that is given.
pub(crate) async fn verify(
    state: State<Worker>,
    open: Open,
    uri: Uri,
    headers: HeaderMap,
    params: Params<Asked>,
) -> Result<Json<LocalFile>, HttpError> {
    answer(state, open, uri, headers, params, true).await
}

async fn answer(
    State(worker): State<Worker>,
    Open(node): Open,
    uri: Uri,
    headers: HeaderMap,
    Params(asked): Params<Asked>,
    verify: bool,
) -> Result<Json<LocalFile>, HttpError> {
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str());
    let authorization = authorization.transpose().map_err(|_| Error::Unauthorized)?;
    let question = LookUp {
        name: asked.name,
        query: uri.query().unwrap_or_default().to_owned(),
        authorization: authorization.map(ToOwned::to_owned),
    };
    // First of all: whoever may not ask learns nothing of what is wrong with the question.
    let file = local::look_up(&node, &worker.masters().urls(), &question).await?;
    if let Some((key, _)) = asked.others.first_key_value() {
        let why = format!("unknown parameter {key:?}");
        return Err(Error::Invalid { what: "query", why }.into());
    }
    let checksum = asked.checksum.filter(|_| verify);
    let checksum = checksum.map(|text| text.parse::<Crc32>()).transpose();
    let checksum = checksum.map_err(|why| Error::Invalid {
        what: "checksum",
        why: why.to_string(),
    })?;
    Ok(Json(local::describe(&node, file, verify, checksum).await?))
}
