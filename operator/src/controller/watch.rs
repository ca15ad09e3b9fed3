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
use futures_util::future::{join_all, ready};
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
    let memory = Arc::clone(&ctx);
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
        .for_each(|passed| {
            after(&memory, passed);
            ready(())
        })
        .await;
}

/// What came of a pass, or of one that could not be.
type Passed = Result<(ObjectRef<Guarded>, Action), controller::Error<Error, watcher::Error>>;

/// Does what is left to do after a pass.
fn after(ctx: &Context, passed: Passed) {
    match passed {
        // Failed passes were told of where they failed.
        Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
        // One without a finalizer is gone at once, and no pass sees that: the pass that was due is all
        // that comes.
        Err(controller::Error::ObjectNotFound(gone)) => {
            let namespace = gone.namespace.as_deref().unwrap_or_default();
            ctx.forget(&key(namespace, &gone.name));
        }
        Err(error) => tracing::warn!(error = chain(&error), "the watch failed and goes on"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::DataHealth;
    use crate::metrics::{Metrics, Seen};
    use mdfs_service::Clock;

    #[tokio::test]
    async fn a_cluster_that_is_gone_is_counted_no_more() {
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(nobody).unwrap();
        let metrics = Metrics::new(&Clock::manual()).unwrap();
        let config = crate::Config::new("operator-0".to_owned());
        let ctx = Context::new(client, config, Clock::manual(), metrics);
        for (namespace, masters) in [("media", "http://a"), ("other", "http://b")] {
            let of = key(namespace, "films");
            ctx.masters.client(&of, masters, "token").unwrap();
            ctx.remember(&of, |memory| {
                memory.seen = Some(Seen {
                    ready: "False".to_owned(),
                    data: DataHealth::Unavailable,
                });
            });
        }
        assert!(ctx.masters.knows("media/films"));
        let gone = ObjectRef::<Guarded>::new("films").within("media");
        let gone = Box::new(gone.erase());
        after(&ctx, Err(controller::Error::ObjectNotFound(gone)));
        assert_eq!(ctx.seen().len(), 1);
        assert!(!ctx.masters.knows("media/films") && ctx.masters.knows("other/films"));
        // A pass over one that is there forgets nothing.
        let there = ObjectRef::<Guarded>::new("films").within("other");
        after(&ctx, Ok((there, Action::await_change())));
        assert_eq!(ctx.seen().len(), 1);
    }
}
