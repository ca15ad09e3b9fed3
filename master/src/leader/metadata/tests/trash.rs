//! What comes back from the trash, what is purged, and when the oldest of it ends.

use super::asking::{Asked, done, ids, refused, waits};
use super::world::{World, name};
use crate::error::Error;
use crate::leader::catalog::prefix;
use crate::leader::command::{Delete, FileInfo, ListTrash, TrashPage, Undelete};
use crate::leader::handle::Question;
use crate::leader::metadata::trash::LOOKED_AT;
use mdfs_core::id::RequestId;
use mdfs_core::records::{EtagMatch, Kind, Precondition};
use mdfs_protocol::internal::DiskState;

/// How long the trash is kept in tests of its end, in milliseconds.
const KEEP: u64 = 60_000;
/// How long it takes at most until what is too old ends.
const SOON: u64 = 11_000;

impl World {
    pub(super) fn undelete(&mut self, text: &str) -> Asked<FileInfo> {
        self.undelete_as(text, None)
    }

    fn undelete_as(&mut self, text: &str, request: Option<RequestId>) -> Asked<FileInfo> {
        let name = name(text);
        self.ask(|answer| Question::Undelete(Undelete { request, name }, answer))
    }

    fn purge(&mut self, text: &str) -> Asked<()> {
        self.purge_as(text, None, Precondition::default())
    }

    fn purge_as(
        &mut self,
        text: &str,
        request: Option<RequestId>,
        precondition: Precondition,
    ) -> Asked<()> {
        let delete = Delete {
            request,
            name: name(text),
            precondition,
        };
        self.ask(|answer| Question::Purge(delete, answer))
    }

    fn trash_page(&mut self, list: ListTrash) -> TrashPage {
        done(self.ask(|answer| Question::ListTrash(list, answer))).unwrap()
    }

    /// The names of all that is in the trash, those first that came there first.
    fn trash(&mut self) -> Vec<String> {
        let page = self.trash_page(ListTrash {
            prefix: String::new(),
            after: None,
            limit: 1000,
        });
        assert!(page.next.is_none());
        let names = page.files.iter().map(|file| file.info.name.to_string());
        names.collect()
    }

    /// Sends empty files to the trash, one a tick.
    fn fill_trash(&mut self, names: impl Iterator<Item = String>) {
        for text in names {
            self.touch(&text);
            done(self.delete(&text)).unwrap();
            self.run(50);
        }
    }
}

/// So many names, in order.
fn numbered(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{n:04}"))
}

#[test]
fn a_deleted_file_comes_back_as_it_was_under_a_new_version() {
    let mut world = World::founded();
    let stored = world.store("a");
    let before = done(world.look_up("a")).unwrap();
    done(world.delete("a")).unwrap();
    let back = done(world.undelete("a")).unwrap();
    assert!(back.record.version > stored.record.version);
    let view = done(world.look_up("a")).unwrap();
    assert_eq!(view.info, back);
    assert_eq!(view.info.record.etag(), stored.record.etag());
    let disks = |run: &crate::leader::command::SitesOfRun| {
        let mut disks = ids(run.sites.clone());
        disks.sort();
        disks
    };
    assert_eq!(disks(&view.sites[0]), disks(&before.sites[0]));
    let status = world.status();
    assert_eq!((status.files, status.trashed_files), (1, 0));
    assert!(matches!(
        refused(world.undelete("a")),
        Error::NameTaken { .. }
    ));
    assert!(matches!(
        refused(world.undelete("b")),
        Error::NotInTrash { .. }
    ));
}

#[test]
fn an_undelete_finds_what_is_deleted_but_not_committed_and_waits_for_it() {
    let mut world = World::founded();
    world.store("a");
    world.cut(&[2, 3]);
    let mut deleted = world.delete("a");
    let mut back = world.undelete("a");
    assert!(waits(&mut deleted) && waits(&mut back));
    world.heal();
    world.run(500);
    done(deleted).unwrap();
    done(back).unwrap();
    assert_eq!((world.names(), world.trash().len()), (vec!["a".into()], 0));
}

#[test]
fn the_newest_of_a_name_comes_back_even_when_all_went_at_one_time() {
    let mut world = World::founded();
    // No time passes between them.
    let stored: Vec<FileInfo> = (0..5).map(|_| world.touch("a")).collect();
    done(world.delete("a")).unwrap();
    for version in stored.iter().rev() {
        let back = done(world.undelete("a")).unwrap();
        assert_eq!(back.record.file, version.record.file);
        done(world.purge("a")).unwrap();
    }
    assert_eq!(world.status().trashed_files, 0);
}

#[test]
fn a_purged_file_is_in_no_trash_and_a_second_purge_takes_what_is_there() {
    let mut world = World::founded();
    world.store("a");
    world.store("a");
    done(world.purge("a")).unwrap();
    assert_eq!((world.names().len(), world.trash()), (0, vec!["a".into()]));
    done(world.purge("a")).unwrap();
    assert!(world.trash().is_empty());
    for refused in [refused(world.purge("a")), refused(world.delete("a"))] {
        assert!(matches!(refused, Error::FileNotFound { .. }), "{refused}");
    }
    assert!(
        world.drops.is_empty(),
        "what nobody needs is found by comparing"
    );
}

#[test]
fn a_purge_on_condition_takes_nothing_else() {
    let mut world = World::founded();
    let seen = world.store("a");
    world.store("a");
    let condition = Precondition {
        if_match: Some(EtagMatch::Tags(vec![seen.record.etag()])),
        ..Precondition::default()
    };
    let purged = world.purge_as("a", None, condition);
    assert!(matches!(refused(purged), Error::PreconditionFailed { .. }));
    assert_eq!((world.names().len(), world.trash().len()), (1, 1));
}

#[test]
fn a_repeated_undelete_or_purge_gets_the_first_answer() {
    let mut world = World::founded();
    world.store("a");
    done(world.delete("a")).unwrap();
    let (first, second) = (world.request(1), world.request(2));
    let back = done(world.undelete_as("a", Some(first))).unwrap();
    world.restart_master();
    world.run(8000);
    assert_eq!(done(world.undelete_as("a", Some(first))).unwrap(), back);
    let none = Precondition::default();
    done(world.purge_as("a", Some(second), none.clone())).unwrap();
    world.store("a");
    done(world.purge_as("a", Some(second), none)).unwrap();
    assert_eq!(world.names(), ["a"]);
    assert!(matches!(
        refused(world.delete_as("a", Some(second))),
        Error::Conflict(_)
    ));
}

#[test]
fn following_the_pages_of_the_trash_gives_every_file_once_the_oldest_first() {
    let mut world = World::founded();
    world.fill_trash(numbered(25));
    world.touch("kept");
    let mut list = ListTrash {
        prefix: String::new(),
        after: None,
        limit: 10,
    };
    let mut found = Vec::new();
    for want in [10, 10, 5] {
        let page = world.trash_page(list.clone());
        assert_eq!(page.files.len(), want);
        assert!(page.log_time >= page.files[0].deleted);
        found.extend(page.files.iter().map(|file| file.info.name.to_string()));
        list.after = page.next;
    }
    assert!(list.after.is_none());
    assert!(found.into_iter().eq(numbered(25)));
}

#[test]
fn the_trash_of_one_folder_shows_nothing_of_another() {
    let mut world = World::founded();
    world.fill_trash(
        ["a/1", "b/1", "a/2", "ab", "b/2"]
            .map(str::to_owned)
            .into_iter(),
    );
    let mut list = ListTrash {
        prefix: "a/".to_owned(),
        after: None,
        limit: 1,
    };
    let mut found = Vec::new();
    loop {
        let page = world.trash_page(list.clone());
        found.extend(page.files.iter().map(|file| file.info.name.to_string()));
        match page.next {
            Some(next) => list.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found, ["a/1", "a/2"]);
}

#[test]
fn a_page_that_ends_among_files_of_others_names_none_of_them() {
    let mut world = World::founded();
    let mut of_others = Vec::new();
    for n in 0..LOOKED_AT + 10 {
        let text = format!("b/{n}");
        of_others.push(world.touch(&text).record.file);
        done(world.delete(&text)).unwrap();
    }
    world.run(50);
    world.touch("a/1");
    done(world.delete("a/1")).unwrap();
    let mut list = ListTrash {
        prefix: "a/".to_owned(),
        after: None,
        limit: 10,
    };
    let page = world.trash_page(list.clone());
    assert_eq!(page.files.len(), 0);
    list.after = page.next;
    assert!(!of_others.contains(&page.next.unwrap().file));
    let page = world.trash_page(list);
    assert_eq!((page.files.len(), page.next), (1, None));
}

#[test]
fn the_trash_ends_when_it_was_kept_long_enough_in_log_time() {
    let mut world = World::founded();
    world.keep_trash(KEEP / 1000);
    world.fill_trash(["a".to_owned()].into_iter());
    world.run(KEEP / 2);
    world.fill_trash(["b".to_owned()].into_iter());
    world.run(KEEP / 2 - 1000);
    assert_eq!(world.trash(), ["a", "b"]);
    world.run(SOON);
    assert_eq!(world.trash(), ["b"]);
    assert!(matches!(
        refused(world.undelete("a")),
        Error::NotInTrash { .. }
    ));
    done(world.undelete("b")).unwrap();
    world.run(KEEP);
    assert_eq!(world.names(), ["b"]);
    assert!(world.drops.is_empty());
}

#[test]
fn much_of_the_trash_ends_at_once_and_in_small_entries() {
    let mut world = World::founded_by(1);
    world.fill_trash(numbered(600));
    world.run(SOON);
    let entries = world.master.log.commit().unwrap();
    world.keep_trash(0);
    world.run(SOON);
    assert_eq!(world.status().trashed_files, 0);
    let table = world.master.log.committed().unwrap();
    assert_eq!(table.range(&prefix(Kind::Trash), None).count(), 0);
    let entries = world.master.log.commit().unwrap() - entries;
    assert!(entries >= 3, "{entries} entries for 600 files");
}

#[test]
fn a_wall_clock_that_jumps_ends_nothing() {
    let mut world = World::founded();
    world.fill_trash(["a".to_owned()].into_iter());
    // The next leader's machine is a year ahead.
    let year = 365 * 24 * 3600 * 1000;
    world.ahead = year;
    world.restart_master();
    world.run(8000 + SOON);
    assert_eq!(world.trash(), ["a"]);
}

#[test]
fn a_full_disk_ends_the_oldest_a_few_at_a_time() {
    let mut world = World::founded();
    world.fill_trash(numbered(40));
    world.worker(2).beat.free_bytes = 0;
    world.beat(2).unwrap();
    world.run(50);
    assert!(world.trash().into_iter().eq(numbered(40).skip(16)));
    world.run(1900);
    assert_eq!(world.trash().len(), 24);
    world.run(150);
    assert_eq!(world.trash().len(), 8);
    world.worker(2).beat.free_bytes = 1;
    world.run(10_000);
    assert!(world.trash().into_iter().eq(numbered(40).skip(32)));
}

#[test]
fn disks_with_too_little_room_for_a_chunk_end_the_oldest_once_it_was_refused() {
    let mut world = World::founded();
    world.fill_trash(numbered(40));
    let upload = world.open("new");
    for number in [1, 2, 3] {
        world.worker(number).beat.free_bytes = 1000;
    }
    world.run(5000);
    assert_eq!(world.trash().len(), 40);
    world.place(&upload, 0).unwrap_err();
    world.run(50);
    assert!(world.trash().into_iter().eq(numbered(40).skip(16)));
    for number in [1, 2, 3] {
        world.worker(number).beat.free_bytes = 1 << 30;
    }
    world.run(10_000);
    assert_eq!(world.trash().len(), 24);
    world.place(&upload, 0).unwrap();
    // What was refused long ago ends nothing.
    world.run(30_000);
    for number in [1, 2, 3] {
        world.worker(number).beat.free_bytes = 1000;
    }
    world.run(10_000);
    assert_eq!(world.trash().len(), 24);
}

#[test]
fn a_disk_that_takes_no_writes_ends_nothing() {
    let mut world = World::founded();
    world.fill_trash(numbered(3));
    let beat = &mut world.worker(2).beat;
    (beat.free_bytes, beat.state) = (0, DiskState::ReadOnly);
    world.run(5000);
    assert_eq!(world.trash().len(), 3);
}

#[test]
fn a_disk_that_was_full_when_it_was_last_heard_of_ends_nothing() {
    let mut world = World::founded();
    world.worker(2).beat.free_bytes = 0;
    world.run(2000);
    world.kill(2);
    world.run(4000);
    world.fill_trash(numbered(3));
    world.run(5000);
    assert_eq!(world.trash().len(), 3);
}
