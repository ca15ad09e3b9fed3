//! Planned restarts, disks that go for good, and what is told of it all.

use super::asking::{begin, done, ids, open, refused, waits};
use super::healing::{LOST, check_whole, chunk, copies, has, order, with_files};
use super::world::{IDLE, REPAIR_DELAY, World, disk};
use crate::error::Error;
use crate::leader::command::{BeginUpload, FileInfo, Order};
use crate::leader::handle::Question;
use crate::leader::survey::Survey;
use mdfs_core::id::MountId;
use mdfs_core::records::MemberState;
use mdfs_core::ring::ReplicationFactor;
use mdfs_protocol::internal::DiskState;
use mdfs_protocol::public::{Health, Task, TaskKind, WorkerState};
use std::time::Duration;

fn announce(world: &mut World, worker: &str, seconds: u64) {
    let lasts = Duration::from_secs(seconds);
    let worker = worker.to_owned();
    order(world, Order::Announce { worker, lasts }).unwrap();
}

fn retire(worker: &str, lost: bool) -> Order {
    let worker = worker.to_owned();
    Order::Retire { worker, lost }
}

/// Asks for it, and waits for the answer.
fn try_to_retire(world: &mut World, worker: &str, lost: bool) -> Result<(), Error> {
    let asked = world.ask(|answer| Question::Order(retire(worker, lost), answer));
    world.run(3000);
    done(asked)
}

fn tasks(world: &mut World) -> Vec<Task> {
    done(world.ask(Question::Tasks)).unwrap().tasks
}

/// A file of one copy, and where it is.
fn store_once(world: &mut World, name: &str) -> (FileInfo, u128) {
    let begin = BeginUpload {
        replicas: Some(ReplicationFactor::MIN),
        ..begin(name)
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    let info = done(world.finish(&upload)).unwrap();
    let on = copies(world, &info)[0].as_u128();
    (info, on)
}

#[test]
fn nothing_is_copied_for_a_worker_whose_silence_was_announced_and_the_truth_is_told() {
    let (mut world, files) = with_files(4, 40);
    announce(&mut world, "worker-4", 600);
    world.kill(4);
    world.run(5000);
    let status = world.status();
    assert_eq!(status.health, Health::Degraded);
    assert!(
        status.under_replicated_files > 0,
        "its copies are not there"
    );
    let says = |text: &str| status.reasons.iter().any(|reason| reason.contains(text));
    assert!(says("worker-4 is announced"), "{:?}", status.reasons);
    let workers = done(world.ask(Question::Workers)).unwrap().workers;
    let left = workers[3].announced_seconds.unwrap();
    assert!((580..=600).contains(&left), "{left}");
    world.run(2 * LOST);
    assert_eq!(world.copies, 0);
    // Another leader keeps to it: it is in the log.
    world.restart_master();
    world.run(2 * LOST);
    assert_eq!(world.copies, 0);
    world.heal();
    world.run(10_000);
    check_whole(&mut world, &files);
    assert_eq!(world.copies, 0);
}

#[test]
fn an_announcement_ends_with_its_time_or_when_the_disk_is_mounted_anew() {
    let (mut world, _) = with_files(4, 40);
    announce(&mut world, "worker-4", 60);
    world.kill(4);
    world.run(58_000);
    assert_eq!(world.copies, 0);
    world.run(20_000);
    assert!(world.copies > 0, "it stayed away for too long");

    let (mut world, _) = with_files(4, 40);
    announce(&mut world, "worker-4", 3600);
    world.run(2000);
    world.worker(4).mount = MountId::from_u128(2);
    world.run(3000);
    let announced = |world: &World| world.master.catalog.members[&disk(4)].announced_until;
    assert_eq!(announced(&world), None, "it is back");
    announce(&mut world, "worker-4", 3600);
    assert!(announced(&world).is_some());
    announce(&mut world, "worker-4", 0);
    assert_eq!(announced(&world), None, "taken back");
}

#[test]
fn an_announcement_that_takes_long_to_commit_holds() {
    let (mut world, _) = with_files(4, 0);
    world.cut(&[2, 3]);
    let order = Order::Announce {
        worker: "worker-4".to_owned(),
        lasts: Duration::from_secs(600),
    };
    let mut asked = world.ask(|answer| Question::Order(order, answer));
    world.run(500);
    assert!(waits(&mut asked));
    world.heal();
    world.run(3000);
    done(asked).unwrap();
    let workers = done(world.ask(Question::Workers)).unwrap().workers;
    assert!(workers[3].announced_seconds.is_some());
}

#[test]
fn workers_whose_silence_was_announced_do_not_pull_the_brake() {
    let (mut world, files) = with_files(5, 60);
    announce(&mut world, "worker-4", 3600);
    world.kill(4);
    world.run(1000);
    world.kill(5);
    world.run(LOST + 20_000);
    let status = world.status();
    assert!(!status.repair_paused);
    let on_five = |info: &&FileInfo| has(&world, disk(5), chunk(info.record.file, 0));
    assert!(files.iter().filter(on_five).count() > 10);
    assert!(world.copies > 0, "worker 5 is lost all the same");
}

#[test]
fn a_decommissioned_worker_is_emptied_and_its_disk_refused_for_ever() {
    let (mut world, files) = with_files(5, 60);
    order(&mut world, Order::Decommission("worker-5".to_owned())).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..600 {
        world.run(50);
        assert_eq!(world.status().under_replicated_files, 0);
        for task in tasks(&mut world) {
            assert!(task.done_chunks <= task.total_chunks, "{task:?}");
            assert!(task.done_bytes <= task.total_bytes, "{task:?}");
            kinds.push((task.kind, task.disk_id));
        }
    }
    kinds.dedup();
    assert_eq!(kinds, [(TaskKind::Decommission, Some(disk(5)))]);
    assert!(tasks(&mut world).is_empty());
    let state = world.master.catalog.members[&disk(5)].state;
    assert_eq!(state, MemberState::Retired);
    check_whole(&mut world, &files);
    assert_eq!(world.status().workers, 4);
    let refused = world.beat(5).unwrap_err();
    assert!(matches!(refused, Error::RetiredDisk { .. }));
    // Under its old name only another disk comes in.
    world.add(6);
    world.worker(6).beat.name = "worker-5".to_owned();
    world.run(20_000);
    check_whole(&mut world, &files);
    order(&mut world, Order::Drain("worker-5".to_owned())).unwrap();
    let again = order(&mut world, Order::Undrain(disk(5).to_string()));
    assert!(matches!(again, Err(Error::RetiredDisk { .. })));
    world.restart_master();
    world.run(10_000);
    assert!(matches!(world.beat(5), Err(Error::RetiredDisk { .. })));
}

#[test]
fn a_decommissioned_worker_waits_for_no_trash_that_lies_on_it_instead_of_elsewhere() {
    let (mut world, _) = with_files(5, 5);
    let (upload, holders) = (0..)
        .map(|n| {
            let upload = world.open(&format!("a{n}"));
            let holders = ids(world.place(&upload, 0).unwrap());
            (upload, holders)
        })
        .find(|(_, holders)| !holders.contains(&disk(5)))
        .unwrap();
    let other = (1..5).map(disk).find(|it| !holders.contains(it)).unwrap();
    let info = done(world.commit_on(&upload, &[other, disk(5)])).unwrap();
    assert_eq!(info.record.exceptions.len(), 1);
    done(world.delete(info.name.as_str())).unwrap();
    world.run(20_000);
    assert!(has(&world, disk(5), chunk(info.record.file, 0)));
    order(&mut world, Order::Decommission("worker-5".to_owned())).unwrap();
    // What was begun beside it ends in time, and may be on any disk until then.
    world.run(IDLE + 40_000);
    let state = world.master.catalog.members[&disk(5)].state;
    assert_eq!(state, MemberState::Retired);
    assert_eq!(copies(&world, &info).len(), 2);
}

#[test]
fn a_disk_that_accepts_no_writes_is_copied_from_elsewhere_and_can_be_retired() {
    let (mut world, files) = with_files(5, 60);
    let on_it = |world: &World| {
        let has_it = |info: &&FileInfo| copies(world, info).contains(&disk(5));
        files.iter().filter(has_it).count()
    };
    let before = on_it(&world);
    assert!(before > 0);
    world.worker(5).beat.state = DiskState::ReadOnly;
    world.run(REPAIR_DELAY - 5000);
    assert_eq!(world.copies, 0, "it may take writes again");
    world.run(30_000);
    // It has what it had, and nobody counts on it.
    assert_eq!(on_it(&world), before);
    for info in &files {
        let view = done(world.look_up(info.name.as_str())).unwrap();
        let readable = ids(view.sites[0].sites.clone());
        assert_eq!(readable.len(), 2, "{}", info.name);
        assert!(!readable.contains(&disk(5)), "{}", info.name);
    }
    let status = world.status();
    assert_eq!(status.under_replicated_files, 0);
    assert_eq!(status.health, Health::Degraded);
    let why = "the disk of worker worker-5 accepts no writes: it is only read from";
    assert!(
        status.reasons.iter().any(|said| said == why),
        "{:?}",
        status.reasons
    );
    order(&mut world, Order::Decommission("worker-5".to_owned())).unwrap();
    world.run(20_000);
    let state = world.master.catalog.members[&disk(5)].state;
    assert_eq!(state, MemberState::Retired);
    check_whole_without(&mut world, &files);
}

#[test]
fn partitions_that_move_to_a_disk_that_comes_to_accept_no_writes_go_elsewhere() {
    let (mut world, mut files) = with_files(4, 60);
    world.add(5);
    while world.status().moving_partitions == 0 {
        world.run(50);
    }
    // Where a file comes meanwhile is where its partition moves to.
    files.push(world.store("late"));
    world.worker(5).beat.state = DiskState::ReadOnly;
    world.beat(5).unwrap();
    assert!(world.status().moving_partitions > 0);
    world.run(REPAIR_DELAY + 30_000);
    let status = world.status();
    assert_eq!(
        (status.moving_partitions, status.under_replicated_files),
        (0, 0)
    );
    for info in &files {
        let mut on = copies(&world, info);
        on.retain(|&on| on != disk(5));
        assert_eq!(on.len(), 2, "{}", info.name);
    }
}

/// All files have their copies, on other disks than the fifth.
fn check_whole_without(world: &mut World, files: &[FileInfo]) {
    world.kill(5);
    check_whole(world, files);
}

#[test]
fn an_announcement_of_which_no_leader_saw_the_end_ends_in_time() {
    let (mut world, _) = with_files(4, 5);
    announce(&mut world, "worker-4", 60);
    let announced = |world: &World| world.master.catalog.members[&disk(4)].announced_until;
    // It was back before this leader came.
    world.restart_master();
    world.run(50_000);
    assert!(announced(&world).is_some());
    world.run(15_000);
    assert_eq!(announced(&world), None);
}

#[test]
fn a_decommissioned_worker_that_dies_is_retired_once_nothing_lacks_a_copy() {
    let (mut world, files) = with_files(5, 60);
    order(&mut world, Order::Decommission("worker-5".to_owned())).unwrap();
    world.kill(5);
    world.run(40_000);
    let state = world.master.catalog.members[&disk(5)].state;
    assert_eq!(state, MemberState::Retired);
    for info in &files {
        assert_eq!(copies(&world, info).len(), 2, "{}", info.name);
    }
    assert_eq!(world.status().health, Health::Ok);
}

#[test]
fn a_disk_with_the_last_copy_of_something_is_retired_only_as_lost() {
    let (mut world, files) = with_files(6, 40);
    let mut sole = Vec::new();
    let on = loop {
        let (info, on) = store_once(&mut world, &format!("once-{}", sole.len()));
        sole.push((info, on));
        let of_one = |n: &u128| sole.iter().filter(|(_, on)| on == n).count() == 2;
        if let Some(on) = (4..=6).find(of_one) {
            break on;
        }
    };
    world.run(3000);
    let worker = format!("worker-{on}");
    let mut names: Vec<String> = sole
        .iter()
        .filter(|(_, other)| *other == on)
        .map(|(info, _)| info.name.to_string())
        .collect();
    names.sort_unstable();
    for dead in [false, true] {
        if dead {
            world.kill(on);
            world.run(20_000);
        }
        match try_to_retire(&mut world, &worker, false) {
            Err(Error::WouldLoseFiles {
                files, names: told, ..
            }) => assert_eq!((files, &told), (2, &names)),
            other => panic!("{other:?}"),
        }
    }
    try_to_retire(&mut world, &worker, true).unwrap();
    world.run(LOST + 20_000);
    let status = world.status();
    assert_eq!((status.missing_files, status.workers), (2, 5));
    for info in &files {
        assert_eq!(copies(&world, info).len(), 2, "{}", info.name);
    }
    // Twice is harmless.
    try_to_retire(&mut world, &disk(on).to_string(), false).unwrap();
}

/// Waits until a survey has begun.
pub(super) fn until_surveyed(world: &mut World) {
    let (surveys, until) = (world.surveys, world.now + 10_000);
    while world.surveys == surveys {
        assert!(world.now < until);
        world.run(50);
    }
}

/// A file of one copy that is stored on this disk.
fn store_on(world: &mut World, name: &str, on: u128) {
    let begin = BeginUpload {
        replicas: Some(ReplicationFactor::MIN),
        ..begin(name)
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    done(world.commit_on(&upload, &[disk(on)])).unwrap();
}

#[test]
fn a_disk_that_alone_has_a_chunk_of_an_open_upload_is_not_retired() {
    let (mut world, _) = with_files(5, 5);
    let upload = world.open_session("a");
    world.store_chunk_on(&upload, 0, &[disk(4), disk(5)]);
    world.store_chunk_on(&upload, 1, &[disk(5)]);
    world.run(3000);
    match try_to_retire(&mut world, "worker-5", false) {
        Err(Error::WouldLoseFiles { files, names, .. }) => {
            assert_eq!((files, &names[..]), (1, &["a".to_owned()][..]))
        }
        other => panic!("{other:?}"),
    }
    try_to_retire(&mut world, "worker-4", false).unwrap();
    done(world.abort(upload.file)).unwrap();
    try_to_retire(&mut world, "worker-5", false).unwrap();
}

#[test]
fn what_is_stored_while_it_is_counted_what_a_retirement_loses_counts_too() {
    for file in [true, false] {
        let (mut world, _) = with_files(5, 5);
        let upload = world.open_session("b");
        world.hold_surveys = true;
        let mut asked = world.ask(|answer| Question::Order(retire("worker-5", false), answer));
        until_surveyed(&mut world);
        assert!(waits(&mut asked));
        match file {
            true => store_on(&mut world, "a", 5),
            false => world.store_chunk_on(&upload, 0, &[disk(5)]),
        }
        world.survey_found(Survey::default());
        match refused(asked) {
            Error::WouldLoseFiles { files, .. } => assert_eq!(files, 1),
            other => panic!("{other}"),
        }
        // What others have too does not stand in the way.
        let mut asked = world.ask(|answer| Question::Order(retire("worker-4", false), answer));
        until_surveyed(&mut world);
        assert!(waits(&mut asked));
        let late = world.open("late");
        done(world.commit_on(&late, &[disk(4), disk(5)])).unwrap();
        world.survey_found(Survey::default());
        done(asked).unwrap();
    }
}

#[test]
fn a_count_that_left_something_out_retires_no_disk() {
    let (mut world, _) = with_files(5, 5);
    world.hold_surveys = true;
    let mut asked = world.ask(|answer| Question::Order(retire("worker-5", false), answer));
    until_surveyed(&mut world);
    world.survey_found(Survey {
        unlisted_partitions: 1,
        ..Survey::default()
    });
    assert!(waits(&mut asked));
    until_surveyed(&mut world);
    world.survey_found(Survey::default());
    done(asked).unwrap();
}

#[test]
fn a_dead_disk_goes_by_itself_only_when_all_was_counted_and_the_trash_is_whole() {
    let (mut world, _) = with_files(5, 0);
    world.kill(4);
    world.run(LOST);
    world.hold_surveys = true;
    let find = |world: &mut World, found: &Survey| {
        let until = world.now + 12_000;
        while world.now < until {
            world.run(50);
            if world.master.report.is_running() {
                world.survey_found(found.clone());
            }
        }
        world.master.catalog.members[&disk(4)].state
    };
    let unlisted = Survey {
        unlisted_partitions: 1,
        ..Survey::default()
    };
    let trash = Survey {
        under_replicated_trash: 1,
        ..Survey::default()
    };
    assert_eq!(find(&mut world, &unlisted), MemberState::Active);
    order(&mut world, Order::Decommission("worker-4".to_owned())).unwrap();
    for found in [unlisted, trash] {
        assert_eq!(find(&mut world, &found), MemberState::Decommissioning);
        assert!(!world.master.catalog.names(disk(4)));
    }
    assert_eq!(find(&mut world, &Survey::default()), MemberState::Retired);
}

#[test]
fn what_was_not_committed_when_a_retirement_was_asked_for_counts_too() {
    let (mut world, _) = with_files(5, 5);
    let begin = BeginUpload {
        replicas: Some(ReplicationFactor::MIN),
        ..begin("a")
    };
    let upload = open(done(world.begin_with(begin)).unwrap());
    world.cut(&[2, 3]);
    let mut stored = world.commit_on(&upload, &[disk(5)]);
    let mut asked = world.ask(|answer| Question::Order(retire("worker-5", false), answer));
    until_surveyed(&mut world);
    assert!(waits(&mut stored) && waits(&mut asked));
    world.heal();
    world.run(3000);
    done(stored).unwrap();
    assert!(matches!(refused(asked), Error::WouldLoseFiles { .. }));
}

#[test]
fn what_is_stored_on_a_retired_disk_is_no_copy() {
    let (mut world, _) = with_files(5, 5);
    let upload = open(done(world.begin("late")).unwrap());
    try_to_retire(&mut world, "worker-5", true).unwrap();
    let asked = world.commit_on(&upload, &[disk(4), disk(5)]);
    let gone = refused(asked);
    assert!(matches!(gone, Error::CopyGone { disk: on } if on == disk(5)));
    assert!(gone.code().is_transient());
    done(world.commit_on(&upload, &[disk(3), disk(4)])).unwrap();
}

#[test]
fn a_lost_worker_of_which_all_is_elsewhere_is_retired_at_once() {
    let (mut world, files) = with_files(5, 40);
    world.kill(5);
    world.run(5000);
    // Its copies are not there, but others are: nothing is lost for good.
    try_to_retire(&mut world, "worker-5", false).unwrap();
    world.run(20_000);
    check_whole(&mut world, &files);
    assert_eq!(world.status().workers, 4);
    assert!(world.copies > 0);
}

#[test]
fn no_count_calls_whole_what_lost_a_copy_with_a_retired_disk() {
    let (mut world, files) = with_files(5, 10);
    let asked = world.ask(|answer| Question::Order(retire("worker-5", true), answer));
    done(asked).unwrap();
    world.kill(5);
    // Nothing can be written, so nothing moves, and a holder that is gone stays one.
    world.cut(&[1, 2]);
    let retired = world.now;
    while world.now < retired + 2000 {
        world.run(50);
        world.beat_all();
        let status = world.status();
        let age = status.counted_millis_ago.unwrap();
        assert!(age <= world.now - retired, "it was not counted anew");
        assert!(status.under_replicated_files > 0, "{status:?}");
    }
    assert!(files.iter().any(|it| copies(&world, it).len() < 2));
    for number in [1, 2] {
        world.worker(number).reached = true;
    }
    world.run(20_000);
    check_whole(&mut world, &files);
}

#[test]
fn a_voter_is_not_retired_before_its_vote_has_moved() {
    let (mut world, _) = with_files(3, 0);
    for lost in [false, true] {
        let refused = try_to_retire(&mut world, "worker-2", lost).unwrap_err();
        assert!(matches!(refused, Error::VoterStays { .. }), "{refused}");
        assert!(refused.to_string().contains("its vote has to move"));
    }
    let asked = Order::Decommission("worker-2".to_owned());
    let asked = world.ask(|answer| Question::Order(asked, answer));
    let refused = refused(asked).to_string();
    assert!(refused.contains("add a worker first"), "{refused}");
}

#[test]
fn a_retirement_that_cannot_be_counted_is_answered_in_time() {
    let (mut world, _) = with_files(4, 5);
    world.hold_surveys = true;
    let asked = world.ask(|answer| Question::Order(retire("worker-4", false), answer));
    world.run(1000);
    let other = world.ask(|answer| Question::Order(retire("worker-4", false), answer));
    assert!(matches!(refused(other), Error::Busy));
    world.run(super::world::HOLD);
    assert!(matches!(refused(asked), Error::NotCounted));
    let state = world.master.catalog.members[&disk(4)].state;
    assert_eq!(state, MemberState::Active);
}

#[test]
fn a_repair_is_told_with_its_worker_its_rate_and_its_end() {
    let (mut world, _) = with_files(4, 60);
    world.kill(4);
    world.run(LOST - 3000);
    assert_eq!(tasks(&mut world), [], "nothing is copied yet");
    let (mut seen, mut rated) = (Vec::new(), false);
    for _ in 0..400 {
        world.run(50);
        for task in world.status().tasks {
            assert!(task.percent() <= 100);
            rated |= task.bytes_per_second > 0 && task.eta_seconds.is_some();
            assert_eq!(task.kind, TaskKind::Repair);
            seen.push(task.worker);
        }
    }
    seen.dedup();
    assert!(seen.contains(&Some("worker-4".to_owned())), "{seen:?}");
    assert!(rated);
    assert!(tasks(&mut world).is_empty());
}

#[test]
fn a_new_worker_gets_its_part_by_a_rebalance() {
    let (mut world, _) = with_files(3, 60);
    world.add(4);
    let mut seen = Vec::new();
    for _ in 0..400 {
        world.run(50);
        seen.extend(
            tasks(&mut world)
                .iter()
                .map(|task| (task.kind, task.disk_id)),
        );
    }
    seen.dedup();
    assert_eq!(seen, [(TaskKind::Rebalance, None)]);
}

#[test]
fn a_worker_that_says_it_leaves_is_read_last_at_once() {
    let (mut world, files) = with_files(3, 10);
    world.worker(2).beat.leaving = true;
    world.beat(2).unwrap();
    for info in &files {
        let view = done(world.look_up(info.name.as_str())).unwrap();
        let order = ids(view.sites[0].sites.clone());
        assert_ne!(order[0], disk(2), "{}", info.name);
    }
    let workers = done(world.ask(Question::Workers)).unwrap().workers;
    assert_eq!(workers[1].state, WorkerState::Live);
}
