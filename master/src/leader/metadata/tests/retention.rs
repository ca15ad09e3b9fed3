//! What is forgotten, and when.

use super::asking::{begin, done, ids, open, refused, waits};
use super::world::{IDLE, World};
use crate::error::Error;
use crate::leader::catalog::prefix;
use crate::leader::command::{BeginUpload, Begun};
use mdfs_core::records::Kind;
use mdfs_core::time::Timestamp;

const WINDOW: u64 = 600_000;

/// Ids of requests that the log remembers.
fn remembered(world: &World) -> usize {
    let table = world.master.log.committed().unwrap();
    table.range(&prefix(Kind::Request), None).count()
}

#[test]
fn request_ids_are_forgotten_after_the_window_and_refused_then() {
    let mut world = World::founded();
    world.store("a");
    let request = world.request(1);
    done(world.delete_as("a", Some(request))).unwrap();
    world.run(WINDOW - 1000);
    assert_eq!(remembered(&world), 1);
    done(world.delete_as("a", Some(request))).unwrap();
    world.run(20_000);
    assert_eq!(remembered(&world), 0);
    assert!(matches!(
        refused(world.delete_as("a", Some(request))),
        Error::RequestTooOld
    ));
}

#[test]
fn a_refused_request_stays_refused_until_it_is_forgotten() {
    let mut world = World::founded();
    let request = world.request(1);
    let delete = |world: &mut World| refused(world.delete_as("a", Some(request)));
    assert!(matches!(delete(&mut world), Error::FileNotFound { .. }));
    world.store("a");
    // A try of it that comes late, also to another leader: all that it needs is in the log.
    assert!(matches!(delete(&mut world), Error::FileNotFound { .. }));
    assert_eq!(
        (world.names(), remembered(&world)),
        (vec!["a".to_owned()], 1)
    );
    world.run(WINDOW + 20_000);
    assert_eq!(remembered(&world), 0);
    assert!(matches!(delete(&mut world), Error::RequestTooOld));
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn a_refusal_of_a_request_is_told_once_it_is_in_the_log() {
    let mut world = World::founded();
    world.cut(&[2, 3]);
    let request = world.request(1);
    let mut gone = world.delete_as("a", Some(request));
    assert!(waits(&mut gone));
    world.heal();
    world.run(1000);
    assert!(matches!(refused(gone), Error::FileNotFound { .. }));
    assert_eq!(remembered(&world), 1);
}

#[test]
fn a_flood_of_refusals_is_not_remembered_without_end() {
    let mut world = World::founded();
    let now = Timestamp::from_millis(world.now);
    while world.master.refusals.note(now) {}
    let request = world.request(1);
    let delete = |world: &mut World| refused(world.delete_as("a", Some(request)));
    assert!(matches!(delete(&mut world), Error::Busy));
    assert_eq!(remembered(&world), 0);
    world.run(WINDOW + 2_000);
    let request = world.request(2);
    let gone = refused(world.delete_as("a", Some(request)));
    assert!(matches!(gone, Error::FileNotFound { .. }));
    assert_eq!(remembered(&world), 1);
}

#[test]
fn a_flood_of_request_ids_is_forgotten_in_time() {
    let mut world = World::founded();
    for n in 0..1500 {
        let request = world.request(n);
        world.touch("a");
        done(world.delete_as("a", Some(request))).unwrap();
    }
    world.run(WINDOW + 12_000);
    assert_eq!(remembered(&world), 0);
}

#[test]
fn the_request_of_an_upload_is_remembered_for_as_long_as_the_upload_lives() {
    let mut world = World::founded();
    let request = world.request(1);
    let begin = BeginUpload {
        request: Some(request),
        ..begin("a")
    };
    let upload = open(done(world.begin_with(begin.clone())).unwrap());
    for _ in 0..WINDOW / 30_000 + 2 {
        world.run(30_000);
        world.place(&upload, 0).unwrap();
    }
    assert_eq!(remembered(&world), 1);
    let again = open(done(world.begin_with(begin)).unwrap());
    assert_ne!(again.file, upload.file);
    assert_eq!(world.drops.len(), 1);
}

#[test]
fn an_idle_upload_is_ended_and_dropped_where_it_was_placed() {
    let mut world = World::founded();
    let (idle, kept) = (world.open("a"), world.open("b"));
    let on = ids(world.place(&idle, 0).unwrap());
    world.run(IDLE / 2);
    world.place(&kept, 0).unwrap();
    world.run(IDLE / 2 - 11_000);
    assert!(world.drops.is_empty());
    world.run(22_000);
    assert_eq!(world.drops, [(idle.file, on.iter().copied().collect())]);
    assert!(matches!(
        refused(world.commit_on(&idle, &on)),
        Error::UploadNotOpen { .. }
    ));
    done(world.finish(&kept)).unwrap();
    world.run(2 * IDLE);
    assert_eq!(world.drops.len(), 1);
}

#[test]
fn an_upload_that_no_gateway_goes_on_with_after_a_restart_is_ended_too() {
    let mut world = World::founded();
    let request = world.request(1);
    let begin = BeginUpload {
        request: Some(request),
        ..begin("a")
    };
    let upload = open(done(world.begin_with(begin.clone())).unwrap());
    world.restart_master();
    world.run(IDLE + 30_000);
    assert_eq!(world.drops.len(), 1);
    assert_eq!(world.drops[0].0, upload.file);
    assert_eq!(world.status().open_uploads, 0);
    assert!(matches!(done(world.begin_with(begin)), Ok(Begun::Open(_))));
}
