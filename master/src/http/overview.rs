//! The first page: everything that it needs in one answer, and its figures over time.

use super::App;
use super::caller::Caller;
use super::error::HttpError;
use super::query::Query;
use crate::board::watch::at_risk;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use mdfs_core::access::Role;
use mdfs_protocol::public::{HISTORY_MINUTES, Health, Overview, Status, Workers, WorkersCount};

/// Lines of a kind that are told at most: the answer stays below 20 kB.
const MOST_LINES: usize = 16;
/// Files that are named at most.
const MOST_NAMES: usize = 10;

/// Answers the overview; also when nobody leads, and says so.
pub(crate) async fn overview(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Overview>, HttpError> {
    Query::parse(uri.query().unwrap_or_default())?.only(&[])?;
    let status = app.0.leader.status().await?;
    if caller.has(Role::Admin).is_err() {
        return Ok(Json(Overview {
            cluster_id: status.cluster_id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..nothing()
        }));
    }
    let is_known = status.health != Health::Unknown && status.term.is_some();
    // What no leader knows is null, and not what somebody knew once.
    let workers = match is_known {
        true => app.0.leader.workers().await.ok(),
        false => None,
    };
    let rates = match is_known {
        true => app.0.leader.rates().await,
        false => None,
    };
    let shown = shown(status, workers);
    Ok(Json(Overview { rates, ..shown }))
}

fn shown(status: Status, workers: Option<Workers>) -> Overview {
    let at_risk = at_risk(&status);
    let led = status.term.is_some();
    let counted = led && status.counted_millis_ago.is_some();
    let sum = |of: fn(&mdfs_protocol::public::WorkerInfo) -> u64| {
        let workers = workers.as_ref()?.workers.iter();
        Some(workers.map(of).fold(0, u64::saturating_add))
    };
    Overview {
        cluster_id: status.cluster_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        health: Some(status.health),
        files: led.then_some(status.files),
        bytes: led.then_some(status.bytes),
        trashed_files: led.then_some(status.trashed_files),
        open_uploads: led.then_some(status.upload_sessions),
        under_replicated: counted.then_some(status.under_replicated_files),
        at_risk: counted.then_some(at_risk),
        missing: counted.then_some(status.missing_files),
        damaged_chunks: counted.then_some(status.damaged_chunks),
        counted_millis_ago: status.counted_millis_ago,
        workers: led.then_some(WorkersCount {
            live: status.live_workers,
            total: status.workers,
        }),
        capacity_bytes: sum(|worker| worker.capacity_bytes),
        free_bytes: sum(|worker| worker.free_bytes),
        replicas: led.then_some(status.replicas),
        voters: led.then_some(WorkersCount {
            live: status.leased_voters,
            total: status.voters,
        }),
        reasons: status.reasons.into_iter().take(MOST_LINES).collect(),
        worst: status.at_risk.into_iter().take(MOST_NAMES).collect(),
        masters: status.masters.into_iter().take(MOST_LINES).collect(),
        tasks: status.tasks.into_iter().take(MOST_LINES).collect(),
        repair_paused: status.repair_paused,
        rates: None,
    }
}

/// What nobody is told.
fn nothing() -> Overview {
    Overview {
        cluster_id: None,
        version: String::new(),
        health: None,
        reasons: Vec::new(),
        files: None,
        bytes: None,
        trashed_files: None,
        open_uploads: None,
        under_replicated: None,
        at_risk: None,
        missing: None,
        damaged_chunks: None,
        counted_millis_ago: None,
        worst: Vec::new(),
        workers: None,
        capacity_bytes: None,
        free_bytes: None,
        replicas: None,
        voters: None,
        masters: Vec::new(),
        tasks: Vec::new(),
        repair_paused: false,
        rates: None,
    }
}

/// Answers the figures of the last so many minutes.
pub(crate) async fn history(State(app): State<App>, uri: Uri) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["minutes"])?;
    let minutes = query.value::<u64>("minutes")?.unwrap_or(HISTORY_MINUTES);
    if !(1..=HISTORY_MINUTES).contains(&minutes) {
        let range = format!("minutes must be 1 to {HISTORY_MINUTES}");
        return Err(HttpError::invalid(range));
    }
    let json = app.0.leader.history(minutes).await?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, json).into_response())
}
