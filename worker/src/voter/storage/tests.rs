use super::*;
use crate::disk::RealDisk;
use crate::store::StoreSettings;
use mdfs_core::id::{Incarnation, Term};
use mdfs_core::log::message::{Base, Change, Position, Put};
use mdfs_core::time::LogTime;
use mdfs_protocol::internal::DiskState;
use std::sync::Arc;

fn mount(root: &Path) -> ChunkStore {
    let disk = Arc::new(RealDisk::new(root, true));
    let settings = StoreSettings {
        reserve_bytes: Some(0),
        ..StoreSettings::default()
    };
    ChunkStore::open(disk, settings, DiskId::from_u128(7)).unwrap()
}

fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(1),
    }
}

fn put(key: &str, value: Option<&str>) -> Put {
    Put {
        key: key.into(),
        value: value.map(|value| value.as_bytes().to_vec()),
    }
}

fn entry(index: u64, puts: Vec<Put>) -> Entry {
    let time = LogTime::from_millis(index);
    Entry {
        index,
        term: term(1),
        time,
        request: None,
        change: Change::Records(puts),
    }
}

fn record(key: &str, value: &str) -> Record {
    (key.into(), value.into())
}

#[test]
fn what_was_persisted_reads_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = mount(dir.path());
    let storage = VoterStorage::open(&store).unwrap();
    assert_eq!(storage.load().unwrap(), DurableVoter::default());
    let entries: Vec<_> = (1..=4)
        .map(|index| entry(index, vec![put("a", Some("1"))]))
        .collect();
    let base = Base {
        position: Position {
            term: term(1),
            index: 1,
        },
        ..Base::default()
    };
    storage
        .persist(&Persist {
            promised: Some(term(3)),
            append: entries.clone(),
            apply: vec![put("a", Some("1")), put("b", Some("2")), put("a", None)],
            applied: Some(2),
            sync: true,
            ..Persist::default()
        })
        .unwrap();
    storage
        .persist(&Persist {
            cut_from: Some(4),
            base: Some(base.clone()),
            ..Persist::default()
        })
        .unwrap();
    let want = DurableVoter {
        promised: term(3),
        base,
        entries: entries[1..3].to_vec(),
        applied: 2,
    };
    assert_eq!(storage.load().unwrap(), want);
    drop((storage, store));
    let store = mount(dir.path());
    let storage = VoterStorage::open(&store).unwrap();
    assert_eq!(storage.load().unwrap(), want);
    assert_eq!(
        storage.page(None, 100).unwrap(),
        (vec![record("b", "2")], false)
    );
}

#[test]
fn pages_cut_the_table_by_size_and_a_large_record_goes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = mount(dir.path());
    let storage = VoterStorage::open(&store).unwrap();
    let apply = ["a", "b", "c"]
        .map(|key| put(key, Some("0123456789")))
        .to_vec();
    storage
        .persist(&Persist {
            apply,
            ..Persist::default()
        })
        .unwrap();
    let ten = "0123456789";
    let two = vec![record("a", ten), record("b", ten)];
    assert_eq!(storage.page(None, 22).unwrap(), (two, true));
    assert_eq!(
        storage.page(Some(b"a"), 1).unwrap(),
        (vec![record("b", ten)], true)
    );
    assert_eq!(
        storage.page(Some(b"b"), 11).unwrap(),
        (vec![record("c", ten)], false)
    );
    assert_eq!(storage.page(Some(b"c"), 11).unwrap(), (vec![], false));
}

#[test]
fn an_installed_table_replaces_the_old_one_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = mount(dir.path());
    let storage = VoterStorage::open(&store).unwrap();
    let stage = |clear_staged, keys: &[&str]| Persist {
        clear_staged,
        stage: keys.iter().map(|key| record(key, "new")).collect(),
        ..Persist::default()
    };
    let apply = vec![put("old", Some("1"))];
    storage
        .persist(&Persist {
            apply,
            ..Persist::default()
        })
        .unwrap();
    storage.persist(&stage(true, &["lost"])).unwrap();
    storage.persist(&stage(true, &["x"])).unwrap();
    storage
        .persist(&Persist {
            install: true,
            sync: true,
            ..stage(false, &["y"])
        })
        .unwrap();
    let installed = vec![record("x", "new"), record("y", "new")];
    assert_eq!(storage.page(None, 1000).unwrap(), (installed, false));
    storage
        .persist(&Persist {
            install: true,
            ..Persist::default()
        })
        .unwrap();
    assert_eq!(storage.page(None, 1000).unwrap(), (vec![], false));
}

#[test]
fn a_disk_whose_log_is_gone_does_not_start_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = mount(dir.path());
    drop(VoterStorage::open(&store).unwrap());
    std::fs::remove_file(dir.path().join(LOG)).unwrap();
    assert!(matches!(
        VoterStorage::open(&store),
        Err(Error::LogMissing { .. })
    ));
    std::fs::write(dir.path().join(LOG), b"").unwrap();
    assert!(matches!(
        VoterStorage::open(&store),
        Err(Error::LogDamaged { .. })
    ));
    std::fs::write(dir.path().join(LOG), [7; 9000]).unwrap();
    let refused = VoterStorage::open(&store).unwrap_err();
    assert!(matches!(refused, Error::LogDamaged { .. }), "{refused}");
    assert_eq!(store.state(), DiskState::Healthy);
}

#[test]
fn the_log_of_another_disk_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(VoterStorage::open(&mount(one.path())).unwrap());
    let disk = Arc::new(RealDisk::new(two.path(), true));
    let store = ChunkStore::open(disk, StoreSettings::default(), DiskId::from_u128(8)).unwrap();
    std::fs::copy(one.path().join(LOG), two.path().join(LOG)).unwrap();
    let error = VoterStorage::open(&store).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the metadata log of this disk is damaged: it belongs to another disk"
    );
}

/// The database panics on some damage and does not notice other; neither may come through.
#[test]
fn a_flip_anywhere_in_the_log_is_an_error_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let store = mount(dir.path());
    let storage = VoterStorage::open(&store).unwrap();
    let keys = ["a", "b", "c", "d", "e", "f"];
    let puts: Vec<_> = keys
        .iter()
        .map(|key| put(key, Some("0123456789")))
        .collect();
    let append = (1..=20).map(|index| entry(index, puts.clone())).collect();
    let apply = puts;
    storage
        .persist(&Persist {
            append,
            apply,
            sync: true,
            ..Persist::default()
        })
        .unwrap();
    let want = (storage.load().unwrap(), storage.page(None, 10_000).unwrap());
    drop((storage, store));
    let path = dir.path().join(LOG);
    let good = std::fs::read(&path).unwrap();
    // The pages in use; the rest of the file is free.
    let used: Vec<_> = good
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte != 0)
        .collect();
    let mut found = 0;
    for (place, _) in used.iter().step_by(1 + used.len() / 300) {
        let mut bad = good.clone();
        bad[*place] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        let store = mount(dir.path());
        let read = || -> Result<_> {
            let storage = VoterStorage::open(&store)?;
            Ok((storage.load()?, storage.page(None, 10_000)?))
        };
        match read() {
            Ok(read) => assert_eq!(read, want, "flip at {place}"),
            Err(error) => {
                assert!(
                    matches!(error, Error::LogDamaged { .. }),
                    "flip at {place}: {error:?}"
                );
                // The log alone is damaged: the chunks beside it stay in use.
                assert_eq!(store.state(), DiskState::Healthy, "flip at {place}");
                found += 1;
            }
        }
    }
    assert!(found > 0);
}
