//! Carries out what was decided about workers and volumes. Each step can be done again, so whatever is
//! cut off is done in the next pass.

use super::context::{Context, Refusal};
use super::dereference::{Live, key};
use super::growth::Growth;
use super::publish::{event, tell};
use super::removal::{Plan, Step};
use super::report::patient_client;
use super::validate::ValidatedCluster;
use super::{metrics_token, policy, reconcile};
use crate::crd::MdfsCluster;
use crate::error::Error;
use crate::names::{self, DRAINED_ANNOTATION, MANAGER, RETIRED_ANNOTATION};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use mdfs_client::{Client, Code, DiskId};
use serde_json::{Value, json};

/// For how long a restart is announced: as long as a pod may take to go, to be scheduled, and to open its
/// disk.
const ANNOUNCED_SECONDS: u64 = 600;

/// Does all that is to be done now.
///
/// # Errors
/// The first that failed; those behind it were tried too.
pub(crate) async fn carry_out(
    ctx: &Context,
    cluster: &MdfsCluster,
    valid: &ValidatedCluster,
    client: &Client,
    plan: &Plan,
    growth: &Growth,
    live: &Live,
) -> Result<(), Error> {
    let hands = Hands {
        ctx,
        cluster,
        valid,
        client,
        live,
    };
    let recorded = cluster.status.as_ref();
    let recorded = recorded.is_some_and(|status| status.bootstrap.is_some());
    if !recorded && !reconcile::is_born(&live.observed.leader) {
        return hands.replace_what_never_ran(plan).await;
    }
    let mut first = hands.grow(growth).await;
    first = first.and(policy::align(ctx, valid, client, live).await);
    first = first.and(metrics_token::let_in(ctx, valid, client).await);
    // Once for each restart that a rule would have held back.
    let overridden = plan.ignored.map(|predicate| (predicate, restarted(plan)));
    let before = ctx.remember(&hands.key(), |memory| {
        std::mem::replace(&mut memory.overridden, overridden.clone())
    });
    if let Some((predicate, _)) = overridden.as_ref().filter(|_| before != overridden) {
        let note = format!(
            "the rule {} is switched off by an annotation",
            predicate.as_str()
        );
        ctx.metrics.overridden();
        tell(
            ctx,
            cluster,
            event(false, "PredicateIgnored", "Restart", note),
        )
        .await;
    }
    for step in &plan.steps {
        let done = hands.take(step).await;
        if let Err(error) = &done {
            tracing::warn!(?step, error = error.text(), "a step failed");
        }
        first = first.and(done);
    }
    first
}

/// The pod that goes, if one does.
fn restarted(plan: &Plan) -> Option<String> {
    let restart = |step: &Step| match step {
        Step::Restart { uid, .. } => Some(uid.clone()),
        _ => None,
    };
    plan.steps.iter().find_map(restart)
}

struct Hands<'a> {
    ctx: &'a Context,
    cluster: &'a MdfsCluster,
    valid: &'a ValidatedCluster,
    client: &'a Client,
    live: &'a Live,
}

impl Hands<'_> {
    fn key(&self) -> String {
        key(&self.valid.namespace, &self.valid.name)
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.ctx.client.clone(), &self.valid.namespace)
    }

    /// Before the cluster is started, pods that cannot run, such as of an image that is not there, are
    /// all that may have to be replaced.
    async fn replace_what_never_ran(&self, plan: &Plan) -> Result<(), Error> {
        let mut first = Ok(());
        for step in &plan.steps {
            if matches!(step, Step::Restart { disk: None, .. }) {
                first = first.and(self.take(step).await);
            }
        }
        first
    }

    /// Claims ask for more; then the StatefulSet goes without its pods, and the next pass makes it anew.
    async fn grow(&self, growth: &Growth) -> Result<(), Error> {
        let mut first = Ok(());
        let storage = &self.valid.storage;
        for ordinal in &growth.patch {
            let claim = names::claim(&self.valid.name, *ordinal);
            let change =
                json!({ "spec": { "resources": { "requests": { "storage": storage.size } } } });
            match self.patch_claim(&claim, &change).await {
                Ok(()) => {}
                // Kubernetes says what the class allows to those who may not read it.
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) => {
                    let refusal = Refusal {
                        claim,
                        bytes: storage.size_bytes,
                        message: status.message,
                        at: self.ctx.now_millis(),
                    };
                    self.ctx.remember(&self.key(), |memory| {
                        memory.refused.retain(|it| it.claim != refusal.claim);
                        memory.refused.push(refusal);
                    });
                }
                Err(error) => first = first.and(Err(Error::api("grow", claim)(error))),
            }
        }
        if let (true, Some(set)) = (growth.replace_set, &self.live.observed.set) {
            let api: Api<StatefulSet> =
                Api::namespaced(self.ctx.client.clone(), &self.valid.namespace);
            let params = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Orphan),
                preconditions: Some(Preconditions {
                    uid: Some(set.uid.clone()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let name = names::workers(&self.valid.name);
            tracing::info!(
                name,
                "replacing the StatefulSet for larger volumes, without its pods"
            );
            match api.delete(&name, &params).await {
                Ok(_) => self.ctx.metrics.write(),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => first = first.and(Err(Error::api("replace", name)(error))),
            }
        }
        first
    }

    async fn patch_claim(&self, claim: &str, change: &Value) -> Result<(), kube::Error> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.claims()
            .patch(claim, &params, &Patch::Merge(change))
            .await?;
        self.ctx.metrics.write();
        Ok(())
    }

    async fn take(&self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Drain { ordinal, disk } => {
                // First the mark, so that it is known whose drain it is.
                self.mark(*ordinal, DRAINED_ANNOTATION, Some(disk)).await?;
                let drained = self.client.drain(&disk.to_string()).await;
                drained.map_err(Error::masters("drain a worker"))?;
                self.tell(*ordinal, "Draining", "is being emptied").await;
                Ok(())
            }
            Step::Undrain { ordinal, disk } => {
                let undrained = self.client.undrain(&disk.to_string()).await;
                undrained.map_err(Error::masters("undrain a worker"))?;
                self.mark(*ordinal, DRAINED_ANNOTATION, None).await?;
                self.tell(*ordinal, "Undrained", "takes part again").await;
                Ok(())
            }
            Step::MarkRetired { ordinal, disk } => {
                self.mark(*ordinal, RETIRED_ANNOTATION, Some(disk)).await
            }
            // Its disk still takes no part: the mark of the drain has that undone in the next pass.
            Step::UnmarkRetired { ordinal } => self.mark(*ordinal, RETIRED_ANNOTATION, None).await,
            Step::Unmark { ordinal } => {
                self.mark(*ordinal, RETIRED_ANNOTATION, None).await?;
                self.mark(*ordinal, DRAINED_ANNOTATION, None).await
            }
            // The claim has another disk: nothing on it would say whose drain this is, nor need it.
            Step::Unseat { ordinal, disk } => {
                let drained = self.client.drain(&disk.to_string()).await;
                drained.map_err(Error::masters("drain a lost disk"))?;
                let what = "is back with another disk: the lost one votes no more";
                self.tell(*ordinal, "DiskLost", what).await;
                Ok(())
            }
            Step::Retire { ordinal, disk } => self.retire(*ordinal, *disk).await,
            Step::Discard { ordinal } => self.discard(*ordinal).await,
            Step::Restart { ordinal, uid, disk } => self.restart(*ordinal, uid, *disk).await,
        }
    }

    async fn tell(&self, ordinal: u32, reason: &str, what: &str) {
        let note = format!("{} {what}", names::worker(&self.valid.name, ordinal));
        tell(self.ctx, self.cluster, event(true, reason, reason, note)).await;
    }

    /// Sets or removes a mark on a claim that is there.
    async fn mark(
        &self,
        ordinal: u32,
        annotation: &str,
        disk: Option<&DiskId>,
    ) -> Result<(), Error> {
        let claim = names::claim(&self.valid.name, ordinal);
        let Some(there) = self.live.claims.get(&claim) else {
            // Without a mark nobody would know whose drain or whose retirement it is.
            return match disk {
                None => Ok(()),
                Some(_) => Err(Error::Unexpected {
                    subject: format!("PersistentVolumeClaim {claim}"),
                    what: "is missing and cannot be marked".to_owned(),
                }),
            };
        };
        let value = disk.map(ToString::to_string);
        let set = there
            .metadata
            .annotations
            .as_ref()
            .and_then(|it| it.get(annotation));
        if set == value.as_ref() {
            return Ok(());
        }
        // With its identity: another claim of this name has another disk.
        let change = json!({
            "metadata": { "uid": there.metadata.uid, "annotations": { (annotation): value } },
        });
        match self.patch_claim(&claim, &change).await {
            // It went meanwhile, or another has its name: there is nothing to take off.
            Err(kube::Error::Api(status)) if disk.is_none() && matches!(status.code, 404 | 409) => {
                Ok(())
            }
            marked => marked.map_err(Error::api("mark", claim)),
        }
    }

    /// The leader counts first, and refuses if anything would be lost.
    async fn retire(&self, ordinal: u32, disk: DiskId) -> Result<(), Error> {
        let token = self.live.token.as_deref().unwrap_or_default();
        let client = patient_client(&reconcile::url(self.ctx, self.cluster), token)?;
        match client.retire(&disk.to_string(), false).await {
            Ok(()) => {
                self.tell(
                    ordinal,
                    "DiskRetired",
                    "has a disk that is refused from now on",
                )
                .await;
                Ok(())
            }
            // It votes, others are on their way, or something is not repaired yet: later.
            Err(error)
                if error.is_transient()
                    || matches!(error.code(), Some(Code::Conflict | Code::WouldLoseFiles)) =>
            {
                tracing::info!(%disk, %error, "the disk is not retired yet");
                Ok(())
            }
            Err(error) => Err(Error::masters("retire a disk")(error)),
        }
    }

    /// Deletes a claim whose disk is refused for ever, and its pod, if there is one.
    async fn discard(&self, ordinal: u32) -> Result<(), Error> {
        let claim = names::claim(&self.valid.name, ordinal);
        let there = self.live.claims.get(&claim);
        let there = there.filter(|it| it.metadata.deletion_timestamp.is_none());
        if let Some(there) = there {
            let uid = there.metadata.uid.clone();
            self.delete::<PersistentVolumeClaim>(&claim, uid).await?;
        }
        let worker = self.live.observed.workers.get(&ordinal);
        let pod = worker.and_then(|worker| worker.pod.as_ref());
        if let Some(pod) = pod.filter(|pod| !pod.terminating) {
            self.delete::<Pod>(&pod.name, Some(pod.uid.clone())).await?;
        }
        if there.is_some() {
            let what = "gets another disk: its old one was emptied";
            self.tell(ordinal, "VolumeDiscarded", what).await;
        }
        Ok(())
    }

    async fn restart(&self, ordinal: u32, uid: &str, disk: Option<DiskId>) -> Result<(), Error> {
        if let Some(disk) = disk {
            let announced = self
                .client
                .announce(&disk.to_string(), ANNOUNCED_SECONDS)
                .await;
            match announced {
                Ok(()) => {}
                // Nobody waits for a disk that nobody knows.
                Err(error) if error.code() == Some(Code::WorkerNotFound) => {}
                Err(error) => return Err(Error::masters("take the announcement")(error)),
            }
        }
        let pod = names::worker(&self.valid.name, ordinal);
        self.delete::<Pod>(&pod, Some(uid.to_owned())).await?;
        self.tell(
            ordinal,
            "WorkerRestarted",
            "is restarted to become what is wanted",
        )
        .await;
        Ok(())
    }

    /// Deletes the object with this identity; another of the same name stays.
    async fn delete<K>(&self, name: &str, uid: Option<String>) -> Result<(), Error>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.ctx.client.clone(), &self.valid.namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(name, &params).await {
            Ok(_) => {
                self.ctx.metrics.write();
                Ok(())
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(Error::api("delete", name)(error)),
        }
    }
}
