//! What a chunk store promises, on a real file system and on a simulated disk.

mod support;

use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{BLOCK_BYTES, SEGMENT_BYTES};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_core::time::Timestamp;
use mdfs_protocol::internal::Stored;
use mdfs_protocol::problem::Code;
use mdfs_worker::disk::{Disk, Writes};
use mdfs_worker::store::{ChunkStore, Error, StoreSettings};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::sim_disk::SimDisk;
use support::{
    CLUSTER, adopted, bytes_of, chunk_of, on_each_disk, only_chunk_file, open, seal_of, send, term,
};

const SEGMENT: usize = SEGMENT_BYTES as usize;
const BLOCK: usize = BLOCK_BYTES as usize;

#[test]
fn chunks_of_any_length_read_back_in_any_range_also_after_a_restart() {
    on_each_disk(|disk| {
        let mut store = adopted(Arc::clone(&disk));
        let lengths = [
            1,
            4095,
            4096,
            BLOCK,
            BLOCK + 1,
            SEGMENT,
            2 * SEGMENT + 5 * BLOCK + 777,
        ];
        for round in 0..2 {
            for (index, length) in (0..).zip(lengths) {
                let (chunk, bytes) = (chunk_of(9, index), bytes_of(7, length));
                if round == 0 {
                    send(&store, chunk, &bytes);
                    assert_eq!(store.received(chunk), Some(length as u64));
                    let stored = store.seal(chunk, &seal_of(&bytes)).unwrap();
                    let want = Stored {
                        length: length as u64,
                        crc32: Crc32::of(&bytes),
                    };
                    assert_eq!(stored, want);
                }
                let open = store.open_chunk(chunk).unwrap();
                assert_eq!(*open.seal(), seal_of(&bytes));
                let middle = length / 2;
                for (from, count) in [(0, 1), (0, SEGMENT), (middle, 100), (middle, SEGMENT)] {
                    let to = length.min(from + count);
                    let read = open.read(from as u64, count as u64).unwrap();
                    assert_eq!(read, bytes[from..to], "{length} bytes from {from}");
                }
                assert_eq!(store.verify(chunk, true).unwrap(), open.stored());
            }
            let usage = store.usage().unwrap();
            assert_eq!(usage.chunks, lengths.len() as u64);
            assert_eq!(usage.chunk_bytes, lengths.iter().sum::<usize>() as u64);
            drop(store);
            store = open(Arc::clone(&disk)).unwrap();
        }
        assert_eq!(
            store.drop_file(chunk_of(9, 0).file).unwrap(),
            lengths.len() as u64
        );
        assert_eq!(store.drop_file(chunk_of(9, 0).file).unwrap(), 0);
        assert!(matches!(
            store.open_chunk(chunk_of(9, 0)),
            Err(Error::ChunkNotFound { .. })
        ));
        let usage = store.usage().unwrap();
        assert_eq!((usage.chunks, usage.chunk_bytes), (0, 0));
    });
}

#[test]
fn segments_may_come_twice_and_a_gap_is_not_received() {
    on_each_disk(|disk| {
        let store = adopted(disk);
        let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, SEGMENT + 10));
        let (first, second) = bytes.split_at(SEGMENT);
        let write = |offset: usize, bytes: &[u8]| {
            store
                .write_segment(chunk, offset as u64, bytes, Crc32::of(bytes))
                .unwrap()
        };
        assert_eq!(store.received(chunk), None);
        assert_eq!(write(SEGMENT, second), 0);
        let gap = store.seal(chunk, &seal_of(&bytes)).unwrap_err();
        assert!(
            matches!(gap, Error::LengthMismatch { received: 0, .. }),
            "{gap}"
        );
        assert_eq!(write(0, &bytes_of(8, SEGMENT)), bytes.len() as u64);
        assert_eq!(write(0, first), bytes.len() as u64);
        assert_eq!(write(0, first), bytes.len() as u64);
        let seal = seal_of(&bytes);
        let stored = store.seal(chunk, &seal).unwrap();
        assert_eq!(store.seal(chunk, &seal).unwrap(), stored);
        assert_eq!(write(0, first), bytes.len() as u64);
        let mut other = seal.clone();
        other.name = "other".to_owned();
        assert!(matches!(
            store.seal(chunk, &other),
            Err(Error::Conflict { .. })
        ));
        assert_eq!(store.usage().unwrap().staged, 0);
        assert_eq!(store.verify(chunk, true).unwrap(), stored);
    });
}

#[test]
fn what_is_left_of_a_longer_try_is_no_part_of_a_chunk() {
    on_each_disk(|disk| {
        let store = adopted(disk);
        let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, SEGMENT + 10));
        let write = |offset: usize, bytes: &[u8]| {
            store
                .write_segment(chunk, offset as u64, bytes, Crc32::of(bytes))
                .unwrap();
        };
        let longer = bytes_of(8, SEGMENT);
        write(0, &longer);
        write(SEGMENT, &longer);
        write(3 * SEGMENT, &longer);
        let (first, second) = bytes.split_at(SEGMENT);
        write(0, first);
        // Of this one not all bytes have come.
        let short = store.seal(chunk, &seal_of(&bytes)).unwrap_err();
        assert!(matches!(short, Error::LengthMismatch { .. }), "{short}");
        write(SEGMENT, second);
        let stored = store.seal(chunk, &seal_of(&bytes)).unwrap();
        assert_eq!(store.verify(chunk, true).unwrap(), stored);
        let usage = store.usage().unwrap();
        assert_eq!((usage.chunks, usage.staged), (1, 0));
    });
}

#[test]
fn what_does_not_match_is_refused_and_leaves_nothing() {
    on_each_disk(|disk| {
        let store = adopted(disk);
        let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 5000));
        let crc32 = Crc32::of(&bytes);
        let mut seal = seal_of(&bytes);
        let refused = store.write_segment(chunk, 0, &bytes, Crc32(1)).unwrap_err();
        assert_eq!(refused.code(), Code::ChecksumMismatch);
        for (offset, bytes) in [
            (1, &bytes[..]),
            (0, &[]),
            (1 << 30, &bytes),
            (u64::MAX, &bytes),
        ] {
            let refused = store
                .write_segment(chunk, offset, bytes, Crc32::of(bytes))
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidRequest, "{offset}");
        }
        assert_eq!(
            store.seal(chunk, &seal).unwrap_err().code(),
            Code::ChunkNotFound
        );
        seal.length += 1;
        let refused = store.store_whole(chunk, &bytes, crc32, &seal).unwrap_err();
        assert!(matches!(refused, Error::LengthMismatch { .. }), "{refused}");
        seal.length -= 1;
        seal.crc32 = Crc32(1);
        let refused = store.store_whole(chunk, &bytes, crc32, &seal).unwrap_err();
        assert_eq!(refused.code(), Code::ChecksumMismatch);
        seal.length = 0;
        assert_eq!(
            store.seal(chunk, &seal).unwrap_err().code(),
            Code::InvalidRequest
        );
        assert_eq!(store.received(chunk), None);
        let usage = store.usage().unwrap();
        assert_eq!((usage.chunks, usage.staged), (0, 0));
    });
}

#[test]
fn idle_staged_chunks_are_swept_and_too_many_are_refused() {
    on_each_disk(|disk| {
        let store = adopted(Arc::clone(&disk));
        let write = |index| store.write_segment(chunk_of(9, index), 0, b"x", Crc32::of(b"x"));
        let at = |seconds| Timestamp::from_millis(0).plus(Duration::from_secs(seconds));
        for index in 0..3 {
            write(index).unwrap();
        }
        assert_eq!(write(3).unwrap_err().code(), Code::Busy);
        store.sweep(at(0));
        write(0).unwrap();
        store.sweep(at(599));
        assert_eq!(store.usage().unwrap().staged, 3);
        store.sweep(at(600));
        assert_eq!(store.received(chunk_of(9, 0)), Some(1));
        assert_eq!(store.usage().unwrap().staged, 1);
        store.discard_staged(chunk_of(9, 0)).unwrap();
        assert_eq!(disk.list(Path::new("staging")).unwrap(), []);
        write(3).unwrap();
        drop(store);
        let store = open(Arc::clone(&disk)).unwrap();
        assert_eq!(store.received(chunk_of(9, 3)), None);
        assert_eq!(disk.list(Path::new("staging")).unwrap(), []);
    });
}

#[test]
fn a_disk_has_one_user_one_cluster_and_a_rising_generation() {
    on_each_disk(|disk| {
        let store = open(Arc::clone(&disk)).unwrap();
        assert!(matches!(open(Arc::clone(&disk)), Err(Error::Locked)));
        let first = store.identity();
        assert_eq!((first.disk, first.cluster), (DiskId::from_u128(1), None));
        let refused = store
            .write_segment(chunk_of(9, 0), 0, b"x", Crc32::of(b"x"))
            .unwrap_err();
        assert!(matches!(refused, Error::NotAdopted));
        store.adopt(CLUSTER).unwrap();
        store.adopt(CLUSTER).unwrap();
        let refused = store.adopt(ClusterId::from_u128(2)).unwrap_err();
        assert_eq!(refused.code(), Code::ForeignDisk);
        store.raise_fence(term(5)).unwrap();
        store.admit_write(term(4)).unwrap();
        store.admit_write(term(6)).unwrap();
        assert_eq!(store.raise_fence(term(5)).unwrap_err().code(), Code::Fenced);
        let mount = store.mount();
        drop(store);
        let settings = StoreSettings::default();
        let store = ChunkStore::open(Arc::clone(&disk), settings, DiskId::from_u128(2)).unwrap();
        let second = store.identity();
        assert_eq!((second.disk, second.cluster), (first.disk, Some(CLUSTER)));
        assert_eq!(
            (second.fence, second.generation),
            (term(6), first.generation)
        );
        assert_ne!(store.mount(), mount);
        store.raise_generation().unwrap();
        assert_eq!(store.identity().generation.0, first.generation.0 + 1);
        drop(store);
        let store = open(disk).unwrap();
        assert_eq!(store.identity().generation.0, first.generation.0 + 1);
    });
}

#[test]
fn a_disk_with_content_but_no_identity_is_not_formatted() {
    on_each_disk(|disk| {
        disk.create_dir(Path::new("lost+found")).unwrap();
        disk.create(Path::new("thesis.txt"), Writes::Cached)
            .unwrap();
        let refused = open(Arc::clone(&disk)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the disk has no identity and is not empty: found \"thesis.txt\""
        );
        disk.remove(Path::new("thesis.txt")).unwrap();
        open(disk).unwrap();
    });
}

#[test]
fn foreign_files_are_counted_and_left_alone() {
    on_each_disk(|disk| {
        let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 100));
        let store = adopted(Arc::clone(&disk));
        store
            .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
            .unwrap();
        drop(store);
        let name = "00000000000000090000000000000000";
        let foreign = [
            "readme".to_owned(),
            "chunks/readme".to_owned(),
            "chunks/000/readme".to_owned(),
            format!("chunks/000/{name}.00"),
            format!("chunks/000/f{}.0", &name[1..]),
        ];
        for path in &foreign {
            disk.create(Path::new(path), Writes::Cached).unwrap();
        }
        let store = open(Arc::clone(&disk)).unwrap();
        let usage = store.usage().unwrap();
        assert_eq!((usage.chunks, usage.foreign_files), (1, 5));
        store.drop_file(chunk.file).unwrap();
        for path in &foreign {
            disk.metadata(Path::new(path)).unwrap();
        }
    });
}

#[test]
fn a_late_second_seal_replaces_no_good_chunk() {
    let disk = Arc::new(SimDisk::new());
    let store = adopted(Arc::clone(&disk) as Arc<dyn Disk>);
    let (chunk, bytes) = (chunk_of(9, 0), bytes_of(7, 5000));
    let stored = store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal_of(&bytes))
        .unwrap();
    let path = only_chunk_file(&disk);
    // What is received stays staged beside a chunk that was damaged only for a while.
    let mend_and_send = |received: &[u8]| {
        disk.tamper(&path, |file| file[100] ^= 1);
        assert_eq!(
            store.verify(chunk, true).unwrap_err().code(),
            Code::BadBlock
        );
        send(&store, chunk, received);
        disk.tamper(&path, |file| file[100] ^= 1);
        store.verify(chunk, true).unwrap();
        assert_eq!(store.usage().unwrap().staged, 1);
    };
    let other = bytes_of(8, 5000);
    mend_and_send(&other);
    let refused = store.seal(chunk, &seal_of(&other)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
    assert_eq!(store.verify(chunk, true).unwrap(), stored);
    mend_and_send(&bytes);
    let changes = store.digests().sequence;
    assert_eq!(store.seal(chunk, &seal_of(&bytes)).unwrap(), stored);
    assert_eq!(store.digests().sequence, changes, "it stayed where it was");
    let usage = store.usage().unwrap();
    assert_eq!((usage.chunks, usage.staged), (1, 0));
    assert_eq!(store.held(chunk), Some(5000));
    assert_eq!(disk.list(Path::new("staging")).unwrap(), []);
}
