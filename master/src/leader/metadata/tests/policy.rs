//! The policy as a record: how many copies, and how long things are waited for.

use super::asking::{begin, done, open};
use super::healing::{LOST, check_whole, copies, with_files};
use super::world::{DROP_AFTER, World};
use crate::error::Error;
use crate::leader::command::{BeginUpload, FileInfo, Order};
use crate::leader::handle::Question;
use mdfs_core::records::plan::PolicyChange;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::public::{Health, PolicyLowering};

fn copies_of(number: u8) -> PolicyChange {
    PolicyChange {
        replicas: Some(ReplicationFactor::new(number).unwrap()),
        ..PolicyChange::default()
    }
}

pub(super) fn store_with(world: &mut World, name: &str, copies: u8) -> FileInfo {
    let begin = BeginUpload {
        replicas: Some(ReplicationFactor::new(copies).unwrap()),
        ..begin(name)
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    done(world.finish(&upload)).unwrap()
}

#[track_caller]
fn check_copies(world: &World, files: &[FileInfo], want: usize) {
    for info in files {
        assert_eq!(copies(world, info).len(), want, "{}", info.name);
    }
}

#[test]
fn more_copies_are_made_of_the_files_that_follow_the_policy_and_of_no_others() {
    let (mut world, files) = with_files(4, 40);
    let twice = store_with(&mut world, "twice", 2);
    let thrice = store_with(&mut world, "thrice", 3);
    world.run(3000);
    assert_eq!(world.change(copies_of(3)).unwrap().replicas, 3);
    world.run(1000);
    assert_eq!(world.status().under_replicated_files, 40);
    world.run(30_000);
    check_copies(&world, &files, 3);
    check_copies(&world, &[twice], 2);
    check_copies(&world, &[thrice], 3);
    assert_eq!(world.status().health, Health::Ok);
    let view = done(world.look_up(files[0].name.as_str())).unwrap();
    assert_eq!(view.info.record.replicas.get(), 3);
    assert_eq!(view.sites[0].sites.len(), 3);
    let new = world.store("new");
    check_copies(&world, &[new], 3);
}

#[test]
fn a_file_that_asked_for_more_copies_than_there_are_disks_left_is_never_called_whole() {
    let mut world = World::founded_by(1);
    for number in [2, 3] {
        world.add(number);
    }
    world.run(3000);
    world.change(copies_of(3)).unwrap();
    world.run(3000);
    let thrice = store_with(&mut world, "thrice", 3);
    let change = PolicyChange {
        lower_after_seconds: Some(0),
        ..copies_of(2)
    };
    world.change(change).unwrap();
    world.run(10_000);
    check_copies(&world, std::slice::from_ref(&thrice), 3);
    assert_eq!(world.status().under_replicated_files, 0);
    let (worker, lost) = ("worker-3".to_owned(), true);
    let retire = Order::Retire { worker, lost };
    let asked = world.ask(|answer| Question::Order(retire, answer));
    done(asked).unwrap();
    world.kill(3);
    for _ in 0..200 {
        world.run(200);
        assert_eq!(world.status().under_replicated_files, 1);
    }
    check_copies(&world, std::slice::from_ref(&thrice), 2);
    assert_eq!(world.status().moving_partitions, 0);
    // Where there is another disk it gets its third copy, although partitions have two holders.
    world.add(4);
    world.run(20_000);
    check_copies(&world, &[thrice], 3);
    assert_eq!(world.status().under_replicated_files, 0);
}

#[test]
fn fewer_copies_hold_after_a_while_and_what_is_too_much_goes() {
    let (mut world, files) = with_files(4, 40);
    world.change(copies_of(3)).unwrap();
    let thrice = store_with(&mut world, "thrice", 3);
    world.run(30_000);
    let change = PolicyChange {
        lower_after_seconds: Some(60),
        ..copies_of(2)
    };
    let policy = world.change(change).unwrap();
    assert_eq!(policy.replicas, 3);
    let (replicas, in_seconds) = (2, 60);
    let lowering = PolicyLowering {
        replicas,
        in_seconds,
    };
    assert_eq!(policy.lowering, Some(lowering));
    // Another leader keeps to it.
    world.restart_master();
    world.run(55_000);
    check_copies(&world, &files, 3);
    for _ in 0..600 {
        world.run(50);
        let fewest = files.iter().map(|info| copies(&world, info).len()).min();
        assert!(fewest >= Some(2));
    }
    world.run(30_000);
    check_whole(&mut world, &files);
    check_copies(&world, &[thrice], 3);
    let policy = done(world.ask(Question::Policy)).unwrap();
    assert_eq!((policy.replicas, policy.lowering), (2, None));
}

#[test]
fn while_a_worker_is_silent_no_copy_is_too_much() {
    let (mut world, files) = with_files(4, 40);
    world.change(copies_of(3)).unwrap();
    world.run(30_000);
    world.kill(4);
    let change = PolicyChange {
        lower_after_seconds: Some(0),
        ..copies_of(2)
    };
    world.change(change).unwrap();
    let before: Vec<_> = files.iter().map(|info| copies(&world, info)).collect();
    world.run(DROP_AFTER / 2);
    for (info, before) in files.iter().zip(before) {
        let after = copies(&world, info);
        assert!(
            before.iter().all(|disk| after.contains(disk)),
            "{}",
            info.name
        );
    }
}

#[test]
fn more_copies_than_workers_are_refused_and_after_a_loss_said_without_a_loop() {
    let (mut world, _) = with_files(3, 20);
    let refused = world.change(copies_of(4)).unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    assert!(refused.to_string().contains("there are 3"), "{refused}");
    world.change(copies_of(3)).unwrap();
    world.run(20_000);
    assert_eq!(world.status().health, Health::Ok);
    let made = world.copies;
    world.kill(3);
    world.run(LOST + 10_000);
    let surveys = world.surveys;
    world.run(60_000);
    let status = world.status();
    assert_eq!(
        (status.under_replicated_files, status.missing_files),
        (20, 0)
    );
    assert_eq!(world.copies, made, "there is nowhere to copy to");
    assert!(world.surveys - surveys <= 30, "{}", world.surveys - surveys);
}

#[test]
fn the_repair_delay_is_what_the_policy_says() {
    let (mut world, _) = with_files(4, 40);
    let change = PolicyChange {
        repair_delay_seconds: Some(60),
        ..PolicyChange::default()
    };
    assert_eq!(world.change(change).unwrap().repair_delay_seconds, 60);
    world.restart_master();
    world.run(10_000);
    world.kill(4);
    world.run(LOST + 20_000);
    assert_eq!(world.copies, 0);
    world.run(40_000);
    assert!(world.copies > 0);
}
