//! One pass over a cluster: dereference, validate, build, apply, status; then the next step of what is
//! under way. Nothing depends on why a pass was started, and any pass may be the first one.

use super::build::master_template;
use super::change::{Decided, change, decide};
use super::context::{Context, Failure};
use super::deletion::Deleted;
use super::dereference::{Live, dereference, key};
use super::observed::Leader;
use super::removal::Step;
use super::status::{Deleting, Facts, status, unseen};
use super::validate::{self, Deletion, Fault, ValidatedCluster, validate};
use super::{birth, deletion, publish, secrets, steps};
use crate::crd::{Bootstrap, MdfsCluster, MdfsClusterStatus};
use crate::error::Error;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::controller::Action;
use mdfs_client::Client;
use std::time::Duration;

/// Looks at a cluster and does what is to be done next.
///
/// # Errors
/// The first step that failed; the status tells of it.
pub(crate) async fn reconcile(cluster: &MdfsCluster, ctx: &Context) -> Result<Action, Error> {
    let began = ctx.clock.now();
    let result = match tokio::time::timeout(PASS_MOST, pass(cluster, ctx)).await {
        Ok(result) => result,
        Err(_) => Err(Error::TooSlow(PASS_MOST)),
    };
    ctx.metrics.pass(
        result.as_ref().err().map(Error::code),
        ctx.clock.now().since(began),
    );
    let key = key_of(cluster);
    if result.is_ok() {
        ctx.remember(&key, |memory| memory.failures = 0);
    }
    match result? {
        Passed::Gone => {
            ctx.forget(&key);
            Ok(Action::await_change())
        }
        Passed::Moving => Ok(Action::requeue(MOVING.min(ctx.config.poll))),
        Passed::Settled => Ok(Action::requeue(ctx.config.poll)),
    }
}

/// How long a pass may take: an answer that does not come must not keep a cluster from ever being looked
/// at again. All that a pass does can be cut off anywhere.
const PASS_MOST: Duration = Duration::from_secs(60);

/// How soon a cluster is looked at again that is on its way somewhere.
const MOVING: Duration = Duration::from_secs(3);

/// When a pass that failed is tried again: later each time.
pub(crate) fn error_policy(key: &str, error: &Error, ctx: &Context) -> Action {
    tracing::warn!(
        cluster = key,
        error = error.text(),
        code = error.code(),
        "a pass failed"
    );
    let failures = ctx.remember(key, |memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    // The status has to be looked at as often as ever: what is shown must not grow old.
    let after = error.retry_after() * failures.min(2);
    Action::requeue(after.min(ctx.config.poll))
}

enum Passed {
    /// Everything is as wanted, as far as it can be.
    Settled,
    /// Something is on its way.
    Moving,
    /// The resource is no more.
    Gone,
}

fn key_of(cluster: &MdfsCluster) -> String {
    let meta = &cluster.metadata;
    key(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

async fn pass(seen: &MdfsCluster, ctx: &Context) -> Result<Passed, Error> {
    // As it is now: what was seen may be older than what this operator wrote itself.
    let Some(cluster) = &newest(ctx, seen).await? else {
        return Ok(Passed::Gone);
    };
    let deletion = validate::deletion(cluster);
    let deleting = match (cluster.metadata.deletion_timestamp.is_some(), deletion) {
        (false, _) => Deleting::No,
        (true, Deletion::Unconfirmed) => Deleting::Unconfirmed,
        (true, Deletion::Delete) => return delete(ctx, cluster).await,
        (true, Deletion::Retain) => {
            deletion::release(ctx, cluster).await?;
            return Ok(Passed::Gone);
        }
    };
    let valid = validate(cluster);
    let mut live = match dereference(ctx, cluster).await {
        Ok(live) => live,
        Err(error) => {
            let previous = cluster.status.clone().unwrap_or_default();
            let next = unseen(&previous, &error.text(), &now(ctx));
            publish::publish(ctx, cluster, &previous, &next, false).await?;
            return Err(error);
        }
    };
    // Whatever fails from here on, what can be seen is shown.
    let mut failed = None;
    if deleting == Deleting::No {
        let held = deletion::hold_or_release(ctx, cluster, deletion).await;
        failed = held.err();
    }
    let paused = validate::is_paused(cluster);
    let recorded = cluster.status.as_ref();
    let mut bootstrap = recorded.and_then(|status| status.bootstrap.clone());
    if let (Ok(valid), false, Deleting::No) = (&valid, paused, deleting) {
        let made = secrets::ensure(ctx, cluster, valid, bootstrap.as_ref(), &mut live).await;
        failed = failed.or(made.err());
    }
    let client = masters(ctx, cluster, &live).unwrap_or_else(|error| {
        failed.get_or_insert(error);
        None
    });
    if let (Some(client), Some(_)) = (&client, &live.observed.masters) {
        let key = key_of(cluster);
        live.observed.leader = ctx.masters.ask(&key, client, || ctx.now_millis()).await;
    }
    if bootstrap.is_none() {
        bootstrap = birth::completed(&live, &now(ctx));
    }
    let decided = valid
        .as_ref()
        .ok()
        .map(|valid| decide(cluster, valid, &live));
    // A cluster whose base is not as it should be is left as it is, and so is one that is to go.
    let still = paused || failed.is_some() || deleting != Deleting::No;
    let born = bootstrap.is_some();
    let changed = change(
        ctx,
        cluster,
        &valid,
        still,
        born,
        decided.as_ref(),
        &mut live,
    );
    let unapplied = changed.await.unwrap_or_else(|error| {
        failed.get_or_insert(error);
        None
    });
    if let (Some(client), Ok(valid), false, false) = (&client, &valid, born, still) {
        let begun = birth::begin(valid, client, &live).await;
        failed = failed.or(begun.err());
    }
    let told = failed.as_ref().map(Error::text);
    let remembered = ctx.remember(&key_of(cluster), |memory| memory.clone());
    let (passing, lasting) = match remembered.steps {
        Some(failure) if failure.passes => (Some(failure.why), None),
        failure => (None, failure.map(|it| it.why)),
    };
    let told = told.or(lasting);
    let shown = show(
        ctx,
        cluster,
        &valid,
        &live,
        decided.as_ref(),
        deleting,
        bootstrap.as_ref(),
        Undone {
            unapplied,
            refused_policy: remembered.policy,
            failed: told,
            passing,
        },
    );
    let shown = shown.await?;
    let mut steps = None;
    if let (Some(client), Ok(valid), Some(decided), false) = (&client, &valid, &decided, still) {
        let done = steps::carry_out(
            ctx,
            cluster,
            valid,
            client,
            &decided.plan,
            &decided.growth,
            &live,
        );
        let done = done.await;
        // What failed is told by the next pass, which knows whether it still matters.
        let before = ctx.remember(&key_of(cluster), |memory| memory.steps.take());
        steps = Failure::after(before.as_ref(), done.as_ref().err());
        failed = failed.or(done.err());
    }
    ctx.remember(&key_of(cluster), |memory| memory.steps = steps);
    match failed {
        Some(error) => Err(error),
        None if is_moving(&shown) => Ok(Passed::Moving),
        None => Ok(Passed::Settled),
    }
}

/// Deletes everything, and shows that; what was seen before says nothing any more.
async fn delete(ctx: &Context, cluster: &MdfsCluster) -> Result<Passed, Error> {
    let deleted = deletion::delete_data(ctx, cluster).await;
    let waits = match &deleted {
        Ok(Deleted::All) => return Ok(Passed::Gone),
        Ok(Deleted::WaitsFor(pods)) => format!("volumes go once these pods have: {pods}"),
        Err(error) => error.text(),
    };
    let live = Live::default();
    let recorded = cluster.status.as_ref();
    let bootstrap = recorded.and_then(|status| status.bootstrap.as_ref());
    let valid = validate(cluster);
    let running = Deleting::Running;
    let shown = show(
        ctx,
        cluster,
        &valid,
        &live,
        None,
        running,
        bootstrap,
        Undone {
            failed: Some(waits),
            ..Undone::default()
        },
    );
    shown.await?;
    deleted.map(|_| Passed::Moving)
}

/// Whether a change is under way, or somebody is missing who may come back any moment.
fn is_moving(status: &MdfsClusterStatus) -> bool {
    let is = |kind: &str, truth: &str| {
        let found = status.conditions.iter().find(|it| it.type_ == kind);
        found.is_some_and(|it| it.status == truth)
    };
    is("Progressing", "True") || !is("Ready", "True")
}

/// The resource as it is now; none if it is gone, or another has its name.
async fn newest(ctx: &Context, seen: &MdfsCluster) -> Result<Option<MdfsCluster>, Error> {
    let namespace = seen.metadata.namespace.as_deref().unwrap_or_default();
    let name = seen.metadata.name.as_deref().unwrap_or_default();
    let api: Api<MdfsCluster> = Api::namespaced(ctx.client.clone(), namespace);
    let found = api.get_opt(name).await;
    let found = found.map_err(Error::api("read", format!("MdfsCluster {name}")))?;
    Ok(found.filter(|found| found.metadata.uid == seen.metadata.uid))
}

/// A client for the masters, once there is a token.
fn masters(ctx: &Context, cluster: &MdfsCluster, live: &Live) -> Result<Option<Client>, Error> {
    let Some(token) = &live.token else {
        return Ok(None);
    };
    let url = url(ctx, cluster);
    ctx.masters.client(&key_of(cluster), &url, token).map(Some)
}

pub(crate) fn url(ctx: &Context, cluster: &MdfsCluster) -> String {
    let meta = &cluster.metadata;
    ctx.config.masters.url(
        meta.name.as_deref().unwrap_or_default(),
        meta.namespace.as_deref().unwrap_or_default(),
    )
}

/// What a pass leaves to the next one, in sentences.
#[derive(Default)]
struct Undone {
    unapplied: Option<String>,
    refused_policy: Option<String>,
    failed: Option<String>,
    passing: Option<String>,
}

#[expect(
    clippy::too_many_arguments,
    reason = "a status is made of everything that a pass knows"
)]
async fn show(
    ctx: &Context,
    cluster: &MdfsCluster,
    valid: &Result<ValidatedCluster, Vec<Fault>>,
    live: &Live,
    decided: Option<&Decided>,
    deleting: Deleting,
    bootstrap: Option<&Bootstrap>,
    undone: Undone,
) -> Result<MdfsClusterStatus, Error> {
    let previous = cluster.status.clone().unwrap_or_default();
    let now = now(ctx);
    let master_template = valid.as_ref().map(master_template).unwrap_or_default();
    let next = status(
        &previous,
        &Facts {
            name: cluster.metadata.name.as_deref().unwrap_or_default(),
            namespace: cluster.metadata.namespace.as_deref().unwrap_or_default(),
            generation: cluster.metadata.generation,
            wanted_workers: u32::try_from(cluster.spec.workers.replicas).unwrap_or(0),
            valid: valid.as_ref().map_err(Vec::as_slice),
            observed: &live.observed,
            plan: decided.map(|it| &it.plan),
            growth: decided.map(|it| &it.growth),
            paused: validate::is_paused(cluster),
            deleting,
            bootstrap,
            master_template: &master_template,
            unapplied: undone.unapplied.as_deref(),
            refused_policy: undone.refused_policy.as_deref(),
            failed: undone.failed.as_deref(),
            passing: undone.passing.as_deref(),
            now: &now,
        },
    );
    // A restart has to be known before it happens: whoever comes after must not begin another.
    let restarts = decided.is_some_and(|decided| {
        decided
            .plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::Restart { .. }))
    });
    publish::publish(ctx, cluster, &previous, &next, restarts).await?;
    Ok(next)
}

fn now(ctx: &Context) -> Time {
    let millis = i64::try_from(ctx.clock.wall().as_millis()).unwrap_or(i64::MAX);
    let now = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    // Kubernetes stores whole seconds.
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Whether somebody leads and has records: the cluster was started.
pub(crate) fn is_born(leader: &Leader) -> bool {
    leader
        .report()
        .is_some_and(|report| !report.workers.is_empty())
}
