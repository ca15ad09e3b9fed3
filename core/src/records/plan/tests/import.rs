//! What an export brings back, and what it leaves alone.

use super::*;

fn file(id: u128) -> FileRecord {
    FileRecord {
        version: 900_000,
        file: FileId::from_u128(id),
        size: 5,
        layout: ChunkLayout::of_file(5, ChunkSize::MIN).unwrap(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::by_policy(ReplicationFactor::new(1).unwrap()),
        crc32: Crc32(7),
        blake3: Blake3([7; 32]),
        content_type: "video/mp4".to_owned(),
        labels: Labels::default(),
        modified: LogTime::from_millis(900),
        exceptions: vec![Copies {
            first_chunk: 0,
            chunks: 1,
            disks: vec![disk(3), disk(77)],
        }],
    }
}

fn live(of: &str, id: u128) -> Imported {
    Imported {
        name: name(of),
        record: file(id),
        deleted: None,
        known: false,
    }
}

fn in_trash(of: &str, id: u128, deleted: u64) -> Imported {
    Imported {
        deleted: Some(LogTime::from_millis(deleted)),
        ..live(of, id)
    }
}

impl World {
    fn import(&mut self, files: Vec<Imported>, overwrite: bool) -> ImportResult {
        let planned = plan_import(self, files, overwrite, |_| Vec::new(), self.at()).unwrap();
        self.apply(planned)
    }

    fn file_of(&self, of: &str) -> Option<FileRecord> {
        get(self, &Key::File(name(of))).unwrap()
    }
}

fn result(files: u64, trashed: u64, present: u64, conflicts: &[&str]) -> ImportResult {
    ImportResult {
        files,
        trashed,
        present,
        conflicts: conflicts.iter().map(|of| name(of)).collect(),
    }
}

#[test]
fn what_is_missing_becomes_a_new_version_and_a_repeat_changes_nothing() {
    let mut world = World::new();
    let both = || vec![in_trash("a", 2, 500), live("a", 1)];
    let at = world.at();
    assert_eq!(world.import(both(), false), result(1, 1, 0, &[]));
    let stored = world.file_of("a").unwrap();
    assert_eq!(
        (stored.version, stored.file),
        (at.index, FileId::from_u128(1))
    );
    assert_eq!(stored.modified, LogTime::from_millis(900));
    // Of the policy here, and on disks that are here.
    assert_eq!(stored.replicas.get(), 2);
    assert_eq!(stored.exceptions[0].disks, [disk(3)]);
    let before = world.records.clone();
    let mut again = both();
    again.iter_mut().for_each(|file| file.known = true);
    assert_eq!(world.import(again, true), result(0, 0, 2, &[]));
    assert_eq!(world.records, before);
}

#[test]
fn no_name_gets_two_files_and_no_bytes_two_names() {
    let mut world = World::new();
    let twice = vec![live("a", 1), live("a", 1), live("a", 2)];
    assert_eq!(world.import(twice, true), result(1, 0, 1, &["a"]));
    let known = Imported {
        known: true,
        ..live("b", 1)
    };
    assert_eq!(world.import(vec![known], true), result(0, 0, 0, &["b"]));
    assert_eq!(world.file_of("b"), None);
}

#[test]
fn a_taken_name_is_left_alone_unless_it_may_be_overwritten() {
    let mut world = World::new();
    world.import(vec![live("a", 1)], false);
    assert_eq!(
        world.import(vec![live("a", 2)], false),
        result(0, 0, 0, &["a"])
    );
    assert_eq!(world.file_of("a").unwrap().file, FileId::from_u128(1));
    assert_eq!(world.import(vec![live("a", 2)], true), result(1, 0, 0, &[]));
    assert_eq!(world.file_of("a").unwrap().file, FileId::from_u128(2));
    assert_eq!(world.newest("a").unwrap().file, FileId::from_u128(1));
}

#[test]
fn nothing_comes_from_the_future() {
    let mut world = World::new();
    let late = world.at().time.as_millis() + 5000;
    let mut early = live("b", 3);
    early.record.modified = LogTime::from_millis(late);
    let at = world.at();
    world.import(vec![in_trash("a", 1, late), early], false);
    assert_eq!(world.newest("a").unwrap().deleted, at.time);
    assert_eq!(world.file_of("b").unwrap().modified, at.time);
}

impl World {
    fn recover_since(&mut self, since: LogTime) {
        let cluster: ClusterRecord = get(self, &Key::Cluster).unwrap().unwrap();
        let recovery = Some(crate::records::Recovery {
            since,
            lost: [disk(9)].into(),
            all_voters_lost: false,
        });
        let cluster = ClusterRecord {
            recovery,
            ..cluster
        };
        let put = crate::records::put(&Key::Cluster, &cluster).unwrap();
        self.records.insert(put.key, put.value.unwrap());
    }

    fn is_open(&self, id: u128) -> bool {
        let key = Key::Upload(FileId::from_u128(id));
        get::<UploadRecord>(self, &key).unwrap().is_some()
    }
}

#[test]
fn in_a_recovery_a_file_takes_the_place_of_an_upload_of_before_and_of_no_other() {
    let known = |of: &str, id| Imported {
        known: true,
        ..live(of, id)
    };
    let mut world = World::new();
    world.begin(1, "a", request(4)).unwrap();
    let refused = world.import(vec![known("recovered/a", 1)], false);
    assert_eq!(refused, result(0, 0, 0, &["recovered/a"]), "no recovery");
    world.recover_since(world.at().time);
    world.begin(2, "b", None).unwrap();
    world.begin(3, "c", None).unwrap();
    let files = || {
        vec![
            known("recovered/a", 1),
            known("recovered/a2", 1),
            known("recovered/c", 3),
        ]
    };
    let conflicts = ["recovered/a2", "recovered/c"];
    assert_eq!(world.import(files(), false), result(1, 0, 0, &conflicts));
    assert!(!world.is_open(1) && world.is_open(2) && world.is_open(3));
    // Repeated, the request begins anew and does not take the file's chunks for its own.
    let again = world.begin(5, "a", request(4)).unwrap();
    assert_eq!(again, Begun::Open { replaced: None });
    let late = world.import(files(), false);
    assert_eq!(
        late,
        result(0, 0, 1, &conflicts),
        "committed, and no upload any more"
    );
    world.recover_since(LogTime::from_millis(u64::MAX));
    let deleted = Imported {
        known: true,
        ..in_trash("c", 3, 500)
    };
    assert_eq!(world.import(vec![deleted], false), result(0, 1, 0, &[]));
    assert!(!world.is_open(3));
}

#[test]
fn what_is_ended_for_good_during_a_recovery_is_remembered() {
    let end_of = |world: &World, id| {
        let key = Key::Ended(FileId::from_u128(id));
        let ended: Option<crate::records::EndedRecord> = get(world, &key).unwrap();
        ended.map(|ended| ended.end)
    };
    for recovers in [false, true] {
        let mut world = World::new();
        if recovers {
            world.recover_since(world.at().time);
        }
        world.store(1, "a");
        let precondition = Precondition::default();
        let planned = plan_purge_name(&world, None, &name("a"), &precondition, None, world.at());
        world.apply(planned.unwrap());
        world.begin(2, "b", None).unwrap();
        let planned = world.abort(2);
        assert!(world.apply(planned));
        world.begin(3, "c", None).unwrap();
        let expired = FileId::from_u128(3);
        let planned = plan_abort(&world, expired, Vec::new(), UploadEnd::Expired, world.at());
        assert!(world.apply(planned.unwrap()));
        let want = recovers.then_some(UploadEnd::Aborted);
        assert_eq!((end_of(&world, 1), end_of(&world, 2)), (want.clone(), want));
        assert_eq!(end_of(&world, 3), None, "nobody ended it");
    }
}
