//! Copies that are missing are made, those that nobody needs are dropped, and the figures say so.

use super::asking::{begin, commit, done, ids, open};
use super::world::{DROP_AFTER, MIB, REPAIR_DELAY, World, disk};
use crate::error::Error;
use crate::leader::command::{BeginUpload, FileInfo, Order};
use crate::leader::handle::Question;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId};
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::public::Health;

/// After this time a worker that was killed is dead, and no longer waited for.
pub(super) const LOST: u64 = 15_000 + REPAIR_DELAY;

pub(super) fn chunk(file: FileId, index: u32) -> ChunkId {
    ChunkId { file, index }
}

/// So many workers, and so many files of one chunk.
pub(super) fn with_files(workers: u128, files: u32) -> (World, Vec<FileInfo>) {
    let mut world = World::founded();
    for number in 4..=workers {
        world.add(number);
    }
    world.run(3000);
    let files = (0..files).map(|n| world.store(&format!("f{n:03}")));
    let files = files.collect();
    world.run(3000);
    (world, files)
}

pub(super) fn has(world: &World, disk: DiskId, chunk: ChunkId) -> bool {
    world.workers[&disk].holdings.get(chunk).is_some()
}

/// The disks, among those that beat, that have the chunk of a file.
pub(super) fn copies(world: &World, info: &FileInfo) -> Vec<DiskId> {
    let chunk = chunk(info.record.file, 0);
    let disks = world.workers.iter().filter(|(_, worker)| worker.beats);
    disks
        .map(|(&disk, _)| disk)
        .filter(|&disk| has(world, disk, chunk))
        .collect()
}

#[track_caller]
pub(super) fn check_whole(world: &mut World, files: &[FileInfo]) {
    let status = world.status();
    assert_eq!(status.health, Health::Ok, "{:?}", status.reasons);
    assert_eq!(
        (status.under_replicated_files, status.missing_files),
        (0, 0)
    );
    for info in files {
        assert_eq!(copies(world, info).len(), 2, "{}", info.name);
        let view = done(world.look_up(info.name.as_str())).unwrap();
        let mut readable = ids(view.sites[0].sites.clone());
        readable.sort_unstable();
        assert_eq!(readable, copies(world, info), "{}", info.name);
    }
}

#[test]
fn while_nothing_is_wrong_nothing_is_listed_or_copied() {
    let (mut world, files) = with_files(4, 20);
    let before = world.surveys;
    world.run(30_000);
    check_whole(&mut world, &files);
    assert_eq!((world.surveys - before, world.copies), (0, 0));
}

#[test]
fn a_copy_that_a_live_disk_lost_is_seen_and_made_again() {
    let (mut world, files) = with_files(3, 20);
    let info = &files[7];
    let [first, _] = copies(&world, info)[..] else {
        panic!()
    };
    let lost = chunk(info.record.file, 0);
    world.worker(first.as_u128()).holdings.remove(lost);
    world.hold_surveys = false;
    let mut seen = false;
    for _ in 0..100 {
        world.run(50);
        seen |= world.status().under_replicated_files == 1;
    }
    assert!(seen);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, 1);
}

#[test]
fn a_damaged_copy_that_nobody_needs_is_dropped_but_not_the_last_one() {
    let (mut world, files) = with_files(4, 20);
    let info = &files[7];
    let needed = chunk(info.record.file, 0);
    let nowhere = chunk(FileId::from_u128(1), 0);
    let holders = copies(&world, info);
    let other = (1..=4).find(|&number| !holders.contains(&disk(number)));
    let other = other.unwrap();
    for chunk in [needed, nowhere] {
        world.worker(other).holdings.add_damaged(chunk);
    }
    world.run(6000);
    for chunk in [needed, nowhere] {
        assert!(!world.workers[&disk(other)].holdings.has_damaged(chunk));
    }
    check_whole(&mut world, &files);

    // With no good copy left it may have good blocks.
    for holder in &holders {
        world.worker(holder.as_u128()).holdings.remove(needed);
    }
    world.worker(other).holdings.add_damaged(needed);
    world.run(6000);
    assert!(world.workers[&disk(other)].holdings.has_damaged(needed));
    let status = world.status();
    assert_eq!((status.missing_files, status.damaged_chunks), (1, 1));
    // One is found, and the damaged copies are not needed any more.
    let [holder, _] = holders[..] else { panic!() };
    let length = info.record.layout.chunk_len(0).unwrap();
    world.worker(holder.as_u128()).holdings.add(needed, length);
    world.run(30_000);
    assert!(!world.workers[&disk(other)].holdings.has_damaged(needed));
    check_whole(&mut world, &files);
}

#[test]
fn a_copy_too_many_stays_if_another_is_found_damaged_before_it_is_dropped() {
    let (mut world, files) = with_files(4, 20);
    let needed = chunk(files[7].record.file, 0);
    let holders = copies(&world, &files[7]);
    let other = (1..=4).find(|&number| !holders.contains(&disk(number)));
    let other = other.unwrap();
    world.worker(other).holdings.add(needed, MIB);
    let surveys = world.surveys;
    while world.surveys == surveys {
        world.run(50);
    }
    // The order to drop it would come with the answer to its next beat.
    let first = holders[0].as_u128();
    world.worker(first).holdings.add_damaged(needed);
    world.beat(first).unwrap();
    world.beat(other).unwrap();
    assert!(has(&world, disk(other), needed));
    world.run(10_000);
    assert!(!has(&world, disk(other), needed));
    check_whole(&mut world, &files);
}

#[test]
fn a_difference_that_no_change_told_of_is_found_within_three_beats() {
    let (mut world, files) = with_files(3, 20);
    let info = &files[3];
    let first = copies(&world, info)[0];
    // The disk counts anew as if after a restart, but says it is the same mount.
    let worker = world.worker(first.as_u128());
    let mut other = mdfs_core::holdings::Holdings::new(0);
    for (chunk, length) in worker.holdings.chunks_after(None) {
        if chunk.file != info.record.file {
            other.add(chunk, length);
        }
    }
    while other.sequence() < worker.holdings.sequence() {
        other.add(chunk(FileId::from_u128(1), 0), MIB + other.sequence());
    }
    worker.holdings = other;
    let mut seen = false;
    for _ in 0..60 {
        world.run(50);
        seen |= world.status().under_replicated_files == 1;
    }
    assert!(seen);
    world.run(4000);
    check_whole(&mut world, &files);
}

#[test]
fn what_a_worker_that_was_started_anew_holds_is_known_without_another_beat() {
    let (mut world, _) = with_files(3, 20);
    world.worker(2).mount = mdfs_core::id::MountId::from_u128(2);
    world.beat(2).unwrap();
    assert!(world.master.truth.is_known(disk(2)));
    // What came while it was asked is told by the next beat.
    let worker = world.worker(2);
    worker.mount = mdfs_core::id::MountId::from_u128(3);
    let stale = worker.report();
    worker.holdings.add(chunk(FileId::from_u128(1), 0), MIB);
    let beat = worker.beat.clone();
    world
        .beat_with(mdfs_protocol::internal::Heartbeat {
            holdings: stale,
            ..beat
        })
        .unwrap();
    assert!(!world.master.truth.is_known(disk(2)));
    world.beat(2).unwrap();
    assert!(world.master.truth.is_known(disk(2)));
}

#[test]
fn what_a_lost_worker_had_is_copied_after_the_delay_and_not_before() {
    let (mut world, files) = with_files(4, 60);
    let on_it = files
        .iter()
        .filter(|info| copies(&world, info).contains(&disk(4)));
    let on_it = u64::try_from(on_it.count()).unwrap();
    assert!(on_it > 10);
    world.kill(4);
    world.run(5000);
    assert_eq!(world.status().under_replicated_files, on_it);
    world.run(LOST - 7000);
    assert_eq!(world.copies, 0);
    world.run(12_000);
    let status = world.status();
    assert_eq!(
        (status.under_replicated_files, status.missing_files),
        (0, 0)
    );
    assert_eq!(world.copies, on_it);
    for info in &files {
        assert_eq!(copies(&world, info).len(), 2, "{}", info.name);
    }
    // It comes back: what it has is not needed any more, or it gets its place back.
    world.heal();
    world.run(60_000);
    check_whole(&mut world, &files);
}

#[test]
fn a_worker_that_returns_in_time_costs_no_copy() {
    let (mut world, files) = with_files(4, 40);
    world.kill(4);
    world.run(LOST - 3000);
    world.heal();
    world.run(20_000);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, 0);
}

#[test]
fn when_many_fall_silent_at_once_nothing_is_copied() {
    let (mut world, _) = with_files(5, 40);
    world.kill(4);
    world.kill(5);
    world.run(2 * LOST);
    assert_eq!(world.copies, 0);
    assert!(world.status().under_replicated_files > 0);
}

#[test]
fn a_new_worker_gets_its_part_and_the_old_copies_go_when_it_has_them() {
    let (mut world, files) = with_files(3, 60);
    world.add(4);
    let mut least = usize::MAX;
    for _ in 0..600 {
        world.run(50);
        let fewest = files.iter().map(|info| copies(&world, info).len()).min();
        least = least.min(fewest.unwrap());
        assert_eq!(world.status().under_replicated_files, 0);
    }
    assert_eq!(least, 2);
    check_whole(&mut world, &files);
    let part = world.worker(4).holdings.len();
    assert!((20..=40).contains(&part), "{part} of 120 copies");
}

#[test]
fn chunks_of_no_file_are_dropped_once_all_have_spoken() {
    let (mut world, files) = with_files(3, 5);
    let stray = chunk(FileId::from_u128(77), 3);
    world.kill(3);
    world.run(5000);
    world.worker(1).holdings.add(stray, MIB);
    world.run(20_000);
    assert!(
        has(&world, disk(1), stray),
        "worker 3 might tell of its file"
    );
    world.heal();
    world.run(8000);
    assert!(!has(&world, disk(1), stray));
    check_whole(&mut world, &files);
}

#[test]
fn chunks_of_an_open_upload_stay_and_those_of_one_that_ended_go() {
    let (mut world, _) = with_files(3, 0);
    let upload = world.open("film");
    let on = ids(world.place(&upload, 0).unwrap());
    for disk in &on {
        let worker = world.worker(disk.as_u128());
        worker.holdings.add(chunk(upload.file, 0), MIB);
    }
    world.run(20_000);
    assert!(has(&world, on[0], chunk(upload.file, 0)));
    done(world.abort(upload.file)).unwrap();
    world.run(8000);
    assert!(!has(&world, on[0], chunk(upload.file, 0)));
    assert_eq!(world.status().health, Health::Ok);
}

#[test]
fn with_few_gone_for_long_garbage_is_dropped_without_them() {
    let (mut world, _) = with_files(4, 0);
    let stray = chunk(FileId::from_u128(77), 3);
    world.kill(4);
    world.run(5000);
    world.worker(1).holdings.add(stray, MIB);
    world.run(DROP_AFTER - 10_000);
    assert!(has(&world, disk(1), stray));
    world.run(15_000);
    assert!(!has(&world, disk(1), stray));
}

#[test]
fn chunks_that_went_elsewhere_come_home() {
    let (mut world, _) = with_files(4, 0);
    let upload = world.open("film");
    let home = ids(world.place(&upload, 0).unwrap());
    let on = ids(world.place_avoiding(&upload, 0, &home[..1]).unwrap());
    let info = done(world.commit_on(&upload, &on)).unwrap();
    assert_eq!(info.record.exceptions.len(), 1);
    world.run(20_000);
    let view = done(world.look_up("film")).unwrap();
    assert!(view.info.record.exceptions.is_empty());
    assert_eq!(view.info.record.version, info.record.version);
    check_whole(&mut world, &[info]);
}

#[test]
fn files_with_other_numbers_of_copies_are_healed_alike() {
    let (mut world, _) = with_files(4, 0);
    let mut stored = Vec::new();
    for copies in [1, 2] {
        for n in 0..10 {
            let begin = BeginUpload {
                replicas: Some(ReplicationFactor::new(copies).unwrap()),
                ..begin(&format!("{copies}/{n}"))
            };
            let upload = open(done(world.begin_with(begin)).unwrap());
            let on = ids(world.place(&upload, 0).unwrap());
            assert_eq!(on.len(), usize::from(copies));
            let commit = commit(&upload, &on);
            let asked =
                world.ask(|answer| crate::leader::handle::Question::CommitUpload(commit, answer));
            stored.push((copies, done(asked).unwrap()));
        }
    }
    world.run(10_000);
    assert_eq!(world.status().health, Health::Ok);
    world.kill(4);
    world.run(LOST + 20_000);
    for (wanted, info) in &stored {
        let found = copies(&world, info).len();
        // The only copy of a file cannot be made again; it counts as missing until it returns.
        let lost = has(&world, disk(4), chunk(info.record.file, 0)) && *wanted == 1;
        assert_eq!(
            found,
            usize::from(*wanted) - usize::from(lost),
            "{}",
            info.name
        );
    }
}

pub(super) fn order(world: &mut World, order: Order) -> Result<(), Error> {
    let asked = world.ask(|answer| Question::Order(order, answer));
    done(asked)
}

#[test]
fn a_drained_worker_ends_up_empty_and_takes_part_again_when_told() {
    let (mut world, files) = with_files(4, 60);
    order(&mut world, Order::Drain("worker-2".to_owned())).unwrap();
    for _ in 0..600 {
        world.run(50);
        assert_eq!(world.status().under_replicated_files, 0);
    }
    assert!(world.worker(2).holdings.is_empty());
    check_whole(&mut world, &files);
    let upload = world.open("film");
    assert!(!ids(world.place(&upload, 0).unwrap()).contains(&disk(2)));
    order(&mut world, Order::Undrain(disk(2).to_string())).unwrap();
    world.run(30_000);
    assert!(!world.worker(2).holdings.is_empty());
    check_whole(&mut world, &files);
}

#[test]
fn an_order_for_nobody_is_refused() {
    let (mut world, _) = with_files(3, 0);
    let refused = order(&mut world, Order::Drain("nobody".to_owned()));
    assert!(matches!(refused, Err(Error::WorkerNotFound { .. })));
}

#[test]
fn when_told_to_repair_a_lost_worker_is_not_waited_for() {
    let (mut world, files) = with_files(4, 60);
    world.kill(4);
    world.run(16_000);
    assert_eq!(world.copies, 0);
    order(&mut world, Order::Repair).unwrap();
    world.run(6000);
    assert_eq!(world.status().under_replicated_files, 0);
    for info in &files {
        assert_eq!(copies(&world, info).len(), 2, "{}", info.name);
    }
}

#[test]
fn an_order_whose_heartbeat_was_lost_is_given_again() {
    let (mut world, files) = with_files(3, 5);
    let stray = chunk(FileId::from_u128(77), 3);
    world.worker(1).holdings.add(stray, MIB);
    let lost = chunk(files[0].record.file, 0);
    let first = copies(&world, &files[0])[0].as_u128();
    world.worker(first).holdings.remove(lost);
    world.run(1000);
    world.lose_replies = true;
    world.run(4000);
    world.lose_replies = false;
    world.run(15_000);
    assert!(!has(&world, disk(1), stray));
    check_whole(&mut world, &files);
}

#[test]
fn a_drained_worker_that_is_wanted_again_at_once_keeps_what_it_should_have() {
    for pause in [2000, 4000, 5000, 6000, 7000, 8000] {
        let (mut world, files) = with_files(4, 60);
        order(&mut world, Order::Drain("worker-2".to_owned())).unwrap();
        world.run(pause);
        order(&mut world, Order::Undrain("worker-2".to_owned())).unwrap();
        for _ in 0..400 {
            world.run(50);
            for info in &files {
                assert!(
                    copies(&world, info).len() >= 2,
                    "{} after {pause}",
                    info.name
                );
            }
        }
        check_whole(&mut world, &files);
    }
}

#[test]
fn an_order_to_repair_that_comes_before_the_worker_is_dead_is_not_forgotten() {
    let (mut world, files) = with_files(4, 60);
    world.kill(4);
    order(&mut world, Order::Repair).unwrap();
    world.run(22_000);
    let copies_made = world.copies;
    assert_eq!(world.status().under_replicated_files, 0);
    // The order runs out: what was made stays, and nothing is made twice.
    world.run(60_000);
    assert_eq!(world.copies, copies_made);
    for info in &files {
        assert_eq!(copies(&world, info).len(), 2, "{}", info.name);
    }
}

#[test]
fn while_partitions_move_reads_are_sent_first_to_a_disk_that_has_the_chunk() {
    let (mut world, files) = with_files(3, 60);
    world.add(4);
    let mut moving = false;
    for _ in 0..300 {
        world.run(50);
        moving |= world.status().moving_partitions > 0;
        for info in &files {
            let view = done(world.look_up(info.name.as_str())).unwrap();
            let first = view.sites[0].sites[0].disk;
            let chunk = chunk(info.record.file, 0);
            assert!(has(&world, first, chunk), "{}", info.name);
        }
    }
    assert!(moving);
}

#[test]
fn a_disk_without_a_chunk_that_moves_is_named_and_the_others_are_enough() {
    let (mut world, files) = with_files(3, 60);
    world.add(4);
    let mut without = 0;
    for _ in 0..300 {
        world.run(50);
        for info in &files {
            let run = done(world.look_up(info.name.as_str()))
                .unwrap()
                .sites
                .remove(0);
            let chunk = chunk(info.record.file, 0);
            let (have, lack): (Vec<_>, Vec<_>) = ids(run.sites)
                .into_iter()
                .partition(|disk| has(&world, *disk, chunk));
            assert!(have.len() >= 2, "{}", info.name);
            assert!(
                lack.iter().all(|disk| run.moving.contains(disk)),
                "{}",
                info.name
            );
            without += lack.len();
        }
    }
    assert!(without > 0);
    for info in &files {
        let view = done(world.look_up(info.name.as_str())).unwrap();
        assert!(view.sites.iter().all(|run| run.moving.is_empty()));
    }
}

/// The disks that may have the first chunk of a file.
fn may_have(world: &mut World, info: &FileInfo) -> Vec<DiskId> {
    ids(done(world.who_may_have(chunk(info.record.file, 0))).unwrap())
}

#[test]
fn every_disk_with_a_chunk_is_told_of_and_those_of_which_it_is_not_known() {
    let (mut world, files) = with_files(5, 40);
    order(&mut world, Order::Drain("worker-2".to_owned())).unwrap();
    world.kill(4);
    let (mut more, mut silent) = (0, 0);
    for step in 0..1000 {
        if step == 650 {
            assert!(world.master.moving.lost.contains(&disk(4)));
            let worker = world.worker(4);
            (worker.beats, worker.reached) = (true, true);
        }
        world.run(50);
        for info in &files {
            let mut view = done(world.look_up(info.name.as_str())).unwrap();
            let should = ids(view.sites.remove(0).sites);
            let (told, has) = (may_have(&mut world, info), copies(&world, info));
            let is_told = has.iter().all(|disk| told.contains(disk));
            assert!(is_told, "nobody is told of a copy of {}", info.name);
            more += has.iter().filter(|disk| !should.contains(disk)).count();
            // What a disk has that is not there is not known.
            let is_there = world.worker(4).beats;
            silent += usize::from(!is_there && told.contains(&disk(4)));
        }
    }
    assert!(more > 0 && silent > 0);
    // Once all is where it should be nobody else is told of.
    world.run(60_000);
    for info in &files {
        assert_eq!(may_have(&mut world, info).len(), 2, "{}", info.name);
    }
}

#[test]
fn as_long_as_a_leader_does_not_know_what_disks_hold_any_may_have_a_chunk() {
    let (mut world, files) = with_files(4, 3);
    assert_eq!(may_have(&mut world, &files[0]).len(), 2);
    world.restart_master();
    let first = chunk(files[0].record.file, 0);
    let mut all = false;
    for _ in 0..200 {
        world.run(50);
        if let Ok(Ok(told)) = world.who_may_have(first).try_recv() {
            all |= told.len() == 4;
        }
    }
    assert!(all);
    assert_eq!(may_have(&mut world, &files[0]).len(), 2);
}

#[test]
fn differences_of_too_many_chunks_for_one_list_are_mended_bit_by_bit_and_not_called_whole() {
    let (mut world, files) = with_files(3, 60);
    world.master.settings.most_listed = 8;
    // A disk that lost all it had.
    let worker = world.worker(2);
    let lost: Vec<_> = worker.holdings.chunks_after(None).collect();
    for (chunk, _) in &lost {
        worker.holdings.remove(*chunk);
    }
    assert!(lost.len() > 30);
    let mut compared = false;
    for _ in 0..800 {
        world.run(50);
        let status = world.status();
        let says = |text: &str| status.reasons.iter().any(|reason| reason.contains(text));
        compared |= says("still to be compared") && status.health == Health::Unknown;
        let whole = files.iter().all(|info| copies(&world, info).len() == 2);
        // A beat may be on its way.
        assert!(whole || status.health != Health::Ok || world.copies == 0);
    }
    assert!(compared);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, u64::try_from(lost.len()).unwrap());
}

#[test]
fn disks_that_leave_are_asked_for_copies_while_too_few_others_hold_them() {
    let (mut world, files) = with_files(3, 4);
    for worker in ["worker-2", "worker-3"] {
        order(&mut world, Order::Drain(worker.to_owned())).unwrap();
    }
    world.run(60_000);
    for info in &files {
        let (told, has) = (may_have(&mut world, info), copies(&world, info));
        assert!(has.len() > 1 && has.iter().all(|disk| told.contains(disk)));
        // They do not count where files are looked at.
        let view = done(world.look_up(info.name.as_str())).unwrap();
        assert_eq!(ids(view.sites[0].sites.clone()), [disk(1)]);
    }
}
