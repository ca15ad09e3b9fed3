//! Which disks a chunk goes to.

use super::asking::ids;
use super::world::{MIB, World, disk};
use crate::error::Error;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::DiskState;

/// Five members, and an upload with two copies.
fn five() -> (World, crate::leader::command::OpenUpload) {
    let mut world = World::founded();
    world.add(4);
    world.add(5);
    world.run(2000);
    let upload = world.open("a");
    (world, upload)
}

fn holders(world: &World, upload: &crate::leader::command::OpenUpload) -> Vec<DiskId> {
    let chunk = ChunkId {
        file: upload.file,
        index: 0,
    };
    world
        .master
        .planned
        .assignment
        .holders(chunk.partition())
        .to_vec()
}

#[test]
fn chunks_go_to_the_holders_of_their_partition_in_order() {
    let (mut world, upload) = five();
    let holders = holders(&world, &upload);
    assert_eq!(ids(world.place(&upload, 0).unwrap()), holders);
    let sites = world.place(&upload, 0).unwrap();
    assert!(sites.iter().all(|site| site.live));
    assert_eq!(
        sites[0].url,
        format!("http://worker-{}", holders[0].as_u128())
    );
}

#[test]
fn what_is_to_be_avoided_is_not_chosen() {
    let (mut world, upload) = five();
    let holders = holders(&world, &upload);
    let chosen = ids(world.place_avoiding(&upload, 0, &holders[..1]).unwrap());
    assert_eq!(chosen[0], holders[1]);
    assert!(chosen.len() == 2 && !chosen.contains(&holders[0]));
}

#[track_caller]
fn check_skipped(what: &str, change: impl FnOnce(&mut World, u128)) {
    let (mut world, upload) = five();
    let holders = holders(&world, &upload);
    change(&mut world, holders[0].as_u128());
    world.run(20_000);
    let chosen = ids(world.place(&upload, 0).unwrap());
    assert_eq!(chosen[0], holders[1], "{what}");
    assert!(chosen.len() == 2 && !chosen.contains(&holders[0]), "{what}");
}

#[test]
fn disks_that_cannot_take_chunks_are_skipped() {
    check_skipped("dead", |world, number| world.kill(number));
    check_skipped("read-only", |world, number| {
        world.worker(number).beat.state = DiskState::ReadOnly;
    });
    check_skipped("full", |world, number| {
        world.worker(number).beat.free_bytes = MIB - 1;
    });
    check_skipped("leaving", |world, number| {
        world.worker(number).beat.leaving = true;
    });
}

#[test]
fn a_slow_disk_is_the_last_that_is_taken() {
    let slow = |world: &mut World, number: u128| {
        for other in 1..=5 {
            world.worker(other).beat.seal_millis = Some(20);
        }
        world.worker(number).beat.seal_millis = Some(2000);
    };
    check_skipped("slow", slow);
    let (mut world, upload) = five();
    let holders = holders(&world, &upload);
    slow(&mut world, holders[0].as_u128());
    for number in (1..=5).filter(|&number| !holders.contains(&disk(number))) {
        world.worker(number).beat.free_bytes = 0;
    }
    world.run(5000);
    let chosen = ids(world.place(&upload, 0).unwrap());
    assert_eq!(chosen, [holders[1], holders[0]]);
    let reasons = world.status().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("is slow")));
}

#[test]
fn a_suspect_disk_is_skipped() {
    check_skipped("silent for four beats", |world, number| {
        world.run(1000);
        world.worker(number).beats = false;
    });
}

#[test]
fn too_few_workers_is_not_too_little_space() {
    let mut world = World::founded();
    let upload = world.open("a");
    for number in [2, 3] {
        world.worker(number).beat.free_bytes = 0;
    }
    world.run(1000);
    let refused = world.place(&upload, 0).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::NoSpace {
                wanted: 2,
                found: 1,
                bytes: MIB
            }
        ),
        "{refused}"
    );
    world.worker(3).beats = false;
    world.run(5000);
    let refused = world.place(&upload, 0).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::NoSpace {
                wanted: 2,
                found: 1,
                ..
            }
        ),
        "{refused}"
    );
    // One that lives without room is one, however often it comes into question.
    world.worker(2).beat.free_bytes = 50 << 30;
    world.worker(2).beats = false;
    world.worker(1).beat.free_bytes = 0;
    world.run(5000);
    let refused = world.place(&upload, 0).unwrap_err();
    assert!(
        matches!(
            refused,
            Error::TooFewWorkers {
                wanted: 2,
                found: 1
            }
        ),
        "{refused}"
    );
}

#[test]
fn an_avoided_disk_is_no_worker_that_could_take_a_copy() {
    let mut world = World::founded();
    let upload = world.open("a");
    let refused = world
        .place_avoiding(&upload, 0, &[disk(1), disk(2)])
        .unwrap_err();
    assert!(
        matches!(
            refused,
            Error::TooFewWorkers {
                wanted: 2,
                found: 1
            }
        ),
        "{refused}"
    );
}

#[test]
fn only_an_open_upload_is_placed() {
    let mut world = World::founded();
    let upload = world.open("a");
    let _aborted = world.abort(upload.file);
    assert!(matches!(
        world.place(&upload, 0),
        Err(Error::UploadNotOpen { .. })
    ));
}
