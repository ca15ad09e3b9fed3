//! A chunk that was found damaged is told as such by the next mount, until it is good or gone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a surprise must end a test"
)]

mod support;

use mdfs_core::chunk::{BLOCK_BYTES, ChunkId};
use mdfs_core::partition::Partition;
use mdfs_protocol::internal::DiskState;
use mdfs_worker::disk::{Disk, Writes};
use mdfs_worker::store::ChunkStore;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use support::sim_disk::{Kind, SimDisk, Survives};
use support::{adopted, bytes_of, chunk_of, open, seal_of};

const BLOCK: usize = BLOCK_BYTES as usize;
const MARKS: &str = "damaged";

/// What is stored as each chunk.
fn content() -> Vec<u8> {
    bytes_of(7, 3 * BLOCK)
}

fn put(store: &ChunkStore, chunk: ChunkId) {
    let (bytes, seal) = (content(), seal_of(&content()));
    store.store_whole(chunk, &bytes, seal.crc32, &seal).unwrap();
}

fn file_of(chunk: ChunkId) -> PathBuf {
    let name = name_of(chunk);
    Path::new("chunks").join(&name[..3]).join(name)
}

fn name_of(chunk: ChunkId) -> String {
    format!("{}.{}", chunk.file, chunk.index)
}

fn flip(disk: &SimDisk, chunk: ChunkId, place: usize) {
    disk.tamper(&file_of(chunk), |file| file[place] ^= 1);
}

/// A disk with chunks, of which the first was found damaged in its second block.
fn with_damage(chunks: &[ChunkId]) -> (SimDisk, ChunkStore) {
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    chunks.iter().for_each(|&chunk| put(&store, chunk));
    flip(&disk, chunks[0], BLOCK);
    store.verify(chunks[0], true).unwrap_err();
    (disk, store)
}

fn mount(disk: &SimDisk) -> ChunkStore {
    open(Arc::new(disk.clone())).unwrap()
}

/// The good chunks and the damaged ones, as a leader is told.
fn told(store: &ChunkStore) -> (Vec<ChunkId>, Vec<ChunkId>) {
    let listing = store.list(&Partition::all().collect::<Vec<_>>());
    let chunks = listing.chunks.into_iter().map(|(chunk, _)| chunk);
    (chunks.collect(), listing.damaged)
}

fn marked(disk: &SimDisk) -> Vec<PathBuf> {
    disk.files_below(MARKS)
}

#[test]
fn a_mount_tells_of_damage_that_was_told_before_a_power_cut() {
    let (bad, good) = (chunk_of(9, 0), chunk_of(9, 1));
    let (disk, store) = with_damage(&[bad, good]);
    assert_eq!(told(&store), (vec![good], vec![bad]));
    let store = mount(&disk.after_power_cut(Survives::Nothing));
    assert_eq!(told(&store), (vec![good], vec![bad]));
    assert!(store.is_damaged(bad) && store.held(bad).is_none());
    assert_eq!(store.held_after(None).map(|(chunk, _)| chunk), Some(good));
    // What is good of it is read still, and what is wrong with it is found anew.
    let opened = store.open_chunk(bad).unwrap();
    assert_eq!(opened.read(0, 10).unwrap(), content()[..10]);
    store.verify(bad, true).unwrap_err();
    let usage = store.usage().unwrap();
    assert_eq!((usage.bad_blocks, usage.foreign_files), (1, 0));
    assert_eq!(told(&store), (vec![good], vec![bad]));
}

#[test]
fn a_chunk_that_was_damaged_as_a_whole_is_told_of_too() {
    let chunk = chunk_of(9, 0);
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    put(&store, chunk);
    flip(&disk, chunk, 3 * BLOCK + 20);
    store.verify(chunk, false).unwrap_err();
    drop(store);
    let store = mount(&disk);
    assert_eq!(told(&store), (vec![], vec![chunk]));
    put(&store, chunk);
    assert_eq!(told(&store), (vec![chunk], vec![]));
    assert_eq!(marked(&disk), [] as [PathBuf; 0]);
}

#[test]
fn damage_is_durable_before_it_is_told_and_costs_writes_once_for_a_chunk() {
    let chunk = chunk_of(9, 0);
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    put(&store, chunk);
    flip(&disk, chunk, 0);
    flip(&disk, chunk, BLOCK);
    let syncs = Arc::new(Mutex::new(Vec::new()));
    disk.before({
        let (store, syncs) = (store.clone(), Arc::clone(&syncs));
        move |call| {
            let damaged = told(&store).1.len();
            syncs.lock().unwrap().push((call.path.clone(), damaged));
        }
    });
    let opened = store.open_chunk(chunk).unwrap();
    for block in [0, 0, 1] {
        opened.read(block * BLOCK as u64, 1).unwrap_err();
    }
    assert_eq!(store.usage().unwrap().bad_blocks, 2);
    let want = [(PathBuf::new(), 0), (MARKS.into(), 0)];
    assert_eq!(*syncs.lock().unwrap(), want);
    disk.before(|_| {});
}

#[test]
fn a_chunk_that_is_replaced_or_verified_whole_is_good_for_the_next_mount() {
    let chunk = chunk_of(9, 0);
    for remounted in [false, true] {
        for replaced in [false, true] {
            let (disk, mut store) = with_damage(&[chunk]);
            if remounted {
                drop(store);
                store = mount(&disk);
            }
            if replaced {
                put(&store, chunk);
            } else {
                flip(&disk, chunk, BLOCK);
                store.verify(chunk, true).unwrap();
            }
            assert_eq!(told(&store), (vec![chunk], vec![]));
            drop(store);
            assert_eq!(marked(&disk), [] as [PathBuf; 0]);
            assert_eq!(told(&mount(&disk)), (vec![chunk], vec![]));
        }
    }
}

#[test]
fn a_chunk_that_is_dropped_leaves_no_mark() {
    let chunk = chunk_of(9, 0);
    type Drop = fn(&ChunkStore, ChunkId) -> u64;
    let drops: [Drop; 2] = [
        |store, chunk| store.drop_file(chunk.file).unwrap(),
        |store, chunk| store.drop_chunks(&[chunk]).unwrap(),
    ];
    for remounted in [false, true] {
        for drop_it in drops {
            let (disk, mut store) = with_damage(&[chunk, chunk_of(10, 0)]);
            if remounted {
                drop(store);
                store = mount(&disk);
            }
            // Its mark goes only once the chunk cannot come back.
            let order = Arc::new(Mutex::new(None));
            disk.before({
                let (disk, order) = (disk.clone(), Arc::clone(&order));
                move |_| *order.lock().unwrap() = Some(marked(&disk).len())
            });
            assert_eq!(drop_it(&store, chunk), 1);
            assert_eq!(*order.lock().unwrap(), Some(1));
            assert_eq!(marked(&disk), [] as [PathBuf; 0]);
            disk.before(|_| {});
            drop(store);
            assert_eq!(told(&mount(&disk)), (vec![chunk_of(10, 0)], vec![]));
        }
    }
}

#[test]
fn a_mark_stays_until_the_drop_of_another_is_durable() {
    let chunk = chunk_of(9, 0);
    let (disk, store) = with_damage(&[chunk]);
    let found = Arc::new(Mutex::new(None));
    disk.before({
        let (disk, store, found) = (disk.clone(), store.clone(), Arc::clone(&found));
        let begun = AtomicBool::new(false);
        move |_| {
            if !begun.swap(true, Ordering::Relaxed) {
                // The file is gone, and that is not durable yet.
                assert_eq!(store.drop_file(chunk.file).unwrap(), 0);
                let after = disk.after_power_cut(Survives::LastName);
                *found.lock().unwrap() = Some(told(&mount(&after)));
            }
        }
    });
    assert_eq!(store.drop_chunks(&[chunk]).unwrap(), 1);
    assert_eq!(found.lock().unwrap().take(), Some((vec![], vec![])));
    disk.before(|_| {});
}

#[test]
fn a_mark_that_outlived_its_damage_is_looked_at_and_not_believed_for_ever() {
    let (chunk, gone) = (chunk_of(9, 0), chunk_of(10, 0));
    let (disk, store) = with_damage(&[chunk]);
    put(&store, chunk);
    // The power goes before the mark did.
    let disk = disk.after_power_cut(Survives::Nothing);
    disk.create(&Path::new(MARKS).join(name_of(gone)), Writes::Cached)
        .unwrap();
    let store = mount(&disk);
    assert_eq!(marked(&disk).len(), 2);
    assert_eq!(told(&store), (vec![], vec![chunk]));
    assert!(!store.is_damaged(gone));
    store.verify(chunk, false).unwrap();
    assert_eq!(told(&store), (vec![], vec![chunk]));
    store.verify(chunk, true).unwrap();
    assert_eq!(told(&store), (vec![chunk], vec![]));
    put(&store, gone);
    assert_eq!(told(&store), (vec![chunk, gone], vec![]));
    assert_eq!(marked(&disk), [] as [PathBuf; 0]);
}

#[test]
fn what_is_no_mark_is_foreign_and_left_alone() {
    let chunk = chunk_of(9, 0);
    let (disk, store) = with_damage(&[chunk, chunk_of(10, 0)]);
    drop(store);
    let name = name_of(chunk_of(10, 0));
    let foreign = [format!("{name}0x"), name.replacen('.', ".0", 1)];
    let foreign = foreign.map(|name| Path::new(MARKS).join(name));
    for path in &foreign {
        disk.create(path, Writes::Cached).unwrap();
    }
    // The bytes in a mark say nothing.
    disk.tamper(&Path::new(MARKS).join(name_of(chunk)), |file| {
        file.extend(b"torn");
    });
    let folder = Path::new(MARKS).join(name);
    disk.create_dir(&folder).unwrap();
    let store = mount(&disk);
    assert_eq!(store.usage().unwrap().foreign_files, 3);
    assert_eq!(told(&store), (vec![chunk_of(10, 0)], vec![chunk]));
    for path in foreign.iter().chain([&folder]) {
        disk.metadata(path).unwrap();
    }
}

#[test]
fn nothing_is_taken_for_good_where_marks_cannot_be_listed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(mdfs_worker::disk::RealDisk::new(dir.path(), false));
    put(&adopted(Arc::clone(&disk) as Arc<dyn Disk>), chunk_of(9, 0));
    std::os::unix::fs::symlink(MARKS, dir.path().join(MARKS)).unwrap();
    let error = open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap_err();
    assert_eq!(error.to_string(), "cannot list damaged");
}

#[test]
fn marks_are_made_once_nothing_is_in_the_way_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(mdfs_worker::disk::RealDisk::new(dir.path(), false));
    let chunk = chunk_of(9, 0);
    let store = adopted(Arc::clone(&disk) as Arc<dyn Disk>);
    let damage = |chunk| {
        let path = dir.path().join(file_of(chunk));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5] = !content()[5];
        std::fs::write(&path, bytes).unwrap();
        store.verify(chunk, true).unwrap_err();
    };
    for chunk in [chunk, chunk_of(10, 0), chunk_of(11, 0)] {
        put(&store, chunk);
    }
    damage(chunk_of(10, 0));
    std::fs::remove_dir_all(dir.path().join(MARKS)).unwrap();
    // This one meets that it is gone, and the next one makes it.
    damage(chunk_of(11, 0));
    damage(chunk);
    let mark = |chunk| dir.path().join(MARKS).join(name_of(chunk));
    assert!(mark(chunk).is_file());
    // A folder with the name of a mark is none.
    std::fs::create_dir(mark(chunk_of(11, 0))).unwrap();
    damage(chunk_of(11, 0));
    std::fs::remove_dir(mark(chunk_of(11, 0))).unwrap();
    damage(chunk_of(11, 0));
    assert!(mark(chunk_of(11, 0)).is_file());
    assert_eq!(store.state(), DiskState::Healthy);
}

#[test]
fn marks_that_cannot_be_made_are_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(mdfs_worker::disk::RealDisk::new(dir.path(), false));
    let chunk = chunk_of(9, 0);
    let store = adopted(Arc::clone(&disk) as Arc<dyn Disk>);
    put(&store, chunk);
    drop(store);
    std::fs::write(dir.path().join(MARKS), b"no directory").unwrap();
    for _ in 0..2 {
        let store = open(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
        assert_eq!(told(&store), (vec![chunk], vec![]));
        assert_eq!(store.usage().unwrap().foreign_files, 1);
        let path = dir.path().join(file_of(chunk));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5] = !content()[5];
        std::fs::write(&path, bytes).unwrap();
        store.verify(chunk, true).unwrap_err();
        assert_eq!(told(&store), (vec![], vec![chunk]));
        assert_eq!(store.state(), DiskState::Healthy);
    }
    let left = std::fs::read(dir.path().join(MARKS)).unwrap();
    assert_eq!(left, b"no directory");
}

#[test]
fn damage_that_cannot_be_marked_is_told_and_a_failed_write_ends_all_writing() {
    for (kind, errno, state) in [
        (Kind::CreateDir, 28, DiskState::Healthy),
        (Kind::CreateDir, 5, DiskState::ReadOnly),
        (Kind::Create, 28, DiskState::Healthy),
        (Kind::Create, 24, DiskState::Healthy),
        (Kind::Create, 30, DiskState::ReadOnly),
        (Kind::SyncDir, 24, DiskState::Healthy),
        (Kind::SyncDir, 28, DiskState::Healthy),
        (Kind::SyncDir, 5, DiskState::ReadOnly),
    ] {
        let chunk = chunk_of(9, 0);
        let disk = SimDisk::new();
        let store = adopted(Arc::new(disk.clone()));
        put(&store, chunk);
        flip(&disk, chunk, 0);
        disk.fail(move |call| {
            // What the root does not keep may be more than marks.
            let is_root = kind == Kind::SyncDir && errno == 28 && call.path == Path::new("");
            let fails = call.kind == kind && !is_root;
            fails.then(|| io::Error::from_raw_os_error(errno))
        });
        store.verify(chunk, true).unwrap_err();
        assert_eq!(told(&store), (vec![], vec![chunk]), "{kind:?}");
        assert_eq!(store.state(), state, "{kind:?} {errno}");
        disk.heal();
        // One who meets it again marks it, unless the disk accepts no more.
        store.verify(chunk, true).unwrap_err();
        let is_marked = marked(&disk).len() == 1;
        assert_eq!(is_marked, state == DiskState::Healthy, "{kind:?}");
        drop(store);
        let forgets = state == DiskState::ReadOnly;
        assert_eq!(told(&mount(&disk)).1.is_empty(), forgets, "{kind:?}");
    }
}

#[test]
fn nothing_is_marked_or_unmarked_on_a_disk_that_accepts_no_writes() {
    let (bad, late) = (chunk_of(9, 0), chunk_of(10, 0));
    let (disk, store) = with_damage(&[bad, late]);
    disk.fail(|call| (call.kind == Kind::Write).then(|| io::Error::from_raw_os_error(5)));
    let bytes = content();
    store
        .write_segment(chunk_of(11, 0), 0, &bytes, seal_of(&bytes).crc32)
        .unwrap_err();
    assert_eq!(store.state(), DiskState::ReadOnly);
    disk.heal();
    let before = marked(&disk);
    disk.keep_trail();
    flip(&disk, late, 0);
    store.verify(late, true).unwrap_err();
    flip(&disk, bad, BLOCK);
    store.verify(bad, true).unwrap();
    assert_eq!(told(&store), (vec![bad], vec![late]));
    assert_eq!(disk.take_trail().len(), 0);
    assert_eq!(marked(&disk), before);
}

#[test]
fn there_are_so_many_marks_and_no_more() {
    const MOST: u32 = 65_536;
    let disk = SimDisk::new();
    let store = adopted(Arc::new(disk.clone()));
    let (chunk, gone) = (chunk_of(9, 0), chunk_of(0xfff << 52, 0));
    put(&store, chunk);
    drop(store);
    disk.create_dir(Path::new(MARKS)).unwrap();
    for index in 0..MOST {
        let mark = name_of(ChunkId { index, ..gone });
        disk.create(&Path::new(MARKS).join(mark), Writes::Cached)
            .unwrap();
    }
    let store = mount(&disk);
    flip(&disk, chunk, 0);
    store.verify(chunk, true).unwrap_err();
    assert_eq!(told(&store), (vec![], vec![chunk]));
    assert_eq!(marked(&disk).len(), MOST as usize);
    // One goes, and there is room.
    store.drop_chunks(&[gone]).unwrap();
    store.verify(chunk, true).unwrap_err();
    assert_eq!(marked(&disk).len(), MOST as usize);
    disk.metadata(&Path::new(MARKS).join(name_of(chunk)))
        .unwrap();
}
