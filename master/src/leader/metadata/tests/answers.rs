//! When answers come: not before they are certain, and not never.

use super::asking::{begin, commit, done, ids, open, refused, waits};
use super::world::{HOLD, World, disk};
use crate::error::Error;
use crate::leader::command::{Begun, CommitUpload, List};
use crate::leader::handle::Question;
use crate::leader::metadata::{MAX_HELD, Metadata};
use mdfs_core::records::{EtagMatch, Precondition};

/// No answer while two of three voters are cut off; a yes once they are back.
#[track_caller]
fn check_waits_for_quorum<T>(
    world: &mut World,
    ask: impl FnOnce(&mut World) -> super::asking::Asked<T>,
) -> T {
    world.cut(&[2, 3]);
    let mut asked = ask(world);
    world.run(500);
    assert!(waits(&mut asked), "answered before a quorum holds it");
    world.heal();
    world.run(1000);
    done(asked).unwrap()
}

#[test]
fn disks_are_told_of_a_leader_only_while_it_has_leases() {
    let mut world = World::founded();
    assert!(world.beat(1).unwrap().leader.is_some());
    world.cut(&[1, 2, 3]);
    world.run(2500);
    assert!(world.beat(1).unwrap().leader.is_none());
    world.heal();
    world.run(6000);
    assert!(world.beat(1).unwrap().leader.is_some());
}

#[test]
fn changes_are_answered_only_once_a_quorum_holds_them() {
    let mut world = World::founded();
    let upload = open(check_waits_for_quorum(&mut world, |w| w.begin("a")));
    let on = ids(world.place(&upload, 0).unwrap());
    check_waits_for_quorum(&mut world, |w| w.commit_on(&upload, &on));
    check_waits_for_quorum(&mut world, |w| w.rename("a", "b"));
    assert_eq!(world.names(), ["b"]);
    check_waits_for_quorum(&mut world, |w| w.delete("b"));
    assert!(world.names().is_empty());
    let upload = world.open("c");
    check_waits_for_quorum(&mut world, |w| w.abort(upload.file));
}

#[test]
fn what_is_not_committed_is_not_read() {
    let mut world = World::founded();
    world.store("a");
    world.cut(&[2, 3]);
    let _deleted = world.delete("a");
    let found = done(world.look_up("a"));
    assert_eq!(found.unwrap().info.name.as_str(), "a");
    world.heal();
    world.run(500);
    assert!(matches!(
        refused(world.look_up("a")),
        Error::FileNotFound { .. }
    ));
}

#[test]
fn a_change_without_a_quorum_is_refused_after_the_hold() {
    let mut world = World::founded();
    world.cut(&[2, 3]);
    world.run(3000);
    let mut begun = world.begin("a");
    let mut listed = world.list(List {
        limit: 9,
        ..List::default()
    });
    world.run(HOLD - 100);
    assert!(waits(&mut begun) && waits(&mut listed));
    // A read may be waiting for a round of heartbeats when its time is over.
    world.run(4000);
    assert!(matches!(refused(begun), Error::NoQuorum));
    assert!(matches!(refused(listed), Error::NoQuorum));
}

#[test]
fn a_change_that_finds_no_quorum_any_more_is_answered_after_the_hold() {
    let mut world = World::founded();
    world.cut(&[2, 3]);
    let mut begun = world.begin("a");
    world.run(HOLD - 100);
    assert!(waits(&mut begun));
    world.run(200);
    assert!(matches!(refused(begun), Error::NoQuorum));
}

#[test]
fn an_abort_that_was_given_up_still_drops_once_it_is_committed() {
    let mut world = World::founded();
    let upload = world.open("a");
    world.place(&upload, 0).unwrap();
    world.cut(&[2, 3]);
    let aborted = world.abort(upload.file);
    world.run(HOLD + 100);
    assert!(matches!(refused(aborted), Error::NoQuorum));
    assert!(world.drops.is_empty());
    world.heal();
    world.run(1000);
    assert_eq!(world.drops.len(), 1);
}

#[test]
fn without_a_leader_questions_are_refused_after_the_hold() {
    let mut world = World::founded();
    world.cut(&[1, 2, 3]);
    world.restart_master();
    let asked = world.begin("a");
    let looked_up = world.look_up("a");
    world.run(HOLD + 100);
    assert!(matches!(refused(asked), Error::NoLeader));
    assert!(matches!(refused(looked_up), Error::NoLeader));
}

#[test]
fn what_was_held_is_answered_when_a_leader_comes() {
    let mut world = World::founded();
    world.store("a");
    world.restart_master();
    let looked_up = world.look_up("a");
    let begun = world.begin("b");
    world.run(8000);
    assert_eq!(done(looked_up).unwrap().info.name.as_str(), "a");
    assert!(matches!(done(begun), Ok(Begun::Open(_))));
}

#[test]
fn a_pair_of_three_reads_and_writes_and_reads_go_on_with_the_leases_for_them() {
    let mut world = World::founded();
    world.store("a");
    world.kill(3);
    world.run(20_000);
    assert_eq!(world.names(), ["a"]);
    world.store("b");
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_refusal_is_answered_only_once_what_it_rests_on_is_committed() {
    let mut world = World::founded();
    let (first, second) = (world.open("a"), world.open("b"));
    world.store("c");
    let on = ids(world.place(&first, 0).unwrap());
    world.cut(&[2, 3]);
    let _committed = world.commit_on(&first, &on);
    let _deleted = world.delete("c");
    let none = Precondition {
        if_none_match: Some(EtagMatch::Any),
        ..Precondition::default()
    };
    let mut failed = world.begin_with(crate::leader::command::BeginUpload {
        precondition: none,
        ..begin("a")
    });
    let mut gone = world.delete("c");
    let mut renamed = world.rename("a", "a");
    let mut reopened = world.commit_on(&first, &on);
    let mut bad = world.commit_on(&second, &[disk(1)]);
    assert!(waits(&mut failed) && waits(&mut gone) && waits(&mut renamed));
    assert!(waits(&mut reopened) && waits(&mut bad));
    world.heal();
    world.run(1000);
    assert!(matches!(refused(failed), Error::PreconditionFailed { .. }));
    assert!(matches!(refused(gone), Error::FileNotFound { .. }));
    assert!(done(reopened).is_ok());
    assert!(matches!(refused(bad), Error::TooFewWorkers { .. }));
}

#[test]
fn a_name_taken_by_what_is_not_committed_is_refused_once_it_is() {
    let mut world = World::founded();
    world.store("b");
    let upload = world.open("a");
    let on = ids(world.place(&upload, 0).unwrap());
    world.cut(&[2, 3]);
    let _committed = world.commit_on(&upload, &on);
    let mut renamed = world.rename("b", "a");
    assert!(waits(&mut renamed));
    world.heal();
    world.run(1000);
    assert!(matches!(refused(renamed), Error::NameTaken { .. }));
}

#[test]
fn held_questions_are_bounded() {
    let mut world = World::blank(3);
    let mut held: Vec<_> = (0..MAX_HELD).map(|_| world.look_up("a")).collect();
    assert!(held.iter_mut().all(waits));
    assert!(matches!(refused(world.look_up("a")), Error::Busy));
    assert!(matches!(refused(world.begin("a")), Error::Busy));
}

#[test]
fn reads_that_wait_for_voters_are_bounded() {
    let mut world = World::founded();
    world.cut(&[1, 2, 3]);
    world.run(2000);
    // As good as asked: thousands of real ones take seconds.
    let never = world.time().mono.plus(std::time::Duration::MAX);
    for ticket in 1..MAX_HELD {
        let read = Box::new(|_: Result<&Metadata, Error>, _| ());
        let ticket = u64::MAX - u64::try_from(ticket).unwrap();
        world.master.reads.insert(ticket, (never, read));
    }
    let mut last = world.look_up("a");
    assert!(waits(&mut last));
    assert!(matches!(refused(world.look_up("a")), Error::Busy));
}

#[test]
fn a_leader_deposed_tells_those_who_wait_and_a_repeated_commit_finds_the_file() {
    let mut world = World::founded();
    let upload = world.open("a");
    let on = ids(world.place(&upload, 0).unwrap());
    // Two voters get the entry, and their answers are lost with the leadership.
    world.cut(&[2, 3]);
    let asked = world.commit_on(&upload, &on);
    world.run(500);
    world.heal();
    world.promise_to_another(50);
    world.run(1000);
    assert!(matches!(refused(asked), Error::NoLeader));
    world.run(10_000);
    let again = done(world.commit_on(&upload, &on));
    match again {
        Ok(info) => assert_eq!(world.names(), [info.name.as_str()]),
        // The entry was lost with the leadership: the upload is open, to be verified.
        Err(Error::VerifyFirst { term }) => {
            let commit = CommitUpload {
                term,
                ..commit(&upload, &on)
            };
            let asked = world.ask(|answer| Question::CommitUpload(commit, answer));
            assert_eq!(done(asked).unwrap().name.as_str(), "a");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_commit_answered_before_the_leader_changed_is_found_again() {
    let mut world = World::founded();
    let upload = world.open("a");
    let on = ids(world.place(&upload, 0).unwrap());
    let info = done(world.commit_on(&upload, &on)).unwrap();
    world.promise_to_another(50);
    world.run(10_000);
    assert_eq!(done(world.commit_on(&upload, &on)).unwrap(), info);
}

#[test]
fn a_master_that_stops_leaves_nobody_waiting() {
    let mut world = World::founded();
    world.cut(&[2, 3]);
    let begun = world.begin("a");
    let now = world.time();
    let _farewell = world.master.resign(now);
    assert!(matches!(refused(begun), Error::NoLeader));
    world.run(1000);
    assert!(matches!(
        world.status().health,
        mdfs_protocol::public::Health::Unknown
    ));
}
