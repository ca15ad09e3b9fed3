//! Disks of other clusters, and old copies of disks.

use super::asking::{done, refused};
use super::recovery::conflict;
use super::world::{HOLD, World, cluster, disk};
use crate::error::Error;
use mdfs_core::id::Generation;
use mdfs_protocol::public::Health;

#[test]
fn a_disk_of_another_cluster_is_refused_and_not_remembered() {
    let mut world = World::founded();
    let error = world.add_of(9, cluster(77)).unwrap_err();
    assert!(matches!(error, Error::ForeignDisk { .. }), "{error}");
    world.run(3000);
    assert!(world.master.fleet.get(disk(9)).is_none());
    assert_eq!(world.master.catalog.members.len(), 3);
}

#[test]
fn a_master_that_was_told_its_cluster_refuses_others_before_it_leads() {
    let mut world = World::with_master(0, Some(cluster(5)));
    assert!(world.add_of(1, cluster(5)).is_ok());
    assert!(world.add_of(2, cluster(6)).is_err());
    assert_eq!(world.cluster(), Some(cluster(5)));
}

#[test]
fn a_disk_that_went_back_in_time_is_refused() {
    let mut world = World::founded();
    world.worker(2).beat.identity.generation = Generation(7);
    world.run(2000);
    world.worker(2).beat.identity.generation = Generation(6);
    let error = world.beat(2).unwrap_err();
    assert!(matches!(error, Error::OldDisk { .. }), "{error}");
    world.run(16_000);
    assert_eq!(world.status().live_workers, 2);
    world.worker(2).beat.identity.generation = Generation(8);
    world.run(2000);
    assert_eq!(world.status().live_workers, 3);
}

#[test]
fn an_old_copy_that_beats_before_the_log_remembers_the_newest_is_refused() {
    let mut world = World::founded();
    world.worker(2).beat.identity.generation = Generation(7);
    world.beat(2).unwrap();
    let recorded = world.master.catalog.members[&disk(2)].generation;
    assert!(recorded < Generation(6));
    world.worker(2).beat.identity.generation = Generation(6);
    let error = world.beat(2).unwrap_err();
    assert!(matches!(error, Error::OldDisk { .. }), "{error}");
    world.run(2000);
    let recorded = world.master.catalog.members[&disk(2)].generation;
    assert_eq!(recorded, Generation(7));
}

#[test]
fn a_master_that_hears_two_clusters_and_was_told_none_leads_neither() {
    let mut world = World::founded();
    world.tell_nobody();
    world.store("a");
    world.restart_master();
    world.add_of(9, cluster(77)).unwrap();
    assert_eq!(world.cluster(), None);
    let asked = world.look_up("a");
    world.run(HOLD + 100);
    assert!(matches!(refused(asked), Error::NoLeader));
    assert!(world.status().term.is_none());
    assert_eq!(world.status().health, Health::Unknown);
    // The stranger goes, and is forgotten.
    world.kill(9);
    world.run(40_000);
    assert_eq!(world.names(), ["a"]);
}

/// A master that was told nothing and hears of a stranger alone.
fn alone_with_a_stranger() -> World {
    let mut world = World::founded();
    world.tell_nobody();
    world.store("a");
    for number in 1..=3 {
        world.worker(number).beats = false;
    }
    world.restart_master();
    world.add_of(9, cluster(77)).unwrap();
    world
}

#[test]
fn a_master_that_hears_a_stranger_first_serves_its_own_cluster_once_the_stranger_is_gone() {
    let mut world = alone_with_a_stranger();
    world.run(5000);
    // Whoever asked the stranger for its promise now might lead the cluster of the stranger.
    assert_eq!(world.cluster(), None);
    world.heal();
    world.run(10_000);
    assert_eq!(world.cluster(), None);
    assert!(world.status().term.is_none());
    world.kill(9);
    world.run(40_000);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn what_a_stranger_said_is_forgotten_once_the_disks_disagree() {
    let mut world = alone_with_a_stranger();
    // Somebody leads the stranger's cluster.
    world.worker(9).leader = Some("http://strange".to_owned());
    world.run(8000);
    assert_eq!(world.cluster(), Some(cluster(77)));
    assert!(world.master.lead().elsewhere().is_some());
    world.heal();
    world.run(2000);
    assert_eq!(world.cluster(), None);
    assert!(world.master.lead().elsewhere().is_none());
    world.kill(9);
    world.run(40_000);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn no_voter_is_asked_or_given_up_while_nobody_knows_whose_they_are() {
    let mut world = alone_with_a_stranger();
    world.run(8000);
    assert_eq!(world.cluster(), Some(cluster(77)));
    world.worker(1).beats = true;
    world.run(2000);
    assert_eq!(world.cluster(), None);
    assert!(world.master.log.heard().is_none());
    for all_voters in [false, true] {
        let refused = done(world.order_recovery(&[7], all_voters, false));
        conflict(refused, "several clusters");
    }
    // Its own are back, the stranger is forgotten: it is as if it had never been there.
    world.heal();
    world.kill(9);
    world.run(40_000);
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_disk_that_changes_its_cluster_is_heard_of_anew() {
    let mut world = World::blank(0);
    world.add(9);
    world.run(20_000);
    world.worker(9).beat.identity.cluster = Some(cluster(77));
    world.run(2000);
    assert_eq!(world.cluster(), None);
    world.run(6000);
    assert_eq!(world.cluster(), Some(cluster(77)));
}

#[test]
fn the_directory_names_the_disks_of_the_cluster_and_only_when_it_is_new() {
    let mut world = World::founded();
    let reply = world.beat(1).unwrap();
    assert!(reply.accepted);
    let directory = reply.directory.unwrap();
    assert_eq!(directory.disks.len(), 3);
    assert!(
        reply
            .leader
            .is_some_and(|leader| leader.url == "http://master-1")
    );
    world.worker(1).beat.directory_version = directory.version;
    assert!(world.beat(1).unwrap().directory.is_none());
    world.worker(3).beat.url = "http://elsewhere".to_owned();
    world.run(1000);
    assert!(world.beat(1).unwrap().directory.is_some());
}

#[test]
fn a_follower_that_names_the_leader_accepts_no_disk() {
    let mut world = World::founded();
    // The voters are still leased to the one before.
    world.restart_master();
    world.run(500);
    let reply = world.beat(1).unwrap();
    assert_eq!(reply.leader.unwrap().url, "http://master-1");
    assert!(!reply.accepted);
    world.run(HOLD);
    let reply = world.beat(1).unwrap();
    assert_eq!(reply.leader.unwrap().url, "http://master-2");
    assert!(reply.accepted);
}
