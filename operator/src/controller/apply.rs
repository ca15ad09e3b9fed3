//! Writes what is wanted, where it differs from what is there. A pass over a cluster that is as wanted
//! writes nothing.

use super::build::{Desired, Kind, Prepared};
use super::context::Context;
use super::dereference::{Live, resource};
use super::same::is_as_wanted;
use crate::crd::MdfsCluster;
use crate::error::Error;
use crate::names::{self, APPLIED_ANNOTATION, MANAGER};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// What came of an object.
enum Applied {
    /// It was as it is wanted.
    AsWanted,
    /// It is now.
    Written(Box<DynamicObject>),
    /// It is not yet: the next pass sees to it.
    Later,
}

/// Applies all, in order, and deletes what is not wanted any more. What was written is in `live` then.
/// Returns what is not as wanted yet, though nothing failed.
///
/// # Errors
/// The first that failed; those behind it were tried too.
pub(crate) async fn apply(
    ctx: &Context,
    cluster: &MdfsCluster,
    desired: &Desired,
    live: &mut Live,
) -> Result<Option<String>, Error> {
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let mut first = Ok(());
    let mut waits = None;
    for prepared in &desired.objects {
        let applied = apply_one(ctx, cluster, prepared, live).await;
        // One that is refused must not hold up the others.
        first = first.and(match applied {
            Ok(Applied::AsWanted) => Ok(()),
            Ok(Applied::Written(object)) => live.take(name, prepared.kind, *object),
            Ok(Applied::Later) => {
                waits.get_or_insert_with(|| prepared.subject());
                Ok(())
            }
            Err(error) => Err(error),
        });
    }
    first?;
    prune(ctx, cluster, desired, live).await?;
    Ok(waits)
}

/// The first object that is not as it is wanted. Budgets follow the data, and not what users want.
pub(crate) fn differing(desired: &Desired, live: &Live) -> Option<String> {
    let differs = |prepared: &&Prepared| {
        let there = live.object(prepared.kind, &prepared.name);
        let same = there.is_some_and(|it| is_as_wanted(&prepared.object, it, APPLIED_ANNOTATION));
        prepared.kind != Kind::PodDisruptionBudget && !same
    };
    desired.objects.iter().find(differs).map(Prepared::subject)
}

async fn apply_one(
    ctx: &Context,
    cluster: &MdfsCluster,
    prepared: &Prepared,
    live: &Live,
) -> Result<Applied, Error> {
    let Prepared { kind, name, object } = prepared;
    let api = api(ctx, cluster, *kind);
    let subject = || prepared.subject();
    let listed = live.object(*kind, name);
    let unlisted = match listed {
        Some(_) => None,
        // Somebody else's object of this name is not taken over.
        None => api
            .get_opt(name)
            .await
            .map_err(Error::api("read", subject()))?,
    };
    if let Some(there) = listed.or(unlisted.as_ref()) {
        check_owner(cluster, there, &subject())?;
        if there.metadata.deletion_timestamp.is_some() {
            // It is made anew in the pass that its end starts.
            return Ok(Applied::Later);
        }
        if is_as_wanted(object, there, APPLIED_ANNOTATION) {
            return Ok(Applied::AsWanted);
        }
    }
    tracing::info!(kind = kind.as_str(), name, "applying");
    let mut object = object.clone();
    if let (Kind::StatefulSet, Some(there)) = (kind, listed.or(unlisted.as_ref())) {
        as_seen(&mut object, there);
    }
    let params = PatchParams::apply(MANAGER).force();
    match api.patch(name, &params, &Patch::Apply(&object)).await {
        Ok(written) => {
            ctx.metrics.write();
            Ok(Applied::Written(Box::new(written)))
        }
        // It is not what was decided on: the next pass looks anew.
        Err(kube::Error::Api(status)) if status.code == 409 && *kind == Kind::StatefulSet => {
            tracing::info!(kind = kind.as_str(), name, "it changed meanwhile");
            Ok(Applied::Later)
        }
        Err(error) => Err(Error::api("apply", subject())(error)),
    }
}

/// Ties a change to the very state that it was decided on, so that a late one takes no worker away.
fn as_seen(object: &mut Value, there: &DynamicObject) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), json!(there.metadata.uid));
        let version = json!(there.metadata.resource_version);
        metadata.insert("resourceVersion".to_owned(), version);
    }
}

/// Whether an object belongs to this very resource.
fn is_owned(cluster: &MdfsCluster, there: &DynamicObject) -> bool {
    let mut owners = there.metadata.owner_references.iter().flatten();
    owners.any(|it| Some(&it.uid) == cluster.metadata.uid.as_ref())
}

/// Whether an object that belongs to nobody was made by an operator for a cluster of this name, such as one
/// that was restored from a backup.
fn is_left_over(cluster: &MdfsCluster, there: &DynamicObject) -> bool {
    let owners = there.metadata.owner_references.as_deref();
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let has = |(label, value): (&String, &String)| there.labels().get(label) == Some(value);
    owners.unwrap_or_default().is_empty() && names::labels_of(name, None).iter().all(has)
}

/// An object of this name belongs to this very resource, to nobody any more, or to nobody that may have it.
fn check_owner(cluster: &MdfsCluster, there: &DynamicObject, subject: &str) -> Result<(), Error> {
    let owners = there
        .metadata
        .owner_references
        .as_deref()
        .unwrap_or_default();
    if is_owned(cluster, there) || is_left_over(cluster, there) {
        return Ok(());
    }
    let what = match owners.iter().any(|it| it.kind == "MdfsCluster") {
        true => "belongs to a resource that is gone, and goes soon",
        false => "is there already and is not of this cluster: rename or delete it",
    };
    Err(Error::Unexpected {
        subject: subject.to_owned(),
        what: what.to_owned(),
    })
}

/// Deletes objects of this cluster that are not wanted any more.
async fn prune(
    ctx: &Context,
    cluster: &MdfsCluster,
    desired: &Desired,
    live: &Live,
) -> Result<(), Error> {
    for (kind, found) in &live.objects {
        for object in found {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let wanted = desired
                .objects
                .iter()
                .any(|it| it.kind == *kind && it.name == name);
            if wanted || !is_owned(cluster, object) || object.metadata.deletion_timestamp.is_some()
            {
                continue;
            }
            tracing::info!(
                kind = kind.as_str(),
                name,
                "deleting what is not wanted any more"
            );
            let deleted = api(ctx, cluster, *kind)
                .delete(name, &DeleteParams::default())
                .await;
            match deleted {
                Ok(_) => ctx.metrics.write(),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(Error::api("delete", name)(error)),
            }
        }
    }
    Ok(())
}

/// Sets the budget of workers alone: for clusters of which nothing else is applied at present.
///
/// # Errors
/// If it cannot be written.
pub(crate) async fn budget(
    ctx: &Context,
    cluster: &MdfsCluster,
    name: &str,
    max_unavailable: u32,
    live: &Live,
) -> Result<(), Error> {
    let there = live.object(Kind::PodDisruptionBudget, name);
    let set = there.and_then(|it| it.data.get("spec")?.get("maxUnavailable")?.as_u64());
    if there.is_none() || set == Some(max_unavailable.into()) {
        return Ok(());
    }
    let change = json!({ "spec": { "maxUnavailable": max_unavailable } });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = api(ctx, cluster, Kind::PodDisruptionBudget)
        .patch(name, &params, &Patch::Merge(&change))
        .await;
    patched.map_err(Error::api("set", format!("PodDisruptionBudget {name}")))?;
    ctx.metrics.write();
    Ok(())
}

fn api(ctx: &Context, cluster: &MdfsCluster, kind: Kind) -> Api<DynamicObject> {
    let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
    Api::namespaced_with(ctx.client.clone(), namespace, &resource(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::test_support::{SPEC, cluster};

    #[test]
    fn what_belongs_to_nobody_is_taken_over_only_if_an_operator_made_it_for_this_cluster() {
        let owned = |owners: Value, instance: &str| {
            let object = json!({
                "metadata": {
                    "name": "films-master",
                    "ownerReferences": owners,
                    "labels": {
                        "app.kubernetes.io/name": "mdfs",
                        "app.kubernetes.io/instance": instance,
                        "app.kubernetes.io/managed-by": "mdfs-operator",
                    },
                },
            });
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            let cluster = cluster(SPEC);
            let taken = check_owner(&cluster, &object, "a").is_ok();
            (taken, is_owned(&cluster, &object))
        };
        let by = |kind: &str, uid: &str| json!([{ "apiVersion": "a/v1", "kind": kind, "name": "films", "uid": uid }]);
        assert_eq!(owned(by("MdfsCluster", "u-1"), "films"), (true, true));
        assert_eq!(owned(json!([]), "films"), (true, false));
        assert_eq!(owned(json!([]), "series"), (false, false));
        assert_eq!(owned(by("MdfsCluster", "u-0"), "films"), (false, false));
        assert_eq!(owned(by("Release", "u-2"), "films"), (false, false));
    }
}
