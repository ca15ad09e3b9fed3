//! Status, members, bootstrap, and orders.

use super::App;
use super::audit::Subject;
use super::error::HttpError;
use super::wire::json;
use crate::leader::command;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use mdfs_core::chunk::ChunkSize;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::public::{Bootstrap, Bootstrapped, Scrubs, Status, WorkerOrder, Workers};

/// The state of the cluster.
pub(crate) async fn status(State(app): State<App>) -> Result<Json<Status>, HttpError> {
    Ok(Json(app.0.leader.status().await?))
}

/// The members of the cluster.
pub(crate) async fn workers(State(app): State<App>) -> Result<Json<Workers>, HttpError> {
    Ok(Json(app.0.leader.workers().await?))
}

/// Starts the cluster.
pub(crate) async fn bootstrap(
    State(app): State<App>,
    body: Body,
) -> Result<Json<Bootstrapped>, HttpError> {
    let Bootstrap {
        disks,
        replicas,
        chunk_size,
    } = json(body).await?;
    let invalid = |what: String| HttpError::invalid(what);
    let replicas = replicas
        .map(|copies| ReplicationFactor::new(copies).map_err(|error| invalid(error.to_string())))
        .transpose()?
        .unwrap_or_default();
    let chunk_size = chunk_size
        .map(|bytes| ChunkSize::new(bytes).map_err(|error| invalid(error.to_string())))
        .transpose()?
        .unwrap_or_default();
    let started = app
        .0
        .leader
        .bootstrap(command::Bootstrap {
            disks,
            replicas,
            chunk_size,
        })
        .await?;
    Ok(Json(Bootstrapped {
        cluster_id: started.cluster,
    }))
}

/// Moves everything off a worker.
pub(crate) async fn drain(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let WorkerOrder { worker } = json(body).await?;
    subject.is(&worker);
    ordered(&app, command::Order::Drain(worker)).await
}

/// Lets a drained worker take part again.
pub(crate) async fn undrain(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let WorkerOrder { worker } = json(body).await?;
    subject.is(&worker);
    ordered(&app, command::Order::Undrain(worker)).await
}

/// Evens out the bytes on the workers.
pub(crate) async fn rebalance(State(app): State<App>) -> Result<StatusCode, HttpError> {
    ordered(&app, command::Order::Rebalance).await
}

/// Repairs without the usual delay.
pub(crate) async fn repair(State(app): State<App>) -> Result<StatusCode, HttpError> {
    ordered(&app, command::Order::Repair).await
}

/// Has every worker read all it holds.
pub(crate) async fn begin_scrub(State(app): State<App>) -> Result<Json<Scrubs>, HttpError> {
    let workers = app.0.leader.workers().await?;
    Ok(Json(app.0.gateway.scrub(workers, true).await))
}

/// How far the workers are with that.
pub(crate) async fn scrub(State(app): State<App>) -> Result<Json<Scrubs>, HttpError> {
    let workers = app.0.leader.workers().await?;
    Ok(Json(app.0.gateway.scrub(workers, false).await))
}

/// Accepted: what was ordered goes on for a while.
async fn ordered(app: &App, order: command::Order) -> Result<StatusCode, HttpError> {
    app.0.leader.order(order).await?;
    Ok(StatusCode::ACCEPTED)
}
