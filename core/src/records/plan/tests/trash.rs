//! What comes back from the trash, what is purged, and what ends by itself.

use super::*;

impl World {
    /// Where the newest file of a name in the trash stands.
    pub(super) fn newest(&self, of: &str) -> Option<Trashed> {
        let found = self.records.range(vec![b't']..vec![b'u']);
        let of_name = found.filter_map(|(key, value)| {
            let trashed = decode::<TrashRecord>(value).unwrap();
            let Key::Trash(deleted, file) = Key::from_bytes(key).unwrap() else {
                return None;
            };
            let place = Trashed { deleted, file };
            (trashed.name == name(of)).then_some((trashed.file.version, place))
        });
        of_name.max().map(|(_, place)| place)
    }

    fn undelete(&mut self, of: &str, request: Option<RequestId>) -> Result<Stored, Refusal> {
        let planned = plan_undelete(self, request, &name(of), self.newest(of), self.at())?;
        Ok(self.apply(planned))
    }

    fn purge(&mut self, of: &str, request: Option<RequestId>) -> Result<(), Refusal> {
        self.purge_if(of, request, &Precondition::default())
    }

    fn purge_if(
        &mut self,
        of: &str,
        request: Option<RequestId>,
        precondition: &Precondition,
    ) -> Result<(), Refusal> {
        let newest = self.newest(of);
        let planned = plan_purge_name(self, request, &name(of), precondition, newest, self.at())?;
        self.apply(planned);
        Ok(())
    }

    /// Ends what came into the trash before this entry. How many there were.
    fn expire(&mut self, before: LogTime, most: usize) -> usize {
        let keys: Vec<_> = self.records.range(vec![b't']..vec![b'u']).collect();
        let keys = keys.into_iter().map(|(key, _)| key.as_slice());
        let planned = plan_expire(keys, before, most).unwrap();
        self.apply(planned)
    }
}

#[test]
fn an_undeleted_file_is_a_new_version_of_the_same_bytes() {
    let mut world = World::new();
    let stored = world.store(7, "a").record;
    world.delete("a", None).unwrap();
    let back = world.undelete("a", None).unwrap();
    assert_eq!(back.record.version, world.index);
    assert!(back.record.version > stored.version);
    let version = back.record.version;
    assert_eq!(back.record, FileRecord { version, ..stored });
    assert_eq!(world.file("a"), Some(back.record));
    assert_eq!(world.trash(), []);
}

#[test]
fn an_undelete_brings_the_newest_back_and_leaves_the_others() {
    let mut world = World::new();
    for file in [9, 7, 8] {
        world.store(file, "a");
    }
    world.store(6, "b");
    world.delete("b", None).unwrap();
    world.delete("a", None).unwrap();
    let back = world.undelete("a", None).unwrap();
    assert_eq!(back.record.file, FileId::from_u128(8));
    // What came back and went again is the newest once more.
    world.delete("a", None).unwrap();
    let again = world.undelete("a", None).unwrap();
    assert_eq!(again.record.file, FileId::from_u128(8));
    let left: Vec<_> = world.trash().into_iter().map(|(file, _)| file).collect();
    assert_eq!(left, [9, 7, 6]);
}

#[test]
fn an_undelete_takes_no_name_from_a_file() {
    let mut world = World::new();
    world.store(7, "a");
    world.delete("a", None).unwrap();
    world.store(8, "a");
    let taken = Err(Refusal::NameTaken(name("a")));
    assert_eq!(world.undelete("a", None), taken);
    world.rename("a", "b", false).unwrap();
    world.undelete("a", None).unwrap();
    assert_eq!(world.undelete("a", None), taken);
    world.delete("b", None).unwrap();
    let absent = Err(Refusal::NotInTrash(name("c")));
    assert_eq!(world.undelete("c", None), absent);
}

#[test]
fn a_place_that_has_gone_or_has_another_name_brings_nothing_back() {
    let mut world = World::new();
    world.store(7, "a");
    world.delete("a", None).unwrap();
    let place = world.newest("a");
    let at = world.at();
    let absent = Err(Refusal::NotInTrash(name("b")));
    assert_eq!(plan_undelete(&world, None, &name("b"), place, at), absent);
    world.purge("a", None).unwrap();
    let absent = Err(Refusal::NotInTrash(name("a")));
    assert_eq!(plan_undelete(&world, None, &name("a"), place, at), absent);
}

#[test]
fn a_repeated_undelete_gets_the_first_answer_and_writes_nothing() {
    let mut world = World::new();
    world.store(7, "a");
    world.delete("a", request(1)).unwrap();
    let first = world.undelete("a", request(2)).unwrap();
    let index = world.index;
    assert_eq!(world.undelete("a", request(2)), Ok(first.clone()));
    world.delete("a", None).unwrap();
    assert_eq!(world.undelete("a", request(2)), Ok(first));
    assert_eq!((world.index, world.file("a")), (index + 1, None));
    for used in [request(1), request(2)] {
        let refused = world.undelete("b", used);
        assert!(
            matches!(refused, Err(Refusal::RequestReused(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn a_purge_takes_the_file_and_then_the_trash_newest_first() {
    let mut world = World::new();
    for file in [7, 8, 9] {
        world.store(file, "a");
    }
    world.store(6, "b");
    world.purge("a", None).unwrap();
    assert_eq!(world.file("a"), None);
    let trash =
        |files: &[u128]| -> Vec<_> { files.iter().map(|&file| (file, "a".to_owned())).collect() };
    assert_eq!(world.trash(), trash(&[7, 8]));
    world.purge("a", None).unwrap();
    assert_eq!(world.trash(), trash(&[7]));
    world.purge("a", None).unwrap();
    let index = world.index;
    let absent = Err(Refusal::FileNotFound(name("a")));
    assert_eq!(world.purge("a", None), absent);
    assert_eq!(world.index, index);
    assert!(world.file("b").is_some());
}

#[test]
fn a_purge_that_an_overwrite_or_a_delete_came_before_takes_nothing() {
    let mut world = World::new();
    let seen = world.store(7, "a").record;
    let only_seen = Precondition {
        if_match: Some(EtagMatch::Tags(vec![seen.etag()])),
        ..Precondition::default()
    };
    world.store(8, "a");
    for _ in ["overwritten", "deleted"] {
        let refused = world.purge_if("a", request(1), &only_seen);
        let failed = matches!(refused, Err(Refusal::PreconditionFailed { .. }));
        assert!(failed, "{refused:?}");
        let _ = world.delete("a", None);
    }
    assert_eq!(world.trash().len(), 2);
    // What is only in the trash is purged on condition that no file has the name.
    let if_absent = Precondition {
        if_none_match: Some(EtagMatch::Any),
        ..Precondition::default()
    };
    world.purge_if("a", None, &if_absent).unwrap();
    world.undelete("a", None).unwrap();
    assert!(world.purge_if("a", None, &if_absent).is_err());
    world.purge_if("a", None, &only_seen).unwrap();
    assert_eq!((world.file("a"), world.trash()), (None, vec![]));
}

#[test]
fn a_repeated_purge_takes_no_second_file_and_no_delete_stands_for_it() {
    let mut world = World::new();
    world.store(7, "a");
    world.purge("a", request(1)).unwrap();
    world.store(8, "a");
    let index = world.index;
    world.purge("a", request(1)).unwrap();
    assert_eq!((world.index, world.trash()), (index, vec![]));
    assert_eq!(world.file("a").unwrap().file, FileId::from_u128(8));
    world.delete("a", request(2)).unwrap();
    let reused = |refused| matches!(refused, Err(Refusal::RequestReused(_)));
    assert!(reused(world.purge("a", request(2))));
    assert!(reused(world.delete("a", request(1))));
    assert!(reused(world.begin(9, "a", request(1)).map(|_| ())));
}

#[test]
fn the_oldest_end_first_and_only_what_came_before() {
    let mut world = World::new();
    let mut deleted = Vec::new();
    for file in [9, 3, 7, 5] {
        world.store(file, "a");
        deleted.push(world.at().time);
        world.delete("a", None).unwrap();
    }
    let left =
        |world: &World| -> Vec<u128> { world.trash().into_iter().map(|(file, _)| file).collect() };
    assert_eq!(world.expire(deleted[0], 10), 0);
    assert_eq!(world.expire(deleted[3], 2), 2);
    assert_eq!(left(&world), [7, 5]);
    assert_eq!(world.expire(deleted[3], 2), 1);
    assert_eq!(left(&world), [5]);
    let index = world.index;
    assert_eq!(world.expire(deleted[3], 2), 0);
    assert_eq!(world.index, index, "nothing is written when nothing ends");
}

#[test]
fn a_copy_that_came_home_to_the_trash_is_no_exception_any_more() {
    let mut world = World::new();
    let file = world.store(7, "a").record.file;
    let exception = Copies {
        first_chunk: 0,
        chunks: 1,
        disks: vec![DiskId::from_u128(1)],
    };
    let mut stored = world.file("a").unwrap();
    stored.exceptions = vec![exception.clone()];
    let key = Key::File(name("a"));
    let puts = vec![put(&key, &stored).unwrap()];
    world.apply(Planned { puts, answer: () });
    world.delete("a", None).unwrap();
    let deleted = world.newest("a").unwrap().deleted;
    let ends = |world: &World, file| {
        let planned = plan_home_in_trash(world, deleted, file, &exception).unwrap();
        planned.puts.len()
    };
    // Of another file nothing is changed.
    assert_eq!(ends(&world, FileId::from_u128(99)), 0);
    let planned = plan_home_in_trash(&world, deleted, file, &exception).unwrap();
    world.apply(planned);
    assert_eq!(ends(&world, file), 0);
    let back = world.undelete("a", None).unwrap();
    assert_eq!(back.record.exceptions, []);
}
