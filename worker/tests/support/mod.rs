//! What the worker's tests and proofs share.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests use it, and a surprise must end them"
)]

pub(crate) mod ledger;
pub(crate) mod power_cut;
pub(crate) mod world;

pub(crate) use mdfs_simdisk as sim_disk;

use mdfs_core::checksum::{ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkSize, SEGMENT_BYTES};
use mdfs_core::id::{ClusterId, DiskId, FileId, Incarnation, Term};
use mdfs_protocol::internal::Seal;
use mdfs_worker::disk::{Disk, RealDisk};
use mdfs_worker::store::{ChunkStore, Error, StoreSettings};
use std::path::PathBuf;
use std::sync::Arc;

/// The cluster of `adopted` stores.
pub(crate) const CLUSTER: ClusterId = ClusterId::from_u128(0xc1);

/// Mounts a disk with no reserve and room for three staged chunks.
pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<ChunkStore, Error> {
    let settings = StoreSettings {
        reserve_bytes: Some(0),
        most_staged: 3,
        ..Default::default()
    };
    ChunkStore::open(disk, settings, DiskId::from_u128(1))
}

/// Mounts a disk as one of `CLUSTER`.
pub(crate) fn adopted(disk: Arc<dyn Disk>) -> ChunkStore {
    let store = open(disk).unwrap();
    store.adopt(CLUSTER).unwrap();
    store
}

/// Runs a test on every kind of disk.
pub(crate) fn on_each_disk(test: impl Fn(Arc<dyn Disk>)) {
    let dir = tempfile::tempdir().unwrap();
    for (name, direct) in [("direct", true), ("cached", false)] {
        let root = dir.path().join(name);
        std::fs::create_dir(&root).unwrap();
        test(Arc::new(RealDisk::new(root, direct)));
    }
    test(Arc::new(sim_disk::SimDisk::new()));
}

/// Sends bytes as segments, from buffers of the store, the last one first.
pub(crate) fn send(store: &ChunkStore, chunk: ChunkId, bytes: &[u8]) {
    let segment_bytes = SEGMENT_BYTES as usize;
    for (number, segment) in bytes.chunks(segment_bytes).enumerate().rev() {
        let mut buffer = store.buffers().get();
        assert_eq!(buffer.extend(segment), segment.len());
        let offset = (number * segment_bytes) as u64;
        store
            .write_segment(chunk, offset, &buffer, Crc32::of(segment))
            .unwrap();
    }
}

/// A term of one master.
pub(crate) fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(1),
    }
}

/// The one sealed chunk's file.
pub(crate) fn only_chunk_file(disk: &sim_disk::SimDisk) -> PathBuf {
    let files = disk.files_below("chunks");
    assert_eq!(files.len(), 1);
    files[0].clone()
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn bytes_of(seed: u64, len: usize) -> Vec<u8> {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        bytes.extend_from_slice(&bits.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The chunk `index` of the file with these leading 64 bits: they decide on its directory.
pub(crate) fn chunk_of(file: u64, index: u32) -> ChunkId {
    ChunkId {
        file: FileId::from_u128(u128::from(file) << 64),
        index,
    }
}

/// The seal of these bytes, as an upload would send it.
pub(crate) fn seal_of(bytes: &[u8]) -> Seal {
    Seal {
        length: bytes.len() as u64,
        crc32: Crc32::of(bytes),
        hash: ChunkHash([7; 32]),
        chunk_size: ChunkSize::DEFAULT,
        name: "films/été.mkv".to_owned(),
        begun_at: 42,
        file_bytes: Some(bytes.len() as u64),
    }
}
