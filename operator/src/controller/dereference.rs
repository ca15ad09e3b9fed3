//! Reads everything that a pass needs from Kubernetes. Always asks the API server: what is decided on
//! an old answer may take the wrong pod away.

use super::build::{Access, Identity, Kind};
use super::context::Context;
use super::observed::{ClaimSeen, Leader, MastersSeen, Observed, PodSeen, SetSeen, WorkerSeen};
use crate::crd::MdfsCluster;
use crate::error::Error;
use crate::names::{self, Component, DRAINED_ANNOTATION, RETIRED_ANNOTATION, TEMPLATE_ANNOTATION};
use crate::quantity;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use std::collections::BTreeMap;

/// What is there.
#[derive(Default)]
pub(crate) struct Live {
    /// The operator's own objects of this cluster, by kind.
    pub(crate) objects: BTreeMap<Kind, Vec<DynamicObject>>,
    /// What was seen, without the leader's word.
    pub(crate) observed: Observed,
    /// The identity of the cluster, if its Secret is there.
    pub(crate) identity: Option<Identity>,
    /// Its root token, if the Secret is there.
    pub(crate) token: Option<String>,
    /// Claims of the cluster, by name.
    pub(crate) claims: BTreeMap<String, PersistentVolumeClaim>,
}

impl Live {
    /// The operator's own object of this kind and name.
    pub(crate) fn object(&self, kind: Kind, name: &str) -> Option<&DynamicObject> {
        let found = self.objects.get(&kind)?;
        found
            .iter()
            .find(|it| it.metadata.name.as_deref() == Some(name))
    }

    /// Takes what became of an object by a write.
    ///
    /// # Errors
    /// If it is not what it should be.
    pub(crate) fn take(
        &mut self,
        name: &str,
        kind: Kind,
        object: DynamicObject,
    ) -> Result<(), Error> {
        let found = self.objects.entry(kind).or_default();
        found.retain(|it| it.metadata.name != object.metadata.name);
        found.push(object);
        self.observed.set = set_of(&self.objects, name)?;
        self.observed.masters = masters_of(&self.objects, name)?;
        Ok(())
    }
}

/// How the API names a kind.
pub(crate) fn resource(kind: Kind) -> ApiResource {
    let (group, version) = match kind.api_version().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", kind.api_version()),
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.as_str()))
}

/// Reads all.
///
/// # Errors
/// If the API server does not answer, or refuses.
pub(crate) async fn dereference(ctx: &Context, cluster: &MdfsCluster) -> Result<Live, Error> {
    let name = cluster.metadata.name.clone().unwrap_or_default();
    let namespace = cluster.metadata.namespace.clone().unwrap_or_default();
    let mut objects = BTreeMap::new();
    let mut service_monitors = true;
    for kind in Kind::ALL {
        match list(ctx, kind, &name, &namespace).await {
            Ok(found) => {
                objects.insert(kind, found);
            }
            // The kind comes with the Prometheus operator, perhaps later.
            Err(kube::Error::Api(status))
                if kind == Kind::ServiceMonitor && matches!(status.code, 403 | 404) =>
            {
                service_monitors = false;
            }
            Err(error) => return Err(Error::api("list", kind.as_str())(error)),
        }
    }
    let selected = ListParams::default().labels(&names::query(&names::cluster_selector(&name)));
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
    let pods = pods
        .list(&selected)
        .await
        .map_err(Error::api("list", "pods"))?
        .items;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.clone(), &namespace);
    // By their names: a volume that was restored from a backup has the labels that its owner gave it.
    let claims = claims
        .list(&ListParams::default())
        .await
        .map_err(Error::api("list", "claims"))?
        .items;
    let claims: Vec<PersistentVolumeClaim> = claims
        .into_iter()
        .filter(|claim| names::ordinal_of_claim(&name, &claim.name_any()).is_some())
        .collect();
    let classes = expandable(ctx, &claims).await;
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
    let secret = async |secret: String| {
        let found = secrets.get_opt(&secret).await;
        found.map_err(Error::api("read", format!("Secret {secret}")))
    };
    let identity = secret(names::identity_secret(&name)).await?;
    let access = secret(names::access_secret(&name)).await?;
    let (masters, workers) = sort_pods(&name, &pods);
    let mut observed = Observed {
        set: set_of(&objects, &name)?,
        masters: masters_of(&objects, &name)?,
        master_pods: masters,
        workers,
        leader: Leader::Unknown,
        service_monitors,
    };
    let now = ctx.now_millis();
    let refused = ctx.remember(&key(&namespace, &name), |memory| {
        memory.refused.retain(|it| it.stands(now));
        memory.refused.clone()
    });
    let mut named = BTreeMap::new();
    for claim in claims {
        let claim_name = claim.metadata.name.clone().unwrap_or_default();
        if let Some(ordinal) = names::ordinal_of_claim(&name, &claim_name) {
            let mut seen = claim_seen(&claim, &classes);
            let refusal = refused
                .iter()
                .find(|it| it.claim == claim_name && it.bytes > seen.requested);
            if let Some(refusal) = refusal {
                seen.expandable = Some(false);
                seen.refused = Some(refusal.message.clone());
            }
            observed.workers.entry(ordinal).or_default().claim = Some(seen);
            named.insert(claim_name, claim);
        }
    }
    Ok(Live {
        objects,
        observed,
        identity: identity.and_then(|secret| identity_of(&secret)),
        token: access.and_then(|secret| text(&secret, Access::ROOT_TOKEN)),
        claims: named,
    })
}

/// Names a cluster among all.
pub(crate) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

async fn list(
    ctx: &Context,
    kind: Kind,
    name: &str,
    namespace: &str,
) -> Result<Vec<DynamicObject>, kube::Error> {
    let api = Api::<DynamicObject>::namespaced_with(ctx.client.clone(), namespace, &resource(kind));
    let selector = names::query(&names::labels_of(name, None));
    Ok(api
        .list(&ListParams::default().labels(&selector))
        .await?
        .items)
}

fn set_of(
    objects: &BTreeMap<Kind, Vec<DynamicObject>>,
    name: &str,
) -> Result<Option<SetSeen>, Error> {
    let set = typed::<StatefulSet>(objects, Kind::StatefulSet, &names::workers(name))?;
    Ok(set.map(|it| set_seen(&it)))
}

fn masters_of(
    objects: &BTreeMap<Kind, Vec<DynamicObject>>,
    name: &str,
) -> Result<Option<MastersSeen>, Error> {
    let masters = typed::<Deployment>(objects, Kind::Deployment, &names::masters(name))?;
    Ok(masters.map(|it| masters_seen(&it)))
}

/// The object of this name.
fn typed<T: serde::de::DeserializeOwned>(
    objects: &BTreeMap<Kind, Vec<DynamicObject>>,
    kind: Kind,
    name: &str,
) -> Result<Option<T>, Error> {
    let found = objects.get(&kind).into_iter().flatten();
    let Some(object) = found.into_iter().find(|it| it.name_any() == name) else {
        return Ok(None);
    };
    let unexpected = |error: serde_json::Error| Error::Unexpected {
        subject: kind.as_str().to_owned(),
        what: error.to_string(),
    };
    let value = serde_json::to_value(object).map_err(unexpected)?;
    serde_json::from_value(value).map(Some).map_err(unexpected)
}

/// Whether each storage class can grow. Without the right to read them, nobody knows, and the API server
/// tells when it is tried.
async fn expandable(ctx: &Context, claims: &[PersistentVolumeClaim]) -> BTreeMap<String, bool> {
    let api: Api<StorageClass> = Api::all(ctx.client.clone());
    let mut classes = BTreeMap::new();
    for claim in claims {
        let class = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.storage_class_name.clone());
        let Some(class) = class.filter(|class| !classes.contains_key(class)) else {
            continue;
        };
        match api.get_opt(&class).await {
            Ok(Some(found)) => {
                classes.insert(class, found.allow_volume_expansion.unwrap_or(false));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(class, %error, "cannot read the storage class"),
        }
    }
    classes
}

fn sort_pods(name: &str, pods: &[Pod]) -> (Vec<PodSeen>, BTreeMap<u32, WorkerSeen>) {
    let mut masters = Vec::new();
    let mut workers: BTreeMap<u32, WorkerSeen> = BTreeMap::new();
    for pod in pods {
        let labels = pod.metadata.labels.as_ref();
        let component = labels.and_then(|labels| labels.get(names::COMPONENT_LABEL));
        let seen = pod_seen(pod);
        if component.is_some_and(|it| it == Component::Master.as_str()) {
            // One that was evicted is left as a record, and runs nothing.
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            if !matches!(phase, Some("Failed" | "Succeeded")) {
                masters.push(seen);
            }
        } else if let Some(ordinal) = names::ordinal(name, &seen.name) {
            workers.entry(ordinal).or_default().pod = Some(seen);
        }
    }
    masters.sort_by(|one, other| one.name.cmp(&other.name));
    (masters, workers)
}

fn pod_seen(pod: &Pod) -> PodSeen {
    let meta = &pod.metadata;
    let status = pod.status.as_ref();
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let containers = status.and_then(|status| status.container_statuses.as_deref());
    let waiting = containers
        .unwrap_or_default()
        .iter()
        .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let unscheduled = conditions
        .iter()
        .find(|it| it.type_ == "PodScheduled" && it.status == "False");
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let annotations = meta.annotations.as_ref();
    PodSeen {
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        ready: conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.status == "True"),
        terminating: meta.deletion_timestamp.is_some(),
        template: annotations
            .and_then(|annotations| annotations.get(TEMPLATE_ANNOTATION).cloned())
            .unwrap_or_default(),
        image: image.and_then(|it| it.image.clone()).unwrap_or_default(),
        ip: status.and_then(|status| status.pod_ip.clone()),
        waiting: waiting
            .filter(|reason| reason != "ContainerCreating" && reason != "PodInitializing")
            .or_else(|| unscheduled.and_then(|it| it.reason.clone())),
    }
}

fn claim_seen(claim: &PersistentVolumeClaim, classes: &BTreeMap<String, bool>) -> ClaimSeen {
    let meta = &claim.metadata;
    let annotation = |key: &str| meta.annotations.as_ref()?.get(key).cloned();
    let spec = claim.spec.as_ref();
    let status = claim.status.as_ref();
    let requests = spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    let storage = |map: Option<&BTreeMap<String, _>>| {
        let quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity =
            map?.get("storage")?;
        quantity::bytes(&quantity.0)
    };
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let class = spec.and_then(|spec| spec.storage_class_name.as_ref());
    ClaimSeen {
        requested: storage(requests).unwrap_or(0),
        capacity: storage(status.and_then(|status| status.capacity.as_ref())),
        expandable: class.and_then(|class| classes.get(class).copied()),
        file_system_pending: conditions
            .iter()
            .any(|it| it.type_ == "FileSystemResizePending" && it.status == "True"),
        terminating: meta.deletion_timestamp.is_some(),
        refused: None,
        drained: annotation(DRAINED_ANNOTATION),
        retired: annotation(RETIRED_ANNOTATION),
    }
}

fn set_seen(set: &StatefulSet) -> SetSeen {
    let spec = set.spec.as_ref();
    let template = spec.and_then(|spec| spec.volume_claim_templates.as_ref()?.first());
    let requests = template.and_then(|template| {
        template
            .spec
            .as_ref()?
            .resources
            .as_ref()?
            .requests
            .as_ref()
    });
    let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(0);
    let made_of = spec.and_then(|spec| {
        let annotations = spec.template.metadata.as_ref()?.annotations.as_ref()?;
        annotations.get(TEMPLATE_ANNOTATION).cloned()
    });
    let seen = set
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    SetSeen {
        template: made_of.unwrap_or_default(),
        current: seen.is_some() && seen == set.metadata.generation,
        uid: set.metadata.uid.clone().unwrap_or_default(),
        replicas: u32::try_from(replicas).unwrap_or(0),
        template_size: requests
            .and_then(|requests| requests.get("storage"))
            .map(|size| size.0.clone())
            .unwrap_or_default(),
        terminating: set.metadata.deletion_timestamp.is_some(),
    }
}

fn masters_seen(deployment: &Deployment) -> MastersSeen {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let container = template.and_then(|it| it.spec.as_ref()?.containers.first());
    let annotations = template.and_then(|it| it.metadata.as_ref()?.annotations.as_ref());
    let status = deployment.status.as_ref();
    let current =
        status.and_then(|status| status.observed_generation) == deployment.metadata.generation;
    let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    MastersSeen {
        image: container
            .and_then(|it| it.image.clone())
            .unwrap_or_default(),
        template: annotations
            .and_then(|it| it.get(TEMPLATE_ANNOTATION).cloned())
            .unwrap_or_default(),
        current,
        pods: count(status.and_then(|status| status.replicas)),
        ready: count(status.and_then(|status| status.ready_replicas)),
        // Counts of an earlier template say nothing of this one.
        updated: if current {
            count(status.and_then(|it| it.updated_replicas))
        } else {
            0
        },
        available: count(status.and_then(|status| status.available_replicas)),
    }
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok()
}

fn identity_of(secret: &Secret) -> Option<Identity> {
    Some(Identity {
        cluster_id: text(secret, Identity::CLUSTER_ID)?,
        cluster_key: text(secret, Identity::CLUSTER_KEY)?,
    })
}
