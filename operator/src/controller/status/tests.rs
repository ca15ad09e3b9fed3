use super::*;
use crate::controller::growth::plan_growth;
use crate::controller::removal;
use crate::controller::test_support::{SPEC, TEMPLATE, World, cluster, with_workers};
use crate::controller::validate::validate;
use crate::crd::DataHealth;
use k8s_openapi::jiff::Timestamp;
use mdfs_client::api::{AtRisk, MasterInfo, MasterRole};

const NOW: i64 = 1_700_000_000;

fn time(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).unwrap())
}

fn born() -> Bootstrap {
    Bootstrap {
        cluster_id: "c1".to_owned(),
        completed_time: time(NOW - 100),
    }
}

fn shown_at(
    previous: &MdfsClusterStatus,
    world: &World,
    wanted: u32,
    now: i64,
) -> MdfsClusterStatus {
    shown_with(previous, world, &with_workers(wanted), now, |_| {})
}

fn shown_with(
    previous: &MdfsClusterStatus,
    world: &World,
    valid: &ValidatedCluster,
    now: i64,
    change: impl FnOnce(&mut Facts<'_>),
) -> MdfsClusterStatus {
    let rollout = &previous.rollout;
    let plan = removal::plan(valid, &world.observed, TEMPLATE, rollout, None);
    let growth = plan_growth(&valid.storage, &world.observed);
    let (born, now) = (born(), time(now));
    let mut facts = Facts {
        name: "films",
        namespace: "media",
        generation: Some(7),
        wanted_workers: valid.workers.replicas,
        valid: Ok(valid),
        observed: &world.observed,
        plan: Some(&plan),
        growth: Some(&growth),
        paused: false,
        deleting: Deleting::No,
        bootstrap: Some(&born),
        master_template: TEMPLATE,
        unapplied: None,
        refused_policy: None,
        failed: None,
        passing: None,
        now: &now,
    };
    change(&mut facts);
    status(previous, &facts)
}

fn shown(change: impl FnOnce(&mut World)) -> MdfsClusterStatus {
    let mut world = World::of_workers(3);
    change(&mut world);
    shown_at(&MdfsClusterStatus::default(), &world, 3, NOW)
}

/// The truth and the reason of a condition.
fn says(status: &MdfsClusterStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|it| it.type_ == kind);
    found
        .map(|it| (it.status.clone(), it.reason.clone()))
        .unwrap_or_default()
}

#[track_caller]
fn check(change: impl FnOnce(&mut World), want: &[(&str, &str, &str)]) {
    let status = shown(change);
    for (kind, truth, reason) in want {
        let (said, why) = says(&status, kind);
        assert_eq!((said.as_str(), why.as_str()), (*truth, *reason), "{kind}");
    }
}

const ALWAYS: [&str; 12] = [
    "Ready",
    "Available",
    "DataSafe",
    "Degraded",
    "Progressing",
    "CapacityAvailable",
    "ScaleDownBlocked",
    "VolumesResized",
    "CertificatesValid",
    "SpecValid",
    "ReconciliationPaused",
    "DeletionBlocked",
];

#[test]
fn a_healthy_cluster_is_ready_and_needs_no_word() {
    let status = shown(|_| {});
    let kinds: Vec<&str> = status
        .conditions
        .iter()
        .map(|it| it.type_.as_str())
        .collect();
    assert_eq!(kinds, ALWAYS);
    assert!(
        status
            .conditions
            .iter()
            .all(|it| it.observed_generation == Some(7))
    );
    assert_eq!(
        says(&status, "Ready"),
        ("True".to_owned(), "AllReady".to_owned())
    );
    assert_eq!(says(&status, "DataSafe").1, "AllReplicated");
    assert_eq!(
        (status.phase.as_str(), status.diagnosis.as_str()),
        ("Ready", "")
    );
    assert_eq!(status.data.health, DataHealth::Healthy);
    // Nine tenths of a second ago, rounded down.
    assert_eq!(status.data.observed_time, Some(time(NOW - 1)));
    assert_eq!(status.master.leader.as_deref(), Some("films-master-1"));
    assert_eq!((status.workers.ready, status.workers.registered), (3, 3));
    assert_eq!(status.version.running, "0.1.0");
    assert!(status.capacity.can_lose_one_worker);
}

#[test]
fn all_conditions_are_there_whatever_happens() {
    for status in [
        shown(World::leader_is_silent),
        shown(|world| world.observed.leader = crate::controller::observed::Leader::None),
        shown(|world| world.observed = crate::controller::observed::Observed::default()),
    ] {
        for kind in ALWAYS {
            assert!(
                status.conditions.iter().any(|it| it.type_ == kind),
                "{kind}"
            );
        }
    }
}

#[test]
fn what_nobody_knows_is_unknown_and_never_healthy() {
    let unknown = [
        ("Ready", "Unknown", "DataUnavailable"),
        ("Available", "Unknown", "HealthUnknown"),
        ("DataSafe", "Unknown", "HealthUnknown"),
        ("Degraded", "Unknown", "HealthUnknown"),
        ("CapacityAvailable", "Unknown", "HealthUnknown"),
    ];
    check(World::leader_is_silent, &unknown);
    let data = [("DataSafe", "Unknown", "HealthUnknown")];
    check(
        |world| world.report().status.counted_millis_ago = None,
        &data,
    );
    check(
        |world| world.report().status.counted_millis_ago = Some(31_000),
        &data,
    );
    check(
        |world| {
            world.report().status.counted_millis_ago = Some(20_000);
            world.report().age = std::time::Duration::from_secs(11);
        },
        &data,
    );
    check(
        |world| world.observed.leader = crate::controller::observed::Leader::None,
        &[
            ("Available", "False", "NoLeader"),
            ("DataSafe", "Unknown", "HealthUnknown"),
        ],
    );
}

#[test]
fn masters_that_refuse_the_operators_token_are_told_with_the_way_out() {
    let status =
        shown(|world| world.observed.leader = crate::controller::observed::Leader::Refused);
    let (truth, reason) = says(&status, "Available");
    assert_eq!(
        (truth.as_str(), reason.as_str()),
        ("Unknown", "TokenRefused")
    );
    assert_eq!(says(&status, "Ready").0, "Unknown");
    for part in ["films-access", "rollout restart deployment films-master"] {
        assert!(status.diagnosis.contains(part), "{}", status.diagnosis);
    }
}

#[test]
fn the_leader_is_the_one_that_the_list_of_masters_names() {
    let master = |number: u32, role, warm| MasterInfo {
        url: format!("http://10.0.1.{number}:8080"),
        role,
        heard_millis_ago: Some(0),
        copied: None,
        behind: None,
        warm,
        version: None,
        format_least: None,
        format_most: None,
    };
    let status = shown(|world| {
        world.report().status.masters = vec![
            master(0, MasterRole::Leader, true),
            master(1, MasterRole::Follower, false),
        ];
    });
    assert_eq!(status.master.leader.as_deref(), Some("films-master-0"));
    assert_eq!(status.master.warm, 1);
}

#[test]
fn data_is_safe_while_every_file_has_two_good_copies() {
    let at_risk = |copies, wanted| AtRisk {
        name: "a".to_owned(),
        copies,
        wanted,
    };
    check(
        |world| {
            world.report().status.under_replicated_files = 1;
            world.report().status.at_risk = vec![at_risk(2, 3)];
        },
        &[
            ("DataSafe", "True", "Repairing"),
            ("Degraded", "True", "UnderReplicated"),
        ],
    );
    check(
        |world| {
            world.report().status.under_replicated_files = 1;
            world.report().status.at_risk = vec![at_risk(1, 2)];
        },
        &[("DataSafe", "False", "SingleCopy")],
    );
    check(
        |world| {
            world.report().status.damaged_chunks = 1;
            world.report().status.at_risk = vec![at_risk(1, 2)];
        },
        &[("DataSafe", "False", "CorruptionDetected")],
    );
    check(
        |world| world.report().status.missing_files = 1,
        &[
            ("DataSafe", "False", "ChunksMissing"),
            ("Ready", "False", "DataUnavailable"),
        ],
    );
}

#[test]
fn what_is_served_follows_voters_and_workers() {
    check(
        |world| world.report().status.leased_voters = 1,
        &[
            ("Available", "False", "BelowWriteQuorum"),
            ("Ready", "False", "DataUnavailable"),
        ],
    );
    check(
        |world| {
            world.dead(0);
            world.dead(1);
        },
        &[("Available", "False", "ServingReadOnly")],
    );
    let read_only = [("Available", "False", "ServingReadOnly")];
    check(
        |world| {
            world.member(0).read_only = true;
            world.member(1).free_bytes = 1;
        },
        &read_only,
    );
    check(
        |world| {
            world.member(0).draining = true;
            world.member(1).witness = true;
        },
        &read_only,
    );
}

#[test]
fn a_worker_that_is_away_is_named_with_why() {
    let status = shown(|world| {
        world.pod(1).ready = false;
        world.pod(1).waiting = Some("CrashLoopBackOff".to_owned());
        world.dead(1);
    });
    assert_eq!(says(&status, "Ready").1, "WorkersNotReady");
    assert_eq!(says(&status, "Degraded").1, "WorkerDown");
    assert!(
        status.diagnosis.contains("films-worker-1"),
        "{}",
        status.diagnosis
    );
    assert!(
        status.diagnosis.contains("CrashLoopBackOff"),
        "{}",
        status.diagnosis
    );
    assert_eq!(status.workers.lost, 1);
}

#[test]
fn a_full_disk_and_one_worker_too_few_are_told() {
    check(
        |world| {
            for ordinal in 0..3 {
                let member = world.member(ordinal);
                (member.chunk_bytes, member.free_bytes) = (96, 4);
            }
        },
        &[("CapacityAvailable", "False", "Full")],
    );
    check(
        |world| world.member(0).chunk_bytes = 1 << 40,
        &[("CapacityAvailable", "False", "Full")],
    );
    check(
        |world| {
            for ordinal in 0..3 {
                let member = world.member(ordinal);
                (member.chunk_bytes, member.free_bytes) = (70, 30);
            }
        },
        &[("CapacityAvailable", "False", "CannotSurviveWorkerLoss")],
    );
}

#[test]
fn a_change_under_way_shows_how_far_it_is_and_what_holds_it() {
    let status = shown(|world| {
        for ordinal in 0..3 {
            world.pod(ordinal).template = "old".to_owned();
        }
        world.report().status.copies_to_make = 4;
    });
    assert_eq!(status.rollout.blocked_by, "repair_queue_below_limit");
    assert_eq!((status.rollout.updated, status.rollout.total), (0, 3));
    assert_eq!(says(&status, "Progressing").1, "RollingOut");
    assert_eq!(says(&status, "Reconciling").0, "True");
    assert_eq!(status.phase, "Upgrading");
}

/// What is not in force, by its reason, is neither converged nor ready.
#[track_caller]
fn is_under_way(change: impl FnOnce(&mut World), reason: &str) {
    check(
        change,
        &[("Progressing", "True", reason), ("Ready", "False", reason)],
    );
}

#[test]
fn masters_of_before_are_told_until_the_last_is_gone() {
    let masters = |change: fn(&mut crate::controller::observed::MastersSeen)| {
        is_under_way(
            |world| change(world.observed.masters.as_mut().unwrap()),
            "RollingOut",
        );
    };
    masters(|masters| masters.template = "old".to_owned());
    masters(|masters| masters.current = false);
    masters(|masters| masters.updated = 1);
    masters(|masters| masters.available = 1);
    // One of before is still counted.
    masters(|masters| masters.pods = 3);
    let old = |world: &mut World| world.observed.master_pods[0].template = "old".to_owned();
    is_under_way(old, "RollingOut");
    let status = shown(|world| {
        old(world);
        world.observed.master_pods[0].terminating = true;
    });
    assert_eq!(says(&status, "Ready").1, "RollingOut");
    let no_more = shown(|world| {
        world.observed.masters.as_mut().unwrap().template = "old".to_owned();
    });
    assert_eq!(no_more.master.updated, 0);
}

#[test]
fn workers_are_as_wanted_once_their_set_is_too() {
    let set = |change: fn(&mut crate::controller::observed::SetSeen)| {
        is_under_way(
            |world| change(world.observed.set.as_mut().unwrap()),
            "RollingOut",
        );
    };
    set(|set| set.template = "old".to_owned());
    set(|set| set.current = false);
    set(|set| set.terminating = true);
    is_under_way(|world| world.observed.set = None, "RollingOut");
}

#[test]
fn a_policy_that_is_not_in_force_is_told_by_its_fields() {
    is_under_way(
        |world| world.report().policy.repair_delay_seconds = 7,
        "ApplyingPolicy",
    );
    is_under_way(|world| world.report().status.voters = 1, "ApplyingPolicy");
    let status = shown(|world| {
        world.report().policy.min_write_copies = Some(1);
        world.report().policy.chunk_size = 1 << 20;
    });
    assert_eq!(
        status.diagnosis,
        "ApplyingPolicy: not in force yet: replication.minWriteCopies, replication.chunkSize"
    );
    assert_eq!(status.phase, "Applying");
    check(
        World::leader_is_silent,
        &[("Progressing", "Unknown", "PolicyUnknown")],
    );
}

#[test]
fn what_cannot_be_applied_is_never_in_force() {
    let undone = |unapplied, refused_policy, failed, paused| {
        let mut world = World::of_workers(3);
        if refused_policy {
            world.report().policy.replicas = 1;
        }
        let before = MdfsClusterStatus::default();
        shown_with(&before, &world, &with_workers(3), NOW, |facts| {
            facts.paused = paused;
            facts.unapplied = Some("Service films-api").filter(|_| unapplied);
            facts.refused_policy = Some("more copies than workers").filter(|_| refused_policy);
            facts.failed = Some("cannot delete films-worker-0").filter(|_| failed);
        })
    };
    let ready = |status: &MdfsClusterStatus| says(status, "Ready");
    let no = |reason: &str| ("False".to_owned(), reason.to_owned());
    assert_eq!(ready(&undone(true, false, false, false)), no("Applying"));
    assert_eq!(ready(&undone(true, false, false, true)), no("Paused"));
    assert_eq!(ready(&undone(false, false, false, true)).0, "True");
    let failed = undone(false, false, true, false);
    assert_eq!(ready(&failed), no("ApplyFailed"));
    assert_eq!(failed.diagnosis, "cannot delete films-worker-0");
    let refused = undone(false, true, false, false);
    assert_eq!(ready(&refused), no("ApplyingPolicy"));
    assert!(refused.diagnosis.ends_with("more copies than workers"));
}

#[test]
fn what_the_masters_could_not_do_once_is_told_and_nothing_is_less_ready() {
    let once = |policy| {
        let mut world = World::of_workers(3);
        if policy {
            world.report().policy.replicas = 1;
        }
        let before = MdfsClusterStatus::default();
        shown_with(&before, &world, &with_workers(3), NOW, |facts| {
            facts.passing = Some("the masters did not set the policy: no leader");
        })
    };
    let told = |status: &MdfsClusterStatus| {
        let mut all = status.conditions.iter();
        let progressing = all.find(|it| it.type_ == "Progressing").unwrap();
        progressing.message.contains("no leader")
    };
    let well = once(false);
    assert_eq!(says(&well, "Ready").0, "True");
    assert_eq!(says(&well, "Progressing").0, "False");
    assert!(told(&well) && well.diagnosis.is_empty());
    // What is not in force is not, whoever is to blame.
    let undone = once(true);
    assert_eq!(says(&undone, "Ready").1, "ApplyingPolicy");
    assert!(told(&undone));
}

#[test]
fn a_worker_that_is_to_be_empty_holds_readiness_until_it_is() {
    let spec = format!("{SPEC}  decommission: [{{worker: films-worker-2}}]\n");
    let valid = validate(&cluster(&spec)).unwrap();
    let ready = |change: fn(&mut World)| {
        let mut world = World::of_workers(3);
        change(&mut world);
        let before = MdfsClusterStatus::default();
        says(&shown_with(&before, &world, &valid, NOW, |_| {}), "Ready")
    };
    let draining = ("False".to_owned(), "Draining".to_owned());
    assert_eq!(ready(|_| {}), draining);
    assert_eq!(ready(|world| world.member(2).draining = true), draining);
    assert_eq!(ready(|world| world.empty(2)).0, "True");
}

#[test]
fn a_worker_that_cannot_be_emptied_is_named() {
    let spec = format!("{SPEC}  decommission: [{{worker: films-worker-2}}]\n");
    let valid = validate(&cluster(&spec)).unwrap();
    let mut world = World::of_workers(3);
    world.member(0).free_bytes = 1;
    world.member(1).free_bytes = 1;
    let before = MdfsClusterStatus::default();
    let status = shown_with(&before, &world, &valid, NOW, |_| {});
    assert_eq!(says(&status, "ScaleDownBlocked").1, "InsufficientCapacity");
    for kind in ["ScaleDownBlocked", "Progressing"] {
        let told = status.conditions.iter().find(|it| it.type_ == kind);
        let told = &told.unwrap().message;
        assert!(
            told.starts_with("decommission of films-worker-2: "),
            "{told}"
        );
    }
}

#[test]
fn a_shrink_shows_what_is_left_on_the_workers_that_go() {
    let mut world = World::of_workers(5);
    world.member(4).draining = true;
    let status = shown_at(&MdfsClusterStatus::default(), &world, 3, NOW);
    assert_eq!(says(&status, "ScaleDownBlocked").1, "DataNotDrained");
    assert_eq!(status.drains.len(), 1);
    assert_eq!(status.drains[0].chunks_remaining, 2);
    assert_eq!(status.phase, "ScalingDown");
}

#[test]
fn nothing_changes_while_no_fact_does_whatever_the_clock_says() {
    let mut world = World::of_workers(3);
    let first = shown_at(&MdfsClusterStatus::default(), &world, 3, NOW);
    // The count is always of another moment.
    world.report().status.counted_millis_ago = Some(400);
    world.report().status.commit += 7;
    assert_eq!(shown_at(&first, &world, 3, NOW + 60), first);
    world.report().status.files += 1;
    let more = shown_at(&first, &world, 3, NOW + 60);
    assert_eq!(more.data.observed_time, Some(time(NOW + 59)));
    assert_eq!(more.conditions, first.conditions);
    assert!(is_figures_only(&first, &more));
    // Sentences have figures in them too.
    let mut said = more.clone();
    said.conditions[0].message = "7 left".to_owned();
    said.diagnosis = "7 left".to_owned();
    said.rollout.blocked_message = "7 left".to_owned();
    assert!(is_figures_only(&more, &said));
    world.report().status.under_replicated_files = 1;
    let ill = shown_at(&more, &world, 3, NOW + 70);
    assert!(!is_figures_only(&more, &ill));
    let moved = |kind: &str| {
        let of = |status: &MdfsClusterStatus| {
            let condition = status
                .conditions
                .iter()
                .find(|it| it.type_ == kind)
                .cloned();
            condition.map(|it| it.last_transition_time)
        };
        of(&ill) != of(&first)
    };
    assert!(moved("Degraded") && !moved("Available"));
}

#[test]
fn figures_of_before_stay_with_their_time_while_nobody_knows_new_ones() {
    let mut world = World::of_workers(3);
    let first = shown_at(&MdfsClusterStatus::default(), &world, 3, NOW);
    world.leader_is_silent();
    let then = shown_at(&first, &world, 3, NOW + 40);
    assert_eq!(then.data.health, DataHealth::Unknown);
    assert_eq!(then.data.observed_time, first.data.observed_time);
    assert_eq!(then.data.files, first.data.files);
}

#[test]
fn a_spec_that_cannot_be_used_is_told_and_the_files_are_still_watched() {
    let spec = SPEC.replace("{storage", "{replicas: 1, storage");
    let faults = validate(&cluster(&spec)).unwrap_err();
    let world = World::of_workers(3);
    let status = status(
        &MdfsClusterStatus::default(),
        &Facts {
            name: "films",
            namespace: "media",
            generation: Some(8),
            wanted_workers: 1,
            valid: Err(&faults),
            observed: &world.observed,
            plan: None,
            growth: None,
            paused: false,
            deleting: Deleting::No,
            bootstrap: Some(&born()),
            master_template: TEMPLATE,
            unapplied: None,
            refused_policy: None,
            failed: None,
            passing: None,
            now: &time(NOW),
        },
    );
    assert_eq!(says(&status, "SpecValid").1, "InvalidField");
    assert_eq!(says(&status, "Ready").1, "SpecInvalid");
    assert_eq!(says(&status, "Stalled").0, "True");
    assert_eq!(says(&status, "DataSafe").0, "True");
    assert!(
        status.diagnosis.contains("workers.replicas"),
        "{}",
        status.diagnosis
    );
}

#[test]
fn tags_are_read_from_images_with_ports_and_digests() {
    for (image, want) in [
        ("mdfs:0.1.0", "0.1.0"),
        ("registry:5000/mdfs", "latest"),
        ("registry:5000/mdfs:1", "1"),
        ("r/mdfs@sha256:abc", "abc"),
    ] {
        assert_eq!(tag(image), want, "{image}");
    }
}

#[test]
fn when_kubernetes_cannot_be_read_nothing_is_said_to_be_well_any_more() {
    let well = shown(|_| {});
    let status = unseen(&well, "cannot list pods", &time(NOW + 5));
    for kind in ["Ready", "Available", "DataSafe", "Progressing"] {
        assert_eq!(says(&status, kind).0, "Unknown", "{kind}");
    }
    assert_eq!(says(&status, "SpecValid").0, "True");
    assert_eq!(status.data.health, DataHealth::Unknown);
    assert_eq!(status.data.observed_time, well.data.observed_time);
    assert_eq!(status.diagnosis, "cannot list pods");
    assert_eq!(unseen(&status, "cannot list pods", &time(NOW + 9)), status);
}

#[test]
fn a_cluster_that_is_being_deleted_is_not_well_whatever_was_said_before() {
    let (valid, born) = (with_workers(3), born());
    let status = status(
        &shown(|_| {}),
        &Facts {
            name: "films",
            namespace: "media",
            generation: Some(8),
            wanted_workers: 3,
            valid: Ok(&valid),
            observed: &crate::controller::observed::Observed::default(),
            plan: None,
            growth: None,
            paused: false,
            deleting: Deleting::Running,
            bootstrap: Some(&born),
            master_template: TEMPLATE,
            unapplied: None,
            refused_policy: None,
            failed: Some("volumes go once these pods have: films-worker-0"),
            passing: None,
            now: &time(NOW),
        },
    );
    assert_eq!(
        says(&status, "Ready"),
        ("False".to_owned(), "Deleting".to_owned())
    );
    assert_eq!(says(&status, "Available").0, "Unknown");
    assert_eq!(says(&status, "DataSafe").0, "Unknown");
    assert_eq!(status.phase, "Deleting");
    assert!(status.diagnosis.contains("films-worker-0"));
}
