//! Recovery after a disaster: the order to do without lost voters, the search for what is left of files,
//! and the end of it.

mod known;
mod remains;
mod scan;

use super::App;
use super::error::HttpError;
use super::query::Query;
use super::transfer::{Records, pass_on, permit, records};
use super::wire::json;
use crate::leader::command::{self, Export};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{StatusCode, Uri};
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{Recover, Recovered, UNSEARCHED};
use mdfs_protocol::recovery;
use scan::Scan;
use tokio::sync::OwnedSemaphorePermit;

/// Goes on without voters that are lost, or says what would come of it.
pub(crate) async fn recover(
    State(app): State<App>,
    body: Body,
) -> Result<Json<Recovered>, HttpError> {
    let order: Recover = json(body).await?;
    if order.lost.is_empty() || order.lost.len() > Recover::MOST_LOST {
        let what = format!("lost must name 1 to {} disks", Recover::MOST_LOST);
        return Err(HttpError::invalid(what));
    }
    Ok(Json(app.0.leader.recover(order).await?))
}

/// Ends the recovery; with `?unsearched`, though nobody has looked for what is left of files.
pub(crate) async fn finish(State(app): State<App>, uri: Uri) -> Result<StatusCode, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&[UNSEARCHED])?;
    let order = match query.flag(UNSEARCHED)? {
        true => command::Order::FinishUnsearched,
        false => command::Order::FinishRecovery,
    };
    app.0.leader.order(order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks for what is left of files on all disks; files that are whole come back. Only the leader knows
/// which files there are: another master passes its answer on.
pub(crate) async fn scan(State(app): State<App>) -> Result<Response, HttpError> {
    let permit = permit(&app)?;
    match records(&app).await? {
        Records::Here(export) => scan_of(&app, *export, permit).await,
        Records::At(leader) => {
            // The leader counts those that it makes.
            drop(permit);
            let passed = pass_on(&app, &leader, recovery::PASSED).await?;
            Ok(answer(passed))
        }
    }
}

/// The same, of this master alone.
pub(crate) async fn scan_here(State(app): State<App>) -> Result<Response, HttpError> {
    let permit = permit(&app)?;
    let export = app.0.leader.export().await?;
    scan_of(&app, export, permit).await
}

async fn scan_of(
    app: &App,
    export: Export,
    permit: OwnedSemaphorePermit,
) -> Result<Response, HttpError> {
    if export.cluster.recovery.is_none() {
        let why = "no recovery is under way: what no record has is dropped as it should be";
        return Err(HttpError::new(Code::Conflict, why));
    }
    let workers = app.0.leader.workers().await?;
    let scan = Scan::new(app, export, workers, permit);
    let pieces = stream::try_unfold(scan, |mut scan| async move {
        let piece = scan.piece().await;
        let piece = piece.inspect_err(|error| {
            let why = error.to_string();
            tracing::warn!(why, "the search for what is left of files broke off");
        })?;
        Ok::<_, scan::ScanError>(piece.map(|piece| (piece, scan)))
    });
    Ok(answer(Body::from_stream(pieces)))
}

fn answer(body: Body) -> Response {
    let headers = AppendHeaders([
        (CONTENT_TYPE, recovery::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ]);
    (headers, body).into_response()
}
