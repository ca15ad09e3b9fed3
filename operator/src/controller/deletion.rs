//! The end of a resource. What it owns goes by owner references, without anybody's help; volumes and
//! Secrets stay, unless their deletion was asked for and confirmed. Only then is there a finalizer.

use super::context::Context;
use super::publish::{event, tell};
use super::validate::Deletion;
use crate::crd::{Guarded, MdfsCluster};
use crate::error::Error;
use crate::names::{self, FINALIZER, MANAGER};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde_json::json;

/// Sees to it that the resource waits for the operator if its data is to go with it, and for nobody
/// otherwise.
///
/// # Errors
/// If that cannot be written.
pub(crate) async fn hold_or_release(
    ctx: &Context,
    cluster: &MdfsCluster,
    deletion: Deletion,
) -> Result<(), Error> {
    let held = cluster.finalizers().iter().any(|it| it == FINALIZER);
    match deletion {
        Deletion::Retain if held => release(ctx, cluster).await,
        Deletion::Unconfirmed | Deletion::Delete if !held => {
            let mut finalizers = cluster.finalizers().to_vec();
            finalizers.push(FINALIZER.to_owned());
            set_finalizers(ctx, &cluster.metadata, &finalizers).await
        }
        Deletion::Retain | Deletion::Unconfirmed | Deletion::Delete => Ok(()),
    }
}

/// Lets the resource go.
///
/// # Errors
/// If that cannot be written.
pub(crate) async fn release(ctx: &Context, cluster: &MdfsCluster) -> Result<(), Error> {
    if !cluster.finalizers().iter().any(|it| it == FINALIZER) {
        return Ok(());
    }
    let others = cluster.finalizers().iter().filter(|it| *it != FINALIZER);
    let others: Vec<String> = others.cloned().collect();
    set_finalizers(ctx, &cluster.metadata, &others).await
}

/// Lets a resource go that cannot be understood and is to be deleted. What was meant to become of its data
/// is not known, so that stays.
///
/// # Errors
/// If that cannot be written.
pub(crate) async fn let_go(ctx: &Context, cluster: &Guarded) -> Result<(), Error> {
    let is_held = cluster.finalizers().iter().any(|it| it == FINALIZER);
    if cluster.meta().deletion_timestamp.is_none() || !is_held {
        return Ok(());
    }
    let others = cluster.finalizers().iter().filter(|it| *it != FINALIZER);
    let others: Vec<String> = others.cloned().collect();
    set_finalizers(ctx, cluster.meta(), &others).await
}

async fn set_finalizers(
    ctx: &Context,
    cluster: &ObjectMeta,
    finalizers: &[String],
) -> Result<(), Error> {
    let name = cluster.name.clone().unwrap_or_default();
    let namespace = cluster.namespace.clone().unwrap_or_default();
    // Also of a resource that cannot be understood.
    let api: Api<Guarded> = Api::namespaced(ctx.client.clone(), &namespace);
    // With the version, so that what somebody else wrote meanwhile is not lost.
    let change = json!({
        "metadata": { "finalizers": finalizers, "resourceVersion": cluster.resource_version },
    });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api.patch(&name, &params, &Patch::Merge(&change)).await {
        Ok(_) => {
            ctx.metrics.write();
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api("hold or release", name)(error)),
    }
}

/// How far a deletion is.
pub(crate) enum Deleted {
    /// Everything is gone, and the resource was let go.
    All,
    /// These pods are still there, by name.
    WaitsFor(String),
}

/// Deletes all of a cluster, pods first, so that nobody writes to what is going.
///
/// # Errors
/// If something cannot be deleted.
pub(crate) async fn delete_data(ctx: &Context, cluster: &MdfsCluster) -> Result<Deleted, Error> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    if !cluster.finalizers().iter().any(|it| it == FINALIZER) {
        return Ok(Deleted::All);
    }
    let selected = ListParams::default().labels(&names::query(&names::cluster_selector(&name)));
    delete_all::<StatefulSet>(ctx, &namespace, &selected, "StatefulSets").await?;
    delete_all::<Deployment>(ctx, &namespace, &selected, "Deployments").await?;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
    let left = pods
        .list(&selected)
        .await
        .map_err(Error::api("list", "pods"))?
        .items;
    if !left.is_empty() {
        let names: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
        let pods = names.join(", ");
        tracing::info!(cluster = name, pods, "waiting for pods before volumes go");
        return Ok(Deleted::WaitsFor(pods));
    }
    let claims = delete_all::<PersistentVolumeClaim>(ctx, &namespace, &selected, "claims").await?;
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    for secret in [
        names::identity_secret(&name),
        names::access_secret(&name),
        names::metrics_secret(&name),
    ] {
        match secrets.delete(&secret, &DeleteParams::default()).await {
            Ok(_) => ctx.metrics.write(),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(Error::api("delete", format!("Secret {secret}"))(error)),
        }
    }
    let note = format!("{claims} volumes and all Secrets were deleted, as it was confirmed");
    tell(ctx, cluster, event(true, "DataDeleted", "Delete", note)).await;
    release(ctx, cluster).await?;
    Ok(Deleted::All)
}

/// Deletes all objects of a kind that are selected, and returns how many there were.
async fn delete_all<K>(
    ctx: &Context,
    namespace: &str,
    selected: &ListParams,
    what: &'static str,
) -> Result<usize, Error>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(ctx.client.clone(), namespace);
    let found = api
        .list(selected)
        .await
        .map_err(Error::api("list", what))?
        .items;
    for object in &found {
        if object.meta().deletion_timestamp.is_some() {
            continue;
        }
        match api
            .delete(&object.name_any(), &DeleteParams::background())
            .await
        {
            Ok(_) => ctx.metrics.write(),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(Error::api("delete", object.name_any())(error)),
        }
    }
    Ok(found.len())
}
