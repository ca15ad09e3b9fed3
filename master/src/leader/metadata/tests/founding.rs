//! Bootstrap.

use super::asking::{begin, done, refused, waits};
use super::worker::Worker;
use super::world::{HOLD, World, cluster, disk};
use crate::error::Error;
use crate::leader::handle::Question;
use mdfs_core::records::MemberState;

#[track_caller]
fn check_refused(world: &mut World, order: &[u128], why: &str) {
    let asked = world.bootstrap(order, 2);
    world.run(2000);
    let error = refused(asked);
    let text = error.to_string();
    assert!(
        matches!(error, Error::BootstrapRefused(_)) && text.contains(why),
        "{text}"
    );
}

#[test]
fn one_disk_is_a_cluster() {
    let mut world = World::blank(1);
    let asked = world.bootstrap(&[1], 1);
    world.run(2000);
    let founded = done(asked).unwrap();
    assert_eq!(world.cluster(), Some(founded.cluster));
    world.touch("a");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_cluster_is_founded_at_once_though_a_disk_of_another_beats() {
    let mut world = World::blank(3);
    world.add_of(9, cluster(77)).unwrap();
    let asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(1000);
    let founded = done(asked).unwrap();
    assert_eq!(world.cluster(), Some(founded.cluster));
    world.touch("a");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn three_disks_are_a_cluster_of_which_each_holds_its_share() {
    let mut world = World::founded();
    let catalog = &world.master.catalog;
    assert_eq!(catalog.members.len(), 3);
    for (disk, count) in catalog.assignment.counts() {
        assert!((2730..=2731).contains(&count), "{disk}: {count}");
        assert_eq!(catalog.members[&disk].state, MemberState::Active);
    }
    world.store("a");
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_repeated_bootstrap_gets_the_same_cluster() {
    let mut world = World::blank(3);
    let first = world.bootstrap(&[1, 2, 3], 2);
    let second = world.bootstrap(&[3, 2, 1], 2);
    world.run(2000);
    let founded = done(first).unwrap().cluster;
    assert_eq!(done(second).unwrap().cluster, founded);
    world.store("a");
    let third = world.bootstrap(&[1, 2, 3], 2);
    assert_eq!(done(third).unwrap().cluster, founded);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_bootstrap_cut_short_by_the_masters_end_goes_on_with_the_next() {
    let mut world = World::blank(3);
    world.cut(&[3]);
    let mut asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(1000);
    assert!(waits(&mut asked));
    world.heal();
    world.restart_master();
    let asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(8000);
    done(asked).unwrap();
    world.touch("a");
}

#[test]
fn a_repeated_bootstrap_is_harmless_while_a_new_master_is_not_elected_yet() {
    let mut world = World::founded();
    let founded = world.cluster().unwrap();
    world.store("a");
    for number in 1..=3 {
        world.worker(number).beat.chunks = 1;
    }
    world.restart_master();
    let asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(9000);
    assert_eq!(done(asked).unwrap().cluster, founded);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn another_list_is_refused() {
    let mut world = World::founded();
    world.add(4);
    check_refused(&mut world, &[1, 2, 4], "was started with other disks");
    world.restart_master();
    check_refused(&mut world, &[1, 2, 4], "other voters");
}

#[test]
fn two_or_four_disks_or_one_named_twice_are_refused() {
    let mut world = World::blank(4);
    for order in [&[1, 2][..], &[1, 2, 3, 4], &[1, 1, 2], &[]] {
        check_refused(&mut world, order, "it takes 1 or 3 different disks");
    }
}

#[test]
fn a_disk_with_chunks_is_refused_and_nothing_is_founded() {
    let mut world = World::blank(3);
    world.worker(2).beat.chunks = 5;
    world.beat_all();
    check_refused(&mut world, &[1, 2, 3], "holds 5 chunks");
    assert!(
        world
            .workers
            .values()
            .all(|w| w.beat.identity.cluster.is_none())
    );
}

#[test]
fn a_second_log_is_not_founded_beside_chunks_of_the_cluster() {
    let mut world = World::blank(0);
    for number in 4..=7 {
        world.add_of(number, cluster(9)).unwrap();
    }
    world.worker(4).beat.chunks = 5;
    world.beat_all();
    world.add(8);
    check_refused(&mut world, &[5, 6, 8], "holds 5 chunks");
    // It may be a repeated order: only a leader can tell, and none comes.
    let asked = world.bootstrap(&[5, 6, 7], 2);
    world.run(HOLD + 100);
    assert!(matches!(refused(asked), Error::NoLeader));
    assert!(world.workers.values().all(Worker::is_blank));
}

#[test]
fn an_unknown_disk_is_refused() {
    let mut world = World::blank(3);
    check_refused(&mut world, &[1, 2, 9], "has not been heard of");
}

#[test]
fn disks_of_two_clusters_are_refused() {
    let mut world = World::blank(1);
    world.add_of(2, cluster(8)).unwrap();
    world.add_of(3, cluster(9)).unwrap();
    check_refused(&mut world, &[1, 2, 3], "different clusters");
}

#[test]
fn a_bootstrap_ends_when_a_founder_stays_silent() {
    let mut world = World::blank(3);
    world.cut(&[3]);
    let mut asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(15_000);
    assert!(waits(&mut asked));
    world.run(10_000);
    assert!(matches!(refused(asked), Error::BootstrapRefused(_)));
}

#[test]
fn a_lost_adoption_is_tried_again() {
    let mut world = World::blank(3);
    world.cut(&[3]);
    let mut asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(3000);
    assert!(waits(&mut asked));
    world.heal();
    world.run(3000);
    done(asked).unwrap();
}

#[test]
fn before_bootstrap_questions_are_held_and_then_told_so() {
    let mut world = World::blank(3);
    let mut looked_up = world.look_up("a");
    let mut begun = world.begin_with(begin("a"));
    world.run(9000);
    assert!(waits(&mut looked_up) && waits(&mut begun));
    world.run(1100);
    assert!(matches!(refused(looked_up), Error::NotBootstrapped));
    assert!(matches!(refused(begun), Error::NotBootstrapped));
}

#[test]
fn a_master_that_heard_of_nobody_does_not_say_that_there_is_no_cluster() {
    let mut world = World::blank(0);
    let asked = world.look_up("a");
    world.run(11_000);
    assert!(matches!(refused(asked), Error::NoLeader));
    let reasons = world.status().reasons;
    assert!(
        !reasons.iter().any(|why| why.contains("bootstrapped")),
        "{reasons:?}"
    );
}

#[test]
fn questions_asked_during_bootstrap_are_answered_after_it() {
    let mut world = World::blank(3);
    let listed = world.ask(Question::Workers);
    let founded = world.bootstrap(&[1, 2, 3], 2);
    world.run(2000);
    done(founded).unwrap();
    let workers = done(listed).unwrap().workers;
    assert_eq!(workers.iter().filter(|worker| worker.voter).count(), 3);
    assert_eq!(workers[0].disk_id, disk(1));
}
