//! Of a file more copies are wanted than its partition has holders, which are disks 1 and 2.

use super::*;

fn member(number: u128, state: MemberState, zone: Option<&str>) -> mdfs_core::log::message::Put {
    let record = MemberRecord {
        generation: Generation(1),
        weight: 1,
        zone: zone.map(ToOwned::to_owned),
        name: format!("worker-{number}"),
        state,
        announced_until: None,
    };
    put(&Key::Member(disk(number)), &record).unwrap()
}

fn disks(numbers: &[u128]) -> Vec<DiskId> {
    numbers.iter().copied().map(disk).collect()
}

/// The file of three copies that its record says are there; of no places if it says nothing.
fn thrice(named: &[u128]) -> FileRecord {
    let exception = Copies {
        first_chunk: 0,
        chunks: 1,
        disks: disks(named),
    };
    let exceptions = if named.is_empty() {
        vec![]
    } else {
        vec![exception]
    };
    file(3, exceptions)
}

/// Four members, of which these are eligible, and `on` have the chunk.
fn seen(named: &[u128], eligible: &[u128], on: &[u128]) -> SurveyRequest {
    let members = (1..=4).map(|number| member(number, MemberState::Active, None));
    let mut records: Vec<_> = members.collect();
    records.push(stored(&thrice(named)));
    let mut request = request(&records, on);
    request.eligible = eligible.iter().copied().map(disk).collect();
    request
}

/// The other places that the chunk gets, if any.
fn given(request: &SurveyRequest) -> Option<Vec<DiskId>> {
    let found = survey(request);
    let [places] = &found.other_places[..] else {
        assert_eq!(found.other_places, []);
        return None;
    };
    let [run] = &places.runs[..] else { panic!() };
    assert_eq!((run.first_chunk, run.chunks), (0, 1));
    Some(run.disks.clone())
}

/// What is done: the places that the chunk gets, and the disks that it is copied to meanwhile.
#[track_caller]
fn check(request: &SurveyRequest, places: Option<&[u128]>, copied_to: &[u128]) {
    assert_eq!(given(request), places.map(disks));
    let needs = survey(request).needs;
    let targets: Vec<DiskId> = needs.iter().map(|need| need.target).collect();
    assert_eq!(targets, disks(copied_to));
}

const ALL: [u128; 4] = [1, 2, 3, 4];

#[test]
fn a_disk_is_named_beside_one_that_is_lost_and_that_goes_when_the_other_has_all() {
    check(&seen(&[1, 2, 3], &ALL, &[1, 2, 3]), None, &[]);
    // A damaged copy is mended where it lies.
    check(&seen(&[1, 2, 3], &ALL, &[1, 2]), None, &[3]);
    let mut lost = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2]);
    lost.reachable.remove(&disk(3));
    lost.accepting.remove(&disk(3));
    check(&lost, Some(&[1, 2, 3, 4]), &[]);
    // One that leaves has it still, and counts.
    let leaves = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2, 3]);
    check(&leaves, Some(&[1, 2, 3, 4]), &[]);
    assert_eq!(survey(&leaves).under_replicated_files, 0);
    let copying = seen(&[1, 2, 3, 4], &[1, 2, 4], &[1, 2, 3]);
    check(&copying, None, &[4]);
    let found = survey(&copying);
    assert_eq!(found.needs[0].sources, disks(&[1, 2, 3]));
    assert_eq!((found.under_replicated_files, found.excess.len()), (0, 0));
    let copied = seen(&[1, 2, 3, 4], &[1, 2, 4], &[1, 2, 3, 4]);
    check(&copied, Some(&[1, 2, 4]), &[]);
    assert_eq!(survey(&copied).excess.len(), 0, "it is named still");
    let ended = seen(&[1, 2, 4], &[1, 2, 4], &[1, 2, 3, 4]);
    check(&ended, None, &[]);
    assert_eq!(survey(&ended).excess.keys().collect::<Vec<_>>(), [&disk(3)]);
    // Not before the new copy is good.
    let short = seen(&[1, 2, 4], &[1, 2, 4], &[1, 2, 3]);
    assert_eq!(survey(&short).excess.len(), 0);
}

#[test]
fn a_disk_that_comes_back_keeps_its_place_if_it_has_the_chunk_and_the_other_does_not() {
    let back = seen(&[1, 2, 3, 4], &ALL, &[1, 2, 3]);
    assert_eq!(given(&back), Some(disks(&[1, 2, 3])));
    let empty = seen(&[1, 2, 3, 4], &ALL, &[1, 2, 4]);
    assert_eq!(given(&empty), Some(disks(&[1, 2, 4])));
    check(&seen(&[1, 2, 3, 4], &ALL, &[1, 2]), None, &[3, 4]);
}

#[test]
fn a_copy_at_a_holder_that_is_not_named_goes_while_enough_others_stay() {
    let spare = ExcessCopy {
        chunk: chunk(),
        wanted: 3,
        stays_elsewhere: true,
    };
    let excess = |request: &SurveyRequest| survey(request).excess;
    let whole = seen(&[1, 3, 4], &ALL, &ALL);
    assert_eq!(excess(&whole), [(disk(2), vec![spare])].into());
    assert_eq!(excess(&seen(&[1, 3, 4], &ALL, &[1, 2, 3])), [].into());
    // It takes the place of one that leaves.
    let leaves = seen(&[1, 3, 4], &[1, 2, 3], &ALL);
    check(&leaves, Some(&[1, 3, 4, 2]), &[]);
    assert_eq!(excess(&leaves), [].into());
}

#[test]
fn nothing_changes_where_there_is_no_other_disk_or_it_is_not_known_who_stays() {
    check(&seen(&[1, 2, 3], &[1, 2], &[1, 2, 3]), None, &[]);
    check(&seen(&[1, 2, 3], &[], &[1, 2, 3]), None, &[]);
    let mut full = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2, 3]);
    full.accepting.insert(disk(4), MIB - 1);
    check(&full, None, &[]);
    let mut unlisted = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2, 3]);
    unlisted.unlisted.insert(chunk().partition());
    check(&unlisted, None, &[]);
    // The policy wants as many: partitions get as many holders, and it goes there.
    let mut policy = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2, 3]);
    policy.replicas = ReplicationFactor::new(3).unwrap();
    check(&policy, None, &[]);
}

#[test]
fn holders_come_first_and_then_failure_domains_without_a_copy() {
    let elsewhere = seen(&[2, 3], &ALL, &[2, 3]);
    check(&elsewhere, Some(&[2, 3, 1]), &[]);
    for (third, fourth, chosen) in [("a", "c", 4), ("c", "b", 3)] {
        let mut request = seen(&[1, 2], &ALL, &[1, 2]);
        for (number, zone) in [(1, "a"), (2, "b"), (3, third), (4, fourth)] {
            let member = member(number, MemberState::Active, Some(zone));
            request.table.apply(&member);
        }
        check(&request, Some(&[1, 2, chosen]), &[]);
    }
}

#[test]
fn a_file_whose_partition_lost_a_holder_of_three_gets_another_place_when_the_ring_stands() {
    let regular = seen(&[], &ALL, &[1, 2]);
    let places = given(&regular).unwrap();
    assert_eq!((places.len(), &places[..2]), (3, &disks(&[1, 2])[..]));
    assert_eq!(survey(&regular).under_replicated_files, 1);
    // The ring replaces a holder.
    check(&seen(&[], &[1, 3, 4], &[1, 2]), None, &[]);
    let mut moving = regular;
    let goal = disks(&[1, 3]);
    moving.moves.insert(chunk().partition(), goal);
    assert_eq!(given(&moving), None);
}

#[test]
fn what_is_nowhere_keeps_no_disk_in_its_place() {
    check(&seen(&[1, 2, 3, 4], &[1, 2, 4], &[]), Some(&[1, 2, 4]), &[]);
    // It may have it.
    let mut silent = seen(&[1, 2, 3, 4], &[1, 2, 4], &[]);
    silent.reachable.remove(&disk(3));
    check(&silent, None, &[]);
    // Retired, it is never read again.
    let mut retired = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2]);
    retired.accepting.remove(&disk(3));
    let member = member(3, MemberState::Retired, None);
    retired.table.apply(&member);
    check(&retired, Some(&[1, 2, 4]), &[]);
}

#[test]
fn what_is_in_the_trash_is_not_left_on_a_disk_that_leaves() {
    let trashed = |named: &[u128], on: &[u128]| {
        let mut request = seen(&[], &[1, 2, 4], on);
        request.table = Table::default();
        let trashed = TrashRecord {
            name: name(),
            file: thrice(named),
        };
        let key = Key::Trash(LogTime::default(), trashed.file.file);
        request.table.apply(&put(&key, &trashed).unwrap());
        for number in ALL {
            let state = match number {
                3 => MemberState::Decommissioning,
                _ => MemberState::Active,
            };
            request.table.apply(&member(number, state, None));
        }
        request
    };
    let leaves = trashed(&[1, 2, 3], &[1, 2, 3]);
    check(&leaves, Some(&[1, 2, 3, 4]), &[]);
    let [it] = &survey(&leaves).other_places[..] else {
        panic!()
    };
    assert_eq!(it.deleted, Some(LogTime::default()));
    check(&trashed(&[1, 2, 3, 4], &[1, 2, 3]), None, &[4]);
    let copied = trashed(&[1, 2, 3, 4], &ALL);
    check(&copied, Some(&[1, 2, 4]), &[]);
    let ended = survey(&trashed(&[1, 2, 4], &ALL));
    assert_eq!(ended.excess.keys().collect::<Vec<_>>(), [&disk(3)]);
    assert_eq!((ended.other_places.len(), ended.copies_to_make), (0, 0));
}

#[test]
fn of_a_disk_that_was_named_after_the_lists_were_asked_for_nothing_is_known() {
    // Only disk 1 has it, 3 is to be left out, and 4 came too late to be asked for a list.
    let mut late = seen(&[1, 3, 4], &[1, 2, 4], &[1]);
    late.lists.remove(&disk(4));
    late.assignment.set_holders(chunk().partition(), &[disk(1)]);
    let found = survey(&late);
    assert_eq!(found.under_replicated_files, 1);
    assert_eq!(found.sole.keys().collect::<Vec<_>>(), [&disk(1)]);
    assert_eq!(found.names[0].good, 1);
    let mut copied = seen(&[1, 2, 3, 4], &[1, 2, 4], &[1, 2, 3]);
    copied.lists.remove(&disk(4));
    check(&copied, None, &[4]);
    // A file that was stored after they were asked for has all its copies.
    let mut file = thrice(&[1, 2, 4]);
    file.version = 11;
    let mut new = seen(&[], &ALL, &[1, 2]);
    new.table.apply(&stored(&file));
    new.lists.remove(&disk(4));
    check(&new, None, &[]);
    assert_eq!(survey(&new).under_replicated_files, 0);
}

#[test]
fn a_named_disk_without_room_for_what_it_lacks_is_replaced_and_one_that_has_it_is_not() {
    let full = |named: &[u128], on: &[u128]| {
        let mut request = seen(named, &ALL, on);
        request.accepting.insert(disk(3), MIB - 1);
        request
    };
    check(&full(&[1, 2, 3], &[1, 2]), Some(&[1, 2, 3, 4]), &[]);
    check(&full(&[1, 2, 3, 4], &[1, 2]), None, &[4]);
    check(&full(&[1, 2, 3, 4], &[1, 2, 4]), Some(&[1, 2, 4]), &[]);
    check(&full(&[1, 2, 3], &[1, 2, 3]), None, &[]);
    // It takes no writes for a while, or is silent: it is waited for.
    let mut waits = full(&[1, 2, 3], &[1, 2]);
    waits.accepting.remove(&disk(3));
    check(&waits, None, &[]);
    waits.reachable.remove(&disk(3));
    check(&waits, None, &[]);
    // What lies on the new disk already needs no room.
    let mut there = full(&[1, 2, 4], &[1, 2, 3]);
    there.eligible.remove(&disk(4));
    assert_eq!(given(&there), Some(disks(&[1, 2, 4, 3])));
}

#[test]
fn no_more_is_to_go_to_a_disk_than_it_has_room_for() {
    let mut request = seen(&[1, 2, 3], &[1, 2, 4], &[1, 2, 3]);
    let mut second = thrice(&[1, 2, 3]);
    second.file = (78..)
        .map(FileId::from_u128)
        .find(|&file| ChunkId { file, index: 0 }.partition() == chunk().partition())
        .unwrap();
    let another = FileName::parse("another").unwrap();
    request
        .table
        .apply(&put(&Key::File(another), &second).unwrap());
    let placed = |request: &SurveyRequest| survey(request).other_places.len();
    request.accepting.insert(disk(4), 2 * MIB);
    assert_eq!(placed(&request), 2);
    request.accepting.insert(disk(4), 2 * MIB - 1);
    assert_eq!(placed(&request), 1);
}

#[test]
fn a_retired_disk_is_named_no_more_even_if_there_is_no_other() {
    let mut retired = seen(&[1, 2, 3], &[1, 2], &[1, 2]);
    retired.reachable.remove(&disk(3));
    retired.accepting.remove(&disk(3));
    let member = member(3, MemberState::Retired, None);
    retired.table.apply(&member);
    check(&retired, Some(&[1, 2]), &[]);
    assert_eq!(survey(&retired).under_replicated_files, 1);
    retired.table.apply(&stored(&thrice(&[1, 2])));
    check(&retired, None, &[]);
    retired.table.apply(&stored(&thrice(&[3])));
    retired.eligible.clear();
    check(&retired, None, &[]);
}
