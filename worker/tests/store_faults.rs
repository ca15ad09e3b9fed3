//! Damage, full disks and I/O errors: a typed error, never wrong bytes, nothing acknowledged.

mod support;

use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{BLOCK_BYTES, SEGMENT_BYTES};
use mdfs_core::id::DiskId;
use mdfs_core::log::persist::Persist;
use mdfs_protocol::internal::DiskState;
use mdfs_protocol::problem::Code;
use mdfs_worker::disk::Disk;
use mdfs_worker::store::{ChunkStore, Error, StoreSettings};
use mdfs_worker::voter::VoterStorage;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::sim_disk::{Call, Kind, SimDisk, Survives};
use support::{CLUSTER, adopted, bytes_of, chunk_of, only_chunk_file, open, seal_of, term};

const SEGMENT: usize = SEGMENT_BYTES as usize;
const BLOCK: usize = BLOCK_BYTES as usize;

#[test]
fn a_flip_of_any_bit_is_found_and_never_read() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 2 * BLOCK + 100));
    store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap();
    let path = only_chunk_file(&disk);
    drop(store);
    let length = usize::try_from(disk.metadata(&path).unwrap().len).unwrap();
    let (data, tail) = ((0..bytes.len()).step_by(9973), bytes.len()..length);
    for place in data.chain(tail) {
        disk.tamper(&path, |file| file[place] ^= 1 << (place % 8));
        let store = open(Arc::new(disk.clone())).unwrap();
        let error = store.verify(chunk, true).unwrap_err();
        match error {
            Error::BadBlock { block, .. } if place < bytes.len() => {
                assert_eq!(block, (place / BLOCK) as u64);
                assert_eq!(store.usage().unwrap().bad_blocks, 1);
                // The other blocks still read.
                let good = if block == 0 { BLOCK } else { 0 };
                let read = store
                    .open_chunk(chunk)
                    .unwrap()
                    .read(good as u64, 10)
                    .unwrap();
                assert_eq!(read, bytes[good..good + 10]);
            }
            Error::Damaged { .. } if place >= bytes.len() => {
                let usage = store.usage().unwrap();
                assert_eq!((usage.chunks, usage.damaged_chunks), (0, 1));
            }
            other => panic!("a flip at {place}: {other:?}"),
        }
        disk.tamper(&path, |file| file[place] ^= 1 << (place % 8));
    }
}

#[test]
fn a_cut_or_misplaced_chunk_is_damaged_stays_and_can_be_replaced() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, BLOCK + 100));
    let (crc32, seal) = (Crc32::of(&bytes), seal_of(&bytes));
    store.store_whole(chunk, &bytes, crc32, &seal).unwrap();
    let open_before = store.open_chunk(chunk).unwrap();
    let path = only_chunk_file(&disk);
    let mut whole = Vec::new();
    disk.tamper(&path, |file| whole.clone_from(file));
    for length in [0, 1, BLOCK, BLOCK + 100, whole.len() - 1] {
        disk.tamper(&path, |file| file.truncate(length));
        let error = store.verify(chunk, false).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{length}: {error}");
        disk.tamper(&path, |file| file.clone_from(&whole));
    }
    disk.tamper(&path, |file| file.truncate(50));
    assert!(matches!(
        open_before.read(0, 10),
        Err(Error::Damaged { .. })
    ));
    assert_eq!(store.usage().unwrap().chunks, 0);
    disk.metadata(&path).unwrap();
    store.store_whole(chunk, &bytes, crc32, &seal).unwrap();
    assert_eq!(store.verify(chunk, true).unwrap().crc32, crc32);
    let usage = store.usage().unwrap();
    assert_eq!((usage.chunks, usage.damaged_chunks), (1, 0));

    // Right bytes under the name of another chunk.
    disk.rename(&path, &path.with_extension("1")).unwrap();
    let error = store.open_chunk(chunk_of(9, 1)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is damaged: it is another chunk"),
        "{error}"
    );
}

#[test]
fn a_full_disk_refuses_chunks_gives_space_back_and_still_deletes() {
    let disk = SimDisk::new();
    let settings = StoreSettings {
        reserve_bytes: Some(1 << 20),
        ..Default::default()
    };
    let store = ChunkStore::open(Arc::new(disk.clone()), settings, DiskId::from_u128(1)).unwrap();
    store.adopt(CLUSTER).unwrap();
    let (small, bytes) = (chunk_of(9, 0), bytes_of(7, 1000));
    store
        .store_whole(small, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap();
    disk.set_total(4 << 20);
    let large = bytes_of(8, SEGMENT);
    let write = |number: usize| {
        store.write_segment(
            chunk_of(10, 0),
            (number * SEGMENT) as u64,
            &large,
            Crc32::of(&large),
        )
    };
    write(0).unwrap();
    write(1).unwrap();
    assert_eq!(write(2).unwrap_err().code(), Code::NoSpace);
    assert_eq!(store.received(chunk_of(10, 0)), None);
    assert!(disk.space().unwrap().free > 3 << 20);

    // The file system itself is full, reserve or not.
    write(0).unwrap();
    disk.fail(|call| (call.kind == Kind::Write).then(|| io::ErrorKind::StorageFull.into()));
    assert_eq!(write(1).unwrap_err().code(), Code::NoSpace);
    disk.fail(|call| {
        let staged = call.path.starts_with("staging");
        (call.kind == Kind::SyncData && staged).then(|| io::ErrorKind::StorageFull.into())
    });
    let refused = store.store_whole(chunk_of(11, 0), &bytes, Crc32::of(&bytes), &seal_of(&bytes));
    assert_eq!(refused.unwrap_err().code(), Code::NoSpace);
    disk.heal();
    assert_eq!(store.state(), DiskState::Healthy);
    assert_eq!(store.usage().unwrap().staged, 0);
    assert_eq!(
        store.open_chunk(small).unwrap().read(0, 1000).unwrap(),
        bytes
    );
    disk.set_total(0);
    assert_eq!(store.drop_file(small.file).unwrap(), 1);
}

#[test]
fn chunks_have_no_more_than_the_capacity_also_after_a_mount() {
    const MIB: u64 = 1 << 20;
    const CAPACITY: u64 = 3 * MIB;
    let disk = SimDisk::new();
    let open = |id| {
        let settings = StoreSettings {
            reserve_bytes: Some(0),
            capacity_bytes: Some(CAPACITY),
            ..Default::default()
        };
        ChunkStore::open(Arc::new(disk.clone()), settings, DiskId::from_u128(id)).unwrap()
    };
    let store = open(1);
    store.adopt(CLUSTER).unwrap();
    let room = |store: &ChunkStore| {
        let usage = store.usage().unwrap();
        assert_eq!(usage.capacity_bytes, CAPACITY);
        usage.free_bytes
    };
    assert_eq!(room(&store), CAPACITY);
    let bytes = bytes_of(7, SEGMENT);
    let crc32 = Crc32::of(&bytes);
    let put = |store: &ChunkStore, file| {
        store.store_whole(chunk_of(file, 0), &bytes, crc32, &seal_of(&bytes))
    };
    put(&store, 9).unwrap();
    put(&store, 10).unwrap();
    // The footers count: a third one does not fit, and what does not fit leaves nothing behind.
    let left = room(&store);
    assert!((MIB - 8192..MIB).contains(&left), "{left}");
    assert_eq!(put(&store, 11).unwrap_err().code(), Code::NoSpace);
    assert_eq!(room(&store), left);
    let small = bytes_of(8, 1000);
    let write = || store.write_segment(chunk_of(12, 0), 0, &small, Crc32::of(&small));
    write().unwrap();
    let staged = room(&store);
    assert!(staged < left);
    // The same segment again is counted once.
    write().unwrap();
    assert_eq!(room(&store), staged);
    store.discard_staged(chunk_of(12, 0)).unwrap();
    assert_eq!(room(&store), left);

    drop(store);
    let store = open(2);
    assert_eq!(room(&store), left);
    assert_eq!(put(&store, 11).unwrap_err().code(), Code::NoSpace);
    assert_eq!(store.drop_file(chunk_of(9, 0).file).unwrap(), 1);
    put(&store, 11).unwrap();
    assert_eq!(room(&store), left);
}

#[test]
fn a_capacity_is_not_exceeded_by_those_who_write_at_once() {
    const CAPACITY: u64 = 4 << 20;
    let disk = SimDisk::new();
    let settings = StoreSettings {
        reserve_bytes: Some(0),
        capacity_bytes: Some(CAPACITY),
        ..Default::default()
    };
    let store = ChunkStore::open(Arc::new(disk), settings, DiskId::from_u128(1)).unwrap();
    store.adopt(CLUSTER).unwrap();
    let bytes = bytes_of(7, 100_000);
    let (crc32, seal) = (Crc32::of(&bytes), seal_of(&bytes));
    let stored = std::thread::scope(|scope| {
        let put = |thread: u64| {
            let (store, bytes, seal) = (&store, &bytes, &seal);
            let file = move |number: u64| chunk_of(100 * thread + number, 0);
            move || {
                (0..20)
                    .filter(|&number| store.store_whole(file(number), bytes, crc32, seal).is_ok())
                    .count()
            }
        };
        let threads: Vec<_> = (1..5).map(|thread| scope.spawn(put(thread))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<usize>()
    });
    // Each has a footer of a few thousand bytes.
    assert!((38..=41).contains(&stored), "{stored}");
    let usage = store.usage().unwrap();
    assert_eq!(usage.chunks, stored as u64);
    assert!(usage.chunk_bytes + usage.free_bytes < CAPACITY);
}

#[test]
fn room_is_set_apart_for_large_chunks_but_never_from_the_reserve() {
    const MIB: u64 = 1 << 20;
    let disk = SimDisk::new();
    let settings = StoreSettings {
        reserve_bytes: Some(MIB),
        ..Default::default()
    };
    let store = ChunkStore::open(Arc::new(disk.clone()), settings, DiskId::from_u128(1)).unwrap();
    store.adopt(CLUSTER).unwrap();
    let used = disk.space().unwrap();
    disk.set_total(used.total - used.free + 20 * MIB);
    let bytes = bytes_of(8, SEGMENT);
    let crc32 = Crc32::of(&bytes);
    let write = |chunk, number: u64| store.write_segment(chunk, number * MIB, &bytes, crc32);
    let free = || disk.space().unwrap().free / MIB;
    let (first, second) = (chunk_of(9, 0), chunk_of(10, 0));
    for number in 0..2 {
        write(first, number).unwrap();
    }
    assert_eq!(free(), 4);
    for number in 0..3 {
        write(second, number).unwrap();
    }
    assert_eq!(free(), 1);
    // The first has its room already.
    for number in 2..16 {
        write(first, number).unwrap();
    }
    assert_eq!(write(second, 3).unwrap_err().code(), Code::NoSpace);
    assert_eq!(write(first, 16).unwrap(), 17 * MIB);
    assert_eq!(free(), 3);
}

#[test]
fn an_error_on_any_write_ends_all_writing_and_acknowledges_nothing() {
    for kind in [
        Kind::Write,
        Kind::SetLen,
        Kind::SyncData,
        Kind::Rename,
        Kind::SyncDir,
    ] {
        let disk = SimDisk::new();
        let store = adopted(Arc::new(disk.clone()));
        let bytes = bytes_of(7, 1000);
        let put = |chunk| store.store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes));
        put(chunk_of(9, 0)).unwrap();
        disk.fail(move |call| (call.kind == kind).then(|| io::Error::from_raw_os_error(5)));
        let failed = put(chunk_of(10, 0)).unwrap_err();
        assert!(matches!(failed, Error::Io { .. }), "{kind:?}: {failed}");
        // The disk would work again, which proves nothing about what it lost.
        disk.heal();
        assert_eq!(store.state(), DiskState::ReadOnly);
        assert!(
            matches!(put(chunk_of(10, 0)), Err(Error::ReadOnly)),
            "{kind:?}"
        );
        assert!(store.verify(chunk_of(10, 0), false).is_err(), "{kind:?}");
        assert!(matches!(store.raise_fence(term(9)), Err(Error::ReadOnly)));
        assert!(matches!(
            store.drop_file(chunk_of(9, 0).file),
            Err(Error::ReadOnly)
        ));
        assert_eq!(
            store
                .open_chunk(chunk_of(9, 0))
                .unwrap()
                .read(0, 1000)
                .unwrap(),
            bytes
        );
        assert!(store.verify(chunk_of(9, 0), true).is_ok(), "{kind:?}");
    }
}

#[test]
fn an_error_on_a_read_is_an_error_of_that_read_alone() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 1000));
    store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap();
    let open = store.open_chunk(chunk).unwrap();
    disk.fail(|call| (call.kind == Kind::Read).then(|| io::Error::from_raw_os_error(5)));
    assert!(matches!(open.read(0, 10), Err(Error::Io { .. })));
    disk.heal();
    assert_eq!(open.read(0, 10).unwrap(), bytes[..10]);
    let usage = store.usage().unwrap();
    assert_eq!((usage.state, usage.bad_blocks), (DiskState::Healthy, 1));
}

#[test]
fn one_bad_sector_is_one_bad_block_however_much_is_read() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 5 * BLOCK));
    store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap();
    let open = store.open_chunk(chunk).unwrap();
    // The fourth block cannot be read, together with others or alone.
    for (offset, length, failing) in [(0, 5 * BLOCK, [0, 4]), (3 * BLOCK, 1, [0, 1])] {
        let reads = AtomicUsize::new(0);
        disk.fail(move |call| {
            let is_read = call.kind == Kind::Read;
            let fails = is_read && failing.contains(&reads.fetch_add(1, Ordering::SeqCst));
            fails.then(|| io::Error::from_raw_os_error(5))
        });
        let read = open.read(offset as u64, length as u64);
        assert!(matches!(read, Err(Error::Io { .. })));
        disk.heal();
        assert_eq!(store.usage().unwrap().bad_blocks, 1);
    }
    // One that fails once is read by the next try.
    let once = AtomicUsize::new(0);
    disk.fail(move |call| {
        let fails = call.kind == Kind::Read && once.fetch_add(1, Ordering::SeqCst) == 0;
        fails.then(|| io::Error::from_raw_os_error(5))
    });
    assert!(open.read(0, BLOCK as u64).is_err());
    disk.heal();
    assert_eq!(store.usage().unwrap().bad_blocks, 1);
}

#[test]
fn what_the_disk_does_not_give_back_is_not_sealed() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 1000));
    store
        .write_segment(chunk, 0, &bytes, Crc32::of(&bytes))
        .unwrap();
    disk.tamper(&disk.files_below("staging")[0], |file| file[500] ^= 1);
    let error = store.seal(chunk, &seal_of(&bytes)).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(
        (store.received(chunk), disk.files_below("chunks")),
        (None, vec![])
    );
}

#[test]
fn a_process_out_of_file_handles_says_busy_and_the_disk_is_well() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    disk.fail(|call| (call.kind == Kind::Create).then(|| io::Error::from_raw_os_error(24)));
    let refused = store
        .write_segment(chunk_of(9, 0), 0, b"x", Crc32::of(b"x"))
        .unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    disk.heal();
    assert_eq!(store.state(), DiskState::Healthy);
    assert_eq!(
        store
            .write_segment(chunk_of(9, 0), 0, b"x", Crc32::of(b"x"))
            .unwrap(),
        1
    );
}

#[test]
fn a_directory_that_cannot_be_opened_for_want_of_handles_is_synced_before_any_answer() {
    let parent = |path: &Path| path == Path::new("chunks");
    let leaf = |path: &Path| path.parent() == Some(Path::new("chunks"));
    for (place, picked) in [
        ("parent", &parent as &dyn Fn(&Path) -> bool),
        ("leaf", &leaf),
    ] {
        let disk = SimDisk::new();
        let store = adopted(Arc::new(disk.clone()));
        let bytes = bytes_of(7, 1000);
        let (seal, chunk) = (seal_of(&bytes), chunk_of(9, 0));
        let dir = if place == "leaf" {
            // Its directory is known to be durable with all its names.
            let first = chunk_of(9, 1);
            store.store_whole(first, &bytes, seal.crc32, &seal).unwrap();
            only_chunk_file(&disk).parent().unwrap().to_owned()
        } else {
            "chunks".into()
        };
        assert!(picked(&dir));
        store.write_segment(chunk, 0, &bytes, seal.crc32).unwrap();
        let no_handles = move |call: &Call| {
            (call.kind == Kind::SyncDir && call.path == dir)
                .then(|| io::Error::from_raw_os_error(24))
        };
        disk.fail(no_handles.clone());
        for _ in 0..2 {
            let refused = store.seal(chunk, &seal).unwrap_err();
            assert!(refused.is_transient(), "{place}: {refused}");
        }
        assert_eq!(store.state(), DiskState::Healthy);
        disk.heal();
        assert_eq!(store.seal(chunk, &seal).unwrap().length, 1000);
        let after = open(Arc::new(disk.after_power_cut(Survives::Nothing))).unwrap();
        assert_eq!(after.verify(chunk, true).unwrap().length, 1000, "{place}");

        if place == "leaf" {
            disk.fail(no_handles);
            for _ in 0..2 {
                assert!(store.drop_file(chunk.file).unwrap_err().is_transient());
            }
            disk.heal();
            store.drop_file(chunk.file).unwrap();
            assert_eq!(store.state(), DiskState::Healthy);
            let after = disk.after_power_cut(Survives::Nothing);
            assert_eq!(after.files_below("chunks"), Vec::<PathBuf>::new());
        }
    }
}

#[test]
fn a_chunk_with_a_bad_block_is_received_anew_and_replaced() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, BLOCK + 100));
    let seal = seal_of(&bytes);
    store.store_whole(chunk, &bytes, seal.crc32, &seal).unwrap();
    disk.tamper(&only_chunk_file(&disk), |file| file[500] ^= 1);
    assert!(store.verify(chunk, true).is_err());
    store.write_segment(chunk, 0, &bytes, seal.crc32).unwrap();
    // What is good of the old one is read until then.
    let old = store.open_chunk(chunk).unwrap();
    assert_eq!(old.read(BLOCK as u64, 100).unwrap(), bytes[BLOCK..]);
    store.seal(chunk, &seal).unwrap();
    assert_eq!(store.verify(chunk, true).unwrap().crc32, seal.crc32);
    let new = store.open_chunk(chunk).unwrap();
    assert_eq!(new.read(0, 1000).unwrap(), bytes[..1000]);
    let usage = store.usage().unwrap();
    assert_eq!((usage.chunks, usage.bad_blocks), (1, 0));
}

#[test]
fn a_higher_fence_waits_for_the_order_that_is_being_carried_out() {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 1000));
    let seal = seal_of(&bytes);
    store.store_whole(chunk, &bytes, seal.crc32, &seal).unwrap();
    let dir = only_chunk_file(&disk).parent().unwrap().to_owned();
    let (reached, at_sync) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    std::thread::scope(|scope| {
        disk.before(move |call| {
            if call.kind == Kind::SyncDir && call.path == dir {
                reached.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
        });
        let order = scope.spawn(|| store.drop_for(term(1), chunk.file));
        at_sync.recv().unwrap();
        let (answered, answers) = mpsc::channel();
        let (raising, order_of_later) = (store.clone(), term(2));
        scope.spawn(move || {
            raising.admit_write(order_of_later).unwrap();
            answered.send(()).unwrap();
        });
        // The order is at work: whatever the other thread does, it is not answered.
        let early = answers.recv_timeout(Duration::from_millis(50));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
        release.send(()).unwrap();
        assert_eq!(order.join().unwrap().unwrap(), 1);
        answers.recv().unwrap();
    });
    let late = store.drop_for(term(1), chunk.file).unwrap_err();
    assert!(matches!(late, Error::Fenced { .. }), "{late}");
}

#[test]
fn a_voter_whose_disk_failed_once_does_nothing_more() {
    for kind in [Kind::Write, Kind::SyncData] {
        let disk = SimDisk::new();
        let store = adopted(Arc::new(disk.clone()));
        let storage = VoterStorage::open(&store).unwrap();
        let promise = |round| Persist {
            promised: Some(term(round)),
            sync: true,
            ..Persist::default()
        };
        storage.persist(&promise(1)).unwrap();
        disk.fail(move |call| (call.kind == kind).then(|| io::Error::from_raw_os_error(5)));
        assert!(matches!(
            storage.persist(&promise(2)),
            Err(Error::Log { .. })
        ));
        disk.heal();
        assert!(matches!(storage.persist(&promise(2)), Err(Error::ReadOnly)));
        assert!(matches!(storage.load(), Err(Error::ReadOnly)));
        assert_eq!(store.state(), DiskState::ReadOnly);
        drop((storage, store));
        let store = open(Arc::new(disk.after_kill())).unwrap();
        let promised = VoterStorage::open(&store).unwrap().load().unwrap().promised;
        assert!(promised >= term(1));
    }
}
