//! Workers that come and go, alone or many at once, or that only some can reach.

use super::healing::{LOST, check_whole, chunk, copies, with_files};
use super::world::{REPAIR_DELAY, World, disk};
use mdfs_core::id::MountId;
use mdfs_protocol::public::Health;

/// Longer than a worker may be silent without being dead.
const DEAD: u64 = 16_000;

fn says(world: &mut World, text: &str) -> bool {
    let status = world.status();
    status.reasons.iter().any(|reason| reason.contains(text))
}

#[test]
fn for_a_worker_that_comes_and_goes_nothing_is_copied_to_and_fro() {
    let (mut world, files) = with_files(4, 60);
    let mut made = Vec::new();
    for _ in 0..6 {
        let before = world.copies;
        world.kill(4);
        world.run(LOST + 10_000);
        world.heal();
        world.run(20_000);
        made.push(world.copies - before);
    }
    // By chance once; after the second return it has to stay.
    assert!(made[0] > 0, "{made:?}");
    assert_eq!(made[2..], [0; 4], "{made:?}");
    assert_eq!(world.status().under_replicated_files, 0);
    assert!(says(&mut world, "worker-4 came back 6 times lately"));
    for info in &files {
        assert!(copies(&world, info).len() >= 2, "{}", info.name);
    }
    world.run(16 * REPAIR_DELAY + 30_000);
    check_whole(&mut world, &files);
    assert!(!world.worker(4).holdings.is_empty());
}

#[test]
fn a_worker_that_died_often_is_waited_for_longer() {
    let (mut world, _) = with_files(4, 40);
    for _ in 0..2 {
        world.kill(4);
        world.run(DEAD);
        world.heal();
        world.run(5000);
    }
    world.kill(4);
    world.run(LOST + REPAIR_DELAY - 3000);
    assert_eq!(world.copies, 0);
    world.run(10_000);
    assert!(world.copies > 0);
}

#[test]
fn a_worker_that_is_started_again_and_again_is_told_of_and_costs_no_copy() {
    let (mut world, files) = with_files(4, 40);
    for mount in 2..7 {
        world.kill(4);
        world.run(6000);
        world.heal();
        world.worker(4).mount = MountId::from_u128(mount);
        world.run(4000);
    }
    world.run(4000);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, 0);
    assert!(says(&mut world, "worker-4 was started anew 5 times lately"));
    world.run(3_600_000);
    assert!(world.status().reasons.is_empty());
}

#[test]
fn repairs_go_on_by_themselves_when_most_of_those_that_fell_silent_are_back() {
    let (mut world, files) = with_files(5, 40);
    world.kill(4);
    world.kill(5);
    world.run(2 * LOST);
    assert!(world.status().repair_paused);
    assert!(says(&mut world, "repairs wait until most are back"));
    assert_eq!(world.copies, 0);
    let worker = world.worker(4);
    (worker.beats, worker.reached) = (true, true);
    world.run(20_000);
    let status = world.status();
    assert!(!status.repair_paused);
    assert_eq!(status.under_replicated_files, 0);
    assert!(world.copies > 0);
    for info in &files {
        assert!(copies(&world, info).len() >= 2, "{}", info.name);
    }
}

#[test]
fn a_worker_that_beats_and_that_nobody_reaches_has_no_damage_and_is_read_once_it_can_be() {
    let (mut world, files) = with_files(4, 40);
    let on_it = |info: &&_| copies(&world, info).contains(&disk(4));
    let info = files.iter().find(on_it).unwrap();
    let others = copies(&world, info).into_iter();
    let other = others.into_iter().find(|&other| other != disk(4)).unwrap();
    let lost = chunk(info.record.file, 0);
    world.cut(&[4]);
    world.worker(other.as_u128()).holdings.remove(lost);
    for _ in 0..60 {
        world.run(1000);
        assert_eq!(world.status().damaged_chunks, 0);
    }
    // Its copy is the only one: it is neither given up nor made of nothing.
    assert_ne!(world.status().health, Health::Ok);
    assert_eq!((world.copies, copies(&world, info).len()), (0, 1));
    world.heal();
    world.run(60_000);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, 1);
}
