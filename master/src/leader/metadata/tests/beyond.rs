//! Files that asked for more copies than the policy says keep them when disks go for good.

use super::asking::{done, ids};
use super::healing::{LOST, chunk, copies, has, order, with_files};
use super::policy::store_with;
use super::world::{IDLE, World, disk};
use crate::leader::command::{FileInfo, Order};
use mdfs_core::id::DiskId;
use mdfs_core::records::MemberState;

/// A file of three copies, one of them on this disk and beyond its partition's two holders.
fn thrice_on(world: &mut World, number: u128, names: &str) -> FileInfo {
    let mut stored = (0..50).map(|n| store_with(world, &format!("{names}-{n}"), 3));
    let beyond = |info: &FileInfo| named(&info.record.exceptions[0].disks).ends_with(&[number]);
    stored.find(beyond).unwrap()
}

fn named(disks: &[DiskId]) -> Vec<u128> {
    disks.iter().map(|disk| disk.as_u128()).collect()
}

/// The disks that the record of a file names.
fn places(world: &mut World, info: &FileInfo) -> Vec<u128> {
    let view = done(world.look_up(info.name.as_str())).unwrap();
    assert_eq!(view.info.record.version, info.record.version);
    named(&view.info.record.exceptions[0].disks)
}

#[test]
fn a_copy_beyond_the_policy_is_made_elsewhere_when_its_disk_is_lost_for_good() {
    let (mut world, _) = with_files(5, 5);
    let info = thrice_on(&mut world, 5, "thrice");
    let before = places(&mut world, &info);
    world.run(3000);
    world.kill(5);
    world.run(LOST - 3000);
    assert_eq!(places(&mut world, &info), before, "it may come back");
    assert_eq!(world.copies, 0);
    world.run(20_000);
    let after = places(&mut world, &info);
    assert_eq!((after.len(), after.contains(&5)), (3, false));
    assert_eq!(copies(&world, &info).len(), 3);
    assert_eq!(world.status().under_replicated_files, 0);
    let view = done(world.look_up(info.name.as_str())).unwrap();
    let mut readable = named(&ids(view.sites[0].sites.clone()));
    readable.sort_unstable();
    assert_eq!(readable, named(&copies(&world, &info)));
    // Back after all, its copy is one too many.
    world.heal();
    world.run(20_000);
    assert!(!has(&world, disk(5), chunk(info.record.file, 0)));
    assert_eq!(copies(&world, &info).len(), 3);
    assert_eq!(places(&mut world, &info), after);
}

#[test]
fn another_leader_goes_on_where_the_first_named_the_new_disk() {
    let (mut world, _) = with_files(5, 0);
    let info = thrice_on(&mut world, 5, "thrice");
    world.run(3000);
    world.kill(5);
    while places(&mut world, &info).len() == 3 {
        assert!(world.now < 1_000_000 + 2 * LOST);
        world.run(50);
    }
    assert!(places(&mut world, &info).contains(&5));
    // Nobody carried out an order of the first, and the lost disk is back before the next decides.
    world.restart_master();
    world.heal();
    world.run(20_000);
    let after = places(&mut world, &info);
    assert_eq!(after.len(), 3);
    assert_eq!(named(&copies(&world, &info)).len(), 3);
    assert_eq!(world.status().under_replicated_files, 0);
}

#[test]
fn a_decommissioned_worker_goes_once_its_copies_beyond_the_policy_are_elsewhere() {
    let (mut world, _) = with_files(5, 5);
    let info = thrice_on(&mut world, 5, "thrice");
    let trashed = thrice_on(&mut world, 5, "trashed");
    done(world.delete(trashed.name.as_str())).unwrap();
    world.run(3000);
    order(&mut world, Order::Decommission("worker-5".to_owned())).unwrap();
    // What was begun beside it ends in time, and may be on any disk until then.
    let end = world.now + IDLE + 40_000;
    while world.now < end {
        world.run(250);
        for info in [&info, &trashed] {
            assert!(copies(&world, info).len() >= 3, "{}", info.name);
        }
        let status = world.status();
        assert_eq!(status.under_replicated_files, 0);
    }
    let state = world.master.catalog.members[&disk(5)].state;
    assert_eq!(state, MemberState::Retired);
    for info in [&info, &trashed] {
        let on = named(&copies(&world, info));
        assert_eq!((on.len(), on.contains(&5)), (3, false), "{}", info.name);
    }
}

#[test]
fn a_worker_with_a_copy_beyond_the_policy_stays_until_there_is_another_for_it() {
    let mut world = World::founded_by(1);
    for number in [2, 3] {
        world.add(number);
    }
    world.run(3000);
    let info = thrice_on(&mut world, 3, "thrice");
    world.run(3000);
    order(&mut world, Order::Decommission("worker-3".to_owned())).unwrap();
    world.run(IDLE + 40_000);
    let state = |world: &World| world.master.catalog.members[&disk(3)].state;
    assert_eq!(state(&world), MemberState::Decommissioning);
    assert_eq!(named(&copies(&world, &info)), [1, 2, 3]);
    assert_eq!(world.status().under_replicated_files, 0);
    world.add(4);
    world.run(IDLE + 40_000);
    assert_eq!(state(&world), MemberState::Retired);
    assert_eq!(named(&copies(&world, &info)), [1, 2, 4]);
}
