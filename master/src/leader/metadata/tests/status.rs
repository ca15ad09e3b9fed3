//! The state of the cluster, as far as it is known.

use super::asking::{begin, done, ids, open};
use super::healing::{chunk, copies, with_files};
use super::world::{World, disk};
use crate::leader::command::BeginUpload;
use crate::leader::survey::Survey;
use mdfs_core::id::MountId;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::internal::{DiskState, VoterState};
use mdfs_protocol::public::Health;

#[track_caller]
fn check(world: &mut World, health: Health, why: &str) {
    let status = world.status();
    assert_eq!(status.health, health, "{:?}", status.reasons);
    let told = status.reasons.iter().any(|reason| reason.contains(why));
    assert!(
        told || why.is_empty(),
        "{why:?} is not in {:?}",
        status.reasons
    );
}

#[test]
fn a_cluster_of_which_all_is_there_is_well() {
    let mut world = World::founded();
    world.store("a");
    world.run(2000);
    check(&mut world, Health::Ok, "");
    let status = world.status();
    assert!(status.reasons.is_empty());
    assert_eq!(
        (status.files, status.bytes, status.workers, status.voters),
        (1, 1 << 20, 3, 3)
    );
}

#[test]
fn without_a_leader_nothing_is_called_well() {
    let mut world = World::blank(3);
    check(&mut world, Health::Unknown, "not bootstrapped");
    let founded = world.bootstrap(&[1, 2, 3], 2);
    world.run(2000);
    done(founded).unwrap();
    world.promise_to_another(50);
    for _ in 0..20 {
        if world.status().term.is_none() {
            break;
        }
        world.run(50);
    }
    check(&mut world, Health::Unknown, "no leader");
    world.run(10_000);
    check(&mut world, Health::Ok, "");
    world.restart_master();
    check(&mut world, Health::Unknown, "no leader");
}

#[test]
fn a_worker_whose_log_cannot_be_used_is_named_and_does_not_count_as_a_voter() {
    let mut world = World::founded();
    world.run(2000);
    world.worker(2).beat.voter = VoterState::Broken;
    world.run(1000);
    check(
        &mut world,
        Health::Degraded,
        "metadata log of worker worker-2",
    );
    assert_eq!(world.status().leased_voters, 2);
    world.worker(2).beat.voter = VoterState::Healthy;
    world.run(1000);
    check(&mut world, Health::Ok, "");
}

#[test]
fn it_is_never_well_on_the_way_from_start_to_start() {
    let mut world = World::founded();
    world.store("a");
    world.kill(3);
    world.restart_master();
    for _ in 0..200 {
        world.run(50);
        assert_ne!(world.status().health, Health::Ok);
    }
    check(&mut world, Health::Degraded, "1 of 3 workers");
}

#[test]
fn before_the_files_are_counted_their_state_is_not_known() {
    let mut world = World::founded();
    world.store("a");
    world.kill(3);
    world.hold_surveys = true;
    world.restart_master();
    world.run(10_000);
    check(&mut world, Health::Unknown, "not been counted");
    world.survey_found(Survey::default());
    check(&mut world, Health::Degraded, "");
}

#[test]
fn a_count_ordered_in_an_earlier_term_is_not_taken_for_one_of_this() {
    let mut world = World::founded();
    world.store("a");
    world.hold_surveys = true;
    world.kill(3);
    world.run(6000);
    world.promise_to_another(50);
    world.run(10_000);
    world.survey_found(Survey::default());
    check(&mut world, Health::Unknown, "not been counted");
}

#[test]
fn under_replicated_and_missing_files_are_counted_exactly() {
    let mut world = World::founded();
    let mut on = Vec::new();
    for n in 0..30 {
        let upload = world.open(&format!("file-{n}"));
        let placed = ids(world.place(&upload, 0).unwrap());
        done(world.commit_on(&upload, &placed)).unwrap();
        on.push(placed);
    }
    world.touch("empty");
    let lacking = |dead: &[u128], fewer_than: usize| {
        let reachable = |disks: &Vec<_>| {
            let dead: Vec<_> = dead.iter().map(|number| disk(*number)).collect();
            disks.iter().filter(|disk| !dead.contains(disk)).count()
        };
        on.iter()
            .filter(|disks| reachable(disks) < fewer_than)
            .count() as u64
    };
    world.kill(2);
    world.run(6000);
    check(
        &mut world,
        Health::Degraded,
        "files have too few reachable copies",
    );
    assert_eq!(world.status().under_replicated_files, lacking(&[2], 2));
    assert_eq!(world.status().missing_files, 0);
    // Its voter still answers: only its chunks cannot be reached.
    world.worker(3).beats = false;
    world.run(6000);
    check(&mut world, Health::Critical, "files cannot be read whole");
    assert_eq!(world.status().under_replicated_files, lacking(&[2, 3], 2));
    assert_eq!(world.status().missing_files, lacking(&[2, 3], 1));
    world.heal();
    world.run(3000);
    check(&mut world, Health::Ok, "");
    assert_eq!(world.status().under_replicated_files, 0);
}

#[test]
fn while_a_worker_is_gone_files_are_counted_now_and_then() {
    let mut world = World::founded();
    world.kill(3);
    world.run(20_000);
    let before = world.surveys;
    world.run(10_000);
    let made = world.surveys - before;
    assert!((2..=10).contains(&made), "{made} in ten seconds");
}

#[test]
fn too_few_workers_for_new_copies_is_critical() {
    let mut world = World::founded();
    let begin = BeginUpload {
        replicas: Some(ReplicationFactor::MIN),
        ..begin("a")
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    done(world.finish(&upload)).unwrap();
    world.worker(2).beats = false;
    world.worker(3).beats = false;
    world.run(6000);
    check(&mut world, Health::Critical, "uploads are refused");
}

#[test]
fn a_lost_quorum_is_critical_and_a_read_only_disk_degraded() {
    let mut world = World::founded();
    world.worker(2).beat.state = DiskState::ReadOnly;
    world.run(2000);
    check(&mut world, Health::Degraded, "worker-2 accepts no writes");
    world.cut(&[2, 3]);
    world.run(3000);
    check(&mut world, Health::Critical, "too few voters");
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    let mut world = World::founded();
    world.hold_surveys = true;
    world.kill(3);
    world.run(6000);
    world.survey_found(Survey {
        unreadable_files: 2,
        ..Survey::default()
    });
    check(
        &mut world,
        Health::Critical,
        "2 files have records that cannot be read",
    );
}

#[test]
fn a_count_that_left_something_out_has_no_age_whatever_else_is_wrong() {
    let mut world = World::founded();
    world.hold_surveys = true;
    world.kill(3);
    world.run(6000);
    let found = |unlisted_partitions| Survey {
        missing_files: 1,
        unlisted_partitions,
        ..Survey::default()
    };
    world.survey_found(found(1));
    check(&mut world, Health::Critical, "cannot be read whole");
    assert_eq!(world.status().counted_millis_ago, None);
    world.run(6000);
    world.survey_found(found(0));
    assert!(world.status().counted_millis_ago.is_some());
}

/// Looks at the status until it tells that `truth` files lack a copy, which is so since a moment, or for
/// so long. What it tells before is told as of before that.
#[track_caller]
fn is_told(world: &mut World, truth: u64, since: u64, millis: u64) -> bool {
    while world.now < since + millis {
        world.run(50);
        let status = world.status();
        let told = status.under_replicated_files;
        if told == truth {
            return true;
        }
        let age = status.counted_millis_ago.unwrap();
        let later = world.now - since;
        assert!(age >= later, "{told} files, {age} ms old, {later} ms after");
    }
    false
}

#[test]
fn a_count_without_a_worker_that_came_back_is_as_old_as_its_return() {
    for says_what_it_holds in [true, false] {
        let (mut world, _) = with_files(4, 40);
        world.kill(4);
        world.run(8000);
        assert!(world.status().under_replicated_files > 0);
        world.worker(4).mount = MountId::from_u128(2);
        world.worker(4).beats = true;
        world.worker(4).reached = says_what_it_holds;
        world.beat(4).unwrap();
        let since = world.now;
        let told = is_told(&mut world, 0, since, 12_000);
        assert_eq!(told, says_what_it_holds);
    }
}

#[test]
fn a_count_without_a_difference_that_may_settle_is_as_old_as_that() {
    let (mut world, files) = with_files(4, 40);
    world.kill(4);
    world.run(8000);
    let before = world.status().under_replicated_files;
    let whole = files.iter().find(|info| copies(&world, info).len() == 2);
    let whole = whole.unwrap();
    let holder = copies(&world, whole)[0].as_u128();
    let lost = chunk(whole.record.file, 0);
    world.worker(holder).holdings.remove(lost);
    let since = world.now;
    assert!(is_told(&mut world, before + 1, since, 8000));
}
