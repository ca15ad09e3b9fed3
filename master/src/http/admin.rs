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
use mdfs_core::records::plan;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::public::{
    Announce, Bootstrap, Bootstrapped, ForgetVoter, Policy, PolicyChange, Retire, Scrubs, Status,
    Tasks, Voters, WorkerOrder, Workers,
};
use std::time::Duration;

/// The state of the cluster.
pub(crate) async fn status(State(app): State<App>) -> Result<Json<Status>, HttpError> {
    Ok(Json(app.0.leader.status().await?))
}

/// The members of the cluster.
pub(crate) async fn workers(State(app): State<App>) -> Result<Json<Workers>, HttpError> {
    Ok(Json(app.0.leader.workers().await?))
}

/// What goes on in the background: of the mover the leader knows, of scrubs each worker.
pub(crate) async fn tasks(State(app): State<App>) -> Result<Json<Tasks>, HttpError> {
    let mut tasks = app.0.leader.tasks().await?;
    let workers = app.0.leader.workers().await?;
    tasks.tasks.extend(app.0.gateway.scrub_tasks(workers).await);
    let more = tasks.tasks.len().saturating_sub(Tasks::MOST);
    tasks.tasks.truncate(Tasks::MOST);
    tasks.more += u64::try_from(more).unwrap_or(u64::MAX);
    Ok(Json(tasks))
}

/// The policy of the cluster.
pub(crate) async fn policy(State(app): State<App>) -> Result<Json<Policy>, HttpError> {
    Ok(Json(app.0.leader.policy().await?))
}

/// Changes the policy of the cluster.
pub(crate) async fn change_policy(
    State(app): State<App>,
    body: Body,
) -> Result<Json<Policy>, HttpError> {
    let change = change_of(json(body).await?)?;
    Ok(Json(app.0.leader.change_policy(change).await?))
}

/// A change of the policy, if its values are of those that can be.
pub(crate) fn change_of(change: PolicyChange) -> Result<plan::PolicyChange, HttpError> {
    let PolicyChange {
        replicas,
        chunk_size,
        repair_delay_seconds,
        trash_keep_seconds,
        lower_after_seconds,
        min_write_copies,
    } = change;
    let up_to = |what: &str, seconds: Option<u64>, days: u64| match seconds {
        Some(seconds) if seconds > days * 86_400 => Err(HttpError::invalid(format!(
            "{what} must be at most {days} days"
        ))),
        Some(_) | None => Ok(seconds),
    };
    Ok(plan::PolicyChange {
        replicas: parsed(replicas, ReplicationFactor::new)?,
        chunk_size: parsed(chunk_size, ChunkSize::new)?,
        repair_delay_seconds: up_to("repair_delay_seconds", repair_delay_seconds, 30)?,
        trash_keep_seconds: up_to("trash_keep_seconds", trash_keep_seconds, 3650)?,
        lower_after_seconds: up_to("lower_after_seconds", lower_after_seconds, 30)?,
        min_write_copies: match min_write_copies {
            Some(copies) if copies > ReplicationFactor::MAX.get() => {
                let most = ReplicationFactor::MAX.get();
                let what = format!("min_write_copies must be at most {most}");
                return Err(HttpError::invalid(what));
            }
            copies => copies,
        },
    })
}

/// What a value stands for, if there is one.
fn parsed<V, T, E: std::fmt::Display>(
    value: Option<V>,
    parse: impl Fn(V) -> Result<T, E>,
) -> Result<Option<T>, HttpError> {
    let invalid = |error: E| HttpError::invalid(error.to_string());
    value.map(|value| parse(value).map_err(invalid)).transpose()
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
    let replicas = parsed(replicas, ReplicationFactor::new)?.unwrap_or_default();
    let chunk_size = parsed(chunk_size, ChunkSize::new)?.unwrap_or_default();
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
    ordered_of(&app, &subject, body, command::Order::Drain).await
}

/// Lets a drained worker take part again.
pub(crate) async fn undrain(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    ordered_of(&app, &subject, body, command::Order::Undrain).await
}

/// Moves everything off a worker, then retires its disk.
pub(crate) async fn decommission(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    ordered_of(&app, &subject, body, command::Order::Decommission).await
}

/// Refuses a disk from now on.
pub(crate) async fn retire(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let Retire { worker, lost } = json(body).await?;
    subject.is(&worker);
    let order = command::Order::Retire { worker, lost };
    app.0.leader.order(order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has so many disks vote.
pub(crate) async fn voters(State(app): State<App>, body: Body) -> Result<StatusCode, HttpError> {
    let Voters { wanted } = json(body).await?;
    if !mdfs_core::voting::is_number(wanted) {
        return Err(HttpError::invalid("wanted must be 1, 2, 3 or 5".to_owned()));
    }
    ordered(&app, command::Order::Voters(wanted)).await
}

/// Gives up a voter of a pair.
pub(crate) async fn forget_voter(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let ForgetVoter { worker, lost } = json(body).await?;
    subject.is(&worker);
    if !lost {
        let why = "a voter is given up only if its disk is lost and runs nowhere: say so by lost";
        return Err(HttpError::invalid(why.to_owned()));
    }
    let order = command::Order::ForgetVoter { worker };
    app.0.leader.order(order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Announces that a worker is going to be silent.
pub(crate) async fn announce(
    State(app): State<App>,
    subject: Subject,
    body: Body,
) -> Result<StatusCode, HttpError> {
    let Announce { worker, seconds } = json(body).await?;
    subject.is(&worker);
    if seconds > Announce::MOST_SECONDS {
        let most = format!("seconds must be at most {}", Announce::MOST_SECONDS);
        return Err(HttpError::invalid(most));
    }
    let lasts = Duration::from_secs(seconds);
    app.0
        .leader
        .order(command::Order::Announce { worker, lasts })
        .await?;
    Ok(StatusCode::NO_CONTENT)
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

/// Orders something of the worker that the body names.
async fn ordered_of(
    app: &App,
    subject: &Subject,
    body: Body,
    order: fn(String) -> command::Order,
) -> Result<StatusCode, HttpError> {
    let WorkerOrder { worker } = json(body).await?;
    subject.is(&worker);
    ordered(app, order(worker)).await
}

/// Accepted: what was ordered goes on for a while.
async fn ordered(app: &App, order: command::Order) -> Result<StatusCode, HttpError> {
    app.0.leader.order(order).await?;
    Ok(StatusCode::ACCEPTED)
}
