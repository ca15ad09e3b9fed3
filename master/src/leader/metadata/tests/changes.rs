//! Uploads, repeated requests, and what becomes garbage when.

use super::asking::{begin, commit, done, ids, open, refused, waits};
use super::world::{IDLE, World, disks, name};
use crate::error::Error;
use crate::leader::command::{BeginUpload, Begun, CommitUpload, Rename};
use crate::leader::handle::Question;
use mdfs_core::id::{RequestId, Term};

fn begin_as(text: &str, request: RequestId) -> BeginUpload {
    BeginUpload {
        request: Some(request),
        ..begin(text)
    }
}

/// All that is derived from the records: as of the commit, and as planned.
pub(super) fn derived(world: &World) -> (String, String, String) {
    let (committed, planned) = (&world.master.catalog, &world.master.planned);
    let trash = &world.master.trash;
    (
        format!("{committed:?}"),
        format!("{planned:?}"),
        format!("{trash:?}"),
    )
}

#[test]
fn two_commits_of_one_upload_get_one_version() {
    let mut world = World::founded();
    let upload = world.open("a");
    let on = ids(world.place(&upload, 0).unwrap());
    world.cut(&[2, 3]);
    let mut first = world.commit_on(&upload, &on);
    let mut second = world.commit_on(&upload, &on);
    assert!(waits(&mut first) && waits(&mut second));
    world.heal();
    world.run(500);
    let info = done(first).unwrap();
    assert_eq!(done(second).unwrap(), info);
    assert_eq!(done(world.commit_on(&upload, &on)).unwrap(), info);
    assert_eq!(world.status().files, 1);
}

#[test]
fn copies_answered_in_an_older_term_are_to_be_verified_first() {
    let mut world = World::founded();
    let upload = world.open("a");
    let on = ids(world.place(&upload, 0).unwrap());
    world.restart_master();
    world.run(8000);
    let Error::VerifyFirst { term } = refused(world.commit_on(&upload, &on)) else {
        panic!("an older term was taken");
    };
    assert!(term > upload.term);
    let later = CommitUpload {
        term,
        ..commit(&upload, &on)
    };
    let asked = world.ask(|answer| Question::CommitUpload(later, answer));
    assert_eq!(done(asked).unwrap().name, name("a"));
    let zero = CommitUpload {
        term: Term::default(),
        ..commit(&world.open("b"), &on)
    };
    let asked = world.ask(|answer| Question::CommitUpload(zero, answer));
    assert!(matches!(refused(asked), Error::VerifyFirst { .. }));
}

#[test]
fn a_commit_on_a_stranger_or_with_too_few_copies_is_refused() {
    let mut world = World::founded();
    let upload = world.open("a");
    for on in [&[1, 99][..], &[1], &[1, 1]] {
        let on: Vec<_> = on.iter().copied().map(super::world::disk).collect();
        let stranger = on.contains(&super::world::disk(99));
        match refused(world.commit_on(&upload, &on)) {
            Error::CopyGone { .. } => assert!(stranger),
            Error::TooFewWorkers { .. } => assert_eq!(on.len(), 1),
            Error::Conflict(_) => assert!(!stranger),
            other => panic!("{other}"),
        }
    }
    done(world.finish(&upload)).unwrap();
}

#[test]
fn an_abort_after_the_commit_drops_nothing() {
    let mut world = World::founded();
    let upload = world.open("a");
    done(world.finish(&upload)).unwrap();
    done(world.abort(upload.file)).unwrap();
    world.run(500);
    assert!(world.drops.is_empty());
    assert_eq!(world.names(), ["a"]);
}

#[test]
fn an_abort_drops_where_chunks_were_placed_and_only_once_it_is_committed() {
    let mut world = World::founded();
    let upload = world.open("a");
    let on: Vec<_> = ids(world.place(&upload, 0).unwrap());
    world.cut(&[2, 3]);
    let mut aborted = world.abort(upload.file);
    assert!(waits(&mut aborted) && world.drops.is_empty());
    world.heal();
    world.run(500);
    done(aborted).unwrap();
    assert_eq!(world.drops, [(upload.file, on.iter().copied().collect())]);
    assert!(matches!(
        refused(world.commit_on(&upload, &on)),
        Error::UploadNotOpen { .. }
    ));
    done(world.abort(upload.file)).unwrap();
    assert_eq!(world.drops.len(), 1);
}

#[test]
fn an_upload_of_an_earlier_leader_is_dropped_everywhere() {
    let mut world = World::founded();
    let upload = world.open("a");
    world.place(&upload, 0).unwrap();
    world.restart_master();
    world.run(8000);
    done(world.abort(upload.file)).unwrap();
    assert_eq!(world.drops, [(upload.file, disks(&[1, 2, 3]))]);
}

#[test]
fn a_repeated_begin_gets_what_the_first_made_or_takes_its_place() {
    let mut world = World::founded();
    let request = world.request(5);
    let first = open(done(world.begin_with(begin_as("a", request))).unwrap());
    let on: Vec<_> = ids(world.place(&first, 0).unwrap());
    let second = open(done(world.begin_with(begin_as("a", request))).unwrap());
    assert_eq!(world.drops, [(first.file, on.iter().copied().collect())]);
    assert!(matches!(
        refused(world.commit_on(&first, &on)),
        Error::UploadNotOpen { .. }
    ));
    let info = done(world.finish(&second)).unwrap();
    world.restart_master();
    world.run(8000);
    let again = done(world.begin_with(begin_as("a", request))).unwrap();
    assert!(matches!(again, Begun::Already(stored) if stored == info));
    assert!(matches!(
        refused(world.begin_with(begin_as("b", request))),
        Error::Conflict(_)
    ));
}

#[test]
fn a_repeated_delete_or_rename_gets_the_first_answer() {
    let mut world = World::founded();
    world.store("a");
    let request = world.request(1);
    done(world.delete_as("a", Some(request))).unwrap();
    world.store("a");
    done(world.delete_as("a", Some(request))).unwrap();
    assert_eq!(world.names(), ["a"]);
    let rename = Rename {
        request: Some(world.request(2)),
        from: name("a"),
        to: name("b"),
        overwrite: false,
    };
    let first = world.ask(|answer| Question::Rename(rename.clone(), answer));
    let second = world.ask(|answer| Question::Rename(rename, answer));
    assert_eq!(done(first).unwrap(), done(second).unwrap());
}

#[test]
fn an_overwritten_and_a_deleted_file_are_in_the_trash() {
    let mut world = World::founded();
    let first = world.store("a");
    let second = world.store("a");
    assert!(second.record.version > first.record.version);
    let status = world.status();
    assert_eq!((status.files, status.trashed_files), (1, 1));
    done(world.delete("a")).unwrap();
    let status = world.status();
    assert_eq!(
        (status.files, status.bytes, status.trashed_files),
        (0, 0, 2)
    );
}

#[test]
fn a_new_master_derives_the_same_figures_from_the_records() {
    let mut world = World::founded();
    for text in ["a", "b", "c/d"] {
        world.store(text);
    }
    world.store("a");
    done(world.rename("b", "e")).unwrap();
    done(world.delete("c/d")).unwrap();
    done(world.delete("e")).unwrap();
    done(world.undelete("e")).unwrap();
    let _left_open = world.open("f");
    world.run(500);
    let kept = derived(&world);
    assert!(
        kept.0 == kept.1,
        "what is committed and what is planned differ"
    );
    world.restart_master();
    world.run(8000);
    assert_eq!(world.names(), ["a", "e"]);
    assert!(
        derived(&world) == kept,
        "figures kept in step differ from those derived anew"
    );
}

#[test]
fn an_upload_refused_for_load_is_ended_when_it_is_idle() {
    let mut world = World::founded();
    let upload = world.open("a");
    world.place(&upload, 0).unwrap();
    let on = ids(world.place(&upload, 0).unwrap());
    world.cut(&[2, 3]);
    // As many as may wait for their commit.
    let mut more = Vec::new();
    while more.len() < 5000 {
        let mut begun = world.begin("x");
        if !waits(&mut begun) {
            break;
        }
        more.push(begun);
    }
    assert!(matches!(
        refused(world.commit_on(&upload, &on)),
        Error::Busy
    ));
    assert!(matches!(refused(world.abort(upload.file)), Error::Busy));
    world.heal();
    world.run(IDLE + 20_000);
    assert!(world.drops.iter().any(|(file, _)| *file == upload.file));
}
