//! Files that asked for more copies than the policy says keep them when disks go for good.

use super::administration::until_surveyed;
use super::asking::{done, ids};
use super::healing::{LOST, chunk, copies, has, order, with_files};
use super::policy::store_with;
use super::world::{IDLE, World, disk};
use crate::leader::catalog::prefix;
use crate::leader::command::{FileInfo, Order};
use crate::leader::metadata::{Effect, Event};
use crate::leader::survey::{ExcessCopy, OtherPlaces, Survey};
use mdfs_core::id::DiskId;
use mdfs_core::name::FileName;
use mdfs_core::records::{FileRecord, Key, Kind, MemberState, TrashRecord, decode};
use mdfs_core::time::LogTime;

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

/// A survey's finding that a file of one run goes to disks 1 to 5.
fn everywhere(name: &FileName, deleted: Option<LogTime>, record: &FileRecord) -> OtherPlaces {
    let before = record.exceptions.clone();
    let mut runs = before.clone();
    runs[0].disks = (1..=5).map(disk).collect();
    OtherPlaces {
        name: name.clone(),
        deleted,
        file: record.file,
        before,
        runs,
    }
}

fn is_list(effect: &Effect) -> bool {
    matches!(effect, Effect::List { .. })
}

#[test]
fn no_disk_is_asked_what_it_holds_before_it_is_committed_who_is_named() {
    let (mut world, _) = with_files(5, 0);
    let info = thrice_on(&mut world, 5, "thrice");
    world.hold_surveys = true;
    until_surveyed(&mut world);
    // What disks hold changes, so it is looked again as soon as may be.
    let other = chunk(info.record.file, 9);
    world.worker(1).holdings.add(other, 1);
    world.beat(1).unwrap();
    let found = Survey {
        other_places: vec![everywhere(&info.name, None, &info.record)],
        ..Survey::default()
    };
    let (now, surveys) = (world.time(), world.surveys);
    let naming = world.master.step(now, Event::Surveyed(Some(found)));
    world.now += 400;
    let later = world.master.step(world.time(), Event::Tick);
    assert!(!later.iter().any(is_list));
    world.carry(naming);
    world.carry(later);
    assert_eq!(places(&mut world, &info), [1, 2, 3, 4, 5]);
    world.run(50);
    assert_eq!(world.surveys, surveys + 1);
}

#[test]
fn all_that_one_survey_found_is_named_though_it_is_of_one_name() {
    let (mut world, _) = with_files(5, 0);
    for _ in 0..70 {
        store_with(&mut world, "thrice", 3);
        done(world.delete("thrice")).unwrap();
    }
    let trashed = |world: &World| -> Vec<(LogTime, TrashRecord)> {
        let table = world.master.log.committed().unwrap();
        let trash = prefix(Kind::Trash);
        let records = table.range(&trash, None);
        let records = records.map(|(key, value)| match Key::from_bytes(key) {
            Ok(Key::Trash(deleted, _)) => (deleted, decode(value).unwrap()),
            other => panic!("{other:?}"),
        });
        records.collect()
    };
    world.hold_surveys = true;
    until_surveyed(&mut world);
    let files = trashed(&world);
    let all = files
        .iter()
        .map(|(deleted, it)| everywhere(&it.name, Some(*deleted), &it.file));
    world.survey_found(Survey {
        other_places: all.collect(),
        ..Survey::default()
    });
    let named = |it: &TrashRecord| it.file.exceptions[0].disks.len();
    let widened = trashed(&world)
        .iter()
        .filter(|(_, it)| named(it) == 5)
        .count();
    assert_eq!(widened, 70);
}

#[test]
fn a_copy_that_is_to_be_named_is_not_dropped_though_the_disks_have_changed_since() {
    for named in [false, true] {
        let (mut world, _) = with_files(5, 0);
        let info = thrice_on(&mut world, 5, "thrice");
        let on = places(&mut world, &info);
        let other = (1..=4).find(|number| !on.contains(number)).unwrap();
        world.hold_surveys = true;
        until_surveyed(&mut world);
        order(&mut world, Order::Drain("worker-5".to_owned())).unwrap();
        world.run(300);
        let mut found = Survey::default();
        let spare = ExcessCopy {
            chunk: chunk(info.record.file, 0),
            wanted: 3,
            stays_elsewhere: true,
        };
        found.excess.insert(disk(other), vec![spare]);
        if named {
            let places = everywhere(&info.name, None, &info.record);
            found.other_places.push(places);
        }
        world.survey_found(found);
        assert_eq!(places(&mut world, &info), on);
        assert_eq!(world.master.mover.drops_anything(), !named);
    }
}

#[test]
fn what_a_disk_was_told_to_drop_since_it_listed_it_does_not_count() {
    let (mut world, _) = with_files(5, 0);
    let info = thrice_on(&mut world, 5, "thrice");
    let on = places(&mut world, &info);
    let other = (1..=4).find(|number| !on.contains(number)).unwrap();
    let chunk = chunk(info.record.file, 0);
    world.hold_surveys = true;
    until_surveyed(&mut world);
    let length = world.worker(5).holdings.get(chunk).unwrap();
    world.worker(other).holdings.add(chunk, length);
    world.beat(other).unwrap();
    let spare = ExcessCopy {
        chunk,
        wanted: 3,
        stays_elsewhere: true,
    };
    world.survey_found(Survey {
        excess: [(disk(other), vec![spare])].into(),
        ..Survey::default()
    });
    world.now += 400;
    let effects = world.master.step(world.time(), Event::Tick);
    let (lists, effects): (Vec<_>, Vec<_>) = effects.into_iter().partition(is_list);
    world.carry(effects);
    let is_other =
        |effect: &Effect| matches!(effect, Effect::List { disk: of, .. } if *of == disk(other));
    let (first, rest): (Vec<_>, Vec<_>) = lists.into_iter().partition(is_other);
    assert!(!first.is_empty() && !rest.is_empty());
    world.carry(first);
    assert!(has(&world, disk(other), chunk));
    world.beat(other).unwrap();
    assert!(!has(&world, disk(other), chunk));
    let mut request = None;
    for effect in rest {
        let Effect::List {
            disk,
            token,
            partitions,
            ..
        } = effect
        else {
            panic!()
        };
        let list = Some(world.workers[&disk].list(&partitions));
        let listed = Event::Listed {
            disk,
            token,
            partitions,
            list,
        };
        for effect in world.master.step(world.time(), listed) {
            if let Effect::Survey(it) = effect {
                request = Some(it);
            }
        }
    }
    let listed = &request.unwrap().lists[&disk(other)];
    assert!(listed.partitions.contains(&chunk.partition()));
    assert_eq!(listed.chunks.get(&chunk), None);
}
