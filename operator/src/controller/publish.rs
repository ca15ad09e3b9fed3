//! Writes the status where it differs, and tells of changes by events.

use super::context::Context;
use super::dereference::key;
use super::status::is_figures_only;
use crate::crd::{MdfsCluster, MdfsClusterStatus};
use crate::error::Error;
use crate::metrics::Seen;
use crate::names::MANAGER;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::time::Duration;

/// Figures alone are written at most so often.
const FIGURES_EVERY: Duration = Duration::from_secs(30);

/// Writes the status if it says anything new; at once if `urgent`.
///
/// # Errors
/// If it cannot be written. The resource being gone is none.
pub(crate) async fn publish(
    ctx: &Context,
    cluster: &MdfsCluster,
    previous: &MdfsClusterStatus,
    next: &MdfsClusterStatus,
    urgent: bool,
) -> Result<(), Error> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let key = key(&namespace, &name);
    ctx.remember(&key, |memory| memory.seen = Some(seen(next)));
    if previous == next {
        return Ok(());
    }
    let now = ctx.now_millis();
    let written = ctx.remember(&key, |memory| memory.written);
    let lately =
        written.is_some_and(|at| Duration::from_millis(now.saturating_sub(at)) < FIGURES_EVERY);
    if lately && !urgent && is_figures_only(previous, next) {
        return Ok(());
    }
    let api: Api<MdfsCluster> = Api::namespaced(ctx.client.clone(), &namespace);
    // The uid, so that a resource of the same name that came meanwhile does not get this status.
    let object = json!({
        "apiVersion": MdfsCluster::api_version(&()),
        "kind": MdfsCluster::kind(&()),
        "metadata": { "name": name, "uid": cluster.metadata.uid },
        "status": next,
    });
    let params = PatchParams::apply(MANAGER).force();
    match api
        .patch_status(&name, &params, &Patch::Apply(&object))
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
        Err(error) => return Err(Error::api("write the status of", key)(error)),
    }
    ctx.metrics.write();
    ctx.remember(&key, |memory| memory.written = Some(now));
    for event in events(previous, next) {
        tell(ctx, cluster, event).await;
    }
    Ok(())
}

/// What metrics tell of a status.
fn seen(status: &MdfsClusterStatus) -> Seen {
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
    Seen {
        ready: ready.map_or_else(String::new, |it| it.status.clone()),
        data: status.data.health,
    }
}

/// Publishes an event. That it cannot be is no reason to stop.
pub(crate) async fn tell(ctx: &Context, cluster: &MdfsCluster, event: Event) {
    let reference = cluster.object_ref(&());
    if let Err(error) = ctx.recorder.publish(&event, &reference).await {
        tracing::debug!(%error, reason = event.reason, "cannot publish an event");
    }
}

/// An event about a cluster.
pub(crate) fn event(is_well: bool, reason: &str, action: &str, note: String) -> Event {
    Event {
        type_: if is_well {
            EventType::Normal
        } else {
            EventType::Warning
        },
        reason: reason.to_owned(),
        // The API takes 1024 bytes.
        note: Some(note.chars().take(900).collect()),
        action: action.to_owned(),
        secondary: None,
    }
}

/// The conditions whose changes are told, and what they are when all is well.
const TOLD: &[(&str, &str)] = &[
    ("Ready", "True"),
    ("Available", "True"),
    ("DataSafe", "True"),
    ("Degraded", "False"),
    ("Progressing", "False"),
    ("CapacityAvailable", "True"),
    ("ScaleDownBlocked", "False"),
    ("VolumesResized", "True"),
    ("SpecValid", "True"),
    ("ReconciliationPaused", "False"),
    ("DeletionBlocked", "False"),
];

/// What is new, for people: each condition whose truth or reason changed.
fn events(previous: &MdfsClusterStatus, next: &MdfsClusterStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for (kind, well) in TOLD {
        let of = |status: &MdfsClusterStatus| {
            let condition = status.conditions.iter().find(|it| it.type_ == *kind);
            condition.map(|it| (it.status.clone(), it.reason.clone(), it.message.clone()))
        };
        let (before, Some((truth, reason, message))) = (of(previous), of(next)) else {
            continue;
        };
        let was = before
            .as_ref()
            .map(|(truth, reason, _)| (truth.as_str(), reason.as_str()));
        let goes_on = *kind == "Progressing" && truth == "True" && reason != "ApplyFailed";
        let is_well = truth == *well || goes_on;
        // The first status has much to say; only what it begins with, and a spec that cannot be used, is
        // news.
        let is_news = *kind == "Progressing" || (*kind == "SpecValid" && !is_well);
        if was == Some((truth.as_str(), reason.as_str())) || (was.is_none() && !is_news) {
            continue;
        }
        events.push(event(
            is_well,
            &reason,
            kind,
            format!("{kind} is {truth}: {message}"),
        ));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use k8s_openapi::jiff::Timestamp;

    fn status(conditions: &[(&str, &str, &str)]) -> MdfsClusterStatus {
        let condition = |(kind, truth, reason): &(&str, &str, &str)| Condition {
            type_: (*kind).to_owned(),
            status: (*truth).to_owned(),
            reason: (*reason).to_owned(),
            message: "m".to_owned(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        MdfsClusterStatus {
            conditions: conditions.iter().map(condition).collect(),
            ..MdfsClusterStatus::default()
        }
    }

    #[test]
    fn only_what_changed_is_told_and_what_is_wrong_is_a_warning() {
        let well = status(&[
            ("Ready", "True", "AllReady"),
            ("DataSafe", "True", "AllReplicated"),
        ]);
        assert!(events(&well, &well).is_empty());
        let ill = status(&[
            ("Ready", "True", "AllReady"),
            ("DataSafe", "False", "SingleCopy"),
        ]);
        let told = events(&well, &ill);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].reason, "SingleCopy");
        assert!(matches!(told[0].type_, EventType::Warning));
        assert!(matches!(events(&ill, &well)[0].type_, EventType::Normal));
        assert!(events(&MdfsClusterStatus::default(), &well).is_empty());
    }
}
