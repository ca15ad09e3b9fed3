//! How many workers may be evicted at present. Pure.

use super::observed::Observed;
use crate::names;
use mdfs_client::api::WorkerState;

/// How many pods of workers may be unavailable, those included that are already. None while anything
/// has fewer copies than wanted, nobody knows, or a worker is on its way.
///
/// A worker that is lost for good, without which everything has all its copies, counts as unavailable
/// for Kubernetes; so it is added, or it would keep nodes from being drained for ever.
pub fn max_unavailable(cluster: &str, replicas: u32, observed: &Observed) -> u32 {
    let Some(report) = observed.leader.report() else {
        return 0;
    };
    let voters_suffice = report.status.voters <= 1 || report.can_lose_a_voter();
    if !report.is_fully_replicated() || !voters_suffice {
        return 0;
    }
    let mut lost = 0;
    for ordinal in 0..replicas {
        let member = report.member(&names::worker(cluster, ordinal));
        let state = member.map(|member| member.state);
        let pod = observed
            .workers
            .get(&ordinal)
            .and_then(|worker| worker.pod.as_ref());
        let is_ready = pod.is_some_and(|pod| pod.ready && !pod.terminating);
        match (is_ready, state) {
            (true, Some(WorkerState::Live)) => {}
            (true, None | Some(WorkerState::Suspect | WorkerState::Dead))
            | (false, Some(WorkerState::Live | WorkerState::Suspect)) => return 0,
            // A pod that never came takes what may be unavailable itself, until it is there.
            (false, None) => {}
            (false, Some(WorkerState::Dead)) => lost += 1,
        }
    }
    // More would let several go in the moment in which they are all back.
    1 + lost.min(1)
}

#[cfg(test)]
mod tests {
    use super::max_unavailable;
    use crate::controller::test_support::World;

    #[test]
    fn one_may_go_while_everything_has_all_its_copies() {
        assert_eq!(check(|_| {}), 1);
    }

    #[test]
    fn none_may_go_while_copies_are_missing_or_nobody_knows() {
        assert_eq!(
            check(|world| world.report().status.under_replicated_files = 1),
            0
        );
        assert_eq!(check(|world| world.report().status.damaged_chunks = 1), 0);
        assert_eq!(
            check(|world| world.report().status.counted_millis_ago = None),
            0
        );
        assert_eq!(
            check(|world| world.report().status.counted_millis_ago = Some(60_000)),
            0
        );
        assert_eq!(check(|world| world.leader_is_silent()), 0);
        assert_eq!(check(|world| world.report().status.leased_voters = 2), 0);
    }

    #[test]
    fn none_may_go_while_one_is_on_its_way() {
        assert_eq!(check(|world| world.pod(1).ready = false), 0);
        assert_eq!(check(|world| world.pod(1).terminating = true), 0);
        assert_eq!(check(|world| world.suspect(1)), 0);
    }

    #[test]
    fn one_that_is_lost_for_good_blocks_nobody() {
        let lost = |world: &mut World| {
            world.pod(2).ready = false;
            world.dead(2);
        };
        assert_eq!(check(lost), 2);
        let gone = |world: &mut World| {
            world.lose_pod(2);
            world.dead(2);
        };
        assert_eq!(check(gone), 2);
        let two = |world: &mut World| {
            gone(world);
            world.lose_pod(1);
            world.dead(1);
        };
        assert_eq!(check(two), 2);
    }

    #[test]
    fn one_that_never_came_leaves_no_room_for_others_when_it_does() {
        let coming = |world: &mut World| {
            world.pod(2).ready = false;
            world.forget(2);
        };
        assert_eq!(check(coming), 1);
    }

    fn check(change: impl FnOnce(&mut World)) -> u32 {
        let mut world = World::of_workers(3);
        change(&mut world);
        max_unavailable("films", 3, &world.observed)
    }
}
