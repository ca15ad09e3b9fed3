//! What holds for the whole cluster is as the spec says: its policy, and how many disks vote.

use super::context::Context;
use super::dereference::{Live, key};
use super::observed::Report;
use super::validate::{ValidatedCluster, WantedPolicy};
use crate::error::Error;
use mdfs_client::api::{Policy, PolicyChange};
use mdfs_client::{Client, Code};
use std::time::Duration;

/// How soon the same number of voters is asked for again.
const VOTERS_AGAIN: Duration = Duration::from_secs(60);

/// Asks the masters for what does not hold yet. What they do not take yet is remembered, to be shown.
///
/// # Errors
/// The first that failed; the others were asked for too.
pub(crate) async fn align(
    ctx: &Context,
    cluster: &ValidatedCluster,
    client: &Client,
    live: &Live,
) -> Result<(), Error> {
    let Some(report) = live.observed.leader.fresh() else {
        return Ok(());
    };
    let mut first = Ok(());
    let mut waits = None;
    for change in policy_changes(&cluster.policy, &report.policy) {
        match client.change_policy(&change).await {
            Ok(_) => tracing::info!(cluster = cluster.name, ?change, "changed the policy"),
            // More copies than workers, while these come, or fewer than all with too few voters.
            Err(error) if error.code() == Some(Code::Conflict) => {
                tracing::info!(cluster = cluster.name, %error, "the policy waits");
                waits.get_or_insert_with(|| error.to_string());
            }
            Err(error) => first = first.and(Err(Error::masters("change the policy")(error))),
        }
    }
    let key = key(&cluster.namespace, &cluster.name);
    ctx.remember(&key, |memory| memory.policy = waits);
    first.and(align_voters(ctx, &key, cluster, client, report).await)
}

async fn align_voters(
    ctx: &Context,
    key: &str,
    cluster: &ValidatedCluster,
    client: &Client,
    report: &Report,
) -> Result<(), Error> {
    let wanted = cluster.voters;
    let members = report.workers.len();
    if report.status.voters == u64::from(wanted) || members < usize::from(wanted) {
        return Ok(());
    }
    let now = ctx.now_millis();
    let asked = ctx.remember(key, |memory| memory.voters);
    let lately = asked.is_some_and(|(number, at)| {
        number == wanted && Duration::from_millis(now.saturating_sub(at)) < VOTERS_AGAIN
    });
    if lately {
        return Ok(());
    }
    let asked = client.voters(wanted).await;
    asked.map_err(Error::masters("change the number of voters"))?;
    ctx.remember(key, |memory| memory.voters = Some((wanted, now)));
    Ok(())
}

/// What has to change for the policy to be what is wanted. What the masters may refuse for a while is
/// asked for apart, so that it holds nothing else up.
pub(crate) fn policy_changes(wanted: &WantedPolicy, policy: &Policy) -> Vec<PolicyChange> {
    // One that was asked for and does not hold yet is what will be.
    let replicas = policy.lowering.map_or(policy.replicas, |it| it.replicas);
    let copies = PolicyChange {
        replicas: Some(wanted.factor).filter(|it| *it != replicas),
        ..PolicyChange::default()
    };
    let least = PolicyChange {
        min_write_copies: (wanted.min_write_copies != policy.min_write_copies)
            .then(|| wanted.min_write_copies.unwrap_or(0)),
        ..PolicyChange::default()
    };
    let others = PolicyChange {
        chunk_size: Some(wanted.chunk_size).filter(|it| *it != policy.chunk_size),
        repair_delay_seconds: Some(wanted.repair_delay_seconds)
            .filter(|it| *it != policy.repair_delay_seconds),
        trash_keep_seconds: Some(wanted.trash_keep_seconds)
            .filter(|it| *it != policy.trash_keep_seconds),
        ..PolicyChange::default()
    };
    let mut changes = vec![others, copies, least];
    changes.retain(|change| *change != PolicyChange::default());
    changes
}

/// The fields of the spec that the masters do not go by yet.
pub(crate) fn not_in_force(
    wanted: &WantedPolicy,
    voters: u8,
    report: &Report,
) -> Vec<&'static str> {
    let policy = &report.policy;
    let fields = [
        (
            "replication.factor",
            wanted.factor == policy.replicas && policy.lowering.is_none(),
        ),
        (
            "replication.minWriteCopies",
            wanted.min_write_copies == policy.min_write_copies,
        ),
        (
            "replication.chunkSize",
            wanted.chunk_size == policy.chunk_size,
        ),
        (
            "replication.repairDelaySeconds",
            wanted.repair_delay_seconds == policy.repair_delay_seconds,
        ),
        (
            "replication.trashRetentionSeconds",
            wanted.trash_keep_seconds == policy.trash_keep_seconds,
        ),
        ("metadata.voters", u64::from(voters) == report.status.voters),
    ];
    let open = fields.into_iter().filter(|(_, holds)| !holds);
    open.map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::test_support::{World, with_workers};
    use mdfs_client::api::PolicyLowering;

    #[test]
    fn what_may_be_refused_is_asked_for_apart() {
        let mut wanted = with_workers(3).policy;
        let policy = World::of_workers(3).report().policy.clone();
        assert_eq!(policy_changes(&wanted, &policy), Vec::new());
        wanted.min_write_copies = Some(1);
        wanted.factor = 3;
        wanted.chunk_size = 1 << 20;
        wanted.trash_keep_seconds = 5;
        let changes = policy_changes(&wanted, &policy);
        let [others, copies, least] = changes.as_slice() else {
            panic!("{changes:?}");
        };
        assert_eq!(
            (
                others.chunk_size,
                others.trash_keep_seconds,
                others.replicas
            ),
            (Some(1 << 20), Some(5), None)
        );
        assert_eq!((copies.replicas, copies.min_write_copies), (Some(3), None));
        assert_eq!((least.replicas, least.min_write_copies), (None, Some(1)));
    }

    #[test]
    fn fewer_copies_are_asked_for_once_and_hold_later() {
        let wanted = with_workers(3).policy;
        let mut world = World::of_workers(3);
        let report = world.report();
        report.policy.replicas = 3;
        assert_eq!(policy_changes(&wanted, &report.policy).len(), 1);
        report.policy.lowering = Some(PolicyLowering {
            replicas: 2,
            in_seconds: 500,
        });
        assert_eq!(policy_changes(&wanted, &report.policy), Vec::new());
        assert_eq!(not_in_force(&wanted, 3, report), ["replication.factor"]);
        report.policy.replicas = 2;
        report.policy.lowering = None;
        assert!(not_in_force(&wanted, 3, report).is_empty());
        assert_eq!(not_in_force(&wanted, 5, report), ["metadata.voters"]);
    }
}
