//! Status, members, bootstrap, and links.

use super::App;
use super::error::HttpError;
use super::name::parse_name;
use super::wire::json;
use crate::leader::command;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use mdfs_core::chunk::ChunkSize;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::access::LINK_MAX_SECONDS;
use mdfs_protocol::public::{
    Bootstrap, Bootstrapped, SignRequest, SignedLink, Status, WorkerOrder, Workers, file_path,
    play_path,
};

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
pub(crate) async fn drain(State(app): State<App>, body: Body) -> Result<StatusCode, HttpError> {
    let WorkerOrder { worker } = json(body).await?;
    ordered(&app, command::Order::Drain(worker)).await
}

/// Lets a drained worker take part again.
pub(crate) async fn undrain(State(app): State<App>, body: Body) -> Result<StatusCode, HttpError> {
    let WorkerOrder { worker } = json(body).await?;
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

/// Accepted: what was ordered goes on for a while.
async fn ordered(app: &App, order: command::Order) -> Result<StatusCode, HttpError> {
    app.0.leader.order(order).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Signs a link to one file. The file need not exist yet.
pub(crate) async fn sign(
    State(app): State<App>,
    body: Body,
) -> Result<Json<SignedLink>, HttpError> {
    let SignRequest {
        name,
        expires_in_seconds,
        download,
    } = json(body).await?;
    let name = parse_name(&name)?;
    if !(1..=LINK_MAX_SECONDS).contains(&expires_in_seconds) {
        let range = format!("expires_in_seconds must be 1 to {LINK_MAX_SECONDS}");
        return Err(HttpError::invalid(range));
    }
    let Some(key) = app.0.access.links.first() else {
        return Err(HttpError::invalid(
            "this master has no key to sign links with",
        ));
    };
    let expires = app.0.clock.wall().as_millis() / 1000 + expires_in_seconds;
    let (path, query) = if download {
        (file_path(name.as_str()), "download=1")
    } else {
        (play_path(name.as_str()), "")
    };
    let signed = key.sign(&path, query, expires);
    Ok(Json(SignedLink {
        path: format!("{path}?{signed}"),
        expires,
    }))
}
