use super::*;
use crate::controller::observed::ClaimSeen;
use crate::controller::test_support::{SPEC, TEMPLATE, World, cluster, disk, member, with_workers};
use crate::controller::validate::validate;
use mdfs_client::api::WorkerState;

/// What comes of a world of `there` workers of which `wanted` are wanted.
fn planned(there: u32, wanted: u32, change: impl FnOnce(&mut World)) -> Plan {
    let mut world = World::of_workers(there);
    change(&mut world);
    plan(
        &with_workers(wanted),
        &world.observed,
        TEMPLATE,
        &Rollout::default(),
        None,
    )
}

fn old(world: &mut World, ordinals: &[u32]) {
    for ordinal in ordinals {
        world.pod(*ordinal).template = "old".to_owned();
    }
}

fn restart(ordinal: u32) -> Step {
    Step::Restart {
        ordinal,
        uid: format!("pod-{ordinal}"),
        disk: Some(disk(ordinal)),
    }
}

fn unannounced(ordinal: u32) -> Step {
    Step::Restart {
        ordinal,
        uid: format!("pod-{ordinal}"),
        disk: None,
    }
}

#[track_caller]
fn held(there: u32, predicate: Predicate, change: impl FnOnce(&mut World)) {
    let plan = planned(there, there, |world| {
        old(world, &[0, 1, 2]);
        change(world);
    });
    assert_eq!(plan.held.map(|held| held.predicate), Some(predicate));
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step, Step::Restart { .. }))
    );
}

#[test]
fn a_cluster_that_is_as_wanted_has_nothing_to_do() {
    let plan = planned(3, 3, |_| {});
    assert_eq!(plan.replicas, 3);
    assert!(plan.steps.is_empty() && plan.held.is_none() && plan.outdated.is_empty());
    assert_eq!(plan.scale_down, ScaleDown::NotRequested);
}

#[test]
fn a_new_template_restarts_the_highest_worker_alone() {
    let plan = planned(3, 3, |world| old(world, &[0, 1, 2]));
    assert_eq!(plan.steps, [restart(2)]);
    assert_eq!(plan.current, Some((2, "pod-2".to_owned())));
    assert_eq!(plan.outdated, [0, 1, 2]);
}

#[test]
fn nobody_goes_before_the_set_would_make_what_is_wanted() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut crate::controller::observed::SetSeen)) {
        let plan = planned(3, 3, |world| {
            old(world, &[0, 1, 2]);
            change(world.observed.set.as_mut().unwrap());
        });
        assert_eq!((plan.steps, plan.current), (vec![], None));
        assert_eq!(plan.outdated, [0, 1, 2]);
    }
    check(|set| set.template = "old".to_owned());
    check(|set| set.current = false);
    check(|set| set.terminating = true);
}

#[test]
fn the_restart_of_one_that_is_away_is_not_announced() {
    let away = |state: WorkerState| {
        planned(3, 3, |world| {
            old(world, &[1]);
            world.pod(1).ready = false;
            world.pod(1).waiting = Some("ImagePullBackOff".to_owned());
            world.member(1).state = state;
        })
    };
    assert_eq!(away(WorkerState::Dead).steps, [unannounced(1)]);
    assert_eq!(away(WorkerState::Suspect).steps, [unannounced(1)]);
}

#[test]
fn one_that_is_not_ready_may_still_be_read_from_and_is_held_by_all_rules() {
    let unready = |world: &mut World| {
        world.pod(2).ready = false;
        world.report().status.under_replicated_files = 1;
    };
    held(3, Predicate::NoSingleCopyOnCandidate, unready);
    held(3, Predicate::NoSingleCopyOnCandidate, |world| {
        unready(world);
        world.suspect(2);
    });
    held(3, Predicate::LeaderReachable, |world| {
        unready(world);
        world.leader_is_silent();
    });
    // One that does not run serves nothing, whatever is known of the others.
    let plan = planned(3, 3, |world| {
        old(world, &[2]);
        unready(world);
        world.pod(2).waiting = Some("ImagePullBackOff".to_owned());
        world.leader_is_silent();
    });
    assert!(matches!(plan.steps[..], [Step::Restart { .. }]));
}

#[test]
fn each_rule_holds_a_restart_back_by_its_name() {
    held(3, Predicate::LeaderReachable, World::leader_is_silent);
    held(3, Predicate::LeaderReachable, |world| {
        world.report().age = std::time::Duration::from_secs(10);
    });
    held(3, Predicate::DataReportFresh, |world| {
        world.report().status.counted_millis_ago = None
    });
    held(3, Predicate::DataReportFresh, |world| {
        world.report().status.counted_millis_ago = Some(20_000);
    });
    held(3, Predicate::NotDraining, |world| {
        world.member(0).draining = true
    });
    held(3, Predicate::MaxUnavailable, |world| world.suspect(0));
    held(3, Predicate::MaxUnavailable, |world| world.lose_pod(0));
    held(3, Predicate::NoMissingChunks, |world| {
        world.report().status.missing_files = 1
    });
    held(3, Predicate::NoSingleCopyOnCandidate, |world| {
        world.report().status.under_replicated_files = 1;
    });
    held(3, Predicate::NoSingleCopyOnCandidate, |world| {
        world.report().status.damaged_chunks = 1
    });
    held(3, Predicate::RepairQueueBelowLimit, |world| {
        world.report().status.copies_to_make = 1
    });
    held(3, Predicate::VoterQuorumKept, |world| {
        world.report().status.leased_voters = 2
    });
}

#[test]
fn a_paused_upgrade_restarts_nobody_not_even_what_does_not_run() {
    let paused = validate(&cluster(&format!(
        "{SPEC}  upgrade: {{strategy: Paused}}\n"
    )))
    .unwrap();
    let mut world = World::of_workers(3);
    old(&mut world, &[1]);
    world.pod(1).ready = false;
    let plan = plan(
        &paused,
        &world.observed,
        TEMPLATE,
        &Rollout::default(),
        None,
    );
    assert_eq!(plan.held.unwrap().predicate, Predicate::NotPaused);
}

#[test]
fn what_does_not_run_goes_first_whatever_the_data_says() {
    let plan = planned(3, 3, |world| {
        old(world, &[0, 1, 2]);
        world.pod(0).ready = false;
        world.dead(0);
        world.report().status.under_replicated_files = 5;
    });
    assert_eq!(plan.steps, [unannounced(0)]);
}

fn rollout_of(ordinal: u32, removed: &str) -> Rollout {
    Rollout {
        current: Some(names::worker("films", ordinal)),
        removed_uid: Some(removed.to_owned()),
        ..Rollout::default()
    }
}

#[track_caller]
fn after_restart(change: impl FnOnce(&mut World)) -> Plan {
    let mut world = World::of_workers(3);
    old(&mut world, &[0, 1]);
    change(&mut world);
    plan(
        &with_workers(3),
        &world.observed,
        TEMPLATE,
        &rollout_of(2, "gone"),
        None,
    )
}

#[test]
fn the_next_restart_waits_for_another_pod_that_is_ready_and_whose_disk_is_back() {
    let replaced = |plan: &Plan| plan.held.as_ref().map(|held| held.predicate);
    let absent = after_restart(|world| world.lose_pod(2));
    assert_eq!(replaced(&absent), Some(Predicate::PreviousPodReplaced));
    let same = after_restart(|world| world.pod(2).uid = "gone".to_owned());
    assert_eq!(replaced(&same), Some(Predicate::PreviousPodReplaced));
    let broken = after_restart(|world| {
        world.pod(2).ready = false;
        world.pod(2).waiting = Some("ImagePullBackOff".to_owned());
    });
    let why = broken.held.clone().unwrap();
    assert_eq!(why.predicate, Predicate::PreviousWorkerRegistered);
    assert!(why.message.contains("ImagePullBackOff"), "{}", why.message);
    let silent = after_restart(|world| world.dead(2));
    assert_eq!(replaced(&silent), Some(Predicate::PreviousWorkerRegistered));
    let back = after_restart(|_| {});
    assert_eq!(back.steps, [restart(1)]);
}

#[test]
fn a_restart_that_was_announced_and_not_done_is_done() {
    let mut world = World::of_workers(3);
    old(&mut world, &[0, 1, 2]);
    let rollout = rollout_of(2, "pod-2");
    let plan = plan(&with_workers(3), &world.observed, TEMPLATE, &rollout, None);
    assert_eq!(plan.steps, [restart(2)]);
}

#[test]
fn a_broken_image_stops_at_one_worker_and_is_undone_there() {
    // The image was taken back: two are as wanted, the broken one is not.
    let mut world = World::of_workers(3);
    world.pod(2).template = "broken".to_owned();
    world.pod(2).ready = false;
    world.dead(2);
    let rollout = rollout_of(2, "gone");
    let plan = plan(&with_workers(3), &world.observed, TEMPLATE, &rollout, None);
    assert_eq!(plan.steps, [unannounced(2)]);
}

#[test]
fn one_rule_can_be_switched_off_by_name_and_that_is_told() {
    let mut world = World::of_workers(3);
    old(&mut world, &[2]);
    world.report().status.copies_to_make = 1;
    let ignored = Some("repair_queue_below_limit".parse().unwrap());
    let plan = plan(
        &with_workers(3),
        &world.observed,
        TEMPLATE,
        &Rollout::default(),
        ignored,
    );
    assert_eq!(plan.steps, [restart(2)]);
    assert_eq!(plan.ignored, Some(Predicate::RepairQueueBelowLimit));
    assert!("no_such_rule".parse::<Predicate>().is_err());
}

// Smaller.

#[test]
fn workers_that_are_too_many_are_drained_together_and_none_goes() {
    let plan = planned(5, 3, |_| {});
    let drain = |ordinal| Step::Drain {
        ordinal,
        disk: disk(ordinal),
    };
    assert_eq!(plan.steps, [drain(3), drain(4)]);
    assert_eq!((plan.replicas, plan.scale_down), (5, ScaleDown::Running));
}

#[test]
fn an_empty_worker_is_marked_then_retired_then_gone() {
    let emptied = |world: &mut World| {
        world.empty(3);
        world.empty(4);
    };
    let plan = planned(5, 3, emptied);
    let (ordinal, disk) = (4, disk(4));
    assert_eq!(plan.steps, [Step::MarkRetired { ordinal, disk }]);
    assert_eq!(plan.replicas, 5);
    let plan = planned(5, 3, |world| {
        emptied(world);
        world.claim(4).retired = Some(disk.to_string());
    });
    assert_eq!(plan.steps, [Step::Retire { ordinal, disk }]);
    assert_eq!(plan.replicas, 5);
    let plan = planned(5, 3, |world| {
        emptied(world);
        world.claim(4).retired = Some(disk.to_string());
        world.forget(4);
    });
    assert_eq!(plan.replicas, 4);
}

#[test]
fn a_worker_with_anything_left_stays_and_so_does_all_below_it() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut World)) {
        let plan = planned(5, 3, |world| {
            world.empty(3);
            world.empty(4);
            change(world);
        });
        assert_eq!(plan.replicas, 5);
        let retires = |step: &Step| matches!(step, Step::MarkRetired { .. } | Step::Retire { .. });
        assert!(!plan.steps.iter().any(retires), "{:?}", plan.steps);
    }
    check(|world| world.member(4).chunks = 1);
    check(|world| world.member(4).partitions = 1);
    check(|world| world.member(4).voter = true);
    check(|world| world.suspect(4));
    check(|world| world.dead(4));
    check(|world| world.member(4).draining = false);
}

#[test]
fn what_the_leader_does_not_know_is_not_empty() {
    let plan = planned(5, 3, |world| world.forget(4));
    let ScaleDown::Blocked(block, _) = plan.scale_down else {
        panic!("{:?}", plan.scale_down);
    };
    assert_eq!((block, plan.replicas), (ScaleDownBlock::TopologyUnknown, 5));
    let plan = planned(5, 3, World::leader_is_silent);
    assert!(matches!(
        plan.scale_down,
        ScaleDown::Blocked(ScaleDownBlock::TopologyUnknown, _)
    ));
    assert!(plan.steps.is_empty() && plan.replicas == 5);
    // An old answer is none.
    let plan = planned(5, 3, |world| {
        world.empty(4);
        world.report().age = std::time::Duration::from_secs(10);
    });
    assert!(plan.steps.is_empty() && plan.replicas == 5);
}

#[test]
fn a_worker_that_never_had_a_disk_just_goes() {
    let plan = planned(5, 3, |world| {
        for ordinal in [3, 4] {
            world.forget(ordinal);
            world.pod(ordinal).ready = false;
            world.claim(ordinal).capacity = None;
        }
    });
    assert_eq!((plan.replicas, plan.steps), (3, vec![]));
}

#[test]
fn a_shrink_that_cannot_work_drains_nobody() {
    let plan = planned(3, 2, |world| {
        world.member(0).free_bytes = 1;
        world.member(1).free_bytes = 1;
    });
    assert!(matches!(
        plan.scale_down,
        ScaleDown::Blocked(ScaleDownBlock::InsufficientCapacity, _)
    ));
    assert!(plan.steps.is_empty());
    let plan = planned(3, 2, |world| world.dead(0));
    let blocked = plan.scale_down;
    assert!(
        matches!(
            blocked,
            ScaleDown::Blocked(ScaleDownBlock::BelowReplicationFactor, _)
        ),
        "{blocked:?}"
    );
}

#[test]
fn a_shrink_that_is_taken_back_lets_workers_take_part_again() {
    let plan = planned(3, 3, |world| {
        world.member(2).draining = true;
        world.claim(2).drained = Some(disk(2).to_string());
    });
    let disk = disk(2);
    assert_eq!(plan.steps, [Step::Undrain { ordinal: 2, disk }]);
    // What people drained is theirs.
    let plan = planned(3, 3, |world| world.member(2).draining = true);
    assert!(plan.steps.is_empty());
}

#[test]
fn a_mark_that_was_set_and_not_followed_is_taken_off_when_the_worker_is_wanted_again() {
    let plan = planned(3, 3, |world| {
        world.member(2).draining = true;
        world.claim(2).drained = Some(disk(2).to_string());
        world.claim(2).retired = Some(disk(2).to_string());
    });
    // The mark of the drain stays: its disk has to take part again.
    assert_eq!(plan.steps, [Step::UnmarkRetired { ordinal: 2 }]);
}

#[test]
fn a_mark_that_is_not_of_the_workers_disk_takes_nothing_away() {
    for mark in ["no disk".to_owned(), disk(99).to_string()] {
        let shrunk = planned(5, 3, |world| {
            world.empty(4);
            world.claim(4).retired = Some(mark.clone());
        });
        assert_eq!(shrunk.replicas, 5, "{mark}");
        let ScaleDown::Blocked(block, _) = shrunk.scale_down else {
            panic!("{:?}", shrunk.scale_down);
        };
        assert_eq!(block, ScaleDownBlock::TopologyUnknown);
        let kept = planned(3, 3, |world| world.claim(2).retired = Some(mark.clone()));
        assert_eq!((kept.replicas, kept.steps), (3, vec![]), "{mark}");
    }
    // An old answer says nothing of now.
    let plan = planned(3, 3, |world| {
        world.claim(2).retired = Some(disk(2).to_string());
        world.forget(2);
        world.report().age = std::time::Duration::from_secs(10);
    });
    assert_eq!((plan.replicas, plan.steps), (3, vec![]));
}

#[test]
fn a_claim_that_was_never_bound_holds_up_no_shrink() {
    let plan = planned(5, 3, |world| {
        for ordinal in [3, 4] {
            world.forget(ordinal);
            world.lose_pod(ordinal);
            world.claim(ordinal).capacity = None;
        }
        world.observed.set.as_mut().unwrap().replicas = 3;
    });
    assert_eq!(
        (plan.replicas, plan.scale_down),
        (3, ScaleDown::NotRequested)
    );
}

#[test]
fn a_restart_of_one_that_is_not_to_come_back_is_over() {
    let mut world = World::of_workers(3);
    old(&mut world, &[1]);
    let rollout = rollout_of(4, "gone");
    let plan = plan(&with_workers(3), &world.observed, TEMPLATE, &rollout, None);
    assert_eq!(plan.steps, [restart(1)]);
}

#[test]
fn growth_over_a_retired_disk_waits_until_its_claim_is_gone() {
    let mut world = World::of_workers(3);
    let retired = ClaimSeen {
        capacity: Some(1),
        retired: Some(disk(9).to_string()),
        ..ClaimSeen::default()
    };
    world.observed.workers.entry(3).or_default().claim = Some(retired);
    let five = with_workers(5);
    let first = plan(&five, &world.observed, TEMPLATE, &Rollout::default(), None);
    assert_eq!(
        (first.replicas, first.steps),
        (3, vec![Step::Discard { ordinal: 3 }])
    );
    world.observed.workers.remove(&3);
    let then = plan(&five, &world.observed, TEMPLATE, &Rollout::default(), None);
    assert_eq!(then.replicas, 5);
}

#[test]
fn a_retired_disk_of_a_worker_that_is_wanted_is_replaced() {
    // It was retired, and then the cluster was to be as large as before.
    let plan = planned(3, 3, |world| {
        world.claim(2).retired = Some(disk(2).to_string());
        world.forget(2);
    });
    assert_eq!(
        (plan.replicas, plan.steps),
        (3, vec![Step::Discard { ordinal: 2 }])
    );
}

#[test]
fn a_set_that_is_missing_comes_back_with_all_workers_that_have_claims() {
    let plan = planned(5, 3, |world| world.observed.set = None);
    assert_eq!(plan.replicas, 5);
    let plan = planned(5, 3, |world| {
        world.observed.set.as_mut().unwrap().replicas = 3
    });
    assert_eq!(plan.replicas, 5);
}

#[test]
fn a_decommissioned_worker_is_drained_and_stays() {
    let spec = format!("{SPEC}  decommission: [{{worker: films-worker-1}}]\n");
    let valid = validate(&cluster(&spec)).unwrap();
    let mut world = World::of_workers(3);
    let drained = plan(&valid, &world.observed, TEMPLATE, &Rollout::default(), None);
    let disk = disk(1);
    assert_eq!(drained.steps, [Step::Drain { ordinal: 1, disk }]);
    world.empty(1);
    world.claim(1).drained = Some(disk.to_string());
    let then = plan(&valid, &world.observed, TEMPLATE, &Rollout::default(), None);
    assert_eq!((then.replicas, then.steps), (3, vec![]));
}

#[test]
fn a_lost_disk_is_given_up_once_its_worker_is_back_with_another() {
    let replaced = |world: &mut World| {
        let mut lost = member(2);
        lost.state = WorkerState::Dead;
        lost.disk_id = disk(77);
        lost.voter = false;
        world.report().workers.push(lost);
    };
    let plan = planned(3, 3, replaced);
    let disk = disk(77);
    assert_eq!(plan.steps, [Step::Retire { ordinal: 2, disk }]);
    // While it votes, its vote has to move first; that is asked for once.
    let votes = |world: &mut World, draining: bool| {
        replaced(world);
        let lost = world.report().workers.last_mut().unwrap();
        (lost.voter, lost.draining) = (true, draining);
    };
    let plan = planned(3, 3, |world| votes(world, false));
    assert_eq!(plan.steps, [Step::Unseat { ordinal: 2, disk }]);
    let plan = planned(3, 3, |world| votes(world, true));
    assert!(plan.steps.is_empty());
    // What is being repaired may still need it.
    let plan = planned(3, 3, |world| {
        replaced(world);
        world.report().status.under_replicated_files = 1;
    });
    assert!(plan.steps.is_empty());
    // A worker that is only away has one disk.
    let plan = planned(3, 3, |world| world.dead(2));
    assert!(plan.steps.is_empty());
}
