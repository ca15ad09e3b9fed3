//! The loop: what happens to a cluster and to what it owns starts a pass over it, and so does time.

use super::context::Context;
use super::deletion;
use super::dereference::key;
use super::publish::event;
use super::reconcile::{self, error_policy};
use crate::crd::Guarded;
use crate::error::Error;
use crate::names::{INSTANCE_LABEL, MANAGED_LABEL, MANAGER};
use futures_util::StreamExt;
use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Changes of one cluster that come within this time start one pass.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// How soon a resource that cannot be understood is looked at again.
const AGAIN: Duration = Duration::from_secs(60);

/// Runs until `stop` fires, then ends the passes under way.
///
/// # Cancel safety
/// Dropping the future drops the passes under way; whatever they did, others go on from there.
pub(crate) async fn run(ctx: Arc<Context>, stop: CancellationToken) {
    let namespaces = ctx.config.namespaces.clone();
    if namespaces.is_empty() {
        return run_in(ctx, None, stop).await;
    }
    let each = namespaces
        .into_iter()
        .map(|namespace| run_in(Arc::clone(&ctx), Some(namespace), stop.clone()));
    join_all(each).await;
}

async fn run_in(ctx: Arc<Context>, namespace: Option<String>, stop: CancellationToken) {
    let client = ctx.client.clone();
    let clusters: Api<Guarded> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let concurrency = u16::try_from(ctx.config.concurrency).unwrap_or(u16::MAX);
    let config = Config::default()
        .debounce(DEBOUNCE)
        .concurrency(concurrency);
    let ours = watcher::Config::default().labels(&format!("{MANAGED_LABEL}={MANAGER}"));
    let in_namespace = namespace.as_deref();
    Controller::new(clusters, watcher::Config::default())
        .with_config(config)
        .watches(
            api::<StatefulSet>(&client, in_namespace),
            ours.clone(),
            cluster_of,
        )
        .watches(
            api::<Deployment>(&client, in_namespace),
            ours.clone(),
            cluster_of,
        )
        .watches(
            api::<PersistentVolumeClaim>(&client, in_namespace),
            ours.clone(),
            cluster_of,
        )
        .watches(api::<Pod>(&client, in_namespace), ours, cluster_of)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(
            look_at,
            |cluster: Arc<Guarded>, error, ctx| error_policy(&key_of(cluster.meta()), error, &ctx),
            ctx,
        )
        .for_each(|passed| async move {
            match passed {
                // Failed passes were told of where they failed.
                // One that is gone has nothing left to be done.
                Ok(_)
                | Err(
                    controller::Error::ReconcilerFailed(..) | controller::Error::ObjectNotFound(_),
                ) => {}
                Err(error) => tracing::warn!(error = chain(&error), "the watch failed and goes on"),
            }
        })
        .await;
}

fn api<K>(client: &kube::Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

async fn look_at(cluster: Arc<Guarded>, ctx: Arc<Context>) -> Result<Action, Error> {
    match &cluster.0 {
        Ok(cluster) => reconcile::reconcile(cluster, &ctx).await,
        Err(invalid) => {
            let name = key_of(cluster.meta());
            tracing::warn!(
                cluster = name,
                error = invalid.error,
                "cannot understand a resource"
            );
            let note = format!("the operator cannot understand it: {}", invalid.error);
            let told = event(false, "SpecInvalid", "Read", note);
            if let Err(error) = ctx.recorder.publish(&told, &cluster.object_ref(&())).await {
                tracing::debug!(%error, "cannot publish an event");
            }
            deletion::let_go(&ctx, &cluster).await?;
            Ok(Action::requeue(AGAIN))
        }
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn key_of(meta: &ObjectMeta) -> String {
    key(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// The cluster that an object belongs to, by its label.
fn cluster_of<K: Resource<DynamicType = ()>>(object: K) -> Option<ObjectRef<Guarded>> {
    let name = object.labels().get(INSTANCE_LABEL)?.clone();
    let namespace = object.namespace()?;
    Some(ObjectRef::new(&name).within(&namespace))
}
