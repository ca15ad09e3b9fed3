mod beyond;

use super::*;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_core::id::{Generation, Term};
use mdfs_core::labels::Labels;
use mdfs_core::log::table::Table;
use mdfs_core::records::{
    ChunkRecord, FileRecord, Key, MemberRecord, MemberState, Precondition, TrashRecord,
    UploadRecord, Wanted, put,
};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;

const MIB: u64 = 1 << 20;

fn disk(number: u128) -> DiskId {
    DiskId::from_u128(number)
}

fn file(replicas: u8, exceptions: Vec<Copies>) -> FileRecord {
    FileRecord {
        version: 5,
        file: FileId::from_u128(77),
        size: MIB,
        layout: ChunkLayout::of_file(MIB, ChunkSize::MIN).unwrap(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::exactly(ReplicationFactor::new(replicas).unwrap()),
        crc32: Crc32::default(),
        blake3: Blake3([0; 32]),
        content_type: String::new(),
        labels: Labels::default(),
        modified: LogTime::default(),
        exceptions,
    }
}

fn name() -> FileName {
    FileName::parse("film").unwrap()
}

fn chunk() -> ChunkId {
    ChunkId {
        file: FileId::from_u128(77),
        index: 0,
    }
}

/// Disks 1 and 2 hold everything, 3 and 4 are there, and all have listed the one partition. `on` has
/// the chunk.
fn request(records: &[mdfs_core::log::message::Put], on: &[u128]) -> SurveyRequest {
    let mut table = Table::default();
    for put in records {
        table.apply(put);
    }
    let partition = chunk().partition();
    let mut assignment = Assignment::empty();
    assignment.set_holders(partition, &[disk(1), disk(2)]);
    let all: BTreeSet<DiskId> = (1..=4).map(disk).collect();
    let listed = |number: &u128| Listed {
        partitions: [partition].into(),
        chunks: on
            .iter()
            .filter(|on| *on == number)
            .map(|_| (chunk(), MIB))
            .collect(),
        damaged: BTreeSet::new(),
    };
    SurveyRequest {
        table,
        assignment,
        moves: BTreeMap::new(),
        uploads: BTreeSet::new(),
        eligible: all.clone(),
        accepting: all.iter().map(|&disk| (disk, 10 * MIB)).collect(),
        reachable: all,
        listed_at: 10,
        replicas: ReplicationFactor::DEFAULT,
        put_off: BTreeSet::new(),
        unlisted: BTreeSet::new(),
        lists: (1..=4).map(|n| (disk(n), listed(&n))).collect(),
    }
}

fn stored(file: &FileRecord) -> mdfs_core::log::message::Put {
    put(&Key::File(name()), file).unwrap()
}

#[test]
fn what_no_record_wants_is_garbage() {
    let found = survey(&request(&[], &[1, 3]));
    let want: BTreeMap<_, _> = [(disk(1), vec![chunk()]), (disk(3), vec![chunk()])].into();
    assert_eq!((found.garbage, found.excess.len()), (want, 0));
}

#[test]
fn an_upload_that_the_table_has_open_is_no_garbage_whoever_says_what() {
    let upload = UploadRecord {
        begun_at: 3,
        begun: LogTime::default(),
        name: name(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        content_type: String::new(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        request: None,
        session: None,
        holder: None,
    };
    let upload = put(&Key::Upload(FileId::from_u128(77)), &upload).unwrap();
    let found = survey(&request(&[upload], &[1, 2]));
    assert_eq!(found.garbage, BTreeMap::new());
}

#[test]
fn a_disk_that_alone_has_a_recorded_chunk_may_have_the_last_copy() {
    let upload = UploadRecord {
        begun_at: 3,
        begun: LogTime::default(),
        name: name(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        content_type: String::new(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        request: None,
        session: None,
        holder: None,
    };
    let upload = put(&Key::Upload(chunk().file), &upload).unwrap();
    let recorded = |disks: &[u128]| {
        let record = ChunkRecord {
            length: MIB,
            crc32: Crc32::default(),
            hash: ChunkHash([0; 32]),
            alone: None,
            disks: disks.iter().copied().map(disk).collect(),
            term: Term::default(),
            stored: LogTime::default(),
        };
        [upload.clone(), put(&Key::Chunk(chunk()), &record).unwrap()]
    };
    let sole = |request: &SurveyRequest| {
        let found = survey(request);
        let all = found.sole.values();
        assert!(
            all.clone()
                .all(|sole| (sole.files, &sole.names[..]) == (1, &[name()]))
        );
        found.sole.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(sole(&request(&recorded(&[]), &[])), []);
    assert_eq!(sole(&request(&recorded(&[1]), &[1])), [disk(1)]);
    assert_eq!(sole(&request(&recorded(&[1, 3]), &[1, 3])), []);
    assert_eq!(sole(&request(&recorded(&[1, 3]), &[3])), [disk(3)]);
    // It was recorded after the lists were made.
    assert_eq!(sole(&request(&recorded(&[1, 3]), &[])), []);
    let mut silent = request(&recorded(&[1, 3]), &[1]);
    silent.reachable.remove(&disk(3));
    assert_eq!(sole(&silent), [disk(1)]);
    silent.reachable.remove(&disk(1));
    assert_eq!(sole(&silent), [disk(1), disk(3)]);
    let mut damaged = request(&recorded(&[1, 3]), &[]);
    let listed = damaged.lists.get_mut(&disk(3)).unwrap();
    listed.damaged.insert(chunk());
    assert_eq!(sole(&damaged), [disk(1), disk(3)]);
    // It lies where nobody recorded it.
    let elsewhere = request(&recorded(&[1, 3]), &[4]);
    assert_eq!(sole(&elsewhere), [disk(1), disk(3), disk(4)]);
    // Of a partition that was not listed nobody knows who has what.
    let mut unlisted = request(&recorded(&[1, 3]), &[1, 3]);
    unlisted.lists.clear();
    unlisted.unlisted.insert(chunk().partition());
    assert_eq!(sole(&unlisted), [disk(1), disk(3)]);
}

#[test]
fn the_last_copy_may_be_on_a_disk_that_is_no_place_of_it() {
    let sole = |request: &SurveyRequest| survey(request).sole.into_keys().collect::<Vec<_>>();
    let file = stored(&file(2, vec![]));
    let mut request = request(std::slice::from_ref(&file), &[3]);
    assert_eq!(sole(&request), [disk(3)]);
    request.reachable.remove(&disk(2));
    assert_eq!(sole(&request), [disk(2), disk(3)]);
}

#[test]
fn what_is_in_the_trash_and_lacks_copies_is_counted_apart() {
    let trashed = TrashRecord {
        name: name(),
        file: file(2, vec![]),
    };
    let key = Key::Trash(LogTime::default(), trashed.file.file);
    let trashed = put(&key, &trashed).unwrap();
    let lacking = |on: &[u128]| {
        let found = survey(&request(std::slice::from_ref(&trashed), on));
        (found.under_replicated_trash, found.under_replicated_files)
    };
    assert_eq!(lacking(&[1]), (1, 0));
    assert_eq!(lacking(&[1, 2]), (0, 0));
}

#[test]
fn an_unreadable_record_keeps_all_garbage() {
    let broken = mdfs_core::log::message::Put {
        key: Key::File(name()).to_bytes(),
        value: Some(vec![9, 9]),
    };
    let found = survey(&request(&[broken], &[1]));
    assert_eq!((found.unreadable_files, found.garbage.len()), (1, 0));
}

#[test]
fn a_copy_elsewhere_goes_only_while_all_holders_have_theirs() {
    let file = stored(&file(2, vec![]));
    let found = survey(&request(std::slice::from_ref(&file), &[1, 2, 3]));
    assert_eq!(found.excess.keys().collect::<Vec<_>>(), [&disk(3)]);
    assert_eq!((found.under_replicated_files, found.needs.len()), (0, 0));

    let found = survey(&request(&[file], &[1, 3]));
    assert_eq!((found.excess.len(), found.garbage.len()), (0, 0));
    let [need] = &found.needs[..] else { panic!() };
    assert_eq!((need.target, need.good), (disk(2), 1));
    assert_eq!(need.sources, [disk(1), disk(3)]);
    assert_eq!(found.under_replicated_files, 1);
}

#[test]
fn an_exception_ends_only_when_the_holders_are_enough() {
    let exception = |disks: &[u128]| Copies {
        first_chunk: 0,
        chunks: 1,
        disks: disks.iter().copied().map(disk).collect(),
    };
    let three = stored(&file(3, vec![exception(&[1, 2, 4])]));
    let found = survey(&request(&[three], &[1, 2, 4]));
    assert_eq!((found.home.len(), found.under_replicated_files), (0, 0));
    assert_eq!((found.excess.len(), found.garbage.len()), (0, 0));

    let two = file(2, vec![exception(&[1, 4])]);
    let found = survey(&request(&[stored(&two)], &[1, 2, 4]));
    assert_eq!(found.home.len(), 1);
    let found = survey(&request(&[stored(&two)], &[1, 4]));
    assert_eq!((found.home.len(), found.needs.len()), (0, 1));
}

#[test]
fn what_came_home_goes_again_when_the_trash_keeps_the_rest_elsewhere() {
    let mut file = file(
        2,
        vec![Copies {
            first_chunk: 0,
            chunks: 2,
            disks: vec![disk(3), disk(4)],
        }],
    );
    file.size = 2 * MIB;
    file.layout = ChunkLayout::of_file(file.size, ChunkSize::MIN).unwrap();
    let second = ChunkId {
        index: 1,
        ..chunk()
    };
    let deleted = Key::Trash(LogTime::default(), file.file);
    let trashed = TrashRecord {
        name: name(),
        file: file.clone(),
    };
    let trashed = put(&deleted, &trashed).unwrap();
    let found = |record: &mdfs_core::log::message::Put, on: &[u128], second_on: &[u128]| {
        let mut request = request(std::slice::from_ref(record), on);
        for &number in second_on {
            let listed = request.lists.get_mut(&disk(number)).unwrap();
            listed.chunks.insert(second, MIB);
        }
        survey(&request)
    };
    let spare = |chunk| ExcessCopy {
        chunk,
        wanted: 2,
        stays_elsewhere: true,
    };

    let half = found(&trashed, &[1, 2, 3, 4], &[1, 3, 4]);
    assert_eq!((half.home.len(), half.copies_to_make), (0, 0));
    assert_eq!(half.excess_copies, 3);
    assert_eq!(half.excess[&disk(1)], [spare(chunk()), spare(second)]);
    assert_eq!(half.excess[&disk(2)], [spare(chunk())]);
    assert!(!half.excess.contains_key(&disk(3)));

    let whole = found(&trashed, &[1, 2, 3, 4], &[1, 2, 3, 4]);
    assert_eq!((whole.home.len(), whole.excess.len()), (1, 0));
    // What is needed because a copy elsewhere is gone does not go.
    let needed = found(&trashed, &[1, 3, 4], &[1, 4]);
    assert_eq!(needed.excess[&disk(1)], [spare(chunk())]);
    // With a name it goes on home.
    let named = found(&stored(&file), &[1, 2, 3, 4], &[1, 3, 4]);
    assert_eq!((named.excess.len(), named.copies_to_make), (0, 1));
}

#[test]
fn a_copy_goes_that_no_place_has_while_the_trash_keeps_the_others_elsewhere() {
    let elsewhere = Copies {
        first_chunk: 0,
        chunks: 1,
        disks: vec![disk(3)],
    };
    let file = file(1, vec![elsewhere]);
    let trashed = TrashRecord {
        name: name(),
        file: file.clone(),
    };
    let deleted = Key::Trash(LogTime::default(), file.file);
    let trashed = put(&deleted, &trashed).unwrap();
    let found = survey(&request(std::slice::from_ref(&trashed), &[3, 4]));
    assert_eq!((found.excess_copies, found.copies_to_make), (1, 0));
    let spare = ExcessCopy {
        chunk: chunk(),
        wanted: 1,
        stays_elsewhere: false,
    };
    assert_eq!(found.excess, [(disk(4), vec![spare])].into());
    // Not while it is needed: the copy elsewhere is gone, or the file has its name and goes home.
    assert!(survey(&request(&[trashed], &[4])).excess.is_empty());
    assert!(
        survey(&request(&[stored(&file)], &[3, 4]))
            .excess
            .is_empty()
    );
}

#[test]
fn what_the_trash_keeps_elsewhere_is_mended_there_and_goes_home_if_it_is_too_much() {
    let trashed = |disks: &[u128]| {
        let elsewhere = Copies {
            first_chunk: 0,
            chunks: 1,
            disks: disks.iter().copied().map(disk).collect(),
        };
        let file = file(2, vec![elsewhere]);
        let key = Key::Trash(LogTime::default(), file.file);
        let name = name();
        put(&key, &TrashRecord { name, file }).unwrap()
    };
    // A damaged copy beside one that came home: it is counted, and made anew where it is.
    let mut damaged = request(&[trashed(&[3, 4])], &[1, 4]);
    let listed = damaged.lists.get_mut(&disk(3)).unwrap();
    listed.damaged.insert(chunk());
    let found = survey(&damaged);
    assert_eq!((found.damaged_chunks, found.excess.len()), (1, 0));
    let [need] = &found.needs[..] else { panic!() };
    assert_eq!((need.target, need.good), (disk(3), 2));
    // Three copies were wanted, and two are.
    let many = trashed(&[1, 3, 4]);
    let found = survey(&request(std::slice::from_ref(&many), &[1, 3, 4]));
    let [need] = &found.needs[..] else { panic!() };
    assert_eq!((need.target, found.home.len()), (disk(2), 0));
    let found = survey(&request(&[many], &[1, 2, 3, 4]));
    assert_eq!((found.home.len(), found.copies_to_make), (1, 0));
}

#[test]
fn a_chunk_that_is_nowhere_any_more_holds_up_no_move() {
    let moving = |on: &[u128]| {
        let mut request = request(&[stored(&file(2, vec![]))], on);
        let goal = vec![disk(3), disk(4)];
        request.moves.insert(chunk().partition(), goal);
        request
    };
    let ended = |request: &SurveyRequest| !survey(request).moved.is_empty();
    assert!(ended(&moving(&[3, 4])));
    assert!(!ended(&moving(&[1, 2])), "it is still to be copied");
    let lost = moving(&[]);
    assert!(ended(&lost));
    assert_eq!(survey(&lost).missing_files, 1);
    let mut damaged = moving(&[]);
    let listed = damaged.lists.get_mut(&disk(1)).unwrap();
    listed.damaged.insert(chunk());
    assert!(!ended(&damaged), "good blocks may be left");
    // A holder that does not answer may have it, unless it was retired.
    let of = |state| {
        let mut request = moving(&[]);
        request.reachable.remove(&disk(1));
        let member = MemberRecord {
            generation: Generation(1),
            weight: 1,
            zone: None,
            name: "one".to_owned(),
            state,
            announced_until: None,
        };
        let put = put(&Key::Member(disk(1)), &member).unwrap();
        request.table.apply(&put);
        ended(&request)
    };
    assert!(!of(MemberState::Active) && of(MemberState::Retired));
}

#[test]
fn more_copies_than_there_are_holders_are_mended_where_they_lie() {
    let three = Copies {
        first_chunk: 0,
        chunks: 1,
        disks: vec![disk(1), disk(2), disk(3)],
    };
    let stored = stored(&file(3, vec![three]));
    let whole = survey(&request(std::slice::from_ref(&stored), &[1, 2, 3]));
    assert_eq!((whole.under_replicated_files, whole.copies_to_make), (0, 0));
    for lost in 1..=3 {
        let on: Vec<u128> = (1..=3).filter(|it| *it != lost).collect();
        let found = survey(&request(std::slice::from_ref(&stored), &on));
        let targets: Vec<DiskId> = found.needs.iter().map(|need| need.target).collect();
        assert_eq!(targets, [disk(lost)]);
        assert_eq!((found.under_replicated_files, found.copies_to_make), (1, 1));
    }
}

#[test]
fn a_damaged_copy_that_came_home_goes_while_the_trash_keeps_the_others_elsewhere() {
    let elsewhere = Copies {
        first_chunk: 0,
        chunks: 1,
        disks: vec![disk(3), disk(4)],
    };
    let file = file(2, vec![elsewhere]);
    let key = Key::Trash(LogTime::default(), file.file);
    let trashed = TrashRecord {
        name: name(),
        file: file.clone(),
    };
    let trashed = put(&key, &trashed).unwrap();
    let damaged = |record, on: &[u128], number| {
        let mut request = request(&[record], on);
        let listed = request.lists.get_mut(&disk(number)).unwrap();
        listed.damaged.insert(chunk());
        survey(&request)
    };
    let found = damaged(trashed.clone(), &[3, 4], 1);
    assert_eq!((found.damaged_chunks, found.copies_to_make), (1, 0));
    assert_eq!(found.excess_copies, 1);
    let spare = ExcessCopy {
        chunk: chunk(),
        wanted: 2,
        stays_elsewhere: true,
    };
    assert_eq!(found.excess, [(disk(1), vec![spare])].into());
    // Not while its good blocks may be needed, and with a name it is mended where it is.
    assert!(damaged(trashed, &[3], 1).excess.is_empty());
    let named = damaged(stored(&file), &[3, 4], 1);
    assert_eq!((named.excess.len(), named.copies_to_make), (0, 2));
}

#[test]
fn a_file_that_came_after_the_lists_is_whole_and_its_chunks_are_needed() {
    let mut file = file(2, vec![]);
    file.version = 11;
    let found = survey(&request(&[stored(&file)], &[]));
    assert_eq!((found.under_replicated_files, found.needs.len()), (0, 0));
    // One that was renamed since is not new: a list shows it.
    let found = survey(&request(&[stored(&file)], &[2]));
    assert_eq!((found.under_replicated_files, found.garbage.len()), (1, 0));
}

#[test]
fn a_damaged_copy_that_nobody_needs_goes_and_one_that_is_needed_stays() {
    let mut request = request(&[stored(&file(2, vec![]))], &[1, 2]);
    let damage = |request: &mut SurveyRequest, number| {
        let listed = request.lists.get_mut(&disk(number)).unwrap();
        listed.chunks.clear();
        listed.damaged.insert(chunk());
    };
    damage(&mut request, 3);
    assert_eq!(survey(&request).excess.len(), 1);
    damage(&mut request, 2);
    let found = survey(&request);
    assert_eq!((found.excess.len(), found.damaged_chunks), (0, 1));
    assert_eq!(found.needs.len(), 1);
    // With no good copy left, all blocks that may be good are sources.
    damage(&mut request, 1);
    let found = survey(&request);
    assert_eq!((found.missing_files, found.excess.len()), (1, 0));
    assert_eq!(found.needs.len(), 2);
    assert_eq!(found.needs[0].sources, [disk(1), disk(2), disk(3)]);
}

#[test]
fn copies_that_cannot_be_made_leave_their_places_to_others() {
    let mut request = request(&[stored(&file(2, vec![]))], &[1]);
    assert_eq!(survey(&request).needs.len(), 1);
    request.put_off.insert((disk(2), chunk()));
    let found = survey(&request);
    assert_eq!((found.needs.len(), found.copies_to_make), (0, 1));
    assert_eq!(found.under_replicated_files, 1);
}

#[test]
fn of_a_partition_that_was_not_listed_only_who_can_be_read_is_told() {
    let mut request = request(&[stored(&file(2, vec![]))], &[]);
    let partition = chunk().partition();
    request.lists.clear();
    request.unlisted.insert(partition);
    request.moves.insert(partition, vec![disk(1), disk(2)]);
    let found = survey(&request);
    assert_eq!((found.unlisted_partitions, found.needs.len()), (1, 0));
    assert_eq!((found.under_replicated_files, found.moved.len()), (0, 0));
    // Each of them may have the last copy.
    assert_eq!(found.sole.keys().collect::<Vec<_>>(), [&disk(1), &disk(2)]);
    request.reachable.remove(&disk(2));
    let found = survey(&request);
    assert_eq!((found.under_replicated_files, found.missing_files), (1, 0));
}
