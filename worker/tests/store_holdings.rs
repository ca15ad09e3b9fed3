//! What a store says it holds: durable chunks, the damaged ones as such, and nothing else.

#![allow(clippy::unwrap_used, reason = "a surprise must end a test")]

mod support;

use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{BLOCK_BYTES, ChunkId, SEGMENT_BYTES};
use mdfs_core::holdings::Change;
use mdfs_core::id::MountId;
use mdfs_core::partition::Partition;
use mdfs_protocol::holdings::{Known, Listing, MOST_CHANGES};
use mdfs_worker::store::{ChunkStore, Error};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use support::sim_disk::{Kind, SimDisk, Survives};
use support::{
    adopted, bytes_of, chunk_of, on_each_disk, only_chunk_file, open, seal_of, send, term,
};

const SEGMENT: usize = SEGMENT_BYTES as usize;
const BLOCK: usize = BLOCK_BYTES as usize;
const PATIENCE: Duration = Duration::from_secs(20);

fn put(store: &ChunkStore, chunk: ChunkId, bytes: &[u8]) {
    let stored = store.store_whole(chunk, bytes, Crc32::of(bytes), &seal_of(bytes));
    stored.unwrap();
}

fn list_all(store: &ChunkStore) -> Listing {
    let all: Vec<_> = Partition::all().collect();
    let mut listing = store.list(&all);
    listing.chunks.sort_unstable();
    listing
}

#[track_caller]
fn check(store: &ChunkStore, good: &[(ChunkId, u64)], damaged: &[ChunkId]) {
    let listing = list_all(store);
    assert_eq!((&listing.chunks[..], &listing.damaged[..]), (good, damaged));
    assert_eq!(store.digests().sequence, listing.sequence);
    let fresh = {
        let mut fresh = mdfs_core::holdings::Holdings::new(0);
        good.iter().for_each(|&(chunk, len)| fresh.add(chunk, len));
        damaged.iter().for_each(|&chunk| fresh.add_damaged(chunk));
        fresh.root()
    };
    assert_eq!(store.report(None).root, fresh);
}

#[test]
fn sealed_chunks_are_held_until_they_are_dropped_also_after_a_restart() {
    on_each_disk(|disk| {
        let store = adopted(Arc::clone(&disk));
        let (a, b) = (chunk_of(9, 0), chunk_of(10, 0));
        send(&store, a, &bytes_of(7, SEGMENT + 5));
        check(&store, &[], &[]);
        let changes = store.changes();
        let bytes = bytes_of(7, SEGMENT + 5);
        store.seal(a, &seal_of(&bytes)).unwrap();
        assert_eq!(changes.get(), 1);
        store.seal(a, &seal_of(&bytes)).unwrap();
        put(&store, b, b"b");
        assert_eq!(changes.get(), 2);
        check(&store, &[(a, bytes.len() as u64), (b, 1)], &[]);
        let first = MountId::from_u128(77);
        drop(store);

        let store = open(disk).unwrap();
        check(&store, &[(a, bytes.len() as u64), (b, 1)], &[]);
        let (mount, sequence) = (store.mount(), store.digests().sequence);
        let report = |mount, sequence| {
            let report = store.report(Some(Known { mount, sequence }));
            (report.after, report.changes)
        };
        store.drop_file(a.file).unwrap();
        let gone = Change {
            came: false,
            chunk: a,
            length: Some(bytes.len() as u64),
        };
        assert_eq!(report(mount, sequence), (sequence, vec![gone]));
        let now = sequence + 1;
        assert_eq!(report(mount, now), (now, vec![]));
        // What was known of another mount says nothing of this one.
        assert_eq!(report(first, sequence), (0, vec![]));
        assert_eq!(report(mount, now + 1), (now, vec![]));
        check(&store, &[(b, 1)], &[]);
        let elsewhere = Partition::all().filter(|&p| p != b.partition());
        assert_eq!(store.list(&elsewhere.collect::<Vec<_>>()).chunks, []);
    });
}

#[test]
fn a_report_tells_so_many_changes_and_the_rest_later() {
    let store = adopted(Arc::new(SimDisk::new()));
    let mount = store.mount();
    for index in 0..=u32::try_from(MOST_CHANGES).unwrap() {
        put(&store, chunk_of(9, index), b"x");
    }
    let known = |sequence| Some(Known { mount, sequence });
    let report = store.report(known(0));
    assert_eq!((report.after, report.changes.len()), (0, MOST_CHANGES));
    let report = store.report(known(MOST_CHANGES as u64));
    assert_eq!(report.changes.len(), 1);
    assert_eq!(report.sequence, MOST_CHANGES as u64 + 1);
}

#[test]
fn a_damaged_chunk_is_held_no_longer_and_again_once_it_is_mended() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 2 * BLOCK));
    let held = [(chunk, bytes.len() as u64)];
    put(&store, chunk, &bytes);
    let path = only_chunk_file(&disk);
    let mut whole = Vec::new();
    disk.tamper(&path, |file| whole.clone_from(file));

    // A block; found by a reader.
    disk.tamper(&path, |file| file[BLOCK] ^= 1);
    let open_before = store.open_chunk(chunk).unwrap();
    check(&store, &held, &[]);
    open_before.read(BLOCK as u64, 1).unwrap_err();
    check(&store, &[], &[chunk]);
    put(&store, chunk, &bytes);
    check(&store, &held, &[]);
    // One who reads what was replaced tells of damage that is gone: it is looked at again.
    open_before.read(BLOCK as u64, 1).unwrap_err();
    check(&store, &[], &[chunk]);
    store.verify(chunk, false).unwrap();
    check(&store, &[], &[chunk]);
    store.verify(chunk, true).unwrap();
    check(&store, &held, &[]);

    // The footer, a cut, and a cut that is there when the disk is mounted.
    disk.tamper(&path, |file| file[2 * BLOCK + 20] ^= 1);
    store.verify(chunk, false).unwrap_err();
    check(&store, &[], &[chunk]);
    disk.tamper(&path, |file| file.clone_from(&whole));
    store.verify(chunk, true).unwrap();
    check(&store, &held, &[]);
    disk.tamper(&path, |file| file.truncate(50));
    store.verify(chunk, false).unwrap_err();
    check(&store, &[], &[chunk]);
    drop(store);
    let store = open(Arc::new(disk.clone())).unwrap();
    check(&store, &[], &[chunk]);
    let usage = store.usage().unwrap();
    assert_eq!((usage.chunks, usage.damaged_chunks), (0, 1));
    store.drop_file(chunk.file).unwrap();
    check(&store, &[], &[]);
}

#[test]
fn a_chunk_whose_file_is_gone_is_held_no_longer_once_it_is_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(mdfs_worker::disk::RealDisk::new(dir.path(), false));
    let store = adopted(disk);
    let (gone, stays) = (chunk_of(9, 0), chunk_of(9, 1));
    put(&store, gone, &bytes_of(1, 100));
    put(&store, stays, &bytes_of(2, 200));
    let name = format!("{}.0", gone.file);
    let folder = dir.path().join("chunks").join(&name[..3]);
    std::fs::remove_file(folder.join(name)).unwrap();
    check(&store, &[(gone, 100), (stays, 200)], &[]);
    for _ in 0..2 {
        let found = store.verify(gone, true);
        assert!(
            matches!(found, Err(Error::ChunkNotFound { .. })),
            "{found:?}"
        );
        check(&store, &[(stays, 200)], &[]);
        let usage = store.usage().unwrap();
        assert_eq!((usage.chunks, usage.chunk_bytes), (1, 200));
    }
    put(&store, gone, &bytes_of(1, 100));
    check(&store, &[(gone, 100), (stays, 200)], &[]);
}

#[test]
fn a_chunk_is_held_only_once_its_name_is_durable() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 100));
    let full = rustix::io::Errno::MFILE.raw_os_error();
    let dir = "chunks/000";
    disk.fail(move |call| {
        let here = call.kind == Kind::SyncDir && call.path.to_str() == Some(dir);
        here.then(|| std::io::Error::from_raw_os_error(full))
    });
    store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap_err();
    assert_eq!(disk.files_below("chunks").len(), 1);
    check(&store, &[], &[]);
    disk.heal();
    store.seal(chunk, &seal_of(&bytes)).unwrap();
    check(&store, &[(chunk, 100)], &[]);
}

#[test]
fn exactly_the_chunks_that_are_named_are_dropped_and_that_is_durable() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let all = [
        chunk_of(9, 0),
        chunk_of(9, 1),
        chunk_of(10, 0),
        chunk_of(0xabc << 52, 0),
    ];
    for chunk in all {
        put(&store, chunk, b"x");
    }
    let staged = chunk_of(9, 2);
    store
        .write_segment(staged, 0, b"x", Crc32::of(b"x"))
        .unwrap();
    let open_before = store.open_chunk(all[3]).unwrap();
    let nowhere = chunk_of(0xdef << 52, 0);
    let dropped = [all[1], staged, all[3], all[1], nowhere];
    let syncs = Arc::new(Mutex::new(Vec::new()));
    disk.before({
        let syncs = Arc::clone(&syncs);
        move |call| syncs.lock().unwrap().push(call.path.clone())
    });
    assert_eq!(store.drop_chunks(&dropped).unwrap(), 2);
    let names = ["chunks/000", "chunks/abc"].map(std::path::PathBuf::from);
    assert_eq!(*syncs.lock().unwrap(), names);
    check(&store, &[(all[0], 1), (all[2], 1)], &[]);
    let usage = store.usage().unwrap();
    assert_eq!((usage.chunks, usage.chunk_bytes, usage.staged), (2, 2, 0));
    assert!(store.open_chunk(all[3]).is_err() && open_before.read(0, 1).is_ok());
    assert_eq!(store.drop_chunks(&dropped).unwrap(), 0);
    drop(store);
    let found = disk.after_power_cut(Survives::Nothing);
    let store = open(Arc::new(found)).unwrap();
    check(&store, &[(all[0], 1), (all[2], 1)], &[]);
    store.raise_fence(term(5)).unwrap();
    let late = store.drop_chunks_for(term(4), &all).unwrap_err();
    assert!(matches!(late, Error::Fenced { .. }), "{late}");
    assert_eq!(store.drop_chunks_for(term(5), &all).unwrap(), 2);
}

#[test]
fn segments_of_one_chunk_are_written_side_by_side() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 3 * SEGMENT));
    let write = |number: usize| {
        let segment = &bytes[number * SEGMENT..(number + 1) * SEGMENT];
        let offset = (number * SEGMENT) as u64;
        store.write_segment(chunk, offset, segment, Crc32::of(segment))
    };
    write(0).unwrap();
    // Each write waits in the disk for the other one to get there.
    let here = Arc::new((Mutex::new(0), Condvar::new()));
    disk.before(move |call| {
        if call.kind == Kind::Write {
            *here.0.lock().unwrap() += 1;
            here.1.notify_all();
            let count = here.0.lock().unwrap();
            let alone = here
                .1
                .wait_timeout_while(count, PATIENCE, |count| *count < 2);
            assert!(!alone.unwrap().1.timed_out(), "the other one waits");
        }
    });
    std::thread::scope(|scope| {
        let write = &write;
        let writing = [1, 2].map(|number| scope.spawn(move || write(number)));
        for written in writing {
            written.join().unwrap().unwrap();
        }
    });
    assert_eq!(store.received(chunk), Some(bytes.len() as u64));
    store.seal(chunk, &seal_of(&bytes)).unwrap();
    store.verify(chunk, true).unwrap();
}
